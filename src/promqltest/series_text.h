/*
 * Series as test files write them (promqltest and rule unit tests):
 *
 *     name{label="value"} 0+10x5 _ _x3 stale NaN {{schema:0 count:2 buckets:[1 1]}}x4
 *
 * Everything parsed lies in the arena. Errors carry the column of the text as err->column.
 */
#ifndef TOC_PROMQLTEST_SERIES_TEXT_H
#define TOC_PROMQLTEST_SERIES_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"
#include "model/histogram.h"
#include "model/labels.h"

/* Items of one series after expansion; more are refused. */
enum { TOC_SEQUENCE_MAX = 5000000 };

struct toc_sequence_value {
    bool is_missing;
    bool has_hint; /* the histogram says counter_reset_hint */
    double value;
    const struct toc_histogram *histogram; /* NULL: a float */
};

struct toc_series_text {
    struct toc_labels labels;
    struct toc_sequence_value *values;
    size_t count;
};

/* Start timestamps relative to the samples they belong to. */
struct toc_start_value {
    bool is_missing;
    int64_t offset_ms;
};

struct toc_start_text {
    struct toc_labels labels;
    struct toc_start_value *values;
    size_t count;
};

/* `name`, `{a="b"}`, `name{a="b"}`, `{"name", "label"="b"}`: the whole text. */
int toc_labels_text_parse(struct toc_sv text, struct toc_arena *arena, struct toc_labels *out,
                          struct toc_err *err) TOC_MUST_CHECK;
/* Labels and items. */
int toc_series_text_parse(struct toc_sv text, struct toc_arena *arena, struct toc_series_text *out,
                          struct toc_err *err) TOC_MUST_CHECK;
/* Items alone. */
int toc_sequence_parse(struct toc_sv text, struct toc_arena *arena, struct toc_series_text *out,
                       struct toc_err *err) TOC_MUST_CHECK;
/* `series@st -30s-1mx2 _`. False in `out_is_start` (and success) when the text has no `@st`. */
int toc_start_text_parse(struct toc_sv text, struct toc_arena *arena, struct toc_start_text *out,
                         bool *out_is_start, struct toc_err *err) TOC_MUST_CHECK;
/* `{{…}}`: the whole text. */
int toc_histogram_text_parse(struct toc_sv text, struct toc_arena *arena,
                             const struct toc_histogram **out, struct toc_err *err) TOC_MUST_CHECK;

/* A string of Go in quotes: '…' and "…" with escapes, `…` raw. The text must begin with the quote;
 * *out_end is the offset behind the closing one. */
int toc_go_string_parse(struct toc_sv text, struct toc_arena *arena, struct toc_sv *out,
                        size_t *out_end, struct toc_err *err) TOC_MUST_CHECK;

/* The text form of a histogram that toc_histogram_text_parse reads. */
void toc_histogram_text_format(const struct toc_histogram *h, struct toc_buf *out);

#endif
