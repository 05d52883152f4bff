/*
 * The evaluator: each node is computed once for all steps of the query, column by column. A column
 * is one series: its labels and one value per step; a step without a value holds the staleness
 * marker, which no computation produces.
 *
 * What touches series one by one (selectors, functions over ranges, simple aggregations) runs on
 * the workers of an executor, in blocks of series whose results are joined in the order of the
 * blocks: the answer does not depend on how many workers there are.
 */
#ifndef TOC_PROMQL_EVAL_PRIV_H
#define TOC_PROMQL_EVAL_PRIV_H

#include <stdatomic.h>

#include "base/executor.h"
#include "base/map.h"
#include "base/vec.h"
#include "model/sample.h"
#include "model/series_buffer.h"
#include "promql/ast_priv.h"

struct toc_column {
    struct toc_labels labels;
    double *values;                          /* step_count of them; 0 where there is a histogram */
    const struct toc_histogram **histograms; /* NULL: floats only; else one entry per step */
    bool drop_name; /* the name goes in the last step (delayed name removal) */
};

/* The value of a node: columns of a vector, or one column of a scalar. */
struct toc_eval_columns {
    TOC_VEC_FIELDS(struct toc_column)
    struct toc_sv string;
};

enum toc_note_level { TOC_NOTE_WARNING, TOC_NOTE_INFO };
struct toc_note {
    enum toc_note_level level;
    struct toc_sv text; /* as shown, position included */
};
/* Notes for the person, without duplicates, in order of appearance. */
struct toc_notes {
    TOC_VEC_FIELDS(struct toc_note)
};

/* What one thread needs while it works for a query. */
struct toc_worker {
    struct toc_eval *eval;
    struct toc_arena arena; /* results of its tasks */
    struct toc_series_buffer buffer;
    struct toc_err err;
    int rc;
    TOC_VEC(uint32_t) first, end; /* window bounds */
    TOC_VEC(double) scratch, values;
    TOC_VEC(int64_t) t_ms;
    TOC_VEC(double) v;
    TOC_VEC(const struct toc_histogram *) h;
    TOC_VEC(const struct toc_histogram *) histograms;
    TOC_VEC(int64_t) start_ms;
    TOC_VEC(struct toc_histogram) hinted; /* of toc_worker_tell_resets */
    TOC_VEC(const struct toc_histogram *) hinted_refs;
    struct toc_label *label_items; /* room for TOC_SERIES_LABELS_MAX */
    TOC_VEC(struct toc_label) group_items;
    struct toc_notes *notes; /* of the task at hand */
    uint64_t queryable;      /* see toc_promql_result */
    uint64_t *step_samples;  /* per step of the query, or NULL */
};

/* What all nodes of one query share. */
struct toc_query {
    const struct toc_promql_options *options;
    const struct toc_promql_expr *expr;
    int64_t start_ms, end_ms, step_ms; /* as asked, for @ start() and @ end() */
    int64_t lookback_ms;
    uint64_t max_samples;
    atomic_uint_fast64_t samples_loaded; /* read from the querier so far */
    atomic_size_t heap_bytes;            /* of groups while series are read */
    size_t heap_budget_bytes;
    atomic_uint_fast64_t samples_held, samples_peak;
    TOC_VEC(struct toc_series_set *) sets; /* open until the result has been copied */
    struct toc_worker *workers;
    size_t worker_count;
    struct toc_notes notes;
    size_t step_count;
    TOC_VEC(struct toc_promql_trace) trace;
    unsigned trace_depth;
};

struct toc_eval {
    struct toc_query *query;
    const struct toc_promql_options *options;
    struct toc_arena *arena; /* of the result; the calling thread's */
    struct toc_err *err;
    int64_t start_ms, end_ms, step_ms; /* of the steps being computed */
    size_t step_count;
    bool looks_at_resets; /* below histogram_count() and its kin */
    bool is_inner;        /* of a subquery: its steps are not the query's */
};

static inline bool toc_is_absent(double v) {
    return toc_is_stale_nan(v);
}
static inline int64_t toc_step_ms(const struct toc_eval *e, size_t i) {
    return e->start_ms + (int64_t)i * e->step_ms;
}
static inline const struct toc_histogram *toc_column_histogram(const struct toc_column *c,
                                                               size_t i) {
    return c->histograms ? c->histograms[i] : NULL;
}
static inline bool toc_eval_has(const struct toc_eval *e, unsigned feature) {
    return (e->options->features & feature) != 0;
}

