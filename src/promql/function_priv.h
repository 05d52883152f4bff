/* The table of functions: name, argument types, result, and who computes it. */
#ifndef TOC_PROMQL_FUNCTION_PRIV_H
#define TOC_PROMQL_FUNCTION_PRIV_H

#include "promql/promql.h"

struct toc_eval;
struct toc_node;
struct toc_eval_columns;

/* A window of one series: its samples in (start_ms, end_ms]. */
struct toc_window {
    const int64_t *t_ms;
    const double *v;
    size_t count;
    int64_t start_ms, end_ms;
    int64_t eval_ms;          /* the step's time: differs from end_ms by offset and @ */
    const double *parameters; /* scalar arguments at this step */
};

/* One value from one window; false: no value. */
typedef bool toc_window_fn(const struct toc_window *w, double *out);
/* One value from one value. */
typedef double toc_math_fn(double v, const double *parameters);
/* A function that needs the whole evaluator. */
typedef int toc_call_fn(struct toc_eval *e, const struct toc_node *call,
                        struct toc_eval_columns *out);

enum { TOC_FUNCTION_ARGS_MAX = 5 };

struct toc_function {
    const char *name;
    char args[TOC_FUNCTION_ARGS_MAX + 1]; /* v vector, m range vector, s scalar, t string */
    int optional; /* how many of the last arguments may be left out; -1: the last repeats */
    char result;  /* v or s */
    bool keeps_name;
    toc_window_fn *window;
    toc_math_fn *math;
    toc_call_fn *call;
};

/* NULL when there is none. */
const struct toc_function *toc_function_find(struct toc_sv name);
/* The name nearest to a misspelled one, or NULL. */
const char *toc_function_suggest(struct toc_sv name);

#endif
