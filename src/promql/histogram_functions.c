/* histogram_quantile, histogram_quantiles and histogram_fraction over both kinds of histograms. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/time.h"
#include "promql/functions_priv.h"
#include "promql/histogram_split_priv.h"

/* One run over all histograms: a quantile, or the share between two bounds. */
struct run {
    struct toc_eval *e;
    const struct toc_node *arg; /* the vector's expression */
    const struct toc_histogram_split *split;
    bool is_fraction;
    const double *a, *b; /* per step: the quantile, or both bounds */
    struct toc_sv label; /* histogram_quantiles: its label, empty otherwise */
    struct toc_eval_columns *out;
};

/* -------------------------------------------------------------------------------------- notes */

static void note_named(const struct run *r, enum toc_note_level level, struct toc_sv metric,
                       const char *text) {
    if (metric.n)
        toc_eval_note(r->e, level, r->arg, "%s for metric name \"%.*s\"", text, TOC_SV_ARG(metric));
    else
        toc_eval_note(r->e, level, r->arg, "%s", text);
}

static void note_native(const struct run *r, const struct toc_native_notes *notes,
                        struct toc_sv metric) {
    if (notes->is_nan_result)
        note_named(r, TOC_NOTE_INFO, metric,
                   "input to histogram_quantile has NaN observations, result is NaN");
    if (notes->is_skewed)
        note_named(r, TOC_NOTE_INFO, metric,
                   "input to histogram_quantile has NaN observations, result is skewed higher");
    if (notes->excludes_nan)
        note_named(r, TOC_NOTE_INFO, metric,
                   "input to histogram_fraction has NaN observations, which are excluded from all "
                   "fractions");
}

static void note_repair(const struct run *r, const struct toc_le_repair *repair,
                        struct toc_sv metric) {
    if (!repair->samples)
        return;
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_append_cstr(&text,
                        "input to histogram_quantile needed to be fixed for monotonicity (see "
                        "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                        "#histogram_quantile)");
    if (metric.n)
        toc_buf_printf(&text, " for metric name \"%.*s\"", TOC_SV_ARG(metric));
    toc_buf_append_cstr(&text, ", from buckets ");
    toc_format_f64_go(repair->min_upper, &text);
    toc_buf_append_cstr(&text, " to ");
    toc_format_f64_go(repair->max_upper, &text);
    toc_buf_printf(&text, ", with a max diff of %.2g, over %zu samples from ",
                   repair->max_difference, repair->samples);
    toc_ts_format_rfc3339((struct toc_ts){repair->first_ms}, &text);
    toc_buf_append_cstr(&text, " to ");
    toc_ts_format_rfc3339((struct toc_ts){repair->last_ms}, &text);
    toc_eval_note(r->e, TOC_NOTE_INFO, r->arg, "%s", toc_buf_cstr(&text));
    toc_buf_fini(&text);
}

/* ---------------------------------------------------------------------------------- evaluation */

static struct toc_labels with_quantile(const struct run *r, struct toc_labels labels) {
    if (!r->label.n)
        return labels;
    struct toc_buf text = TOC_BUF_INIT;
    toc_format_f64_go(r->a[0], &text);
    bool is_whole =
        isfinite(r->a[0]) && !memchr(text.p, '.', text.n) && !memchr(text.p, 'e', text.n);
    toc_buf_append_cstr(&text, is_whole ? ".0" : "");
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_add_all(&b, labels);
    toc_labels_builder_set(&b, r->label, toc_buf_sv(&text));
    struct toc_labels out = toc_labels_dup_arena(toc_labels_builder_finish(&b), r->e->arena);
    toc_labels_builder_fini(&b);
    toc_buf_fini(&text);
    return out;
}

/* Where names go at once they are gone before a result is looked at. */
static struct toc_sv name_for_notes(const struct run *r, struct toc_sv name) {
    return toc_eval_has(r->e, TOC_PROMQL_DELAYED_NAME_REMOVAL) ? name : TOC_SV("");
}

/* Both kinds at one step: neither can be trusted. */
static bool is_mixed(const struct run *r, const struct toc_histogram_group *g, size_t step) {
    for (size_t i = 0; i < g->natives.count; i++)
        if (toc_column_histogram(g->natives.items[i], step) &&
            toc_histogram_group_buckets(r->split, g, step))
            return true;
    return false;
}

static int eval_native(const struct run *r, const struct toc_histogram_group *g,
                       const struct toc_column *in) {
    struct toc_column *c = toc_eval_columns_add(r->e, r->out, with_quantile(r, in->labels));
    struct toc_native_notes notes = {0};
    if (!c)
        return TOC_ELIMIT;
    c->drop_name = in->drop_name;
    toc_column_drop_name(r->e, c);
    for (size_t k = 0; k < r->e->step_count; k++) {
        const struct toc_histogram *h = toc_column_histogram(in, k);
        if (!h || is_mixed(r, g, k))
            continue;
        c->values[k] = r->is_fraction
                           ? toc_native_fraction(r->a[k], r->b[k], h, r->e->arena, &notes)
                           : toc_native_quantile(r->a[k], h, r->e->arena, &notes);
    }
    note_native(r, &notes, name_for_notes(r, toc_labels_get(in->labels, TOC_METRIC_NAME)));
    return r->e->arena->overflowed ? toc_eval_no_memory(r->e) : 0;
}

static int eval_classic(const struct run *r, const struct toc_histogram_group *g) {
    struct toc_column *c = toc_eval_columns_add(r->e, r->out, with_quantile(r, g->labels));
    struct toc_le_repair repair = {0};
    if (!c)
        return TOC_ELIMIT;
    c->drop_name = g->drop_name;
    toc_column_drop_name(r->e, c);
    for (size_t k = 0; k < r->e->step_count; k++) {
        if (g->natives.count && is_mixed(r, g, k)) {
            note_named(r, TOC_NOTE_WARNING, g->metric,
                       "vector contains a mix of classic and native histograms");
            continue;
        }
        size_t n = toc_histogram_group_buckets(r->split, g, k);
        if (!n)
            continue;
        struct toc_le_bucket *b = r->split->scratch;
        c->values[k] = r->is_fraction
                           ? toc_classic_fraction(r->a[k], r->b[k], b, n)
                           : toc_classic_quantile(r->a[k], b, n, toc_step_ms(r->e, k), &repair);
    }
    note_repair(r, &repair, name_for_notes(r, g->metric));
    return 0;
}

static int eval_groups(const struct run *r) {
    int rc = 0;
    for (size_t i = 0; i < r->split->count && rc == 0; i++) {
        const struct toc_histogram_group *g = &r->split->items[i];
        for (size_t k = 0; k < g->natives.count && rc == 0; k++)
            rc = eval_native(r, g, g->natives.items[k]);
        if (rc == 0 && g->buckets.count)
            rc = eval_classic(r, g);
    }
    return rc;
}

/* Arguments: scalars, then what `in` is; `runs` are made for each quantile. */
static int eval_run(struct toc_eval *e, const struct toc_node *arg, struct run *r) {
    struct toc_eval_columns in = {0};
    struct toc_histogram_split split = {0};
    int rc = toc_eval_node(e, arg, &in);
    if (rc == 0)
        rc = toc_histogram_split(e, arg, &in, &split);
    r->e = e;
    r->arg = arg;
    r->split = &split;
    if (rc == 0)
        rc = eval_groups(r);
    r->split = NULL;
    toc_histogram_split_fini(&split);
    toc_eval_columns_fini(&in);
    return rc;
}

int toc_call_histogram_quantile(struct toc_eval *e, const struct toc_node *n,
                                struct toc_eval_columns *out) {
    struct toc_eval_columns q = {0};
    int rc = toc_eval_node(e, n->args[0], &q);
    if (rc == 0)
        toc_eval_note_quantiles(e, n->args[0], q.items[0].values);
    struct run r = {.a = rc == 0 ? q.items[0].values : NULL, .out = out};
    if (rc == 0)
        rc = eval_run(e, n->args[1], &r);
    toc_eval_columns_fini(&q);
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, true);
}