/* Computes a node. The columns' vector is on the heap, everything inside in arenas of the query. */
int toc_eval_node(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
void toc_eval_columns_fini(struct toc_eval_columns *c);
/* A new column in which every step is absent; NULL without memory (e->err is filled). */
struct toc_column *toc_eval_columns_add(struct toc_eval *e, struct toc_eval_columns *c,
                                        struct toc_labels labels);
/* Puts a histogram at a step; TOC_ELIMIT without memory. It must live as long as the query. */
int toc_column_set_histogram(struct toc_eval *e, struct toc_column *c, size_t step,
                             const struct toc_histogram *h);
int toc_eval_no_memory(const struct toc_eval *e);
/* The budget of samples held at once, as upstream counts: results of nodes under way, and the
 * samples of the series at hand. Any thread; err is the caller's. */
int toc_query_hold(struct toc_query *q, uint64_t samples, struct toc_err *err);
/* Memory outside the arenas. False over the budget; what was taken must be returned. Any thread. */
bool toc_query_take_bytes(struct toc_query *q, size_t bytes);
void toc_query_return_bytes(struct toc_query *q, size_t bytes);
uint64_t toc_query_room(struct toc_query *q);
int toc_query_too_many(struct toc_err *err);
/* Counts samples read, for statistics, and asks for cancellation. */
int toc_query_loaded(struct toc_query *q, uint64_t samples, struct toc_err *err);

/* stats.c. Samples that a step looked at; those of a subquery go to the last step. */
static inline void toc_count_step(struct toc_worker *w, const struct toc_eval *e, size_t step,
                                  uint64_t samples) {
    w->step_samples[e->is_inner ? e->query->step_count - 1 : step] += samples;
}
/* Before something that may have to be done again in another way, and when it has to be. */
struct toc_stats_mark {
    uint64_t loaded;
    uint64_t *queryable; /* per worker: the total, then the steps */
};
void toc_stats_mark(const struct toc_query *q, struct toc_stats_mark *out);
void toc_stats_return(struct toc_query *q, const struct toc_stats_mark *m);
void toc_stats_mark_fini(struct toc_stats_mark *m);
void toc_result_take_stats(struct toc_eval *e, struct toc_promql_result *out);
/* The entry of a node that begins, and its end. */
size_t toc_trace_begin(struct toc_eval *e, const struct toc_node *n);
void toc_trace_end(struct toc_eval *e, size_t entry, size_t series);

/* A note with the position of a node: "PromQL warning: … (1:5)". The second form is for the calling
 * thread of the evaluation, the first for tasks. */
void toc_worker_note(struct toc_worker *w, enum toc_note_level level, const struct toc_node *at,
                     const char *fmt, ...) TOC_PRINTF(4, 5);
void toc_eval_note(struct toc_eval *e, enum toc_note_level level, const struct toc_node *at,
                   const char *fmt, ...) TOC_PRINTF(4, 5);

/* Warns of quantiles outside 0 to 1; one per step. */
void toc_eval_note_quantiles(struct toc_eval *e, const struct toc_node *at, const double *q);

/* Adds what is not known yet; the texts are shared. */
void toc_notes_join(struct toc_notes *into, const struct toc_notes *from);

/* __name__, __type__ and __unit__: what a new value no longer is. */
bool toc_label_is_name(struct toc_sv name);
/* Labels without them, in the arena (shared when there is none). */
struct toc_labels toc_labels_without_name(struct toc_arena *a, struct toc_labels l);
/* The column's name goes: now, or in the last step where removal is delayed. */
void toc_column_drop_name(struct toc_eval *e, struct toc_column *c);
/* After names were dropped: columns with equal labels become one; TOC_EINVAL when both have a value
 * at a step, or, when strict, when there are two at all. Does nothing where removal is delayed. */
int toc_eval_columns_merge(struct toc_eval *e, struct toc_eval_columns *c, bool is_strict);
/* The same without regard to when names are removed. */
int toc_eval_columns_join(struct toc_eval *e, struct toc_eval_columns *c);
/* The last step of delayed removal. */
int toc_eval_columns_drop_names(struct toc_eval *e, struct toc_eval_columns *c);

/* The first position from `at` on whose time is behind t. Windows of series sampled at a steady
 * pace advance by the same number at each step: that is tried first. */
static inline size_t toc_advance(const int64_t *t_ms, size_t count, size_t at, int64_t t,
                                 size_t *stride) {
    size_t guess = at + *stride;
    if (guess < count && t_ms[guess] > t && (guess == 0 || t_ms[guess - 1] <= t))
        return guess;
    size_t next = at;
    while (next < count && t_ms[next] <= t)
        next++;
    *stride = next - at;
    return next;
}

/* The time a selector or subquery looks at for step i. */
int64_t toc_look_ms(const struct toc_eval *e, const struct toc_node *n, size_t i);

/*
 * series_pass.c: every series of a selector, or every window function over one, without holding
 * them all. `column` sees a finished column in scratch memory (labels valid until the query ends,
 * values until it returns), on the thread of `worker`, block by block.
 */
/* Of a selected sample: its value, its time, its start timestamp (both in seconds). */
enum toc_wanted { TOC_WANT_VALUE, TOC_WANT_TIME, TOC_WANT_START };
struct toc_series_pass {
    const struct toc_node *node; /* selector, or call of a window function over a range selector */
    const struct toc_column *parameters; /* scalar arguments of the call */
    size_t parameter_count;
    enum toc_wanted wanted;
    bool wants_labels; /* false: labels may be empty */
    int (*begin)(void *ctx, size_t block_count);
    int (*column)(void *ctx, struct toc_worker *w, size_t block, const struct toc_column *c);
    /* The blocks first ≤ i < end are done; on the calling thread, in order. May be NULL. */
    int (*joined)(void *ctx, size_t first, size_t end);
    void *ctx;
};
int toc_eval_series_pass(struct toc_eval *e, const struct toc_series_pass *pass);
/* The pairs of labels seen in a pass, in the worker's arena; the strings stay borrowed. */
struct toc_labels toc_worker_keep_labels(struct toc_worker *w, struct toc_labels l);
/* reset_hints.c: puts what the samples show about counter resets into the hints; the view then
 * points to memory of the worker. */
void toc_worker_tell_resets(struct toc_worker *w, struct toc_series_view *s);
/* counter_names.c: rate or increase of what is no counter by its name, or type, is noted. */
void toc_note_doubtful_name(struct toc_worker *w, const struct toc_node *call,
                            struct toc_labels labels, const struct toc_column *result);
/* Does that need more than the name which the selector asks for? */
bool toc_call_needs_labels(const struct toc_eval *e, const struct toc_node *n);
/* Can this node be passed over? */
bool toc_node_is_passable(const struct toc_eval *e, const struct toc_node *n);

/* result.c. Takes the values out of the columns; with many series it keeps the query's sets and
 * workers' arenas as well, so nothing may be computed afterwards. */
int toc_result_take(struct toc_eval *e, const struct toc_eval_columns *c,
                    struct toc_promql_result *out);
void toc_result_sort(struct toc_promql_result *out);
void toc_result_take_notes(struct toc_eval *e, struct toc_promql_result *out);

/* selector.c */
int toc_eval_selector(struct toc_eval *e, const struct toc_node *n, enum toc_wanted wanted,
                      struct toc_eval_columns *out);
/* A window function over its range selector or subquery. parameters: the scalar arguments. */
int toc_eval_windows(struct toc_eval *e, const struct toc_node *call,
                     const struct toc_column *parameters, size_t parameter_count,
                     struct toc_eval_columns *out);
/* subquery.c: the same where the range is a subquery. */
int toc_eval_subquery_windows(struct toc_eval *e, const struct toc_node *call,
                              const struct toc_column *parameters, size_t parameter_count,
                              struct toc_eval_columns *out);
/* Slides the call's function over the samples of one series; the result goes to out's memory. */
struct toc_samples {
    struct toc_labels labels;
    const int64_t *t_ms;
    const double *v;
    const struct toc_histogram *const *h;
    const int64_t *start_ms;
    size_t count;
};
int toc_slide_windows(struct toc_eval *e, struct toc_worker *w, const struct toc_node *call,
                      const struct toc_column *parameters, size_t parameter_count,
                      const struct toc_samples *s, struct toc_column *out, bool *out_any);
/* The samples of a range vector at the first step, as they are (a matrix). */
int toc_eval_matrix(struct toc_eval *e, const struct toc_node *n, struct toc_promql_result *out);
/* The range argument of a call, without parentheses; NULL when there is none. */
const struct toc_node *toc_call_range(const struct toc_node *call);
/* Does it ask for one metric name? Then dropping the name cannot make two series equal. */
bool toc_selector_has_one_name(const struct toc_node *n);
/* Steps of the inner evaluation of a subquery: its eval with start, end, step and step_count;
 * step_count 0 when there is none. */
int toc_subquery_eval(const struct toc_eval *outer, const struct toc_node *n,
                      struct toc_eval *out_inner);

int toc_eval_aggregate(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
int toc_eval_binary(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
int toc_eval_call(struct toc_eval *e, const struct toc_node *n, struct toc_eval_columns *out);
double toc_binary_apply(enum toc_binary_op op, double a, double b);
double toc_promql_quantile(double q, double *values, size_t count); /* sorts values */

#endif
