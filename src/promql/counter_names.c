/* A rate of something whose name is no counter's is probably a mistake: the query says so. */
#include <string.h>

#include "promql/eval_priv.h"

static bool doubts_names(const struct toc_node *call) {
    const char *name = call->function->name;
    return strcmp(name, "rate") == 0 || strcmp(name, "increase") == 0;
}

bool toc_call_needs_labels(const struct toc_eval *e, const struct toc_node *n) {
    return n->kind == TOC_NODE_CALL && doubts_names(n) &&
           (toc_eval_has(e, TOC_PROMQL_TYPE_AND_UNIT_LABELS) ||
            !toc_selector_has_one_name(toc_call_range(n)));
}

/* Of the series, or what the selector asks for where labels were not read. */
static struct toc_sv metric_name(const struct toc_node *call, struct toc_labels labels) {
    const struct toc_node *range = toc_call_range(call);
    if (labels.count || range->kind != TOC_NODE_SELECTOR)
        return toc_labels_get(labels, TOC_METRIC_NAME);
    for (size_t i = 0; i < range->matcher_count; i++)
        if (range->matchers[i].op == TOC_MATCH_EQ &&
            toc_sv_eq(range->matchers[i].name, TOC_METRIC_NAME))
            return range->matchers[i].value;
    return TOC_SV_NULL;
}

static bool is_counter_name(struct toc_sv name) {
    static const struct toc_sv suffixes[] = {TOC_SV("_total"), TOC_SV("_sum"), TOC_SV("_count"),
                                             TOC_SV("_bucket")};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (toc_sv_ends_with(name, suffixes[i]))
            return true;
    return false;
}

static bool has_float(const struct toc_eval *e, const struct toc_column *c) {
    for (size_t i = 0; i < e->step_count; i++)
        if (!toc_is_absent(c->values[i]) && !toc_column_histogram(c, i))
            return true;
    return false;
}

static bool is_counter_type(struct toc_sv type) {
    return toc_sv_eq_cstr(type, "counter") || toc_sv_eq_cstr(type, "histogram");
}

void toc_note_doubtful_name(struct toc_worker *w, const struct toc_node *call,
                            struct toc_labels labels, const struct toc_column *result) {
    if (!doubts_names(call))
        return;
    struct toc_sv name = metric_name(call, labels);
    struct toc_sv type = toc_labels_get(labels, TOC_SV("__type__"));
    bool has_types = toc_eval_has(w->eval, TOC_PROMQL_TYPE_AND_UNIT_LABELS);
    bool is_counter = has_types ? is_counter_type(type) : is_counter_name(name);
    if (!name.n || is_counter || !has_float(w->eval, result))
        return;
    if (has_types)
        toc_worker_note(w, TOC_NOTE_INFO, call->args[0],
                        "metric might not be a counter, __type__ label is not set to \"counter\" "
                        "or \"histogram\", got \"%.*s\": \"%.*s\"",
                        TOC_SV_ARG(type), TOC_SV_ARG(name));
    else
        toc_worker_note(w, TOC_NOTE_INFO, call->args[0],
                        "metric might not be a counter, name does not end in "
                        "_total/_sum/_count/_bucket: \"%.*s\"",
                        TOC_SV_ARG(name));
}
