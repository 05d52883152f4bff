/* From elements of a result to labelled matches of an alert rule. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

bool toc_labels_agree(struct toc_labels a, struct toc_labels b) {
    for (size_t i = 0; i < a.count; i++) {
        struct toc_sv name = a.items[i].name;
        if (toc_sv_eq(name, TOC_METRIC_NAME) || !toc_labels_has(b, name))
            continue;
        if (!toc_sv_eq(a.items[i].value, toc_labels_get(b, name)))
            return false;
    }
    return true;
}

const struct toc_rule_sample *toc_elements_find_agreeing(const struct elements *list,
                                                         struct toc_labels l) {
    for (size_t i = 0; i < list->count; i++)
        if (toc_labels_agree(list->items[i].labels, l))
            return &list->items[i];
    return NULL;
}

static void expand_into(struct rule_pass *p, const struct toc_rule_text *texts, size_t count,
                        const struct toc_rule_sample *e, struct toc_labels_builder *b) {
    for (size_t i = 0; i < count; i++)
        toc_labels_builder_set(b, texts[i].name, toc_rule_expand(p, &texts[i], e));
}

static void make_match(struct rule_pass *p, const struct toc_rule *r,
                       const struct toc_rule_sample *e, double confirm_value,
                       struct toc_labels_builder *b, struct alert_match *out) {
    const struct toc_rule_group *g = p->g->group;
    *out = (struct alert_match){.value = e->value, .confirm_value = confirm_value};
    toc_labels_builder_reset(b);
    toc_labels_builder_add_all(b, e->labels);
    toc_labels_builder_del(b, TOC_METRIC_NAME);
    out->source = toc_labels_dup_arena(toc_labels_builder_finish(b), &p->arena);
    expand_into(p, g->labels, g->label_count, e, b);
    expand_into(p, r->labels, r->label_count, e, b);
    toc_labels_builder_set(b, TOC_SV("alertname"), r->name);
    out->labels = toc_labels_dup_arena(toc_labels_builder_finish(b), &p->arena);
    toc_labels_builder_reset(b);
    expand_into(p, r->annotations, r->annotation_count, e, b);
    out->annotations = toc_labels_dup_arena(toc_labels_builder_finish(b), &p->arena);
}

static int compare_matches(const void *a, const void *b) {
    return toc_labels_cmp(((const struct alert_match *)a)->labels,
                          ((const struct alert_match *)b)->labels);
}

static int check_distinct(const struct alert_matches *m, struct toc_err *err) {
    for (size_t i = 1; i < m->count; i++)
        if (toc_labels_eq(m->items[i - 1].labels, m->items[i].labels))
            return toc_errf(err, TOC_EDUPLICATE,
                            "vector contains metrics with the same labelset "
                            "after applying alert labels");
    return 0;
}

int toc_alert_matches_make(struct rule_pass *p, const struct rule_state *s,
                           const struct elements *found, const struct elements *confirm,
                           struct alert_matches *out, struct toc_err *err) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    *out = (struct alert_matches){
        .items = TOC_ARENA_NEW_ARRAY(&p->arena, struct alert_match, found->count + 1)};
    for (size_t i = 0; out->items && i < found->count; i++) {
        const struct toc_rule_sample *e = &found->items[i], *second = NULL;
        if (s->rule->confirm && !(second = toc_elements_find_agreeing(confirm, e->labels)))
            continue;
        make_match(p, s->rule, e, second ? second->value : NAN, &b, &out->items[out->count++]);
    }
    toc_labels_builder_fini(&b);
    if (p->arena.overflowed)
        return TOC_ENOMEM;
    if (out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, compare_matches);
    return check_distinct(out, err);
}
