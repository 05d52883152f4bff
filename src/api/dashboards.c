/* Dashboards of rule packs: those of packs that are awake, and one by the name of its pack. */
#include "api/api_priv.h"
#include "rules/builtin_packs.h"
#include "rules/dashboard.h"

enum { ARENA_BYTES = 4 << 20 };

static void write_title(struct toc_json_writer *w, const struct toc_dashboard_title *t) {
    toc_json_key(w, "title");
    toc_json_begin_object(w);
#define X(member, language) toc_json_kv_string(w, language, t->member);
    TOC_DASHBOARD_LANGUAGES(X)
#undef X
    toc_json_end_object(w);
}

static void write_chart(struct toc_json_writer *w, const struct toc_dashboard_chart *c) {
    toc_json_begin_object(w);
    write_title(w, &c->title);
    toc_json_kv_string(w, "expr", c->expr);
    toc_json_kv_string(w, "unit", c->unit);
    toc_json_kv_string(w, "legend", c->legend);
    toc_json_key(w, "threshold");
    if (c->has_threshold)
        toc_json_double(w, c->threshold);
    else
        toc_json_null(w);
    toc_json_end_object(w);
}

static void write_pack(void *ctx, const struct toc_pack_view *v) {
    struct toc_json_writer *w = ctx;
    const struct toc_builtin_pack *pack = toc_builtin_pack(toc_sv_cstr(v->name));
    struct toc_dashboard d;
    struct toc_err err = {0};
    struct toc_arena a;
    if (!v->is_awake || !pack)
        return;
    toc_arena_init(&a, ARENA_BYTES);
    if (toc_dashboard_parse(pack->dashboard, &a, &d, &err) == 0) { /* a unit test reads all */
        toc_json_begin_object(w);
        toc_json_kv_cstr(w, "name", v->name);
        write_title(w, &d.title);
        toc_json_kv_int(w, "charts", (int64_t)d.count);
        toc_json_end_object(w);
    }
    toc_arena_fini(&a);
}

void toc_api_dashboards(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "dashboards");
    toc_json_begin_array(&c->json);
    c->api->parts.each_pack(c->api->parts.daemon, write_pack, &c->json);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

void toc_api_dashboard(struct toc_api_call *c) {
    const struct toc_builtin_pack *pack = toc_builtin_pack(c->params[0]);
    struct toc_dashboard d;
    struct toc_err err = {0};
    struct toc_arena a;
    if (!pack) {
        toc_api_problem(c, 404, "not-found", "there is no pack of that name");
        return;
    }
    toc_arena_init(&a, ARENA_BYTES);
    int rc = toc_dashboard_parse(pack->dashboard, &a, &d, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
    } else {
        toc_json_begin_object(&c->json);
        toc_json_kv_cstr(&c->json, "name", pack->name);
        write_title(&c->json, &d.title);
        toc_json_key(&c->json, "charts");
        toc_json_begin_array(&c->json);
        for (size_t i = 0; i < d.count; i++)
            write_chart(&c->json, &d.charts[i]);
        toc_json_end_array(&c->json);
        toc_json_end_object(&c->json);
    }
    toc_arena_fini(&a);
}
