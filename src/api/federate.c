/* /federate: the newest sample of selected series in the text format, for another Prometheus. */
#include <stdlib.h>

#include "api/prom_match.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/exposition.h"
#include "model/sample.h"

struct newest {
    struct toc_labels labels;
    struct toc_sv name;
    int64_t t_ms;
    double value;
};

struct federation {
    struct toc_arena arena;
    struct toc_map seen; /* by label hash: series that several selectors match */
    bool keeps_utf8;     /* the peer takes names in quotes */
    struct toc_labels external;
    TOC_VEC_FIELDS(struct newest)
};

static int keep(void *ctx, const struct toc_series_view *s) {
    struct federation *f = ctx;
    struct toc_sv name = toc_labels_get(s->labels, TOC_METRIC_NAME);
    size_t last = s->count;
    uint64_t hash = toc_labels_hash(s->labels);
    /* The text format has no native histograms. */
    bool is_shown = last > 0 && name.n && !toc_is_stale_nan(s->values[last - 1]) &&
                    !(s->histograms && s->histograms[last - 1]);
    if (!is_shown || toc_map_has(&f->seen, toc_map_u64(&hash)))
        return 0;
    struct newest n = {.labels = toc_labels_dup_arena(s->labels, &f->arena),
                       .t_ms = s->t_ms[last - 1],
                       .value = s->values[last - 1]};
    n.name = toc_labels_get(n.labels, TOC_METRIC_NAME);
    if (f->arena.overflowed)
        return TOC_ELIMIT;
    toc_map_put(&f->seen, toc_map_u64(&hash), f);
    TOC_VEC_PUSH(f, n);
    return 0;
}

static int by_name(const void *a, const void *b) {
    const struct newest *x = a, *y = b;
    int order = toc_sv_cmp(x->name, y->name);
    return order ? order : toc_labels_cmp(x->labels, y->labels);
}

/* For peers that know classic names only. */
static void append_underscored(struct toc_buf *out, struct toc_sv name, bool is_metric) {
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool is_letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
        bool is_good = is_letter || (i > 0 && ch >= '0' && ch <= '9') || (is_metric && ch == ':');
        if (((unsigned char)ch & 0xc0) != 0x80) /* one underscore for a whole code point */
            toc_buf_append_char(out, is_good ? ch : '_');
    }
}

static void append_name(const struct federation *f, struct toc_buf *out, struct toc_sv name,
                        bool is_metric) {
    bool is_classic =
        is_metric ? toc_metric_name_is_classic(name) : toc_label_name_is_classic(name);
    if (is_classic)
        toc_buf_append_sv(out, name);
    else if (f->keeps_utf8)
        toc_exposition_put_quoted(name, out);
    else
        append_underscored(out, name, is_metric);
}

static void append_label(const struct federation *f, struct toc_buf *out, const struct toc_label *l,
                         bool *is_open) {
    toc_buf_append_char(out, *is_open ? ',' : '{');
    *is_open = true;
    append_name(f, out, l->name, false);
    toc_buf_append_char(out, '=');
    toc_exposition_put_quoted(l->value, out);
}

static void append_sample(const struct federation *f, struct toc_buf *out, const struct newest *n) {
    bool is_inside = f->keeps_utf8 && !toc_metric_name_is_classic(n->name), is_open = is_inside;
    if (is_inside)
        toc_buf_append_char(out, '{');
    append_name(f, out, n->name, true);
    for (size_t i = 0; i < n->labels.count; i++) {
        const struct toc_label *l = &n->labels.items[i];
        if (!toc_sv_eq(l->name, TOC_METRIC_NAME))
            append_label(f, out, l, &is_open);
    }
    for (size_t i = 0; i < f->external.count; i++)
        if (!toc_labels_has(n->labels, f->external.items[i].name))
            append_label(f, out, &f->external.items[i], &is_open);
    toc_buf_append_cstr(out, is_open ? "} " : " ");
    toc_format_f64_g(n->value, out);
    toc_buf_printf(out, " %lld\n", (long long)n->t_ms);
}

static void answer(struct toc_api_call *c, struct federation *f) {
    struct toc_buf *out = &c->res->body;
    if (f->count)
        qsort(f->items, f->count, sizeof *f->items, by_name);
    c->res->content_type = f->keeps_utf8
                               ? "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
                               : "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    for (size_t i = 0; i < f->count; i++) {
        if (i == 0 || !toc_sv_eq(f->items[i].name, f->items[i - 1].name)) {
            toc_buf_append_cstr(out, "# TYPE ");
            append_name(f, out, f->items[i].name, true);
            toc_buf_append_cstr(out, " untyped\n");
        }
        append_sample(f, out, &f->items[i]);
    }
}

void toc_api_federate(struct toc_api_call *c) {
    struct toc_prom_matches m;
    struct federation f = {0};
    struct toc_err err = {0};
    struct toc_querier *q = c->api->parts.querier;
    int rc = 0;
    f.keeps_utf8 =
        toc_sv_find(toc_http_header(c->req, "Accept"), TOC_SV("escaping=allow-utf-8")) != SIZE_MAX;
    if (!toc_prom_matches_read(c, false, &m))
        return;
    toc_mutex_lock(&c->api->labels_mutex);
    f.external = toc_labels_dup_arena(c->api->external_labels, c->req->arena);
    toc_mutex_unlock(&c->api->labels_mutex);
    for (size_t i = 0; i < m.count && rc == 0; i++) {
        m.selects[i].min_ms = c->now.ms - toc_query_gate_limits(c->api->queries).lookback_ms + 1;
        m.selects[i].max_ms = c->now.ms;
        rc = q->select(q, &m.selects[i], keep, &f, &err);
    }
    if (rc < 0)
        toc_prom_fail(c, rc, &err);
    else
        answer(c, &f);
    toc_prom_matches_fini(&m);
    TOC_VEC_FINI(&f);
    toc_map_fini(&f.seen);
    toc_arena_fini(&f.arena);
}
