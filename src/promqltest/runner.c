#include "promqltest/runner.h"

#include "promqltest/compare.h"
#include "promqltest/load.h"

enum { MINUTE_MS = 60000, LOOKBACK_MS = 5 * MINUTE_MS, MAX_SAMPLES = 10000 };

struct run {
    const struct toc_promqltest_options *options;
    struct toc_memory_querier store;
    struct toc_promql_options query;
};

/* Did the query fail the way that was expected? */
static bool failure_agrees(const struct toc_test_eval *e, const struct toc_err *err,
                           struct toc_buf *why) {
    if (!e->is_fail) {
        toc_buf_printf(why, "the query failed: %s", err->message);
        return false;
    }
    if (!e->fail.count || toc_test_text_accepts(&e->fail.items[0], toc_sv_cstr(err->message)))
        return true;
    toc_buf_printf(why, "expected the failure: %.*s\n     got the failure: %s",
                   TOC_SV_ARG(e->fail.items[0].text), err->message);
    return false;
}

/* The value of a matrix at one time, as an instant query gives it. Series and points stay in the
 * arena of the matrix. */
static int vector_at(struct toc_promql_result *matrix, int64_t t_ms, bool is_scalar,
                     struct toc_promql_result *out) {
    *out = (struct toc_promql_result){.type = is_scalar ? TOC_PROMQL_SCALAR : TOC_PROMQL_VECTOR};
    out->series =
        TOC_ARENA_NEW_ARRAY(&matrix->arena, struct toc_promql_series, matrix->series_count + 1);
    if (!out->series)
        return TOC_ENOMEM;
    for (size_t i = 0; i < matrix->series_count; i++) {
        const struct toc_promql_series *s = &matrix->series[i];
        for (size_t k = 0; k < s->count; k++)
            if (s->points[k].t_ms == t_ms) {
                out->series[out->series_count++] =
                    (struct toc_promql_series){s->labels, &s->points[k], 1};
                out->scalar = s->points[k].value;
                break;
            }
    }
    return 0;
}

static bool contains(struct toc_sv text, const char *word) {
    return toc_sv_find(text, toc_sv_cstr(word)) != SIZE_MAX;
}

/* The middle step of a range query around t gives the same. */
static bool range_agrees(struct run *run, const struct toc_test_eval *e, struct toc_sv text,
                         const struct toc_promql_expr *expr, int64_t t_ms, bool is_scalar,
                         struct toc_buf *why) {
    struct toc_promql_result matrix = {0}, vector;
    struct toc_err err = {0};
    if (contains(text, "start()") || contains(text, "end()") || contains(text, "range()") ||
        contains(text, "step()") || e->has_range_vector || e->has_string)
        return true;
    int rc = toc_promql_range(expr, &run->query, t_ms - MINUTE_MS, t_ms + MINUTE_MS, MINUTE_MS,
                              &matrix, &err);
    bool agrees = rc == 0;
    if (rc)
        toc_buf_printf(why, "the query failed: %s", err.message);
    else if (!e->is_ordered)
        agrees = toc_test_is_sorted(&matrix, why) &&
                 vector_at(&matrix, t_ms, is_scalar, &vector) == 0 &&
                 toc_test_result_agrees(e, &vector, why);
    toc_promql_result_fini(&matrix);
    if (!agrees)
        toc_buf_append_cstr(why, "\n(as a range query around that time)");
    return agrees;
}

static bool instant_agrees(struct run *run, const struct toc_test_eval *e, struct toc_sv text,
                           const struct toc_promql_expr *expr, int64_t t_ms, struct toc_buf *why) {
    struct toc_promql_result r = {0};
    struct toc_err err = {0};
    bool agrees;
    if (toc_promql_instant(expr, &run->query, t_ms, &r, &err)) {
        agrees = failure_agrees(e, &err, why);
    } else if (e->is_fail) {
        agrees = false;
        toc_buf_append_cstr(why, "expected a failure, got a result");
    } else {
        agrees = toc_test_annotations_agree(e, &r, why) && toc_test_result_agrees(e, &r, why) &&
                 range_agrees(run, e, text, expr, t_ms, r.type == TOC_PROMQL_SCALAR, why);
    }
    toc_promql_result_fini(&r);
    return agrees;
}

static bool parse(struct run *run, struct toc_sv text, struct toc_promql_expr **out,
                  struct toc_buf *why) {
    struct toc_err err = {0};
    if (toc_promql_parse_with(text, run->options->features, out, &err) == 0)
        return true;
    toc_buf_printf(why, "does not parse: %s", err.message);
    return false;
}

