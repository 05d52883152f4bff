/* Labels and annotations of alerts: text with the labels and the value of the element. */
#include "base/alloc.h"
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

struct toc_sv toc_rule_expand(const struct toc_rules *m, const struct toc_rule_text *t,
                              const struct element *e, struct toc_arena *arena) {
    static const char *const variable_names[] = {"labels", "externalLabels", "externalURL",
                                                 "value"};
    static const char *const member_names[] = {"Labels", "ExternalLabels", "ExternalURL", "Value"};
    struct toc_template_value variables[4], members[4];
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_err err = {0};
    if (!t->template || toc_sv_find(t->text, TOC_SV("{{")) == SIZE_MAX)
        return t->text;
    variables[0] = label_map(e->labels, arena);
    variables[1] = label_map(m->options.external_labels, arena);
    variables[2] = toc_template_string(m->options.external_url);
    variables[3] = toc_template_number(e->value);
    for (size_t i = 0; i < 4; i++) {
        members[i] = toc_template_named(member_names[i], variables[i]);
        variables[i] = toc_template_named(variable_names[i], variables[i]);
    }
    struct toc_template_input input = {toc_template_map(members, 4), variables, 4};
    if (toc_template_render(t->template, &input, NULL, &out, &err)) {
        toc_buf_reset(&out);
        toc_buf_printf(&out, "<error expanding template: %s>", err.message);
    }
    struct toc_sv text = toc_arena_dup_sv(arena, toc_buf_sv(&out));
    toc_buf_fini(&out);
    return text;
}
