#include "notify/receiver.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "notify/mime.h"
#include "shim/regex.h"

static const char *const kind_names[] = {
#define X(e, name, id) [e] = name,
    TOC_CHANNEL_TABLE(X)
#undef X
};

const char *toc_channel_kind_text(enum toc_channel_kind kind) {
    return kind < TOC_CHANNEL_KIND_COUNT ? kind_names[kind] : "unknown";
}

enum toc_channel_kind toc_channel_kind_parse(struct toc_sv name) {
    for (int i = 0; i < TOC_CHANNEL_KIND_COUNT; i++)
        if (toc_sv_eq_cstr(name, kind_names[i]))
            return (enum toc_channel_kind)i;
    return TOC_CHANNEL_KIND_COUNT;
}

struct toc_receiver_set *toc_receiver_set_new(void) {
    struct toc_receiver_set *s = TOC_NEW(struct toc_receiver_set);
    atomic_init(&s->refs, 1);
    return s;
}

struct toc_receiver_set *toc_receiver_set_ref(struct toc_receiver_set *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void toc_receiver_set_unref(struct toc_receiver_set **s) {
    if (!s || !*s)
        return;
    /* Release pairs with the acquire of the last one: all reads are over before the memory goes. */
    if (atomic_fetch_sub_explicit(&(*s)->refs, 1, memory_order_acq_rel) == 1) {
        toc_arena_fini(&(*s)->arena);
        toc_free(*s);
    }
    *s = NULL;
}

const struct toc_receiver *toc_receiver_find(const struct toc_receiver_set *s, struct toc_sv name) {
    for (size_t i = 0; s && i < s->count; i++)
        if (toc_sv_eq_cstr(name, s->items[i].name))
            return &s->items[i];
    return NULL;
}

const struct toc_channel *toc_channel_find(const struct toc_receiver *r, struct toc_sv name) {
    for (size_t i = 0; r && i < r->channel_count; i++)
        if (toc_sv_eq_cstr(name, r->channels[i].name))
            return &r->channels[i];
    return NULL;
}

/* One receiver's check, with what an error needs. */
struct check {
    const struct toc_receiver *receiver;
    const struct toc_channel *channel;
    struct toc_err *err;
};

static int refuse(const struct check *k, const char *setting, const char *what) {
    return toc_errf(k->err, TOC_EINVAL, "receiver \"%s\", channel \"%s\": %s %s", k->receiver->name,
                    k->channel->name, setting, what);
}

static int need(const struct check *k, const char *setting, const char *value) {
    return value && *value ? 0 : refuse(k, setting, "is missing");
}

static int need_url(const struct check *k, const char *setting, const char *value) {
    struct toc_sv v = toc_sv_cstr(value);
    bool is_url =
        toc_sv_starts_with(v, TOC_SV("http://")) || toc_sv_starts_with(v, TOC_SV("https://"));
    return is_url ? 0 : refuse(k, setting, "must begin with http:// or https://");
}

static int check_template(const struct check *k, const char *setting, const char *text) {
    struct toc_template *t = NULL;
    struct toc_err why = {0};
    if (!text)
        return 0;
    if (toc_template_compile(toc_sv_cstr(text), &t, &why))
        return toc_errf(k->err, TOC_EINVAL, "receiver \"%s\", channel \"%s\": %s at %d:%d: %.300s",
                        k->receiver->name, k->channel->name, setting, why.line, why.column,
                        why.message);
    toc_template_free(&t);
    return 0;
}

static int check_address(const struct check *k, const char *setting, const char *text) {
    struct toc_mime_address a;
    int rc = need(k, setting, text);
    if (!rc && toc_mime_parse_address(toc_sv_cstr(text), &a))
        rc = refuse(k, setting, "is not a mail address");
    return rc;
}

static int check_email(const struct check *k) {
    const struct toc_email_settings *s = &k->channel->email;
    int rc = need(k, "smarthost", s->smarthost);
    if (!rc)
        rc = check_address(k, "from", s->from);
    if (!rc && (!s->to || !s->to[0]))
        rc = refuse(k, "to", "is missing");
    for (size_t i = 0; !rc && s->to[i]; i++)
        rc = check_address(k, "to", s->to[i]);
    if (!rc && s->user && s->security == TOC_EMAIL_PLAIN)
        rc = refuse(k, "security", "must be starttls or tls when a user logs in");
    return rc;
}

static int check_sms(const struct check *k) {
    const struct toc_sms_settings *s = &k->channel->sms;
    struct toc_regex *re = NULL;
    int rc = need(k, "to", s->to);
    if (!rc)
        rc = need_url(k, "url", s->url);
    if (!rc)
        rc = check_template(k, "url", s->url);
    if (!rc)
        rc = check_template(k, "body", s->body);
    if (!rc && s->ok_body && toc_regex_new(toc_sv_cstr(s->ok_body), TOC_REGEX_SEARCH, &re, NULL))
        rc = refuse(k, "ok_body", "is not a regular expression");
    toc_regex_free(&re);
    return rc;
}

static int check_twilio(const struct check *k) {
    const struct toc_twilio_settings *s = &k->channel->twilio;
    int rc = need(k, "to", s->to);
    if (!rc)
        rc = need(k, "from", s->from);
    if (!rc)
        rc = need(k, "account_sid", s->account_sid);
    if (!rc && !k->channel->http.user)
        rc = need(k, "auth_token", s->auth_token);
    return rc || !s->api_url ? rc : need_url(k, "api_url", s->api_url);
}

static int check_ntfy(const struct check *k) {
    struct toc_sv url = toc_sv_cstr(k->channel->ntfy.url);
    int rc = need_url(k, "url", k->channel->ntfy.url);
    size_t host = rc ? 0 : toc_sv_find(url, TOC_SV("://")) + 3;
    size_t slash = toc_sv_find_char(toc_sv_sub(url, host, url.n), '/');
    if (!rc && (slash == SIZE_MAX || toc_sv_ends_with(url, TOC_SV("/"))))
        rc = refuse(k, "url", "must end with the topic's name");
    return rc;
}

static int check_webhook(const struct check *k) {
    return need_url(k, "url", k->channel->webhook.url);
}

static int check_channel(const struct check *k) {
    static int (*const by_kind[])(const struct check *k) = {
#define X(e, name, id) [e] = check_##id,
        TOC_CHANNEL_TABLE(X)
#undef X
    };
    const struct toc_channel *c = k->channel;
    TOC_ASSERT(c->kind < TOC_CHANNEL_KIND_COUNT);
    int rc = need(k, "name", c->name);
    if (!rc)
        rc = check_template(k, "title", c->title_template);
    if (!rc)
        rc = check_template(k, "text", c->text_template);
    if (!rc && toc_channel_find(k->receiver, toc_sv_cstr(c->name)) != c)
        rc = refuse(k, "name", "is used twice");
    return rc ? rc : by_kind[c->kind](k);
}

int toc_receiver_check(const struct toc_receiver *r, struct toc_err *err) {
    int rc = r->name && *r->name ? 0 : toc_errf(err, TOC_EINVAL, "a receiver without a name");
    for (size_t i = 0; i < r->channel_count && !rc; i++)
        rc = check_channel(&(struct check){r, &r->channels[i], err});
    return rc;
}
