/* E-mail: multipart/alternative, plain text first, HTML last; one thread per incident. */
#include <stdio.h>

#include "base/hash.h"
#include "codec/text.h"
#include "notify/channel_priv.h"
#include "notify/mime.h"

static void append_date(struct toc_ts t, struct toc_buf *out) {
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct toc_civil c = toc_ts_civil(t);
    toc_buf_printf(out, "Date: %s, %02d %s %04lld %02d:%02d:%02d +0000\r\n", days[c.weekday], c.day,
                   months[c.month - 1], (long long)c.year, c.hour, c.minute, c.second);
}

/* <PREFIX-HASH@DOMAIN>: the same key gives the same id, so a message sent twice is seen as one. */
static void append_id(const char *prefix, struct toc_sv key, struct toc_sv domain,
                      struct toc_buf *out) {
    toc_buf_printf(out, "<%s-%016llx%016llx@%.*s>", prefix,
                   (unsigned long long)toc_hash64(key.p, key.n, 1),
                   (unsigned long long)toc_hash64(key.p, key.n, 2), TOC_SV_ARG(domain));
}

static struct toc_sv message_domain(const struct toc_email_settings *s,
                                    const struct toc_mime_address *from) {
    if (s->message_domain && *s->message_domain)
        return toc_sv_cstr(s->message_domain);
    size_t at = toc_sv_find_char(from->address, '@');
    return toc_sv_sub(from->address, at + 1, from->address.n);
}

static int append_recipients(const struct toc_email_settings *s, struct toc_buf *out,
                             struct toc_err *err) {
    toc_buf_append_cstr(out, "To: ");
    for (size_t i = 0; s->to[i]; i++) {
        struct toc_mime_address a;
        if (toc_mime_parse_address(toc_sv_cstr(s->to[i]), &a))
            return toc_errf(err, TOC_EINVAL, "\"%s\" is not a mail address", s->to[i]);
        toc_buf_append_cstr(out, i ? ",\r\n " : "");
        toc_mime_format_address(&a, out);
    }
    toc_buf_append_cstr(out, "\r\n");
    return 0;
}

/* Every message of an incident refers to one root that need not exist: clients thread by it. */
static void append_ids(const struct toc_channel *c, const struct toc_notification *n,
                       const struct toc_mime_address *from, struct toc_buf *out) {
    struct toc_sv domain = message_domain(&c->email, from);
    struct toc_buf key = TOC_BUF_INIT;
    toc_buf_printf(&key, "%.*s/%.*s/%s", TOC_SV_ARG(n->key), TOC_SV_ARG(n->receiver), c->name);
    toc_buf_append_cstr(out, "Message-ID: ");
    append_id("n", toc_buf_sv(&key), domain, out);
    toc_buf_append_cstr(out, "\r\n");
    toc_buf_fini(&key);
    struct toc_sv thread = n->incident_id.n ? n->incident_id : n->group_key;
    if (!thread.n)
        return;
    toc_buf_append_cstr(out, "In-Reply-To: ");
    append_id("thread", thread, domain, out);
    toc_buf_append_cstr(out, "\r\nReferences: ");
    append_id("thread", thread, domain, out);
    toc_buf_append_cstr(out, "\r\n");
}

static int append_headers(const struct toc_channel *c, const struct toc_notification *n,
                          struct toc_buf *out, struct toc_delivery *d, struct toc_err *err) {
    struct toc_mime_address from;
    struct toc_buf title = TOC_BUF_INIT;
    if (toc_mime_parse_address(toc_sv_cstr(c->email.from), &from))
        return toc_errf(err, TOC_EINVAL, "\"%s\" is not a mail address", c->email.from);
    append_date(n->at, out);
    toc_buf_append_cstr(out, "From: ");
    toc_mime_format_address(&from, out);
    toc_buf_append_cstr(out, "\r\n");
    int rc = append_recipients(&c->email, out, err);
    if (rc)
        return rc;
    toc_channel_title(c, n, &title, d);
    toc_mime_header("Subject", toc_buf_sv(&title), out);
    toc_buf_fini(&title);
    append_ids(c, n, &from, out);
    toc_buf_append_cstr(out, "Auto-Submitted: auto-generated\r\n");
    if (n->incident_id.n)
        toc_mime_header("X-Tocsin-Incident", n->incident_id, out);
    toc_mime_header("X-Tocsin-Status", n->is_resolved ? TOC_SV("resolved") : TOC_SV("firing"), out);
    return 0;
}

