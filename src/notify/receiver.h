/*
 * Receivers: a name and the channels that reach it. A channel is a row of the table below, a struct
 * of settings and one file. Secrets stand here by value: the configuration layer resolves *_file
 * and *_env.
 */
#ifndef TOC_NOTIFY_RECEIVER_H
#define TOC_NOTIFY_RECEIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http_client.h"
#include "notify/message.h"

/* X(ENUM, "name in the configuration", identifier of its deliver function) */
#define TOC_CHANNEL_TABLE(X)                \
    X(TOC_CHANNEL_EMAIL, "email", email)    \
    X(TOC_CHANNEL_SMS, "sms", sms)          \
    X(TOC_CHANNEL_TWILIO, "twilio", twilio) \
    X(TOC_CHANNEL_NTFY, "ntfy", ntfy)       \
    X(TOC_CHANNEL_WEBHOOK, "webhook", webhook)

enum toc_channel_kind {
#define X(e, name, id) e,
    TOC_CHANNEL_TABLE(X)
#undef X
        TOC_CHANNEL_KIND_COUNT
};
const char *toc_channel_kind_text(enum toc_channel_kind kind);
/* TOC_CHANNEL_KIND_COUNT when unknown. */
enum toc_channel_kind toc_channel_kind_parse(struct toc_sv name);

/* How the HTTP channels connect and log in. All strings may be NULL. */
struct toc_channel_http {
    const char *user, *password, *bearer_token;
    const char *ca_file, *cert_file, *key_file, *proxy_url;
    bool insecure_skip_verify;
    bool deny_private_addresses;
    int64_t timeout_ms;         /* 0 = 10 s */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
};

struct toc_email_settings {
    const char *smarthost; /* host name of the server */
    uint16_t port;         /* 0 = 587, or 465 with TLS from the start */
    enum {
        TOC_EMAIL_STARTTLS,
        TOC_EMAIL_TLS,
        TOC_EMAIL_PLAIN
    } security;                  /* STARTTLS is the default */
    const char *user, *password; /* no AUTH without user */
    const char *from;            /* "Name <a@b>" or "a@b" */
    const char *const *to;       /* the same form, NULL-terminated, at least one */
    const char *message_domain;  /* right side of Message-ID; NULL = domain of `from` */
    const char *ca_file;
    bool insecure_skip_verify;
    int64_t timeout_ms; /* 0 = 20 s */
};

/* A gateway with an HTTP interface. One channel per number, so that a number that fails is retried
 * alone. */
struct toc_sms_settings {
    const char *to;           /* number, .To in templates */
    const char *url;          /* template */
    const char *method;       /* NULL = POST */
    const char *body;         /* template; NULL = {"to": …, "text": …} as JSON */
    const char *content_type; /* NULL = application/json */
    const int *ok_statuses;   /* 0-terminated; NULL = any 2xx */
    const char *ok_body;      /* regular expression that the answer must contain; NULL = none */
    int max_segments;         /* 0 = 3 */
};

struct toc_twilio_settings {
    const char *to, *from;
    const char *account_sid, *auth_token;
    const char *api_url; /* NULL = https://api.twilio.com */
    int max_segments;    /* 0 = 3 */
};

struct toc_ntfy_settings {
    const char *url;  /* of the topic: https://ntfy.example/topic */
    bool use_headers; /* false: JSON to the server's root, safest for texts outside ASCII */
    const char *icon_url;
};

struct toc_webhook_settings {
    const char *url;
    size_t max_alerts; /* 0 = all */
};

struct toc_channel {
    enum toc_channel_kind kind;
    const char *name; /* unique in its receiver and stable over reloads: "email", "sms/2" */
    enum toc_language language;
    bool skips_resolved;
    const char *title_template; /* NULL = default text */
    const char *text_template;
    struct toc_channel_http http; /* not for e-mail */
    union {
        struct toc_email_settings email;
        struct toc_sms_settings sms;
        struct toc_twilio_settings twilio;
        struct toc_ntfy_settings ntfy;
        struct toc_webhook_settings webhook;
    };
};

struct toc_receiver {
    const char *name;
    const struct toc_channel *channels;
    size_t channel_count;
};

/* An immutable set with one arena for everything in it; counted references. Fill it, then hand it
 * over. */
struct toc_receiver_set {
    struct toc_arena arena;
    const struct toc_receiver *items;
    size_t count;
    atomic_uint refs;
};
struct toc_receiver_set *toc_receiver_set_new(void); /* one reference, empty */
struct toc_receiver_set *toc_receiver_set_ref(struct toc_receiver_set *s);
void toc_receiver_set_unref(struct toc_receiver_set **s);
/* NULL when there is none. Borrowed from the set. */
const struct toc_receiver *toc_receiver_find(const struct toc_receiver_set *s, struct toc_sv name);
const struct toc_channel *toc_channel_find(const struct toc_receiver *r, struct toc_sv name);
/* Finds what would make every delivery fail: missing settings, templates and expressions that do
 * not compile. TOC_EINVAL naming receiver, channel and setting. */
int toc_receiver_check(const struct toc_receiver *r, struct toc_err *err) TOC_MUST_CHECK;

enum { TOC_DELIVERY_DETAIL_MAX = 240 };
/* What one attempt brought beside its result code. */
struct toc_delivery {
    bool (*is_cancelled)(
        void *ctx); /* set by the caller; polled while waiting for the peer; may be NULL */
    void *cancel_ctx;
    char detail[TOC_DELIVERY_DETAIL_MAX]; /* for the ledger: "HTTP 200", "accepted by mail.example"
                                           */
    int64_t retry_after_ms;               /* the peer asked for it; 0 = it did not */
    bool template_failed;                 /* the default text went out instead */
};

/* Sends now, blocking. 0 = the receiver took it. A failure after which trying again is useless is
 * one of toc_delivery_is_permanent; err says why, without secrets. */
int toc_channel_deliver(const struct toc_channel *c, const struct toc_notification *n,
                        struct toc_http_client *client, struct toc_delivery *out,
                        struct toc_err *err) TOC_MUST_CHECK;
bool toc_delivery_is_permanent(int rc);

#endif
