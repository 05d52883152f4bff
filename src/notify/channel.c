#include "notify/channel_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"

bool toc_delivery_is_permanent(int rc) {
    switch (rc) {
    case TOC_EREJECTED:
    case TOC_EINVAL:
    case TOC_EPARSE:
    case TOC_ETYPE:
    case TOC_EFORBIDDEN:
    case TOC_EUNSUPPORTED:
        return true;
    default:
        return false;
    }
}

int toc_channel_deliver(const struct toc_channel *c, const struct toc_notification *n,
                        struct toc_http_client *client, struct toc_delivery *out,
                        struct toc_err *err) {
    static toc_channel_deliver_fn *const by_kind[] = {
#define X(e, name, id) [e] = toc_deliver_##id,
        TOC_CHANNEL_TABLE(X)
#undef X
    };
    *out = (struct toc_delivery){.is_cancelled = out->is_cancelled, .cancel_ctx = out->cancel_ctx};
    return by_kind[c->kind](c, n, client, out, err);
}

void toc_channel_request_header(struct toc_channel_request *r, const char *name,
                                struct toc_sv value) {
    if (r->header_count == TOC_ARRAY_LEN(r->header_text))
        return;
    struct toc_buf *b = &r->header_text[r->header_count];
    toc_buf_printf(b, "%s: ", name);
    for (size_t i = 0; i < value.n; i++)
        toc_buf_append_char(b, (uint8_t)value.p[i] < 0x20 || value.p[i] == 0x7f ? ' ' : value.p[i]);
    r->headers[r->header_count++] = toc_buf_cstr(b);
}

void toc_channel_request_fini(struct toc_channel_request *r) {
    toc_buf_fini(&r->url);
    toc_buf_fini(&r->body);
    for (size_t i = 0; i < TOC_ARRAY_LEN(r->header_text); i++)
        toc_buf_fini(&r->header_text[i]);
}

static void note_template_failure(const struct toc_err *why, struct toc_delivery *d) {
    d->template_failed = true;
    snprintf(d->detail, sizeof d->detail, "custom template failed at %d:%d: %.160s", why->line,
             why->column, why->message);
}

int toc_channel_expand(const char *template, const struct toc_notification *n, struct toc_sv text,
                       const char *to, struct toc_buf *out, struct toc_err *err) {
    enum { DATA_MAX_BYTES = 8 << 20 };
    struct toc_template_input in;
    struct toc_arena a;
    toc_arena_init(&a, DATA_MAX_BYTES);
    int rc = toc_message_template_input(n, text, toc_sv_cstr(to), &a, &in);
    if (rc)
        toc_errf(err, rc, "no memory for the data of a template");
    else
        rc = toc_template_expand(toc_sv_cstr(template), &in, out, err);
    toc_arena_fini(&a);
    return rc;
}

/* True when the custom template was there and rendered. */
static bool try_custom(const char *template, const struct toc_notification *n, struct toc_buf *out,
                       struct toc_delivery *d) {
    struct toc_err why = {0};
    struct toc_buf made = TOC_BUF_INIT;
    if (!template)
        return false;
    bool ok = toc_channel_expand(template, n, TOC_SV(""), "", &made, &why) == 0;
    if (ok)
        toc_buf_append_sv(out, toc_buf_sv(&made));
    else
        note_template_failure(&why, d);
    toc_buf_fini(&made);
    return ok;
}

void toc_channel_title(const struct toc_channel *c, const struct toc_notification *n,
                       struct toc_buf *out, struct toc_delivery *d) {
    if (!try_custom(c->title_template, n, out, d))
        toc_message_subject(n, c->language, out);
}

/* The reader should know that the message is not the one that was configured. */
static void append_note(const struct toc_channel *c, const struct toc_delivery *d,
                        struct toc_buf *out) {
    toc_buf_printf(out, "\n(%s: %s)\n",
                   c->language == TOC_LANGUAGE_ZH ? "已使用默认文本" : "default text used",
                   d->detail);
}

void toc_channel_text(const struct toc_channel *c, const struct toc_notification *n,
                      struct toc_buf *out, struct toc_delivery *d) {
    if (try_custom(c->text_template, n, out, d))
        return;
    toc_message_text(n, c->language, out);
    if (d->template_failed)
        append_note(c, d, out);
}

void toc_channel_short_text(const struct toc_channel *c, const struct toc_notification *n,
                            int max_segments, struct toc_buf *out, struct toc_delivery *d) {
    if (!try_custom(c->text_template, n, out, d))
        toc_message_short(n, c->language, max_segments > 0 ? max_segments : 3, out);
}

/* Seconds from a Retry-After header; its date form is rare and left to our own back-off. */
static int64_t retry_after_ms(const char *header) {
    int64_t seconds;
    if (toc_parse_i64(toc_sv_trim(toc_sv_cstr(header)), &seconds) || seconds < 0)
        return 0;
    return TOC_MIN(seconds, (int64_t)3600) * 1000;
}

