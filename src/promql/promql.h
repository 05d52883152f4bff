/*
 * PromQL, the public face: parse an expression once, evaluate it many times at an instant or over a
 * range against a querier. Pure: no file, socket or wall clock. Grammar and semantics follow
 * Prometheus 3.x (prometheus.io/docs/prometheus/latest/querying). An expression is immutable and
 * may be shared by threads.
 */
#ifndef TOC_PROMQL_PROMQL_H
#define TOC_PROMQL_PROMQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/executor.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/querier.h"

enum toc_promql_type { TOC_PROMQL_SCALAR, TOC_PROMQL_VECTOR, TOC_PROMQL_MATRIX, TOC_PROMQL_STRING };

struct toc_promql_expr; /* opaque, immutable after parsing */

/* X(ENUM, bit, name as upstream's --enable-feature): what is experimental there is off here. */
#define TOC_PROMQL_FEATURE_TABLE(X)                                         \
    X(EXPERIMENTAL_FUNCTIONS, 1u << 0, "promql-experimental-functions")     \
    X(EXTENDED_RANGE_SELECTORS, 1u << 1, "promql-extended-range-selectors") \
    X(BINOP_FILL_MODIFIERS, 1u << 2, "promql-binop-fill-modifiers")         \
    X(DELAYED_NAME_REMOVAL, 1u << 3, "promql-delayed-name-removal")         \
    X(USE_START_TIMESTAMPS, 1u << 4, "use-start-timestamps")                \
    X(TYPE_AND_UNIT_LABELS, 1u << 5, "type-and-unit-labels")

enum toc_promql_feature {
#define X(name, bit, text) TOC_PROMQL_##name = bit,
    TOC_PROMQL_FEATURE_TABLE(X)
#undef X
        TOC_PROMQL_ALL_FEATURES = (1u << 6) - 1,
};

/* Parses and type-checks with the default features. TOC_EPARSE with line, column and upstream's
 * text; without a line when there is no text at all. */
int toc_promql_parse(struct toc_sv text, struct toc_promql_expr **out,
                     struct toc_err *err) TOC_MUST_CHECK;
/* The same with a set of features. */
int toc_promql_parse_with(struct toc_sv text, unsigned features, struct toc_promql_expr **out,
                          struct toc_err *err) TOC_MUST_CHECK;
/* A function whose name is near the unknown one that such a message names; NULL when there is none.
 * Told apart from the message, which is upstream's to the letter. */
const char *toc_promql_suggest(const char *message);
void toc_promql_expr_free(struct toc_promql_expr **e);
enum toc_promql_type toc_promql_expr_type(const struct toc_promql_expr *e);
/* A series selector and nothing else, without range, `@` and `offset` (as in `match[]`)? */
bool toc_promql_is_selector(const struct toc_promql_expr *e);
/* Canonical text, one line / indented. */
void toc_promql_format(const struct toc_promql_expr *e, bool pretty, struct toc_buf *out);
/* As toc_promql_format on one line with the matchers as they were written, but every selector and
 * subquery that has no `@`, and is not inside a subquery that has one, gets `@ at_ms`. */
void toc_promql_format_at(const struct toc_promql_expr *e, int64_t at_ms, struct toc_buf *out);
/* Does it call a function whose value depends on the time of evaluation, also under `@`? */
bool toc_promql_depends_on_time(const struct toc_promql_expr *e);
/* Calls fn for each vector selector (for dependency analysis, rule health). */
void toc_promql_visit_selectors(const struct toc_promql_expr *e,
                                void (*fn)(void *ctx, const struct toc_matcher *m, size_t count),
                                void *ctx);
/* The same with whether a result needs it: not inside absent(), nor what stands behind `or` and
 * `unless` or may be filled. */
typedef void toc_on_selector_use(void *ctx, const struct toc_matcher *m, size_t count,
                                 bool is_needed);
void toc_promql_visit_uses(const struct toc_promql_expr *e, toc_on_selector_use *fn, void *ctx);
/* Does a range query give at each step what an instant query gives there, looking at nothing that
 * is later than the step? Not with `@`, a negative offset, start(), end(), range(), step(), info(),
 * `smoothed` and arithmetic in durations. */
