/* metadata, targets/metadata: type, help and unit of metrics. */
#include "api/prom_match.h"
#include "base/map.h"
#include "base/num.h"

struct metadata_writer {
    struct toc_json_writer *w;
    size_t count, limit;
    bool has_limit, has_metric_limit;
    size_t metric_limit;
};

static void write_fields(struct toc_json_writer *w, const struct toc_metric_metadata *m) {
    toc_json_kv_cstr(w, "type", toc_metric_type_text(m->type));
    toc_json_kv_string(w, "help", m->help);
    toc_json_kv_string(w, "unit", m->unit);
}

static int write_metadata(void *ctx, const struct toc_metric_metadata *m) {
    struct metadata_writer *all = ctx;
    if (all->has_limit && all->count == all->limit)
        return 1;
    all->count++;
    toc_json_key_sv(all->w, m->metric);
    toc_json_begin_array(all->w);
    if (!all->has_metric_limit || all->metric_limit > 0) {
        toc_json_begin_object(all->w);
        write_fields(all->w, m);
        toc_json_end_object(all->w);
    }
    toc_json_end_array(all->w);
    return 0;
}

/* Here a negative limit means none, and 0 nothing. */
static bool read_limit(struct toc_api_call *c, const char *name, bool *out_is_set, size_t *out) {
    struct toc_sv text = toc_api_param(c, name);
    int64_t n = -1;
    if (text.n && toc_parse_i64(text, &n) < 0) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "%s must be a number", name);
        return false;
    }
    *out_is_set = n >= 0;
    *out = n >= 0 ? (size_t)n : 0;
    return true;
}

void toc_api_prom_metadata(struct toc_api_call *c) {
    struct metadata_writer w = {.w = &c->json};
    if (!read_limit(c, "limit", &w.has_limit, &w.limit) ||
        !read_limit(c, "limit_per_metric", &w.has_metric_limit, &w.metric_limit))
        return;
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_metricdb_metadata(c->api->parts.metrics, toc_api_param(c, "metric"), write_metadata, &w);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

/* ------------------------------------------------------------------------------------------
 * by target: the metrics of a target are those of the series that carry its labels */

enum { TARGET_WINDOW_MS = 10 * 60 * 1000 };

struct target_metadata {
    struct toc_api_call *c;
    struct toc_prom_matches matches;
    struct toc_sv metric;
    size_t count, limit;
    bool has_limit;
    struct toc_labels *targets; /* in the request's arena */
    size_t target_count;
    struct toc_labels target; /* at hand */
    struct toc_map seen;      /* families of it that are written */
};

static void count_target(void *ctx, const struct toc_target_info *t) {
    (void)t;
    ((struct target_metadata *)ctx)->target_count++;
}

static void keep_target(void *ctx, const struct toc_target_info *t) {
    struct target_metadata *all = ctx;
    if (all->targets && all->count < all->target_count &&
        toc_prom_matches_labels(&all->matches, t->labels))
        all->targets[all->count++] = toc_labels_dup_arena(t->labels, all->c->req->arena);
}

static int write_target_metric(void *ctx, const struct toc_metric_metadata *m) {
    struct target_metadata *all = ctx;
    struct toc_json_writer *w = &all->c->json;
    if (all->has_limit && all->count == all->limit)
        return 1;
    all->count++;
    toc_json_begin_object(w);
    toc_json_key(w, "target");
    toc_json_labels(w, all->target);
    if (all->metric.n == 0)
        toc_json_kv_string(w, "metric", m->metric);
    write_fields(w, m);
    toc_json_end_object(w);
    return 0;
}

static int write_family(struct target_metadata *all, struct toc_sv name) {
    if ((all->metric.n && !toc_sv_eq(all->metric, name)) || toc_map_has(&all->seen, name))
        return 0;
    toc_map_put(&all->seen, name, all);
    return toc_metricdb_metadata(all->c->api->parts.metrics, name, write_target_metric, all);
}

/* Metadata is kept by the name of the family, which its series may extend. */
static int on_metric_name(void *ctx, struct toc_sv name) {
    static const char *const suffixes[] = {"", "_bucket", "_count", "_sum", "_total", "_info"};
    int rc = 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0] && rc == 0; i++)
        if (toc_sv_ends_with(name, toc_sv_cstr(suffixes[i])))
            rc = write_family(ctx, toc_sv_sub(name, 0, name.n - strlen(suffixes[i])));
    return rc;
}

static int list_target(struct target_metadata *all, struct toc_err *err) {
    struct toc_querier *q = all->c->api->parts.querier;
    struct toc_matcher *matchers =
        TOC_ARENA_NEW_ARRAY(all->c->req->arena, struct toc_matcher, all->target.count + 1);
    size_t n = 0;
    int rc = matchers ? 0 : TOC_ELIMIT;
    for (; rc == 0 && n < all->target.count; n++)
        rc = toc_matcher_init(&matchers[n], TOC_MATCH_EQ, all->target.items[n].name,
                              all->target.items[n].value, err);
    struct toc_select s = {.matchers = matchers,
                           .matcher_count = n,
                           .min_ms = all->c->now.ms - TARGET_WINDOW_MS,
                           .max_ms = all->c->now.ms,
                           .labels_only = true};
    if (rc == 0)
        rc = q->label_values(q, TOC_METRIC_NAME, &s, on_metric_name, all, err);
    while (n > 0)
        toc_matcher_fini(&matchers[--n]);
    toc_map_fini(&all->seen);
    return rc > 0 ? 0 : rc;
}

void toc_api_prom_targets_metadata(struct toc_api_call *c) {
    struct target_metadata all = {.c = c, .metric = toc_api_param(c, "metric")};
    struct toc_err err = {0};
    int rc = 0;
    if (!read_limit(c, "limit", &all.has_limit, &all.limit) ||
        !toc_prom_matches_read_named(c, "match_target", &all.matches))
        return;
    toc_scraper_list(c->api->parts.scraper, count_target, &all);
    all.targets = TOC_ARENA_NEW_ARRAY(c->req->arena, struct toc_labels, all.target_count + 1);
    toc_scraper_list(c->api->parts.scraper, keep_target, &all);
    size_t kept = all.count;
    all.count = 0;
    toc_prom_begin(c);
    toc_json_begin_array(&c->json);
    for (size_t i = 0; i < kept && rc == 0; i++) {
        all.target = all.targets[i];
        rc = list_target(&all, &err);
    }
    toc_json_end_array(&c->json);
    toc_prom_end(c);
    if (rc < 0)
        toc_prom_fail(c, rc, &err);
    else if (all.count == 0)
        toc_prom_error(c, TOC_PROM_NOT_FOUND, "specified metadata not found");
    toc_prom_matches_fini(&all.matches);
}
