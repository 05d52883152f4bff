/*
 * InfluxDB line protocol (docs.influxdata.com, "Line protocol reference"), one line at a time:
 *
 *     measurement,tag=value,tag=value field=1.5,other=7i,name="text" 1700000000000000000
 *
 * In the measurement a backslash escapes a comma and a blank; in tag keys, tag values and field
 * keys also `=`; in quoted text `"` and `\`. Any other backslash stands for itself. A line break
 * inside quotes belongs to the text.
 */
#ifndef TOC_CODEC_INFLUX_LINE_H
#define TOC_CODEC_INFLUX_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum { TOC_INFLUX_TAGS_MAX = 256, TOC_INFLUX_FIELDS_MAX = 4096, TOC_INFLUX_KEY_BYTES_MAX = 65535 };

enum toc_influx_type {
    TOC_INFLUX_FLOAT,
    TOC_INFLUX_INT,  /* 7i */
    TOC_INFLUX_UINT, /* 7u */
    TOC_INFLUX_BOOL,
    TOC_INFLUX_STRING
};

struct toc_influx_tag {
    struct toc_sv key, value; /* unescaped */
};

struct toc_influx_field {
    struct toc_sv key;
    enum toc_influx_type type;
    double number;      /* all but strings; true is 1. Integers beyond 2^53 are rounded */
    struct toc_sv text; /* TOC_INFLUX_STRING, unescaped */
};

struct toc_influx_line {
    struct toc_sv measurement;
    const struct toc_influx_tag *tags; /* in input order; none empty */
    size_t tag_count;
    const struct toc_influx_field *fields; /* at least one */
    size_t field_count;
    bool has_time;
    int64_t time; /* in the unit that the sender agreed on */
    int number;   /* of the line, from 1 */
};

struct toc_influx_reader {
    struct toc_sv text; /* borrowed */
    size_t at;
    int next_line; /* kept by the reader */
};

void toc_influx_reader_init(struct toc_influx_reader *r, struct toc_sv text);
/* The next line that is neither empty nor a comment; its views live in the arena or in the text.
 * TOC_EEND at the end. TOC_EPARSE or TOC_ELIMIT (with line and column; out->number is set): this
 * line is none, the reader stands behind it and goes on. */
int toc_influx_read(struct toc_influx_reader *r, struct toc_arena *a, struct toc_influx_line *out,
                    struct toc_err *err) TOC_MUST_CHECK;
/* Appends the line with its line break, so that reading gives the same back. */
void toc_influx_write(const struct toc_influx_line *line, struct toc_buf *out);

#endif