static void append_part(const char *boundary, const char *type, struct toc_sv body,
                        struct toc_buf *out) {
    toc_buf_printf(out,
                   "--%s\r\nContent-Type: %s; charset=utf-8\r\n"
                   "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                   boundary, type);
    toc_mime_quoted_printable(body, out);
}

/* A custom text has no HTML of its own: the same words, in their line breaks. */
static void make_html(const struct toc_channel *c, const struct toc_notification *n,
                      struct toc_sv text, bool is_custom, struct toc_buf *out) {
    if (!is_custom) {
        toc_message_html(n, c->language, out);
        return;
    }
    toc_buf_append_cstr(out, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>"
                             "<pre style=\"font-family:sans-serif;white-space:pre-wrap\">");
    toc_html_escape(text, out);
    toc_buf_append_cstr(out, "</pre></body></html>\n");
}

int toc_build_email(const struct toc_channel *c, const struct toc_notification *n,
                    struct toc_buf *message, struct toc_delivery *d, struct toc_err *err) {
    char boundary[48];
    struct toc_buf text = TOC_BUF_INIT, html = TOC_BUF_INIT;
    int rc = append_headers(c, n, message, d, err);
    if (rc)
        return rc;
    bool title_failed = d->template_failed;
    d->template_failed = false;
    toc_channel_text(c, n, &text, d);
    make_html(c, n, toc_buf_sv(&text), c->text_template || title_failed || d->template_failed,
              &html);
    d->template_failed |= title_failed;
    /* Quoted-printable never gives "=_", so no body line can look like it. */
    snprintf(boundary, sizeof boundary, "=_tocsin_%016llx",
             (unsigned long long)toc_hash64(n->key.p, n->key.n, 3));
    toc_buf_printf(message,
                   "MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n"
                   " boundary=\"%s\"\r\n\r\n",
                   boundary);
    append_part(boundary, "text/plain", toc_buf_sv(&text), message);
    append_part(boundary, "text/html", toc_buf_sv(&html), message);
    toc_buf_printf(message, "--%s--\r\n", boundary);
    toc_buf_fini(&text);
    toc_buf_fini(&html);
    return toc_buf_error(message) ? toc_errf(err, TOC_ENOMEM, "no memory for this mail") : 0;
}

enum { RECIPIENTS_MAX = 64 };

/* NUL-terminated envelope addresses in the arena. */
static int envelope(const struct toc_email_settings *s, struct toc_arena *a, const char **out_from,
                    const char **out_to, struct toc_err *err) {
    struct toc_mime_address address;
    if (toc_mime_parse_address(toc_sv_cstr(s->from), &address))
        return toc_errf(err, TOC_EINVAL, "\"%s\" is not a mail address", s->from);
    *out_from = toc_arena_dup_sv(a, address.address).p;
    size_t n = 0;
    for (; s->to[n]; n++) {
        if (n == RECIPIENTS_MAX)
            return toc_errf(err, TOC_EINVAL, "more than %d recipients", RECIPIENTS_MAX);
        if (toc_mime_parse_address(toc_sv_cstr(s->to[n]), &address))
            return toc_errf(err, TOC_EINVAL, "\"%s\" is not a mail address", s->to[n]);
        out_to[n] = toc_arena_dup_sv(a, address.address).p;
    }
    out_to[n] = NULL;
    return n ? 0 : toc_errf(err, TOC_EINVAL, "a mail needs a recipient");
}

static int security_of(const struct toc_email_settings *s) {
    return s->security == TOC_EMAIL_TLS     ? TOC_SMTP_TLS
           : s->security == TOC_EMAIL_PLAIN ? TOC_SMTP_PLAIN
                                            : TOC_SMTP_STARTTLS;
}

int toc_deliver_email(const struct toc_channel *c, const struct toc_notification *n,
                      struct toc_http_client *client, struct toc_delivery *out,
                      struct toc_err *err) {
    const struct toc_email_settings *s = &c->email;
    const char *recipients[RECIPIENTS_MAX + 1];
    struct toc_buf message = TOC_BUF_INIT;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_smtp_call call = {
        .host = s->smarthost,
        .port = s->port                        ? s->port
                : s->security == TOC_EMAIL_TLS ? 465
                                               : 587,
        .user = s->user,
        .password = s->password,
        .ca_file = s->ca_file,
        .insecure_skip_verify = s->insecure_skip_verify,
        .timeout_ms = s->timeout_ms,
    };
    call.security = security_of(s);
    int rc = envelope(s, &a, &call.from, recipients, err);
    if (!rc)
        rc = toc_build_email(c, n, &message, out, err);
    if (!rc) {
        call.recipients = recipients;
        call.message = toc_buf_sv(&message);
        rc = toc_smtp_send(client, &call, err);
    }
    if (!rc && !out->template_failed)
        snprintf(out->detail, sizeof out->detail, "accepted by %.200s", s->smarthost);
    toc_buf_fini(&message);
    toc_arena_fini(&a);
    return rc;
}
