/* /api/v2: Alertmanager's API, so that amtool and other tools work unchanged. */
#include <stdio.h>

#include "api/api_priv.h"
#include "base/map.h"

static void fail_plain(struct toc_api_call *c, int status, const char *text) {
    toc_buf_reset(&c->res->body);
    toc_json_writer_init(&c->json, &c->res->body);
    c->res->status = status;
    toc_json_cstr(&c->json, text);
}

void toc_api_am_status(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "cluster");
    toc_json_raw(&c->json, TOC_SV("{\"status\":\"disabled\",\"peers\":[]}"));
    toc_json_key(&c->json, "versionInfo");
    toc_json_begin_object(&c->json);
    static const char *const empty[] = {"branch", "buildDate", "buildUser", "goVersion",
                                        "revision"};
    for (size_t i = 0; i < 5; i++)
        toc_json_kv_cstr(&c->json, empty[i], "");
    toc_json_kv_cstr(&c->json, "version", TOC_VERSION);
    toc_json_end_object(&c->json);
    toc_json_key(&c->json, "config");
    toc_json_raw(&c->json, TOC_SV("{\"original\":\"\"}"));
    toc_json_kv_time(&c->json, "uptime", c->api->parts.started_at);
    toc_json_end_object(&c->json);
}

static void write_receiver(void *ctx, const struct toc_alert_receiver *r) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", r->name);
    toc_json_end_object(w);
}

void toc_api_am_receivers(struct toc_api_call *c) {
    toc_json_begin_array(&c->json);
    toc_alert_manager_each_receiver(c->api->parts.alerts, write_receiver, &c->json);
    toc_json_end_array(&c->json);
}

/* ------------------------------------------------------------------------------------ reading
 * alerts */

static bool flag(struct toc_api_call *c, const char *name) {
    return !toc_sv_eq(toc_api_param(c, name), TOC_SV("false"));
}

/* The parameters active, silenced, inhibited, unprocessed, muted, filter, receiver. */
static bool read_filter(struct toc_api_call *c, struct toc_matcher_list *matchers,
                        struct toc_alert_filter *f) {
    struct toc_err err = {0};
    *f = (struct toc_alert_filter){.active = flag(c, "active"),
                                   .silenced = flag(c, "silenced"),
                                   .inhibited = flag(c, "inhibited"),
                                   .unprocessed = flag(c, "unprocessed"),
                                   .muted = flag(c, "muted"),
                                   .matchers = matchers,
                                   .receiver = toc_api_param(c, "receiver")};
    for (size_t i = 0; i < c->req->param_count; i++) {
        if (!toc_sv_eq(c->req->params[i].name, TOC_SV("filter")))
            continue;
        if (toc_matcher_list_parse(matchers, c->req->params[i].value, &err) < 0) {
            fail_plain(c, 400, err.message);
            return false;
        }
    }
    return true;
}

static void write_ids(struct toc_json_writer *w, const char *key, const struct toc_sv *ids,
                      size_t n) {
    toc_json_key(w, key);
    toc_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        toc_json_string(w, ids[i]);
    toc_json_end_array(w);
}

static void write_status(struct toc_json_writer *w, const struct toc_alert_view *v) {
    toc_json_key(w, "status");
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "state",
                     !v->is_processed                                            ? "unprocessed"
                     : v->silenced_count || v->inhibited_count || v->muted_count ? "suppressed"
                                                                                 : "active");
    write_ids(w, "silencedBy", v->silenced_by, v->silenced_count);
    toc_json_key(w, "inhibitedBy");
    toc_json_begin_array(w);
    for (size_t i = 0; i < v->inhibited_count; i++) {
        char hex[24];
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)v->inhibited_by[i]);
        toc_json_cstr(w, hex);
    }
    toc_json_end_array(w);
    write_ids(w, "mutedBy", v->muted_by, v->muted_count);
    toc_json_end_object(w);
}

static void write_alert(void *ctx, const struct toc_alert_view *v) {
    struct toc_json_writer *w = ctx;
    char fingerprint[24];
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)v->fingerprint);
    toc_json_begin_object(w);
    toc_json_key(w, "labels");
    toc_json_labels(w, v->alert->labels);
    toc_json_key(w, "annotations");
    toc_json_labels(w, v->alert->annotations);
    toc_json_kv_time(w, "startsAt", v->alert->starts_at);
    /* 0 would be null; upstream always has a time here. */
    toc_json_kv_time(w, "endsAt",
                     v->alert->ends_at.ms ? v->alert->ends_at
                                          : (struct toc_ts){v->alert->updated_at.ms + 300000});
    toc_json_kv_time(w, "updatedAt", v->alert->updated_at);
    toc_json_kv_string(w, "generatorURL", v->alert->generator_url);
    toc_json_kv_cstr(w, "fingerprint", fingerprint);
    write_status(w, v);
    toc_json_key(w, "receivers");
    toc_json_begin_array(w);
    for (size_t i = 0; i < v->receiver_count; i++) {
        toc_json_begin_object(w);
        toc_json_kv_string(w, "name", v->receivers[i]);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_end_object(w);
}

