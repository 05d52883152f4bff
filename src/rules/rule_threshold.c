/* Another number for the root comparison of a rule: set by a person, over what the file says. */
#include <math.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

static const struct threshold_override *find_override(const struct toc_rules *m,
                                                      struct toc_sv name) {
    for (size_t i = 0; i < m->overrides.count; i++)
        if (toc_sv_eq_cstr(name, m->overrides.items[i].name))
            return &m->overrides.items[i];
    return NULL;
}

int toc_rule_apply_override(const struct toc_rules *m, struct rule_state *s, struct toc_err *err) {
    const struct threshold_override *o = find_override(m, s->rule->name);
    int rc = 0;
    toc_rule_query_fini(&s->query);
    toc_promql_expr_free(&s->override);
    if (o && s->rule->is_alert)
        rc = toc_rule_with_threshold(s->rule->expr, o->number, &s->override, err);
    toc_rule_query_init(&s->query, s->override ? s->override : s->rule->expr);
    return rc;
}

static void remember(struct toc_rules *m, struct toc_sv name, double number) {
    for (size_t i = 0; i < m->overrides.count; i++)
        if (toc_sv_eq_cstr(name, m->overrides.items[i].name)) {
            m->overrides.items[i].number = number;
            return;
        }
    TOC_VEC_PUSH(&m->overrides, ((struct threshold_override){toc_sv_dup_cstr(name), number}));
}

/* Applies what is remembered under this name; ENOENT when no alert rule has it. */
static int reapply(struct toc_rules *m, struct toc_sv name, struct toc_err *err) {
    int rc = TOC_ENOENT;
    for (size_t g = 0; g < m->group_count; g++)
        for (size_t i = 0; i < m->groups[g].group->rule_count; i++) {
            struct rule_state *s = &m->groups[g].rules[i];
            if (!s->rule->is_alert || !toc_sv_eq(s->rule->name, name))
                continue;
            int one = toc_rule_apply_override(m, s, err);
            if (rc == TOC_ENOENT || !rc)
                rc = one;
        }
    return rc;
}

int toc_rules_set_threshold(struct toc_rules *m, struct toc_sv rule_name, double number,
                            struct toc_err *err) {
    if (!isfinite(number) || !rule_name.n)
        return toc_errf(err, TOC_EINVAL, "a threshold is a finite number of a named rule");
    toc_mutex_lock(&m->mutex);
    remember(m, rule_name, number);
    int rc = reapply(m, rule_name, err);
    if (rc == TOC_ENOENT)
        (void)toc_errf(err, rc, "no alert rule is named \"%.*s\"", TOC_SV_ARG(rule_name));
    toc_mutex_unlock(&m->mutex);
    return rc;
}

int toc_rules_clear_threshold(struct toc_rules *m, struct toc_sv rule_name) {
    int rc = TOC_ENOENT;
    toc_mutex_lock(&m->mutex);
    for (size_t i = m->overrides.count; i-- > 0;) {
        if (!toc_sv_eq_cstr(rule_name, m->overrides.items[i].name))
            continue;
        toc_free(m->overrides.items[i].name);
        TOC_VEC_REMOVE(&m->overrides, i);
        rc = 0;
    }
    if (!rc)
        (void)reapply(m, rule_name, NULL);
    toc_mutex_unlock(&m->mutex);
    return rc;
}
