/* Numbers from and to text, exactly. */
#ifndef TOC_BASE_NUM_H
#define TOC_BASE_NUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attrs.h"
#include "base/buf.h"
#include "base/sv.h"

/* Whole string must be a decimal integer in range. 0 or TOC_EPARSE. */
int toc_parse_i64(struct toc_sv s, int64_t *out) TOC_MUST_CHECK;
int toc_parse_u64(struct toc_sv s, uint64_t *out) TOC_MUST_CHECK;
/* Whole string as Go's strconv.ParseFloat would take it without underscores: decimal, exponent, hex
 * float, inf/infinity/nan in any case and sign. Correctly rounded. 0 or TOC_EPARSE. */
int toc_parse_f64(struct toc_sv s, double *out) TOC_MUST_CHECK;
/* The JSON number (RFC 8259) that s begins with, correctly rounded: its length. 0 when there is
 * none, and for what few programs write, which is left to a whole parser: more than 19 digits (18
 * of an integer), and what is too large or too small for a normal double. */
size_t toc_read_json_number(struct toc_sv s, double *out);
/*
 * Shortest text that reads back to the same double, as Go's strconv.FormatFloat(v, …, -1, 64); NaN,
 * +Inf, -Inf and -0 as there.
 */
enum toc_f64_style {
    TOC_F64_PLAIN,    /* 'f': never an exponent */
    TOC_F64_GENERAL,  /* exponent below 1e-4 and from 1e21: for people and for JSON */
    TOC_F64_EXPONENT, /* 'e': always one */
    TOC_F64_JSON,     /* exponent below 1e-6 and from 1e21: sample values in Prometheus' JSON */
    TOC_F64_G,        /* 'g', Go's %g: exponent below 1e-4 and from 1e6; in messages and labels */
};
enum { TOC_F64_TEXT_MAX = 352, TOC_U64_TEXT_MAX = 20 };
/* Writes without a NUL and returns the length. */
size_t toc_f64_text(double v, enum toc_f64_style style, char out[TOC_F64_TEXT_MAX]);
size_t toc_u64_text(uint64_t v, char out[TOC_U64_TEXT_MAX]);
/* The same onto a buffer. */
void toc_format_f64(double v, struct toc_buf *out);
void toc_format_f64_g(double v, struct toc_buf *out);
void toc_format_f64_json(double v, struct toc_buf *out);
/* TOC_F64_G. */
void toc_format_f64_go(double v, struct toc_buf *out);
const char *toc_f64_cstr(double v, char out[TOC_F64_TEXT_MAX + 1]); /* returns out */
/* For people, about 4 significant digits with SI or binary prefixes: "1.23k", "4.56 GiB". */
void toc_format_si(double v, struct toc_buf *out);
void toc_format_bytes(double v, struct toc_buf *out);

#endif