void toc_api_am_alerts_get(struct toc_api_call *c) {
    struct toc_matcher_list matchers = {0};
    struct toc_alert_filter f;
    struct toc_err err = {0};
    if (read_filter(c, &matchers, &f)) {
        toc_json_begin_array(&c->json);
        int rc = toc_alert_manager_each_alert(c->api->parts.alerts, &f, c->now, write_alert,
                                              &c->json, &err);
        toc_json_end_array(&c->json);
        if (rc < 0)
            fail_plain(c, 400, err.message);
    }
    toc_matcher_list_fini(&matchers);
}

static void write_group(void *ctx, const struct toc_alert_group_view *g) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_key(w, "labels");
    toc_json_labels(w, g->labels);
    toc_json_key(w, "receiver");
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", g->receiver);
    toc_json_end_object(w);
    toc_json_key(w, "alerts");
    toc_json_begin_array(w);
    for (size_t i = 0; i < g->count; i++)
        write_alert(w, &g->alerts[i]);
    toc_json_end_array(w);
    toc_json_end_object(w);
}

void toc_api_am_groups(struct toc_api_call *c) {
    struct toc_matcher_list matchers = {0};
    struct toc_alert_filter f;
    struct toc_err err = {0};
    if (read_filter(c, &matchers, &f)) {
        toc_json_begin_array(&c->json);
        int rc = toc_alert_manager_each_group(c->api->parts.alerts, &f, c->now, write_group,
                                              &c->json, &err);
        toc_json_end_array(&c->json);
        if (rc < 0)
            fail_plain(c, 400, err.message);
    }
    toc_matcher_list_fini(&matchers);
}

/* ------------------------------------------------------------------------------------ posting
 * alerts */

static int read_labels(const struct toc_json *object, struct toc_labels_builder *b,
                       struct toc_err *err) {
    if (!object)
        return 0;
    if (object->type != TOC_JSON_OBJECT)
        return toc_errf(err, TOC_ETYPE, "labels and annotations must be objects");
    for (size_t i = 0; i < object->count; i++) {
        if (object->items[i].type != TOC_JSON_STRING)
            return toc_errf(err, TOC_ETYPE, "the value of label \"%.*s\" must be a string",
                            TOC_SV_ARG(object->items[i].key));
        toc_labels_builder_set(b, object->items[i].key, object->items[i].string);
    }
    return 0;
}

static int read_time(const struct toc_json *object, const char *key, struct toc_ts *out,
                     struct toc_err *err) {
    struct toc_sv text;
    int rc = toc_json_get_string(object, key, TOC_SV_NULL, &text, err);
    *out = (struct toc_ts){0};
    if (rc < 0 || text.n == 0)
        return rc;
    rc = toc_ts_parse_rfc3339(text, out, err);
    if (out->ms < 0) /* Go's zero time: year 1 */
        out->ms = 0;
    return rc;
}

static int post_alert(struct toc_api_call *c, const struct toc_json *item, struct toc_err *err) {
    struct toc_labels_builder labels = TOC_LABELS_BUILDER_INIT,
                              annotations = TOC_LABELS_BUILDER_INIT;
    struct toc_alert a = {.value = __builtin_nan(""), .updated_at = c->now};
    int rc =
        item->type == TOC_JSON_OBJECT ? 0 : toc_errf(err, TOC_ETYPE, "an alert must be an object");
    if (rc == 0)
        rc = read_labels(toc_json_get(item, "labels"), &labels, err);
    if (rc == 0)
        rc = read_labels(toc_json_get(item, "annotations"), &annotations, err);
    if (rc == 0)
        rc = read_time(item, "startsAt", &a.starts_at, err);
    if (rc == 0)
        rc = read_time(item, "endsAt", &a.ends_at, err);
    if (rc == 0)
        rc = toc_json_get_string(item, "generatorURL", TOC_SV(""), &a.generator_url, err);
    if (rc == 0) {
        a.labels = toc_labels_builder_finish(&labels);
        a.annotations = toc_labels_builder_finish(&annotations);
        rc = toc_alert_manager_post(c->api->parts.alerts, &a, c->now, err);
    }
    toc_labels_builder_fini(&labels);
    toc_labels_builder_fini(&annotations);
    return rc;
}

void toc_api_am_alerts_post(struct toc_api_call *c) {
    const struct toc_json *list;
    struct toc_err err = {0};
    if (toc_json_parse(c->req->body, c->req->arena, &list, &err) < 0 ||
        list->type != TOC_JSON_ARRAY) {
        fail_plain(c, 400, err.message[0] ? err.message : "the body must be an array of alerts");
        return;
    }
    /* As upstream: the good ones are taken, the answer tells about the first bad one. */
    struct toc_err first = {0};
    for (size_t i = 0; i < list->count; i++) {
        struct toc_err one = {0};
        if (post_alert(c, &list->items[i], &one) < 0 && !first.code)
            first = one;
    }
    if (first.code)
        fail_plain(c, 400, first.message);
}

/* ------------------------------------------------------------------------------------------
 * silences */

