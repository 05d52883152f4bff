/* The table of functions: name, argument types, result, and who computes it. */
#ifndef TOC_PROMQL_FUNCTION_PRIV_H
#define TOC_PROMQL_FUNCTION_PRIV_H

#include "model/histogram.h"
#include "promql/promql.h"

struct toc_eval;
struct toc_node;
struct toc_eval_columns;
struct toc_worker;

/*
 * A window of one series: its samples in (start_ms, end_ms]. With a modifier (anchored, smoothed)
 * the samples reach one lookback further out on both sides and the function picks its edges.
 */
struct toc_window {
    const int64_t *t_ms;
    const double *v;                      /* 0 where there is a histogram */
    const struct toc_histogram *const *h; /* NULL: floats only; else NULL entries are floats */
    const int64_t *sample_start_ms;       /* start timestamps, NULL: unknown or feature off */
    size_t count;
    int64_t start_ms, end_ms;
    int64_t eval_ms; /* the step's time: differs from end_ms by offset and @ */
    int64_t lookback_ms;
    const double *parameters; /* scalar arguments at this step */
    struct toc_labels labels; /* of the series, for notes */
    const struct toc_node *call;
    struct toc_worker *worker; /* arena for histograms, notes, error */
};

struct toc_window_result {
    double value;
    const struct toc_histogram *histogram; /* NULL: the value counts */
};

/* One result from one window: 1 there is one, 0 there is none, negative: an error was filled. */
typedef int toc_window_fn(const struct toc_window *w, struct toc_window_result *out);

/*
 * All steps of one series that holds floats only: out[i] is the value of the window
 * [first[i], end[i]) or stays the absent marker. Both bounds rise with i. Must give what the
 * function's toc_window_fn gives.
 */
struct toc_slide {
    const int64_t *t_ms;
    const double *v;
    size_t count;
    size_t step_count;
    const uint32_t *first, *end;
    int64_t start_ms, end_ms; /* bounds of the first window, (start, end] */
    int64_t step_ms;
    double *scratch;  /* room for count + 1 */
    bool starts_anew; /* each window for itself, to the bit */
};
typedef void toc_slide_fn(const struct toc_slide *s, double *out);

/* One value from one value. */
typedef double toc_math_fn(double v, const double *parameters);
/* A function that needs the whole evaluator. */
typedef int toc_call_fn(struct toc_eval *e, const struct toc_node *call,
                        struct toc_eval_columns *out);

enum { TOC_FUNCTION_ARGS_MAX = 12 };

/* Flags of a function. */
enum {
    TOC_FN_KEEPS_NAME = 1,   /* the metric name stays */
    TOC_FN_EXPERIMENTAL = 2, /* behind TOC_PROMQL_EXPERIMENTAL_FUNCTIONS */
    TOC_FN_STEP_VARIANT = 4, /* depends on the time of evaluation, also under `@` */
    TOC_FN_SMOOTHED = 8,     /* its edges may also be smoothed */
    TOC_FN_COUNTER = 16,     /* meant for counters */
};

struct toc_function {
    const char *name;
    char args[TOC_FUNCTION_ARGS_MAX + 1]; /* v vector, m range vector, s scalar, t string */
    int optional; /* how many of the last arguments may be left out; -1: the last repeats */
    char result;  /* v or s */
    unsigned flags;
    toc_window_fn *window;
    toc_math_fn *math;
    toc_call_fn *call;
    toc_slide_fn *slide; /* beside window, for speed */
    /* Beside window, for what is not just floats: windows that hold histograms (NULL: the floats
     * alone count), samples with start timestamps (NULL: they do not matter), ranges with a
     * modifier (NULL: refused). */
    toc_window_fn *mixed, *starts, *edges;
};
/* The function's window over the floats of a window alone; a note says that others were ignored. */
int toc_window_of_floats(const struct toc_window *w, struct toc_window_result *out);

/* NULL when there is none. */
const struct toc_function *toc_function_find(struct toc_sv name);
/* The name nearest to a misspelled one, or NULL. */
const char *toc_function_suggest(struct toc_sv name);

#endif
