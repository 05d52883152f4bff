/* query_exemplars: the exemplars of the series that a query selects. */
#include "api/prom_priv.h"
#include "base/map.h"
#include "base/num.h"
#include "metricdb/exemplar.h"
#include "promql/promql.h"

struct exemplars {
    struct toc_api_call *c;
    int64_t start_ms, end_ms;
    struct toc_map seen; /* by label hash: series that several selectors name */
    size_t selectors, series;
    int rc;
    struct toc_err err;
};

static void write_exemplar(struct toc_buf *out, const struct toc_exemplar *e) {
    char value[TOC_F64_TEXT_MAX];
    toc_buf_append_cstr(out, "{\"labels\":");
    toc_prom_labels(out, e->labels);
    toc_buf_printf(out, ",\"value\":\"%.*s\",\"timestamp\":",
                   (int)toc_f64_text(e->value, TOC_F64_JSON, value), value);
    toc_prom_seconds(out, e->t_ms);
    toc_buf_append_char(out, '}');
}

static int write_series(void *ctx, struct toc_labels series, const struct toc_exemplar *exemplars,
                        size_t count) {
    struct exemplars *all = ctx;
    struct toc_buf *out = &all->c->res->body;
    uint64_t hash = toc_labels_hash(series);
    if (toc_map_has(&all->seen, toc_map_u64(&hash)))
        return 0;
    toc_map_put(&all->seen, toc_map_u64(&hash), all);
    toc_buf_append_cstr(out, all->series++ ? ",{\"seriesLabels\":" : "{\"seriesLabels\":");
    toc_prom_labels(out, series);
    toc_buf_append_cstr(out, ",\"exemplars\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            toc_buf_append_char(out, ',');
        write_exemplar(out, &exemplars[i]);
    }
    toc_buf_append_cstr(out, "]}");
    return toc_buf_error(out);
}

static void on_selector(void *ctx, const struct toc_matcher *m, size_t count) {
    struct exemplars *all = ctx;
    struct toc_select s = {
        .matchers = m, .matcher_count = count, .min_ms = all->start_ms, .max_ms = all->end_ms};
    all->selectors++;
    if (all->rc == 0)
        all->rc = toc_metricdb_exemplar_select(all->c->api->parts.metrics, &s, write_series, all,
                                               &all->err);
}

static void answer(struct toc_api_call *c, struct exemplars *all, const struct toc_promql_expr *e) {
    toc_prom_begin(c);
    toc_json_begin_array(&c->json);
    toc_promql_visit_selectors(e, on_selector, all);
    toc_json_end_array(&c->json);
    toc_prom_end(c);
    if (all->rc < 0) {
        toc_prom_fail(c, all->rc, &all->err);
    } else if (all->selectors == 0) { /* upstream: nothing was asked for */
        toc_api_restart(c);
        c->res->status = 204;
    }
}

void toc_api_prom_exemplars(struct toc_api_call *c) {
    struct exemplars all = {.c = c};
    struct toc_promql_expr *expr = NULL;
    if (!toc_prom_time_range(c, &all.start_ms, &all.end_ms))
        return;
    if (all.end_ms < all.start_ms) {
        toc_prom_bad(c, "end", "end timestamp must not be before start timestamp");
        return;
    }
    if (!toc_prom_parse_expr(c, &expr))
        return;
    answer(c, &all, expr);
    toc_promql_expr_free(&expr);
    toc_map_fini(&all.seen);
}
