/* What `tocsin db backup` asks a running daemon for. */
#include "api/api_priv.h"

/* Not behind the switch of the routes that delete: it changes nothing that is stored. */
void toc_api_snapshot(struct toc_api_call *c) {
    const struct toc_api_parts *p = &c->api->parts;
    char name[TOC_SNAPSHOT_NAME_MAX];
    struct toc_err err = {0};
    int rc = toc_metricdb_snapshot(p->metrics, true, name, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "name", name);
    toc_json_kv_cstr(&c->json, "config_path", p->config_path);
    toc_json_end_object(&c->json);
}
