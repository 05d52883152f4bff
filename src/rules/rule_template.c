/* Labels and annotations of alerts: text with the labels and the value of the element. */
#include "base/alloc.h"
#include "codec/template.h"
#include "model/histogram_math.h"
#include "rules/rules_priv.h"

static struct toc_template_value label_map(struct toc_labels l, struct toc_arena *arena) {
    struct toc_template_value *members =
        TOC_ARENA_NEW_ARRAY(arena, struct toc_template_value, l.count + 1);
    if (!members)
        return toc_template_map(NULL, 0);
    for (size_t i = 0; i < l.count; i++) {
        members[i] = toc_template_string(l.items[i].value);
        members[i].key = l.items[i].name;
    }
    return toc_template_map(members, l.count);
}

/* A histogram shows as its text. */
static struct toc_template_value value_of(const struct toc_rule_sample *e,
                                          struct toc_arena *arena) {
    struct toc_buf text = TOC_BUF_INIT;
    if (!e->histogram)
        return toc_template_number(e->value);
    toc_histogram_format(e->histogram, &text);
    struct toc_sv s = toc_arena_dup_sv(arena, toc_buf_sv(&text));
    toc_buf_fini(&text);
    return toc_template_string(s);
}

static int samples_into(const struct elements *found, struct toc_arena *arena,
                        struct toc_template_value *out) {
    struct toc_template_value *list =
        TOC_ARENA_NEW_ARRAY(arena, struct toc_template_value, 3 * found->count + 1);
    if (!list)
        return TOC_ENOMEM;
    for (size_t i = 0; i < found->count; i++) {
        struct toc_template_value *pair = list + found->count + 2 * i;
        struct toc_labels l = toc_labels_dup_arena(found->items[i].labels, arena);
        pair[0] = toc_template_named("Labels", label_map(l, arena));
        pair[1] = toc_template_named("Value", value_of(&found->items[i], arena));
        list[i] = toc_template_map(pair, 2);
    }
    *out = toc_template_list(list, found->count);
    return arena->overflowed ? TOC_ENOMEM : 0;
}

static int query(void *ctx, struct toc_sv text, struct toc_arena *arena,
                 struct toc_template_value *out, struct toc_err *err) {
    struct rule_pass *p = ctx;
    struct toc_promql_expr *expr = NULL;
    struct toc_promql_result result = {0};
    struct elements found;
    int rc = toc_promql_parse_with(text, p->m->options.features, &expr, err);
    if (!rc)
        rc = toc_rule_query_run(p->m, expr, p->at, NULL, &result, &found, err);
    if (!rc)
        rc = samples_into(&found, arena, out);
    toc_promql_result_fini(&result);
    toc_promql_expr_free(&expr);
    return rc;
}

static int render(struct rule_pass *p, const struct toc_template *t,
                  const struct toc_rule_sample *e, struct toc_buf *out, struct toc_err *err) {
    static const char *const variable_names[] = {"labels", "externalLabels", "externalURL",
                                                 "value"};
    static const char *const member_names[] = {"Labels", "ExternalLabels", "ExternalURL", "Value"};
    const struct toc_rules_options *o = &p->m->options;
    struct toc_template_value variables[4], members[4];
    struct toc_template_env env = {query, p, p->at.ms, o->external_url};
    variables[0] = label_map(e->labels, &p->arena);
    variables[1] = label_map(o->external_labels, &p->arena);
    variables[2] = toc_template_string(o->external_url);
    variables[3] = value_of(e, &p->arena);
    for (size_t i = 0; i < 4; i++) {
        members[i] = toc_template_named(member_names[i], variables[i]);
        variables[i] = toc_template_named(variable_names[i], variables[i]);
    }
    struct toc_template_input input = {toc_template_map(members, 4), variables, 4, &env};
    return toc_template_render(t, &input, NULL, out, err);
}

struct toc_sv toc_rule_expand(struct rule_pass *p, const struct toc_rule_text *t,
                              const struct toc_rule_sample *e) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    struct toc_template *late = NULL;
    int rc = 0;
    if (toc_sv_find(t->text, TOC_SV("{{")) == SIZE_MAX)
        return t->text;
    /* Without a template it is a group's label that did not compile: this tells why. */
    if (!t->template)
        rc = toc_template_compile_with(t->text, TOC_TEMPLATE_RULE_FUNCTIONS, &late, &err);
    if (!rc)
        rc = render(p, t->template ? t->template : late, e, &out, &err);
    if (rc) {
        toc_buf_reset(&out);
        toc_buf_printf(&out, "<error expanding template: %s>", err.message);
    }
    struct toc_sv text = toc_arena_dup_sv(&p->arena, toc_buf_sv(&out));
    toc_buf_fini(&out);
    toc_template_free(&late);
    return text;
}
