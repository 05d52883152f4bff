/* Shared by the files that read logs. */
#ifndef TOC_COLLECT_RUN_LOG_PRIV_H
#define TOC_COLLECT_RUN_LOG_PRIV_H

#include "base/literal_set.h"
#include "collect/report_field_priv.h"
#include "collect/run_log_feed.h"
#include "shim/regex.h"

enum {
    TOC_RUN_LOG_GROUPS_MAX = 24,
    TOC_RUN_LOG_VALUES_MAX = 64, /* of one line */
    TOC_RUN_LOG_ADDS_MAX = 4,
    TOC_RUN_LOG_SUMS = 8,
};

/* X(enum, word, meaning) */
#define TOC_RUN_LOG_KIND_TABLE(X)                                                        \
    X(TOC_RUN_LOG_STEP, "step")         /* all of a step: a loss it lacks is missing */  \
    X(TOC_RUN_LOG_PART, "part")         /* some numbers */                               \
    X(TOC_RUN_LOG_EVAL, "eval")         /* the same; names without a phase are of one */ \
    X(TOC_RUN_LOG_PROGRESS, "progress") /* a bar that counts steps */                    \
    X(TOC_RUN_LOG_EPOCH, "epoch")       /* the epoch of the lines that follow */         \
    X(TOC_RUN_LOG_RESTART, "restart")                                                    \
    X(TOC_RUN_LOG_SERVE, "serve")                                                        \
    X(TOC_RUN_LOG_IGNORE, "ignore") /* looks like another row, and is not */

enum toc_run_log_kind {
#define X(name, word) name,
    TOC_RUN_LOG_KIND_TABLE(X)
#undef X
};

/* X(enum, word, separator, assignment): how the text of the group `pairs` is cut */
#define TOC_RUN_LOG_PAIRS_TABLE(X)                                              \
    X(TOC_RUN_LOG_NO_PAIRS, "", 0, 0)                                           \
    X(TOC_RUN_LOG_BARS, "bars", '|', ':')     /* lm loss: 2.1 | lr: 1e-4 | */   \
    X(TOC_RUN_LOG_DASHES, "dashes", '-', ':') /* - loss: 2.1 - accuracy: 0.5 */ \
    X(TOC_RUN_LOG_DICT, "dict", ',', ':')     /* {'loss': 2.1, 'epoch': 1} */   \
    X(TOC_RUN_LOG_EQUALS, "equals", ',', '=') /* loss=2.1, lr=[0.1] */          \
    X(TOC_RUN_LOG_WORDS, "words", 0, 0)       /* loss 2.1 lr: 1e-4; known names only */

enum toc_run_log_pairs {
#define X(name, word, separator, assignment) name,
    TOC_RUN_LOG_PAIRS_TABLE(X)
#undef X
};

/* Groups of a pattern that are no numbers to report. X(enum, name) */
#define TOC_RUN_LOG_GROUP_TABLE(X)        \
    X(TOC_RUN_LOG_GROUP_FIELD, "")        \
    X(TOC_RUN_LOG_GROUP_STEP, "step")     \
    X(TOC_RUN_LOG_GROUP_EPOCH, "epoch")   \
    X(TOC_RUN_LOG_GROUP_EPOCH0, "epoch0") \
    X(TOC_RUN_LOG_GROUP_IN, "in_epoch")   \
    X(TOC_RUN_LOG_GROUP_PER, "per_epoch") \
    X(TOC_RUN_LOG_GROUP_TOTAL, "total")   \
    X(TOC_RUN_LOG_GROUP_PAIRS, "pairs")   \
    X(TOC_RUN_LOG_GROUP_ENGINE, "engine")

enum toc_run_log_group_kind {
#define X(name, word) name,
    TOC_RUN_LOG_GROUP_TABLE(X)
#undef X
};

struct toc_run_log_group {
    enum toc_run_log_group_kind kind;
    struct toc_sv field; /* where the number goes */
    double scale;
};

struct toc_run_log_add {
    struct toc_sv field;
    double value;
};

struct toc_run_log_row {
    struct toc_sv id, prefilter, sample, expect;
    enum toc_run_log_kind kind;
    enum toc_run_log_pairs pairs;
    struct toc_regex *regex;
    bool is_blind; /* the pattern takes any digit for any other */
    struct toc_run_log_group groups[TOC_RUN_LOG_GROUPS_MAX];
    int group_count; /* 0 is the whole match */
    struct toc_run_log_add adds[TOC_RUN_LOG_ADDS_MAX];
    size_t add_count;
};

struct toc_run_log_table {
    char *text;
    struct toc_run_log_row *rows;
    size_t count;
    struct toc_literal_set *literals; /* of all prefilters, by row; NULL while rows are added */
    bool is_blind;                    /* no row tells a digit from another (run_log_shape_priv.h) */
};

/* The row of a line, the first that knows it; NULL when none does. Groups are borrowed from it. */
const struct toc_run_log_row *toc_run_log_match(const struct toc_run_log_table *t,
                                                struct toc_sv line,
                                                struct toc_sv groups[TOC_RUN_LOG_GROUPS_MAX]);

/* One number of a line. */
struct toc_run_log_value {
    struct toc_report_field *field;
    double value;
    bool is_scalar; /* a name without a known meaning */
};

/* What a line says. */
struct toc_run_log_line {
    const struct toc_run_log_row *row;
    struct toc_run_log_value values[TOC_RUN_LOG_VALUES_MAX];
    size_t count;
    bool has_step, has_in, has_epoch;
    int64_t step, in_epoch, per_epoch, total;
    double epoch;
    struct toc_sv engine, text;
    bool may_show_time;
};

/* A number as programs print it: nan, inf, 1.23E+00, quoted, tensor(nan, …), [0.1]. */
bool toc_run_log_number(struct toc_sv text, double *out);
/* Cuts `text` into names and numbers and calls fn with each. */
void toc_run_log_pairs(enum toc_run_log_pairs style, struct toc_sv text,
                       void (*fn)(void *ctx, struct toc_sv name, struct toc_sv number), void *ctx);
/* The time at the start of a line; false when there is none. */
bool toc_run_log_time(struct toc_sv line, int utc_offset_minutes, struct toc_ts *out);

#endif
