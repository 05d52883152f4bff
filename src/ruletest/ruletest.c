#include "ruletest/ruletest.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/time.h"
#include "promqltest/load.h"
#include "ruletest/ruletest_priv.h"

enum { EVALUATIONS_MAX = 10000000 };

void run_failure(struct test_run *r, const char *fmt, ...) {
    va_list ap;
    if (r->failures.n)
        toc_buf_append_char(&r->failures, '\n');
    if (r->test->name.n)
        toc_buf_printf(&r->failures, "name: %.*s,\n", TOC_SV_ARG(r->test->name));
    va_start(ap, fmt);
    toc_buf_vprintf(&r->failures, fmt, ap);
    va_end(ap);
}

/* ------------------------------------------------------------------------------------------------
 * rules */

static size_t rank_of(const struct toc_rule_test_file *f, struct toc_sv name) {
    for (size_t i = 0; i < f->group_order_count; i++)
        if (toc_sv_eq(f->group_order[i], name))
            return i;
    return 0;
}

static void add_group(void *ctx, const struct toc_rule_group_view *g) {
    struct test_run *r = ctx;
    struct test_group group = {g->file, g->group->name, rank_of(r->file, g->group->name)};
    size_t at = r->groups.count;
    TOC_VEC_PUSH(&r->groups, group);
    for (; at > 0 && r->groups.items[at - 1].rank > group.rank; at--)
        r->groups.items[at] = r->groups.items[at - 1];
    r->groups.items[at] = group;
}

static int start_rules(struct test_run *r) {
    struct toc_rule_files files = {0};
    struct toc_err err = {0};
    const struct toc_rules_options o = {.querier = &r->store.querier,
                                        .sink = &r->store.sink,
                                        .features = r->options->features,
                                        .default_interval_ms = r->file->evaluation_interval_ms,
                                        .external_labels = r->test->external_labels,
                                        .external_url = r->test->external_url};
    int rc = r->options->load_rules(r->options->ctx, &files, &err);
    if (rc) {
        run_failure(r, "%s", err.message);
        return rc;
    }
    r->rules = toc_rules_new(&o);
    toc_rules_set_files(r->rules, files.items, files.count, (struct toc_ts){r->test->start_ms});
    toc_free(files.items);
    toc_rules_each_group(r->rules, add_group, r);
    return 0;
}

struct rule_errors {
    struct test_run *run;
    int64_t after_ms;
    size_t count;
};

static void report_errors(void *ctx, const struct toc_rule_group_view *g) {
    struct rule_errors *e = ctx;
    struct toc_buf after = TOC_BUF_INIT;
    for (size_t i = 0; i < g->rule_count; i++) {
        if (g->rules[i].health != TOC_RULE_HEALTH_ERR)
            continue;
        toc_buf_reset(&after);
        toc_duration_format(e->after_ms, &after);
        run_failure(e->run, "rule: %.*s, time: %s, err: %.*s", TOC_SV_ARG(g->rules[i].rule->name),
                    toc_buf_cstr(&after), TOC_SV_ARG(g->rules[i].last_error));
        e->count++;
    }
    toc_buf_fini(&after);
}

/* All groups at one time. False when a rule failed: nothing after that means anything. */
static bool evaluate(struct test_run *r, int64_t at_ms) {
    struct rule_errors errors = {r, at_ms - r->test->start_ms, 0};
    struct toc_err err = {0};
    if (toc_test_load_until(&r->test->input, r->test->start_ms, at_ms, &r->position, &r->store,
                            &err) < 0) {
        run_failure(r, "cannot load the series: %s", err.message);
        return false;
    }
    for (size_t i = 0; i < r->groups.count; i++)
        if (toc_rules_evaluate_group(r->rules, r->groups.items[i].file, r->groups.items[i].name,
                                     (struct toc_ts){at_ms}) < 0)
            run_failure(r, "group %.*s is gone", TOC_SV_ARG(r->groups.items[i].name));
    toc_rules_each_group(r->rules, report_errors, &errors);
    return errors.count == 0;
}

/* ------------------------------------------------------------------------------------------------
 * one test */

static int64_t last_eval_ms(const struct toc_rule_test *t) {
    int64_t last = 0;
    for (size_t i = 0; i < t->alert_count; i++)
        last = TOC_MAX(last, t->alerts[i].eval_ms);
    for (size_t i = 0; i < t->expr_count; i++)
        last = TOC_MAX(last, t->exprs[i].eval_ms);
    return last;
}

/* The alert checks that the evaluation `after_ms` after the start decides. */
static void check_due_alerts(struct test_run *r, int64_t after_ms) {
    const struct toc_rule_test *t = r->test;
    for (size_t i = 0; i < t->alert_count; i++)
        if (t->alerts[i].eval_ms >= after_ms &&
            t->alerts[i].eval_ms < after_ms + r->file->evaluation_interval_ms)
            check_alerts(r, &t->alerts[i]);
}

static bool has_names(struct test_run *r) {
    for (size_t i = 0; i < r->test->alert_count; i++)
        if (!r->test->alerts[i].alert.n) {
            run_failure(r, "an item under alert_rule_test misses required attribute alertname");
            return false;
        }
    return true;
}

static void run_steps(struct test_run *r) {
    int64_t last = last_eval_ms(r->test);
    if (r->test->wrong_input.code) {
        run_failure(r, "%d:%d: %s", r->test->wrong_input.line, r->test->wrong_input.column,
                    r->test->wrong_input.message);
        return;
    }
    if (last / r->file->evaluation_interval_ms > EVALUATIONS_MAX) {
        run_failure(r, "more than %d evaluations until the latest eval_time", EVALUATIONS_MAX);
        return;
    }
    if (!has_names(r) || start_rules(r))
        return;
    for (int64_t after = 0; after <= last; after += r->file->evaluation_interval_ms) {
        if (!evaluate(r, r->test->start_ms + after))
            return;
        check_due_alerts(r, after);
    }
    for (size_t i = 0; i < r->test->expr_count; i++)
        check_expr(r, &r->test->exprs[i]);
}

static void run_test(const struct toc_rule_test_file *file, const struct toc_rule_test *test,
                     const struct toc_ruletest_options *o, struct toc_ruletest_outcome *out) {
    struct test_run r = {.file = file, .options = o, .test = test};
    toc_memory_querier_init(&r.store);
    run_steps(&r);
    *(r.failures.n ? &out->failed : &out->passed) += 1;
    if (o->on_test)
        o->on_test(o->ctx, test, toc_buf_sv(&r.failures), &r.store);
    toc_rules_free(&r.rules);
    toc_memory_querier_fini(&r.store);
    TOC_VEC_FINI(&r.groups);
    toc_buf_fini(&r.failures);
}

void toc_ruletest_run(const struct toc_rule_test_file *file, const struct toc_ruletest_options *o,
                      struct toc_ruletest_outcome *out) {
    for (size_t i = 0; i < file->test_count; i++)
        if (!o->run || toc_regex_matches(o->run, file->tests[i].name))
            run_test(file, &file->tests[i], o, out);
}