static void write_silence(void *ctx, const struct toc_silence_view *v) {
    struct toc_json_writer *w = ctx;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "id", v->record->id);
    toc_json_key(w, "status");
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "state", toc_silence_state_text(v->state));
    toc_json_end_object(w);
    toc_json_key(w, "matchers");
    toc_json_begin_array(w);
    for (size_t i = 0; i < v->matchers->count; i++) {
        const struct toc_matcher *m = &v->matchers->items[i];
        toc_json_begin_object(w);
        toc_json_kv_string(w, "name", m->name);
        toc_json_kv_string(w, "value", m->value);
        toc_json_kv_bool(w, "isRegex", m->op == TOC_MATCH_RE || m->op == TOC_MATCH_NRE);
        toc_json_kv_bool(w, "isEqual", m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_RE);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_json_kv_time(w, "startsAt", v->record->starts_at);
    toc_json_kv_time(w, "endsAt", v->record->ends_at);
    toc_json_kv_time(w, "updatedAt", v->record->updated_at);
    toc_json_kv_string(w, "createdBy", v->record->created_by);
    toc_json_kv_string(w, "comment", v->record->comment);
    toc_json_end_object(w);
}

void toc_api_am_silences_get(struct toc_api_call *c) {
    toc_json_begin_array(&c->json);
    toc_alert_manager_each_silence(c->api->parts.alerts, TOC_SV_NULL, c->now, write_silence,
                                   &c->json);
    toc_json_end_array(&c->json);
}

void toc_api_am_silence_get(struct toc_api_call *c) {
    if (toc_alert_manager_each_silence(c->api->parts.alerts, c->params[0], c->now, write_silence,
                                       &c->json) == 0)
        fail_plain(c, 404, "silence not found");
}

static int read_matcher(const struct toc_json *m, struct toc_matcher_list *out,
                        struct toc_err *err) {
    struct toc_sv name, value;
    bool is_regex, is_equal;
    int rc = toc_json_get_string(m, "name", TOC_SV(""), &name, err);
    if (rc == 0)
        rc = toc_json_get_string(m, "value", TOC_SV(""), &value, err);
    if (rc == 0)
        rc = toc_json_get_bool(m, "isRegex", false, &is_regex, err);
    if (rc == 0)
        rc = toc_json_get_bool(m, "isEqual", true, &is_equal, err);
    if (rc < 0)
        return rc;
    enum toc_match_op op = is_regex ? (is_equal ? TOC_MATCH_RE : TOC_MATCH_NRE)
                                    : (is_equal ? TOC_MATCH_EQ : TOC_MATCH_NE);
    return toc_matcher_list_add(out, op, name, value, err);
}

static int set_silence(struct toc_api_call *c, const struct toc_json *body, char out_id[37],
                       struct toc_err *err) {
    struct toc_matcher_list matchers = {0};
    struct toc_silence_record r = {0};
    struct toc_buf text = TOC_BUF_INIT;
    const struct toc_json *list = toc_json_get(body, "matchers");
    int rc = list && list->type == TOC_JSON_ARRAY
                 ? 0
                 : toc_errf(err, TOC_EINVAL, "matchers in body is required");
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = read_matcher(&list->items[i], &matchers, err);
    if (rc == 0)
        rc = toc_json_get_string(body, "id", TOC_SV(""), &r.id, err);
    if (rc == 0)
        rc = toc_json_get_string(body, "createdBy", TOC_SV(""), &r.created_by, err);
    if (rc == 0)
        rc = toc_json_get_string(body, "comment", TOC_SV(""), &r.comment, err);
    if (rc == 0)
        rc = toc_json_get_bool(body, "untilResolved", false, &r.is_until_resolved, err);
    if (rc == 0)
        rc = read_time(body, "startsAt", &r.starts_at, err);
    if (rc == 0)
        rc = read_time(body, "endsAt", &r.ends_at, err);
    if (rc == 0) {
        toc_matcher_list_format(&matchers, &text);
        r.matchers = toc_buf_sv(&text);
        rc = toc_alert_manager_set_silence(c->api->parts.alerts, &r, c->now, out_id, err);
    }
    toc_matcher_list_fini(&matchers);
    toc_buf_fini(&text);
    return rc;
}

void toc_api_am_silences_post(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_err err = {0};
    char id[37];
    if (toc_json_parse(c->req->body, c->req->arena, &body, &err) < 0 ||
        body->type != TOC_JSON_OBJECT) {
        fail_plain(c, 400, err.message[0] ? err.message : "the body must be a silence");
        return;
    }
    int rc = set_silence(c, body, id, &err);
    if (rc < 0) {
        fail_plain(c, rc == TOC_ENOENT ? 404 : 400, err.message);
        return;
    }
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "silenceID", id);
    toc_json_end_object(&c->json);
}

void toc_api_am_silence_delete(struct toc_api_call *c) {
    struct toc_err err = {0};
    int rc = toc_alert_manager_expire_silence(c->api->parts.alerts, c->params[0], c->now, &err);
    if (rc < 0)
        fail_plain(c, rc == TOC_ENOENT ? 404 : 500,
                   err.message[0] ? err.message : "silence not found");
}
