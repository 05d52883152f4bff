/* The routes below admin/tsdb: deleting series, giving their space back, snapshots. */
#include "api/prom_match.h"

static bool is_enabled(struct toc_api_call *c) {
    if (!c->api->parts.has_admin_api)
        toc_prom_error(c, TOC_PROM_UNAVAILABLE, "admin APIs disabled");
    return c->api->parts.has_admin_api;
}

void toc_api_prom_delete_series(struct toc_api_call *c) {
    struct toc_prom_matches m;
    struct toc_err err = {0};
    uint64_t series;
    int rc = 0;
    if (!is_enabled(c))
        return;
    if (!toc_api_param(c, "match[]").p) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "no match[] parameter provided");
        return;
    }
    if (!toc_prom_matches_read_range(c, true, &m))
        return;
    for (size_t i = 0; i < m.count && rc == 0; i++)
        rc = toc_metricdb_delete(c->api->parts.metrics, &m.selects[i], &series, &err);
    if (rc < 0)
        toc_prom_error(c, TOC_PROM_INTERNAL, "%s", err.message[0] ? err.message : toc_strerror(rc));
    else
        c->res->status = 204;
    toc_prom_matches_fini(&m);
}

/* Deleted samples are never read again; maintenance gives their space back at once. */
void toc_api_prom_clean_tombstones(struct toc_api_call *c) {
    struct toc_err err = {0};
    if (!is_enabled(c))
        return;
    int rc = toc_metricdb_maintain(c->api->parts.metrics, &err);
    if (rc < 0)
        toc_prom_error(c, TOC_PROM_INTERNAL, "%s", err.message[0] ? err.message : toc_strerror(rc));
    else
        c->res->status = 204;
}

void toc_api_prom_snapshot(struct toc_api_call *c) {
    char name[TOC_SNAPSHOT_NAME_MAX];
    struct toc_err err = {0};
    bool skips_head;
    if (!is_enabled(c) ||
        !toc_prom_bool(c, "skip_head", toc_api_param(c, "skip_head"), &skips_head))
        return;
    int rc = toc_metricdb_snapshot(c->api->parts.metrics, !skips_head, name, &err);
    if (rc < 0) {
        toc_prom_error(c, TOC_PROM_INTERNAL, "create snapshot: %s",
                       err.message[0] ? err.message : toc_strerror(rc));
        return;
    }
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "name", name);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}