/* The query with `@` its time on every selector gives the same at other times. */
static bool pinned_agrees(struct run *run, const struct toc_test_eval *e,
                          const struct toc_promql_expr *expr, struct toc_buf *why) {
    int64_t t = e->times.start_ms;
    int64_t times[] = {-10 * t, 0, t / 5, t, 10 * t};
    size_t count = 5;
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_promql_expr *pinned = NULL;
    if (toc_promql_depends_on_time(expr))
        return true;
    if (t == 0) {
        times[0] = -1000;
        times[2] = 1000;
        count = 3;
    }
    toc_promql_format_at(expr, t, &text);
    bool agrees = parse(run, toc_buf_sv(&text), &pinned, why);
    for (size_t i = 0; i < count && agrees; i++) {
        agrees = instant_agrees(run, e, toc_buf_sv(&text), pinned, times[i], why);
        if (!agrees)
            toc_buf_printf(why, "\n(at %.3f s)", (double)times[i] / 1000);
    }
    if (!agrees)
        toc_buf_printf(why, "\n(as %.*s)", TOC_SV_ARG(toc_buf_sv(&text)));
    toc_promql_expr_free(&pinned);
    toc_buf_fini(&text);
    return agrees;
}

static bool range_eval_agrees(struct run *run, const struct toc_test_eval *e,
                              const struct toc_promql_expr *expr, struct toc_buf *why) {
    struct toc_promql_result r = {0};
    struct toc_err err = {0};
    bool agrees;
    if (toc_promql_range(expr, &run->query, e->times.start_ms, e->times.end_ms, e->times.step_ms,
                         &r, &err)) {
        agrees = failure_agrees(e, &err, why);
    } else if (e->is_fail) {
        agrees = false;
        toc_buf_append_cstr(why, "expected a failure, got a result");
    } else {
        agrees = toc_test_annotations_agree(e, &r, why) && toc_test_result_agrees(e, &r, why);
    }
    toc_promql_result_fini(&r);
    return agrees;
}

static bool eval_agrees(struct run *run, const struct toc_test_eval *e, struct toc_buf *why) {
    struct toc_promql_expr *expr = NULL;
    if (!parse(run, e->expr, &expr, why))
        return false;
    bool agrees = e->is_range ? range_eval_agrees(run, e, expr, why)
                              : instant_agrees(run, e, e->expr, expr, e->times.start_ms, why) &&
                                    pinned_agrees(run, e, expr, why);
    toc_promql_expr_free(&expr);
    return agrees;
}

static void report(struct run *run, int line, struct toc_sv expr, const struct toc_buf *why,
                   struct toc_promqltest_outcome *out) {
    *(why->n ? &out->failed : &out->passed) += 1;
    if (run->options->on_result)
        run->options->on_result(run->options->ctx, line, expr, toc_buf_sv(why));
}

static void run_command(struct run *run, const struct toc_test_command *c,
                        struct toc_promqltest_outcome *out) {
    struct toc_buf why = TOC_BUF_INIT;
    struct toc_err err = {0};
    if (c->kind == TOC_TEST_CLEAR) {
        toc_memory_querier_clear(&run->store);
    } else if (c->kind == TOC_TEST_LOAD) {
        if (toc_test_load_apply(&c->load, 0, &run->store, &err) < 0) {
            toc_buf_printf(&why, "cannot load: %s", err.message);
            report(run, c->line, TOC_SV("load"), &why, out);
        }
    } else if (!run->options->run || toc_regex_matches(run->options->run, c->eval.expr)) {
        if (!eval_agrees(run, &c->eval, &why) && !why.n)
            toc_buf_append_cstr(&why, "out of memory");
        report(run, c->line, c->eval.expr, &why, out);
    }
    toc_buf_fini(&why);
}

void toc_promqltest_run(const struct toc_test_script *script,
                        const struct toc_promqltest_options *options,
                        struct toc_promqltest_outcome *out) {
    struct run run = {.options = options};
    toc_memory_querier_init(&run.store);
    run.query = (struct toc_promql_options){.querier = &run.store.querier,
                                            .lookback_ms = LOOKBACK_MS,
                                            .max_samples = MAX_SAMPLES,
                                            .features = options->features,
                                            .subquery_step_ms = MINUTE_MS};
    for (size_t i = 0; i < script->count; i++)
        run_command(&run, &script->items[i], out);
    toc_memory_querier_fini(&run.store);
}
