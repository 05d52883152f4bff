/*
 * One line of StatsD with DogStatsD's additions:
 *
 *     name:value[:value…]|type[|@rate][|#tag:value,tag][|c:…][|T…]
 *
 * Types: c counter, g gauge (a sign in front makes it a change), ms timer, h and d observations,
 * s set. Container ids and times are passed over.
 */
#ifndef TOC_CODEC_STATSD_H
#define TOC_CODEC_STATSD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/sv.h"

enum { TOC_STATSD_TAGS_MAX = 64 };

enum toc_statsd_type {
    TOC_STATSD_COUNTER,
    TOC_STATSD_GAUGE,
    TOC_STATSD_TIMER, /* milliseconds */
    TOC_STATSD_HISTOGRAM,
    TOC_STATSD_DISTRIBUTION,
    TOC_STATSD_SET,
    TOC_STATSD_TYPE_COUNT
};

struct toc_statsd_tag {
    struct toc_sv name, value; /* a tag without a value has the value "true" */
};

struct toc_statsd_line {
    struct toc_sv name;
    struct toc_sv values; /* one or more, read with toc_statsd_value */
    enum toc_statsd_type type;
    double rate; /* in (0, 1] */
    struct toc_statsd_tag tags[TOC_STATSD_TAGS_MAX];
    size_t tag_count;
};

/* X(enum, reason): why a line is none. */
#define TOC_STATSD_FAULT_TABLE(X)                     \
    X(TOC_STATSD_GOOD, "")                            \
    X(TOC_STATSD_MALFORMED, "malformed")              \
    X(TOC_STATSD_UNKNOWN_TYPE, "unknown_type")        \
    X(TOC_STATSD_BAD_VALUE, "invalid_value")          \
    X(TOC_STATSD_BAD_RATE, "invalid_sample_rate")     \
    X(TOC_STATSD_BAD_TAG, "invalid_tag")              \
    X(TOC_STATSD_TAG_LIMIT, "tag_limit")              \
    X(TOC_STATSD_NO_METRIC, "event_or_service_check") \
    X(TOC_STATSD_TYPE_CONFLICT, "type_conflict")      \
    X(TOC_STATSD_SERIES_LIMIT, "series_limit")        \
    X(TOC_STATSD_SET_LIMIT, "set_limit")              \
    X(TOC_STATSD_TOO_LONG, "too_long")
enum toc_statsd_fault {
#define X(name, text) name,
    TOC_STATSD_FAULT_TABLE(X)
#undef X
        TOC_STATSD_FAULT_COUNT
};
const char *toc_statsd_fault_text(enum toc_statsd_fault f);
const char *toc_statsd_type_text(enum toc_statsd_type t); /* "c", "g", … */

/* Views are borrowed from the line. Every value is looked at: none is bad when this is good. */
enum toc_statsd_fault toc_statsd_parse(struct toc_sv line, struct toc_statsd_line *out);

struct toc_statsd_value {
    struct toc_sv text;
    double number;  /* all but sets */
    bool is_change; /* of a gauge */
};
/* The next of `*rest` (line.values at first); false at the end. */
bool toc_statsd_value(struct toc_sv *rest, enum toc_statsd_type type, struct toc_statsd_value *out);

/* Appends the line, without a line break, so that parsing gives the same back. */
void toc_statsd_write(const struct toc_statsd_line *line, struct toc_buf *out);

#endif
