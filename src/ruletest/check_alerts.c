/* Firing alerts against those that a test expects. */
#include <stdlib.h>

#include "base/time.h"
#include "ruletest/ruletest_priv.h"

struct found {
    struct toc_labels labels, annotations;
};
struct founds {
    struct toc_sv alert;
    struct toc_arena arena;
    TOC_VEC_FIELDS(struct found)
};

static void collect(void *ctx, const struct toc_rule_group_view *g) {
    struct founds *f = ctx;
    for (size_t i = 0; i < g->rule_count; i++) {
        const struct toc_rule_view *r = &g->rules[i];
        if (!r->rule->is_alert || !toc_sv_eq(r->rule->name, f->alert))
            continue;
        for (size_t k = 0; k < r->alert_count; k++)
            if (r->alerts[k].state == TOC_RULE_FIRING)
                TOC_VEC_PUSH(
                    f, ((struct found){toc_labels_dup_arena(r->alerts[k].labels, &f->arena),
                                       toc_labels_dup_arena(r->alerts[k].annotations, &f->arena)}));
    }
}

static int by_labels(const void *a, const void *b) {
    const struct found *x = a, *y = b;
    int order = toc_labels_cmp(x->labels, y->labels);
    return order ? order : toc_labels_cmp(x->annotations, y->annotations);
}

static void describe(const struct founds *f, struct toc_buf *out) {
    for (size_t i = 0; i < f->count; i++) {
        toc_buf_append_cstr(out, "Labels:");
        toc_labels_format(f->items[i].labels, out);
        toc_buf_append_cstr(out, " Annotations:");
        toc_labels_format(f->items[i].annotations, out);
        toc_buf_append_char(out, '\n');
    }
}

static bool agree(const struct founds *a, const struct founds *b) {
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!toc_labels_eq(a->items[i].labels, b->items[i].labels) ||
            !toc_labels_eq(a->items[i].annotations, b->items[i].annotations))
            return false;
    return true;
}

static void sort(struct founds *f) {
    if (f->count)
        qsort(f->items, f->count, sizeof *f->items, by_labels);
}

static void report(struct test_run *r, const struct toc_alert_check *check,
                   const struct founds *want, const struct founds *got) {
    struct toc_buf after = TOC_BUF_INIT, want_text = TOC_BUF_INIT, got_text = TOC_BUF_INIT;
    toc_duration_format(check->eval_ms, &after);
    describe(want, &want_text);
    describe(got, &got_text);
    run_failure(r, "alertname: %.*s, time: %s,", TOC_SV_ARG(check->alert), toc_buf_cstr(&after));
    run_compare(r, &want_text, &got_text);
    toc_buf_fini(&after);
    toc_buf_fini(&want_text);
    toc_buf_fini(&got_text);
}

void check_alerts(struct test_run *r, const struct toc_alert_check *check) {
    struct founds got = {.alert = check->alert}, want = {0};
    toc_rules_each_group(r->rules, collect, &got);
    for (size_t i = 0; i < check->alert_count; i++)
        TOC_VEC_PUSH(&want,
                     ((struct found){check->alerts[i].labels, check->alerts[i].annotations}));
    sort(&want);
    sort(&got);
    if (!agree(&want, &got))
        report(r, check, &want, &got);
    TOC_VEC_FINI(&want);
    TOC_VEC_FINI(&got);
    toc_arena_fini(&got.arena);
}
