/*
 * What comes as lines of text: InfluxDB's line protocol, the Prometheus text format pushed instead
 * of scraped, JSON lines and CSV. A bad line is told by its number and never stops the others.
 * docs/design/ways-in.md tells each format. Thread-safe.
 */
#ifndef TOC_REMOTE_IMPORT_H
#define TOC_REMOTE_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "metricdb/metricdb.h"
#include "remote/csv_columns.h"
#include "sys/clock.h"

/* X(enum, name) */
#define TOC_IMPORT_FORMAT_TABLE(X)         \
    X(TOC_IMPORT_INFLUX, "influx")         \
    X(TOC_IMPORT_EXPOSITION, "exposition") \
    X(TOC_IMPORT_JSONL, "jsonl")           \
    X(TOC_IMPORT_CSV, "csv")
enum toc_import_format {
#define X(name, text) name,
    TOC_IMPORT_FORMAT_TABLE(X)
#undef X
        TOC_IMPORT_FORMAT_COUNT
};
const char *toc_import_format_text(enum toc_import_format f);

/* X(enum, reason): why a line, or a part of one, was refused before it came to the store. */
#define TOC_IMPORT_REFUSAL_TABLE(X)            \
    X(TOC_IMPORT_MALFORMED, "malformed")       \
    X(TOC_IMPORT_TOO_LARGE, "too_large")       \
    X(TOC_IMPORT_BAD_LABELS, "invalid_labels") \
    X(TOC_IMPORT_BAD_VALUE, "invalid_value")   \
    X(TOC_IMPORT_BAD_TIME, "invalid_timestamp")
enum toc_import_refusal {
#define X(name, text) name,
    TOC_IMPORT_REFUSAL_TABLE(X)
#undef X
        TOC_IMPORT_REFUSAL_COUNT
};
const char *toc_import_refusal_text(enum toc_import_refusal r);

/* How names are made of line protocol; from the configuration. Plain data. */
enum { TOC_INFLUX_TEXT_MAX = 64 };
struct toc_influx_options {
    char separator[TOC_INFLUX_TEXT_MAX];      /* between measurement and field */
    char database_label[TOC_INFLUX_TEXT_MAX]; /* gets the bucket or database; "": nothing does */
    bool is_dropping_value;                   /* a field `value` has the name of its measurement */
    bool keeps_names; /* no underscores for what the classic data model lacks */
};

enum toc_influx_precision {
    TOC_INFLUX_NS,
    TOC_INFLUX_US,
    TOC_INFLUX_MS,
    TOC_INFLUX_S,
    TOC_INFLUX_MINUTES,
    TOC_INFLUX_HOURS
};
/* `ns`, `n`, `us`, `u`, `µ`, `ms`, `s`, `m`, `h`; empty: ns. TOC_EINVAL. */
int toc_influx_precision_parse(struct toc_sv s, enum toc_influx_precision *out) TOC_MUST_CHECK;

/* Of one request; everything borrowed. */
struct toc_import_options {
    enum toc_influx_precision precision;
    struct toc_sv database;
    struct toc_labels extra;               /* labels set on every series; sorted */
    int64_t default_ms;                    /* time of samples that have none; 0: now */
    const struct toc_csv_columns *columns; /* CSV */
};

/* What became of a text. lines = lines taken whole + rejected_lines; comments and empty lines do
 * not count. */
struct toc_import_outcome {
    size_t lines, rejected_lines; /* rejected: at least one of its samples, or all of it */
    size_t samples;               /* stored */
    size_t skipped_strings;       /* fields of text, which no series can hold; not an error */
    size_t refused[TOC_IMPORT_REFUSAL_COUNT];
    size_t rejected[TOC_REJECT_REASON_COUNT]; /* samples that the store refused */
    struct toc_buf text; /* a line for each of the first refusals; the caller's to free */
};

struct toc_import;
/* `db` and `clock` must outlive it. */
struct toc_import *toc_import_new(const struct toc_influx_options *influx, struct toc_metricdb *db,
                                  struct toc_clock *clock);
/* For the texts that come from now on. */
void toc_import_set_influx(struct toc_import *im, const struct toc_influx_options *influx);
/* NULL is accepted. */
void toc_import_free(struct toc_import **im);

/* Takes a text (not compressed). 0: what was not rejected is durable. Otherwise the store failed;
 * the same text may be sent again. */
int toc_import_receive(struct toc_import *im, enum toc_import_format format,
                       const struct toc_import_options *options, struct toc_sv text,
                       struct toc_import_outcome *out, struct toc_err *err) TOC_MUST_CHECK;

/* Since start. */
struct toc_import_stats {
    struct toc_import_format_stats {
        uint64_t requests, failed_requests, bytes, lines, rejected_lines, samples;
    } formats[TOC_IMPORT_FORMAT_COUNT];
    uint64_t skipped_strings;
    uint64_t refused[TOC_IMPORT_REFUSAL_COUNT];
    uint64_t rejected[TOC_REJECT_REASON_COUNT];
};
void toc_import_stats(struct toc_import *im, struct toc_import_stats *out);

#endif