static bool is_worth_retrying(int status) {
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

/* The beginning of an error's body, printable, for the ledger. */
static void describe(int status, struct toc_sv body, char *out, size_t size) {
    enum { BODY_SHOWN = 120 };
    char text[BODY_SHOWN + 1];
    size_t n = 0;
    for (size_t i = 0; i < body.n && n < BODY_SHOWN; i++)
        text[n++] = (uint8_t)body.p[i] < 0x20 || (uint8_t)body.p[i] > 0x7e ? ' ' : body.p[i];
    text[n] = '\0';
    snprintf(out, size, n ? "HTTP %d: %s" : "HTTP %d", status, text);
}

static int judge(const struct toc_http_result *r, struct toc_delivery *d, struct toc_err *err) {
    char text[TOC_DELIVERY_DETAIL_MAX];
    if (r->status >= 200 && r->status < 300) {
        if (!d->template_failed)
            snprintf(d->detail, sizeof d->detail, "HTTP %d", r->status);
        return 0;
    }
    describe(r->status, toc_buf_sv(&r->body), text, sizeof text);
    d->retry_after_ms = retry_after_ms(r->retry_after);
    return toc_errf(err, is_worth_retrying(r->status) ? TOC_EUNAVAILABLE : TOC_EREJECTED, "%s",
                    text);
}

static void fill_call(const struct toc_channel_http *h, struct toc_channel_request *r,
                      struct toc_http_call *call) {
    size_t n = r->header_count;
    for (size_t i = 0; h->headers && h->headers[i] && n + 1 < TOC_ARRAY_LEN(r->headers); i++)
        r->headers[n++] = h->headers[i];
    r->headers[n] = NULL;
    *call = (struct toc_http_call){
        .url = toc_buf_cstr(&r->url),
        .method = r->method,
        .headers = r->headers,
        .body = toc_buf_sv(&r->body),
        .user = h->user,
        .password = h->password,
        .bearer_token = h->bearer_token,
        .ca_file = h->ca_file,
        .cert_file = h->cert_file,
        .key_file = h->key_file,
        .insecure_skip_verify = h->insecure_skip_verify,
        .proxy_url = h->proxy_url,
        .timeout_ms = h->timeout_ms,
        .max_response_bytes = 64 << 10,
        .deny_private_addresses = h->deny_private_addresses,
    };
}

/* "https://host:port" of a URL. */
static struct toc_sv origin_of(struct toc_sv url) {
    size_t scheme = toc_sv_find(url, TOC_SV("://"));
    size_t start = scheme == SIZE_MAX ? 0 : scheme + 3;
    size_t slash = toc_sv_find_char(toc_sv_sub(url, start, url.n), '/');
    return toc_sv_sub(url, 0, slash == SIZE_MAX ? url.n : start + slash);
}

/* Paths of webhooks and topics are secrets: of a URL in the reason, only the origin may reach log
 * and ledger. */
static int fail_redacted(const struct toc_err *why, struct toc_sv url, int rc,
                         struct toc_err *err) {
    struct toc_sv text = toc_sv_cstr(why->message), origin = origin_of(url);
    size_t at = origin.n ? toc_sv_find(text, origin) : SIZE_MAX;
    if (at == SIZE_MAX)
        return toc_errf(err, rc, "%s", why->message[0] ? why->message : toc_strerror(rc));
    size_t end = at + origin.n;
    while (end < text.n && text.p[end] != ' ' &&
           !(text.p[end] == ':' && end + 1 < text.n && text.p[end + 1] == ' '))
        end++;
    return toc_errf(err, rc, "%.*s%s%s", (int)(at + origin.n), text.p,
                    end > at + origin.n ? "/…" : "", text.p + end);
}

int toc_channel_send(const struct toc_channel *c, struct toc_channel_request *r,
                     struct toc_http_client *client, struct toc_buf *out_body, int *out_status,
                     struct toc_delivery *d, struct toc_err *err) {
    struct toc_http_call call;
    struct toc_http_result result = {0};
    struct toc_err why = {0};
    if (toc_buf_error(&r->url) || toc_buf_error(&r->body))
        return toc_errf(err, TOC_ENOMEM, "no memory for this message");
    fill_call(&c->http, r, &call);
    call.is_cancelled = d->is_cancelled;
    call.cancel_ctx = d->cancel_ctx;
    int rc = toc_http_perform(client, &call, &result, &why);
    if (rc)
        return fail_redacted(&why, toc_buf_sv(&r->url), rc, err);
    if (out_status)
        *out_status = result.status;
    if (out_body)
        toc_buf_append_sv(out_body, toc_buf_sv(&result.body));
    rc = judge(&result, d, err);
    toc_http_result_fini(&result);
    return rc;
}
