#include "remote/otlp_series.h"

#include <math.h>

#include "base/num.h"

void otlp_series_fini(struct otlp_series *s) {
    otlp_labels_fini(&s->labels);
    TOC_VEC_FINI(&s->contexts);
    toc_buf_fini(&s->scratch);
}

/* --- where the walk stands --- */

static enum toc_otlp_suffix suffix_of(const struct otlp_metric *m) {
    if (m->kind == OTLP_SUM && m->is_monotonic)
        return TOC_OTLP_SUFFIX_COUNTER;
    return m->kind == OTLP_GAUGE ? TOC_OTLP_SUFFIX_GAUGE : TOC_OTLP_SUFFIX_NONE;
}

static struct toc_sv with_suffix(struct otlp_series *s, const char *suffix) {
    toc_buf_reset(&s->scratch);
    toc_buf_append_sv(&s->scratch, s->name);
    toc_buf_append_cstr(&s->scratch, suffix);
    return toc_arena_dup_sv(s->arena, toc_buf_sv(&s->scratch));
}

static void name_metric(struct otlp_series *s, const struct otlp_metric *m) {
    s->name =
        toc_sv_is_utf8(m->name) && toc_sv_is_utf8(m->unit)
            ? toc_otlp_metric_name(&s->options->naming, m->name, m->unit, suffix_of(m), s->arena)
            : TOC_SV_NULL;
    if (!s->name.n || m->kind == OTLP_GAUGE || m->kind == OTLP_SUM)
        return;
    s->bucket_name = with_suffix(s, "_bucket");
    s->sum_name = with_suffix(s, "_sum");
    s->count_name = with_suffix(s, "_count");
}

static void go_to(struct otlp_series *s, const struct otlp_context *c) {
    if (s->at.resource != c->resource)
        otlp_labels_set_resource(&s->labels, s->options, c->resource, s->arena);
    if (s->at.resource != c->resource || s->at.scope != c->scope) {
        otlp_labels_set_scope(&s->labels, s->options, c->scope, s->arena);
        s->common_key = otlp_labels_common_key(&s->labels, s->generation);
    }
    if (s->at.metric != c->metric) {
        name_metric(s, c->metric);
        s->ready = NULL;
    }
    s->at = *c;
    s->metric_key = toc_hash128(s->name.p, s->name.n, (uint64_t)c->metric->kind);
}

bool otlp_series_enter(struct otlp_series *s, const struct otlp_resource *r,
                       const struct otlp_scope *scope, const struct otlp_metric *m) {
    struct otlp_context c = {r, scope, m};
    TOC_VEC_PUSH(&s->contexts, c);
    go_to(s, &c);
    return s->name.n > 0;
}

void otlp_series_go_to(struct otlp_series *s, uint32_t context) {
    const struct otlp_context *c = &s->contexts.items[context];
    if (s->at.metric != c->metric)
        go_to(s, c);
}

/* --- keys --- */

static char *put_text(char *p, struct toc_sv s) {
    uint32_t n = (uint32_t)s.n;
    memcpy(p, &n, sizeof n);
    if (s.n)
        memcpy(p + sizeof n, s.p, s.n);
    return p + sizeof n + s.n;
}

struct toc_hash128 otlp_series_point_key(struct otlp_series *s, const struct otlp_point *p) {
    const struct otlp_attributes *a = &p->attributes;
    size_t bytes = 2 * sizeof(struct toc_hash128);
    for (size_t i = 0; i < a->count; i++)
        bytes += a->items[i].key.n + a->items[i].value.n + 2 * sizeof(uint32_t);
    toc_buf_reset(&s->scratch);
    char *start = toc_buf_reserve(&s->scratch, bytes), *at = start;
    if (!start)
        return (struct toc_hash128){0, 0};
    memcpy(at, &s->common_key, sizeof s->common_key);
    memcpy(at + sizeof s->common_key, &s->metric_key, sizeof s->metric_key);
    at += 2 * sizeof(struct toc_hash128);
    for (size_t i = 0; i < a->count; i++)
        at = put_text(put_text(at, a->items[i].key), a->items[i].value);
    return toc_hash128(start, bytes, s->generation);
}

/* The bound or quantile that a series has in its label; +Inf behind the last bound. */
static double part_of(const struct otlp_point *p, uint32_t number) {
    const struct otlp_distribution *x = p->distribution;
    size_t i = number - OTLP_SERIES_PART;
    if (x->quantile_count)
        return x->quantiles[i].quantile;
    return i < x->bounds.count ? x->bounds.items[i] : INFINITY;
}

struct toc_hash128 otlp_series_key(struct toc_hash128 point_key, const struct otlp_point *p,
                                   uint32_t number) {
    if (number == OTLP_SERIES_SELF)
        return point_key;
    struct {
        struct toc_hash128 key;
        uint64_t number;
        double part;
    } x = {point_key, number, 0};
    if (number >= OTLP_SERIES_PART) {
        x.number = OTLP_SERIES_PART;
        x.part = part_of(p, number);
    }
    return toc_hash128(&x, sizeof x, 0);
}

/* --- labels --- */

int otlp_series_prepare(struct otlp_series *s, uint32_t context, const struct otlp_point *p) {
    otlp_series_go_to(s, context);
    if (s->ready == p)
        return 0;
    s->ready = NULL;
    int rc = otlp_labels_set_point(&s->labels, s->options, &p->attributes, s->arena);
    if (!rc)
        s->ready = p;
    return rc;
}

int otlp_series_prepare_target(struct otlp_series *s, const struct otlp_resource *r) {
    s->ready = NULL;
    if (s->at.resource != r)
        otlp_labels_set_resource(&s->labels, s->options, r, s->arena);
    s->at = (struct otlp_context){.resource = r};
    return otlp_labels_set_target(&s->labels, s->options, r, s->arena);
}

static struct toc_label part_label(const struct otlp_metric *m, const struct otlp_point *p,
                                   uint32_t number, struct toc_arena *arena) {
    char text[TOC_F64_TEXT_MAX];
    size_t n = toc_f64_text(part_of(p, number), TOC_F64_PLAIN, text);
    return (struct toc_label){m->kind == OTLP_SUMMARY ? TOC_SV("quantile") : TOC_SV("le"),
                              toc_arena_dup_sv(arena, toc_sv_make(text, n))};
}

struct toc_labels otlp_series_labels(struct otlp_series *s, uint32_t context,
                                     const struct otlp_point *p, uint32_t number,
                                     struct toc_arena *arena) {
    struct toc_label extra = {TOC_SV_NULL, TOC_SV_NULL};
    struct toc_sv name = TOC_SV_NULL;
    if (otlp_series_prepare(s, context, p))
        return TOC_LABELS_EMPTY;
    if (number >= OTLP_SERIES_PART) {
        name = s->at.metric->kind == OTLP_SUMMARY ? s->name : s->bucket_name;
        extra = part_label(s->at.metric, p, number, arena);
    } else {
        name = number == OTLP_SERIES_SUM     ? s->sum_name
               : number == OTLP_SERIES_COUNT ? s->count_name
                                             : s->name;
    }
    return otlp_labels_series(&s->labels, name, extra, arena);
}
