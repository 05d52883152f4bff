/* Mobile push by ntfy: JSON to the server's root, or headers and a plain body to the topic. */
#include <stdio.h>

#include "codec/json_writer.h"
#include "notify/channel_priv.h"
#include "notify/mime.h"

enum { MESSAGE_MAX_BYTES = 4000 }; /* the server turns what exceeds 4096 into an attachment */

static int priority(const struct toc_notification *n) {
    if (n->is_resolved)
        return 2;
    return n->severity == TOC_SEVERITY_CRITICAL ? 5 : n->severity == TOC_SEVERITY_INFO ? 3 : 4;
}

/* Names of emoji that the apps show before the title. */
static const char *tag(const struct toc_notification *n) {
    if (n->is_resolved)
        return "white_check_mark";
    return n->severity == TOC_SEVERITY_CRITICAL ? "rotating_light"
           : n->severity == TOC_SEVERITY_INFO   ? "information_source"
                                                : "warning";
}

static const char *label(const struct toc_channel *c, const char *en, const char *zh) {
    return c->language == TOC_LANGUAGE_ZH ? zh : en;
}

static void write_action(struct toc_json_writer *w, const char *kind, const char *name,
                         struct toc_sv url, bool is_post) {
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "action", kind);
    toc_json_kv_cstr(w, "label", name);
    toc_json_kv_string(w, "url", url);
    if (is_post) {
        toc_json_kv_cstr(w, "method", "POST");
        toc_json_kv_bool(w, "clear", true);
    }
    toc_json_end_object(w);
}

static void write_actions(struct toc_json_writer *w, const struct toc_channel *c,
                          const struct toc_notification *n) {
    toc_json_key(w, "actions");
    toc_json_begin_array(w);
    if (n->ack_post_url.n && !n->is_resolved)
        write_action(w, "http", label(c, "Acknowledge", "确认"), n->ack_post_url, true);
    else if (n->ack_url.n && !n->is_resolved)
        write_action(w, "view", label(c, "Acknowledge", "确认"), n->ack_url, false);
    if (n->incident_url.n)
        write_action(w, "view", label(c, "Open", "打开"), n->incident_url, false);
    if (n->runbook_url.n)
        write_action(w, "view", label(c, "Runbook", "处理手册"), n->runbook_url, false);
    toc_json_end_array(w);
}

/* Where the topic begins in its URL: behind the last slash. */
static size_t topic_start(struct toc_sv url) {
    size_t at = url.n;
    while (at && url.p[at - 1] != '/')
        at--;
    return at;
}

static void build_json(const struct toc_channel *c, const struct toc_notification *n,
                       struct toc_sv title, struct toc_sv text, struct toc_channel_request *r) {
    struct toc_json_writer w;
    struct toc_sv url = toc_sv_cstr(c->ntfy.url);
    size_t at = topic_start(url);
    toc_buf_append_sv(&r->url, toc_sv_sub(url, 0, at));
    toc_json_writer_init(&w, &r->body);
    toc_json_begin_object(&w);
    toc_json_kv_string(&w, "topic", toc_sv_sub(url, at, url.n));
    toc_json_kv_string(&w, "title", title);
    toc_json_kv_string(&w, "message", text);
    toc_json_kv_int(&w, "priority", priority(n));
    toc_json_key(&w, "tags");
    toc_json_begin_array(&w);
    toc_json_cstr(&w, tag(n));
    toc_json_end_array(&w);
    if (n->incident_url.n)
        toc_json_kv_string(&w, "click", n->incident_url);
    if (c->ntfy.icon_url)
        toc_json_kv_cstr(&w, "icon", c->ntfy.icon_url);
    write_actions(&w, c, n);
    toc_json_end_object(&w);
    toc_channel_request_header(r, "Content-Type", TOC_SV("application/json"));
}

/* `kind, label, url, key=value; …`: the values must hold neither comma nor semicolon. */
static void append_action(struct toc_buf *out, const char *kind, const char *name,
                          struct toc_sv url, const char *extra) {
    bool is_safe = toc_sv_find_char(url, ',') == SIZE_MAX && toc_sv_find_char(url, ';') == SIZE_MAX;
    if (!url.n || !is_safe)
        return;
    toc_buf_printf(out, "%s%s, %s, %.*s%s", out->n ? "; " : "", kind, name, TOC_SV_ARG(url), extra);
}

static void add_word_header(struct toc_channel_request *r, const char *name, struct toc_sv text) {
    struct toc_buf words = TOC_BUF_INIT;
    if (!text.n)
        return;
    toc_mime_words(text, " ", &words);
    toc_channel_request_header(r, name, toc_buf_sv(&words));
    toc_buf_fini(&words);
}

static void build_headers(const struct toc_channel *c, const struct toc_notification *n,
                          struct toc_sv title, struct toc_sv text, struct toc_channel_request *r) {
    char number[8];
    struct toc_buf actions = TOC_BUF_INIT;
    snprintf(number, sizeof number, "%d", priority(n));
    toc_buf_append_cstr(&r->url, c->ntfy.url);
    toc_buf_append_sv(&r->body, text);
    add_word_header(r, "Title", title);
    toc_channel_request_header(r, "Priority", toc_sv_cstr(number));
    toc_channel_request_header(r, "Tags", toc_sv_cstr(tag(n)));
    if (n->incident_url.n)
        toc_channel_request_header(r, "Click", n->incident_url);
    if (c->ntfy.icon_url)
        toc_channel_request_header(r, "Icon", toc_sv_cstr(c->ntfy.icon_url));
    if (!n->is_resolved)
        append_action(&actions, "http", label(c, "Acknowledge", "确认"), n->ack_post_url,
                      ", method=POST, clear=true");
    append_action(&actions, "view", label(c, "Open", "打开"), n->incident_url, "");
    append_action(&actions, "view", label(c, "Runbook", "处理手册"), n->runbook_url, "");
    add_word_header(r, "Actions", toc_buf_sv(&actions));
    toc_channel_request_header(r, "Content-Type", TOC_SV("text/plain; charset=utf-8"));
    toc_buf_fini(&actions);
}

int toc_build_ntfy(const struct toc_channel *c, const struct toc_notification *n,
                   struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err) {
    struct toc_buf title = TOC_BUF_INIT, text = TOC_BUF_INIT;
    struct toc_arena a = TOC_ARENA_INIT;
    r->method = "POST";
    toc_channel_title(c, n, &title, d);
    toc_channel_text(c, n, &text, d);
    struct toc_sv body = toc_text_cut(toc_buf_sv(&text), MESSAGE_MAX_BYTES, &a);
    if (c->ntfy.use_headers)
        build_headers(c, n, toc_buf_sv(&title), body, r);
    else
        build_json(c, n, toc_buf_sv(&title), body, r);
    toc_buf_fini(&title);
    toc_buf_fini(&text);
    toc_arena_fini(&a);
    return toc_buf_error(&r->body) ? toc_errf(err, TOC_ENOMEM, "no memory for this message") : 0;
}

int toc_deliver_ntfy(const struct toc_channel *c, const struct toc_notification *n,
                     struct toc_http_client *client, struct toc_delivery *out,
                     struct toc_err *err) {
    struct toc_channel_request r = {0};
    int rc = toc_build_ntfy(c, n, &r, out, err);
    if (!rc)
        rc = toc_channel_send(c, &r, client, NULL, NULL, out, err);
    toc_channel_request_fini(&r);
    return rc;
}
