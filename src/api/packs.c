/* Built-in rule packs: the list, and switching one. */
#include "api/api_priv.h"

static void write_pack(void *ctx, const struct toc_pack_view *v) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "name", v->name);
    toc_json_kv_cstr(w, "title", v->title);
    toc_json_kv_cstr(w, "mode", toc_pack_mode_text(v->mode));
    toc_json_kv_cstr(w, "set_by", v->is_by_person ? "person" : "configuration");
    toc_json_kv_bool(w, "awake", v->is_awake);
    toc_json_kv_cstr(w, "prefixes", v->seen);
    toc_json_kv_string(w, "seen_metric", v->seen_metric);
    toc_json_kv_time(w, "seen_at", v->seen_at);
    toc_json_kv_int(w, "rules", (int64_t)v->rules);
    toc_json_kv_int(w, "alerts", (int64_t)v->alerts);
    toc_json_end_object(w);
}

static void write_all(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "packs");
    toc_json_begin_array(&c->json);
    c->api->parts.each_pack(c->api->parts.daemon, write_pack, &c->json);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

void toc_api_packs(struct toc_api_call *c) {
    write_all(c);
}

void toc_api_pack_set(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_sv word = TOC_SV_NULL;
    struct toc_err err = {0};
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "mode", &word))
        return;
    enum toc_pack_mode mode = toc_pack_mode_parse(word);
    if (mode == TOC_PACK_MODE_COUNT) {
        toc_api_problem(c, 400, "invalid", "the body needs \"mode\": auto, on or off");
        return;
    }
    int rc = c->api->parts.set_pack(c->api->parts.daemon, c->params[0], mode, c->now, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        write_all(c);
}