bool toc_promql_is_stepwise(const struct toc_promql_expr *e);
/* How far back from its time an evaluation may look; INT64_MAX when the text does not tell. */
int64_t toc_promql_reach_ms(const struct toc_promql_expr *e, int64_t lookback_ms);
/* The comparison at the root, if it is `EXPR op NUMBER` without bool (for thresholds, charts and
 * proposals). */
struct toc_promql_threshold {
    bool is_set;
    const char *op; /* ">", ">=", "<", "<=", "==", "!=" */
    double threshold;
    struct toc_buf left_text; /* canonical text of EXPR; owned: toc_buf_fini */
};
void toc_promql_threshold(const struct toc_promql_expr *e, struct toc_promql_threshold *out);

struct toc_promql_point {
    int64_t t_ms;
    double value;
    const struct toc_histogram *histogram; /* NULL for a float */
};
struct toc_promql_series {
    struct toc_labels labels;
    struct toc_promql_point *points; /* one for an instant vector */
    size_t count;
};
/* What one node of a query cost, in the order of the tree. What an aggregation reads while it adds
 * up has no entry of its own. */
struct toc_promql_trace {
    struct toc_sv text; /* as written */
    unsigned depth;     /* 0: the whole expression */
    bool is_once;       /* the same at all steps, computed once */
    uint64_t series;    /* of its result */
    uint64_t samples;   /* read below it */
    uint64_t took_ns;   /* with everything below; 0 without a clock */
};
struct toc_promql_result {
    enum toc_promql_type type;
    struct toc_promql_series *series; /* vector, matrix */
    size_t series_count;
    double scalar; /* TOC_PROMQL_SCALAR */
    int64_t scalar_t_ms;
    struct toc_sv string;          /* TOC_PROMQL_STRING */
    const struct toc_sv *warnings; /* annotations, without duplicates */
    size_t warning_count;
    const struct toc_sv *infos;
    size_t info_count;
    uint64_t samples_loaded; /* read from the querier */
    uint64_t samples_peak;   /* most held at once */
    /* Samples that the steps looked at, each step counted for itself: upstream's
     * totalQueryableSamples; and the same per step, when asked for. */
    uint64_t samples_queryable;
    const uint64_t *step_samples;
    size_t step_count;
    const struct toc_promql_trace *trace; /* when asked for */
    size_t trace_count;
    struct toc_arena arena;           /* owns everything above, but for what lies in: */
    struct toc_promql_memory *memory; /* NULL, or what labels and histograms borrow from */
};
/* The info of a result to which the last samples of buckets contributed: finer ones are gone. */
const char *toc_rollup_thinned_text(void);
/* To be called before the querier closes. */
void toc_promql_result_fini(struct toc_promql_result *r);

struct toc_promql_options {
    struct toc_querier *querier;
    int64_t lookback_ms;             /* default 5 m */
    uint64_t max_samples;            /* default 50 000 000: TOC_ELIMIT */
    size_t max_bytes;                /* arena budget, default 1 GiB */
    bool (*is_cancelled)(void *ctx); /* polled; may be NULL */
    void *cancel_ctx;
    unsigned features;             /* TOC_PROMQL_…: those that change evaluation */
    int64_t subquery_step_ms;      /* of `[5m:]`; default 1 m */
    struct toc_executor *executor; /* NULL: everything on the caller's thread */
    bool wants_step_samples, wants_trace;
    bool is_stepwise; /* a range query gives at each step the very bits of an instant query: no sum
                         is carried from one window to the next */
    uint64_t (*clock_ns)(void *ctx); /* for the trace; may be NULL */
    void *clock_ctx;
};

/* Value at one time. */
int toc_promql_instant(const struct toc_promql_expr *e, const struct toc_promql_options *o,
                       int64_t at_ms, struct toc_promql_result *out,
                       struct toc_err *err) TOC_MUST_CHECK;
/* Values at start, start+step, … ≤ end; always a matrix (scalars become one series without labels).
 */
int toc_promql_range(const struct toc_promql_expr *e, const struct toc_promql_options *o,
                     int64_t start_ms, int64_t end_ms, int64_t step_ms,
                     struct toc_promql_result *out, struct toc_err *err) TOC_MUST_CHECK;

#endif