int toc_call_histogram_fraction(struct toc_eval *e, const struct toc_node *n,
                                struct toc_eval_columns *out) {
    struct toc_eval_columns bounds = {0};
    int rc = toc_eval_node(e, n->args[0], &bounds);
    if (rc == 0)
        rc = toc_eval_node(e, n->args[1], &bounds);
    struct run r = {.is_fraction = true, .out = out};
    if (rc == 0) {
        r.a = bounds.items[0].values;
        r.b = bounds.items[1].values;
        rc = eval_run(e, n->args[2], &r);
    }
    toc_eval_columns_fini(&bounds);
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, true);
}

/* A label of the histograms must not be the one that tells the quantiles apart. */
static int check_label(struct toc_eval *e, const struct toc_eval_columns *in, struct toc_sv label) {
    for (size_t i = 0; i < in->count; i++)
        if (toc_labels_has(in->items[i].labels, label))
            return toc_errf(e->err, TOC_EINVAL,
                            "quantile label %.*s already exists in the input series",
                            TOC_SV_ARG(label));
    return 0;
}

int toc_call_histogram_quantiles(struct toc_eval *e, const struct toc_node *n,
                                 struct toc_eval_columns *out) {
    struct toc_eval_columns in = {0}, label = {0}, q = {0};
    struct toc_histogram_split split = {0};
    int rc = toc_eval_node(e, n->args[0], &in);
    if (rc == 0)
        rc = toc_eval_node(e, n->args[1], &label);
    if (rc == 0)
        rc = check_label(e, &in, label.string);
    for (size_t i = 2; i < n->arg_count && rc == 0; i++) {
        rc = toc_eval_node(e, n->args[i], &q);
        if (rc == 0)
            toc_eval_note_quantiles(e, n->args[i], q.items[i - 2].values);
    }
    if (rc == 0)
        rc = toc_histogram_split(e, n->args[0], &in, &split);
    for (size_t i = 0; i < q.count && rc == 0; i++) {
        struct run r = {e, n->args[0], &split, false, q.items[i].values, NULL, label.string, out};
        rc = eval_groups(&r);
    }
    toc_histogram_split_fini(&split);
    toc_eval_columns_fini(&in);
    toc_eval_columns_fini(&label);
    toc_eval_columns_fini(&q);
    return rc < 0 ? rc : toc_eval_columns_merge(e, out, true);
}
