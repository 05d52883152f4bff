/* count_values: how many series have each value. */
#include "base/num.h"
#include "model/histogram_math.h"
#include "promql/aggregate_priv.h"
#include "promql/label_index_priv.h"

struct counting {
    struct toc_eval *e;
    struct toc_sv label;
    struct toc_label_index made; /* number of the column + 1 */
    struct toc_buf text;
    struct toc_eval_columns *out;
};

static struct toc_labels labels_of(struct counting *c, const struct toc_group *g) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, g->labels);
    toc_labels_builder_set(&b, c->label, toc_buf_sv(&c->text));
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), c->e->arena);
    toc_labels_builder_fini(&b);
    return out;
}

/* The column of a value in a group, made when new; NULL without memory. */
static struct toc_column *column_of(struct counting *c, const struct toc_group *g) {
    struct toc_labels labels = labels_of(c, g);
    size_t *number = toc_label_index_at(&c->made, labels);
    if (*number)
        return &c->out->items[*number - 1];
    struct toc_column *made = toc_eval_columns_add(c->e, c->out, labels);
    *number = c->out->count; /* without memory the counting ends here */
    if (made)
        made->drop_name = g->drop_name;
    return made;
}

static int count_column(struct counting *c, const struct toc_group *g,
                        const struct toc_column *in) {
    for (size_t step = 0; step < c->e->step_count; step++) {
        if (toc_is_absent(in->values[step]))
            continue;
        const struct toc_histogram *h = toc_column_histogram(in, step);
        toc_buf_reset(&c->text);
        if (h)
            toc_histogram_format(h, &c->text);
        else
            toc_format_f64(in->values[step], &c->text);
        struct toc_column *out = column_of(c, g);
        if (!out)
            return TOC_ELIMIT;
        out->values[step] = toc_is_absent(out->values[step]) ? 1 : out->values[step] + 1;
    }
    return 0;
}

static int bad_label(struct toc_eval *e, struct toc_sv label) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_promql_quote(label, &text);
    int rc = toc_errf(e->err, TOC_EINVAL, "invalid label name %s", toc_buf_cstr(&text));
    toc_buf_fini(&text);
    return rc;
}

int toc_aggregate_count_values(struct toc_eval *e, const struct toc_node *n, struct toc_sv label,
                               const struct toc_eval_columns *in, const struct toc_groups *g,
                               struct toc_eval_columns *out) {
    (void)n;
    if (label.n == 0 || !toc_sv_is_utf8(label))
        return bad_label(e, label);
    struct counting c = {.e = e, .label = label, .text = TOC_BUF_INIT, .out = out};
    int rc = 0;
    for (size_t i = 0; i < g->count && rc == 0; i++)
        for (size_t m = 0; m < g->items[i].members.count && rc == 0; m++)
            rc = count_column(&c, &g->items[i], &in->items[g->items[i].members.items[m]]);
    toc_label_index_fini(&c.made);
    toc_buf_fini(&c.text);
    return rc;
}
