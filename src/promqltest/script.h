/*
 * Test files of Prometheus' promqltest language: a list of `clear`, `load` and `eval` commands.
 * The language: docs/design/promqltest.md. Parsing checks the language, not the expressions: those
 * are checked when they run, so that one that does not parse fails alone.
 */
#ifndef TOC_PROMQLTEST_SCRIPT_H
#define TOC_PROMQLTEST_SCRIPT_H

#include "base/vec.h"
#include "promqltest/series_text.h"
#include "shim/regex.h"

enum toc_test_kind { TOC_TEST_CLEAR, TOC_TEST_LOAD, TOC_TEST_EVAL };

/* `load 5m` and its series. */
struct toc_test_series {
    struct toc_series_text text;
    struct toc_start_value *starts; /* one per item, or NULL */
};
struct toc_test_load {
    bool with_nhcb; /* classic histograms are also loaded as native ones with custom buckets */
    int64_t step_ms;
    TOC_VEC(struct toc_test_series) series;
};

/* A series that is put again replaces what stood there. */
void toc_test_load_put(struct toc_test_load *load, const struct toc_test_series *series);

/* What a message must be: anything, exactly this text, or a match of the expression. */
struct toc_test_text {
    struct toc_sv text;
    struct toc_regex *regex; /* owned */
    bool is_any;
};
struct toc_test_texts {
    TOC_VEC_FIELDS(struct toc_test_text)
};
bool toc_test_text_accepts(const struct toc_test_text *t, struct toc_sv message);

struct toc_test_times {
    int64_t start_ms, end_ms, step_ms;
};

struct toc_test_eval {
    struct toc_sv expr;
    bool is_range;
    struct toc_test_times times; /* instant: start_ms */
    bool is_ordered, is_fail;
    struct toc_test_texts fail; /* at most one */
    struct toc_test_texts warn, info;
    bool no_warn, no_info;
    bool has_scalar, has_string, has_range_vector;
    double scalar;
    struct toc_sv string;
    struct toc_test_times range_vector;
    TOC_VEC(struct toc_series_text) series; /* in the order written */
};

struct toc_test_command {
    enum toc_test_kind kind;
    int line; /* 1-based */
    struct toc_test_load load;
    struct toc_test_eval eval;
};

struct toc_test_script {
    struct toc_arena arena;
    TOC_VEC_FIELDS(struct toc_test_command)
};

/* TOC_EPARSE with err->line. */
int toc_test_script_parse(struct toc_sv text, struct toc_test_script **out,
                          struct toc_err *err) TOC_MUST_CHECK;
void toc_test_script_free(struct toc_test_script **s);

#endif
