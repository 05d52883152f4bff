/* SMS through a gateway's HTTP interface, described by the configuration; and Twilio's form. */
#include <stdio.h>

#include "codec/json_writer.h"
#include "codec/text.h"
#include "notify/channel_priv.h"
#include "shim/regex.h"

static void append_default_body(const struct toc_sms_settings *s, struct toc_sv text,
                                struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_kv_cstr(&w, "to", s->to);
    toc_json_kv_string(&w, "text", text);
    toc_json_end_object(&w);
}

static bool has_body(const char *method) {
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

int toc_build_sms(const struct toc_channel *c, const struct toc_notification *n,
                  struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err) {
    const struct toc_sms_settings *s = &c->sms;
    struct toc_buf text = TOC_BUF_INIT;
    toc_channel_short_text(c, n, s->max_segments, &text, d);
    struct toc_sv words = toc_buf_sv(&text);
    r->method = s->method ? s->method : "POST";
    int rc = toc_channel_expand(s->url, n, words, s->to, &r->url, err);
    if (!rc && has_body(r->method)) {
        if (s->body)
            rc = toc_channel_expand(s->body, n, words, s->to, &r->body, err);
        else
            append_default_body(s, words, &r->body);
        toc_channel_request_header(
            r, "Content-Type", toc_sv_cstr(s->content_type ? s->content_type : "application/json"));
    }
    toc_channel_request_header(r, "Idempotency-Key", n->key);
    toc_buf_fini(&text);
    return rc;
}

static bool is_listed(const int *statuses, int status) {
    for (; *statuses; statuses++)
        if (*statuses == status)
            return true;
    return false;
}

/* Gateways answer 200 with an error inside: the expression decides. */
static int check_body(const struct toc_sms_settings *s, struct toc_sv body, struct toc_err *err) {
    struct toc_regex *re = NULL;
    if (!s->ok_body)
        return 0;
    int rc = toc_regex_new(toc_sv_cstr(s->ok_body), TOC_REGEX_SEARCH, &re, err);
    if (!rc && !toc_regex_matches(re, body.p ? body : TOC_SV("")))
        rc = toc_errf(err, TOC_EREJECTED, "the gateway's answer does not match ok_body: %.*s",
                      TOC_SV_ARG(toc_sv_sub(body, 0, 120)));
    toc_regex_free(&re);
    return rc;
}

int toc_deliver_sms(const struct toc_channel *c, const struct toc_notification *n,
                    struct toc_http_client *client, struct toc_delivery *out, struct toc_err *err) {
    struct toc_channel_request r = {0};
    struct toc_buf body = TOC_BUF_INIT;
    struct toc_err send_err = {0};
    int status = 0;
    int rc = toc_build_sms(c, n, &r, out, err);
    if (!rc) {
        rc = toc_channel_send(c, &r, client, &body, &status, out, &send_err);
        bool is_expected = c->sms.ok_statuses && status && is_listed(c->sms.ok_statuses, status);
        if (c->sms.ok_statuses && !is_expected && !rc)
            rc = toc_errf(&send_err, TOC_EREJECTED, "HTTP %d is not among ok_statuses", status);
        if (is_expected)
            rc = 0;
        if (rc)
            toc_errf(err, rc, "%s", send_err.message);
        else
            rc = check_body(&c->sms, toc_buf_sv(&body), err);
    }
    toc_buf_fini(&body);
    toc_channel_request_fini(&r);
    return rc;
}

static void append_field(struct toc_buf *out, const char *name, struct toc_sv value) {
    toc_buf_printf(out, "%s%s=", out->n ? "&" : "", name);
    toc_percent_encode(value, out);
}

int toc_build_twilio(const struct toc_channel *c, const struct toc_notification *n,
                     struct toc_channel_request *r, struct toc_delivery *d, struct toc_err *err) {
    enum { BODY_MAX_BYTES = 1600 };
    const struct toc_twilio_settings *s = &c->twilio;
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_arena a = TOC_ARENA_INIT;
    toc_channel_short_text(c, n, s->max_segments, &text, d);
    toc_buf_printf(&r->url, "%s/2010-04-01/Accounts/",
                   s->api_url ? s->api_url : "https://api.twilio.com");
    toc_percent_encode(toc_sv_cstr(s->account_sid), &r->url);
    toc_buf_append_cstr(&r->url, "/Messages.json");
    append_field(&r->body, "To", toc_sv_cstr(s->to));
    append_field(&r->body, "From", toc_sv_cstr(s->from));
    append_field(&r->body, "Body", toc_text_cut(toc_buf_sv(&text), BODY_MAX_BYTES, &a));
    toc_channel_request_header(r, "Content-Type", TOC_SV("application/x-www-form-urlencoded"));
    r->method = "POST";
    toc_buf_fini(&text);
    toc_arena_fini(&a);
    return toc_buf_error(&r->body) ? toc_errf(err, TOC_ENOMEM, "no memory for this message") : 0;
}

int toc_deliver_twilio(const struct toc_channel *c, const struct toc_notification *n,
                       struct toc_http_client *client, struct toc_delivery *out,
                       struct toc_err *err) {
    struct toc_channel_request r = {0};
    struct toc_channel with_login = *c;
    if (!c->http.user) { /* an API key may stand in for the account */
        with_login.http.user = c->twilio.account_sid;
        with_login.http.password = c->twilio.auth_token;
    }
    int rc = toc_build_twilio(c, n, &r, out, err);
    if (!rc)
        rc = toc_channel_send(&with_login, &r, client, NULL, NULL, out, err);
    toc_channel_request_fini(&r);
    return rc;
}
