/*
 * The result of a query is the same, bit for bit and in the same order, whether one thread computes
 * it or several: values, labels, notes, and the error when it is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/sample.h"
#include "random_query.h"
#include "sys/pool.h"

enum { SERIES = 5000, HOSTS = 2000, STEPS = 7, WIDTH = 4 };

static void check_notes(const struct random_query *q, const struct toc_sv *a, size_t n,
                        const struct toc_sv *b, size_t m) {
    bool same = n == m;
    for (size_t i = 0; i < n && same; i++)
        same = toc_sv_eq(a[i], b[i]);
    if (!same)
        random_query_die(q, "other notes", RANDOM_QUERY_BASE_MS, TOC_LABELS_EMPTY);
}

static void check_same(const struct random_query *q, const struct toc_promql_result *a,
                       const struct toc_promql_result *b) {
    if (a->series_count != b->series_count)
        random_query_die(q, "another number of series", RANDOM_QUERY_BASE_MS, TOC_LABELS_EMPTY);
    for (size_t i = 0; i < a->series_count; i++) {
        const struct toc_promql_series *x = &a->series[i], *y = &b->series[i];
        if (!toc_labels_eq(x->labels, y->labels) || x->count != y->count)
            random_query_die(q, "other labels or points", RANDOM_QUERY_BASE_MS, x->labels);
        for (size_t k = 0; k < x->count; k++)
            if (x->points[k].t_ms != y->points[k].t_ms ||
                toc_f64_bits(x->points[k].value) != toc_f64_bits(y->points[k].value))
                random_query_die(q, "another value", x->points[k].t_ms, x->labels);
    }
    check_notes(q, a->warnings, a->warning_count, b->warnings, b->warning_count);
    check_notes(q, a->infos, a->info_count, b->infos, b->info_count);
    if (a->samples_loaded != b->samples_loaded)
        random_query_die(q, "another number of samples", RANDOM_QUERY_BASE_MS, TOC_LABELS_EMPTY);
}

static int evaluate(struct random_query *q, const struct toc_promql_expr *e,
                    struct toc_executor *executor, bool is_range, struct toc_promql_result *out,
                    struct toc_err *err) {
    struct toc_promql_options o = {.querier = &q->data.querier, .executor = executor};
    return is_range ? toc_promql_range(e, &o, RANDOM_QUERY_BASE_MS - 600000,
                                       RANDOM_QUERY_BASE_MS - 600000 + (STEPS - 1) * 60000, 60000,
                                       out, err)
                    : toc_promql_instant(e, &o, RANDOM_QUERY_BASE_MS - 300000, out, err);
}

/* How many points were compared. */
static size_t one_round(struct random_query *q, struct toc_executor *executor) {
    struct toc_promql_expr *e = random_query_expr(q);
    struct toc_promql_result alone = {0}, together = {0};
    struct toc_err a = {0}, b = {0};
    bool is_range = random_query_pick(q, 2) == 0;
    int rc = evaluate(q, e, NULL, is_range, &alone, &a);
    if (rc != evaluate(q, e, executor, is_range, &together, &b) ||
        (rc < 0 && strcmp(a.message, b.message) != 0))
        random_query_die(q, "another outcome", RANDOM_QUERY_BASE_MS, TOC_LABELS_EMPTY);
    if (rc == 0)
        check_same(q, &alone, &together);
    size_t points = 0;
    for (size_t i = 0; rc == 0 && i < alone.series_count; i++)
        points += alone.series[i].count;
    toc_promql_result_fini(&alone);
    toc_promql_result_fini(&together);
    toc_promql_expr_free(&e);
    return points;
}

int main(int argc, char **argv) {
    uint64_t seed = 1, ops = 300, points = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 10);
    }
    struct random_query q;
    struct toc_pool *pool = NULL;
    struct toc_err err = {0};
    if (toc_pool_new(WIDTH, &pool, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    random_query_init(&q, seed, HOSTS);
    printf("seed %llu\n", (unsigned long long)seed);
    for (; q.round < ops; q.round++) {
        if (q.round % 50 == 0)
            random_query_data(&q, SERIES);
        points += one_round(&q, toc_pool_executor(pool));
    }
    printf("%llu expressions, %llu points\n", (unsigned long long)ops, (unsigned long long)points);
    random_query_fini(&q);
    toc_pool_free(&pool);
    return points ? 0 : 1;
}
