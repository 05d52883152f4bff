/* Builds the channels of each receiver from its YAML nodes: email, webhook, ntfy, sms, twilio. */
#include <stdio.h>
#include <string.h>

#include "app/config.h"
#include "sys/env.h"
#include "sys/vfs.h"

enum { SECRET_MAX_BYTES = 65536, CHANNELS_MAX = 64, LIST_MAX = 64 };

struct builder {
    struct toc_receiver_set *set;
    const struct toc_yaml *global; /* of the Alertmanager file */
    const char *base_dir;
    struct toc_err *err;
};

/* -------------------------------------------------------------------------------------------
 * reading */

static int fail_node(struct builder *b, const struct toc_yaml *n, const char *text) {
    return toc_err_at(b->err, TOC_EINVAL, n->line, n->column, "%s", text);
}

/* Copy in the set's arena; NULL when absent. */
static int read_text(struct builder *b, const struct toc_yaml *map, const char *key,
                     const char **out) {
    const struct toc_yaml *n = map ? toc_yaml_get(map, key) : NULL;
    struct toc_sv text;
    *out = NULL;
    if (!n || toc_yaml_is_null(n))
        return 0;
    int rc = toc_yaml_string(n, &text, b->err);
    if (rc == 0)
        *out = toc_arena_dup_sv(&b->set->arena, text).p;
    return rc;
}

static int read_secret_file(struct builder *b, const struct toc_yaml *at, const char *path,
                            const char **out) {
    struct toc_buf full = TOC_BUF_INIT, text = TOC_BUF_INIT;
    if (path[0] != '/' && b->base_dir)
        toc_buf_printf(&full, "%s/", b->base_dir);
    toc_buf_append_cstr(&full, path);
    int rc = toc_vfs_read_file(toc_vfs_system(), toc_buf_cstr(&full), SECRET_MAX_BYTES, &text);
    if (rc < 0)
        rc = toc_err_at(b->err, rc, at->line, at->column, "cannot read the secret file %s: %s",
                        toc_buf_cstr(&full), toc_strerror(rc));
    else
        *out = toc_arena_dup_sv(&b->set->arena, toc_sv_trim(toc_buf_sv(&text))).p;
    toc_buf_fini(&full);
    toc_buf_fini(&text);
    return rc;
}

/* KEY, or the content of KEY_file, or the environment variable KEY_env. */
static int read_secret(struct builder *b, const struct toc_yaml *map, const char *key,
                       const char **out) {
    char file_key[64], env_key[64];
    const char *path, *name;
    snprintf(file_key, sizeof file_key, "%s_file", key);
    snprintf(env_key, sizeof env_key, "%s_env", key);
    int rc = read_text(b, map, key, out);
    if (rc < 0 || *out)
        return rc;
    rc = read_text(b, map, file_key, &path);
    if (rc == 0 && path)
        return read_secret_file(b, toc_yaml_get(map, file_key), path, out);
    if (rc == 0)
        rc = read_text(b, map, env_key, &name);
    if (rc == 0 && name) {
        *out = toc_env_get(name);
        if (!*out)
            return fail_node(b, toc_yaml_get(map, env_key), "the environment variable is not set");
    }
    return rc;
}

static int read_flag(struct builder *b, const struct toc_yaml *map, const char *key, bool *io) {
    const struct toc_yaml *n = map ? toc_yaml_get(map, key) : NULL;
    return n ? toc_yaml_bool(n, io, b->err) : 0;
}

static int read_number(struct builder *b, const struct toc_yaml *map, const char *key, int64_t max,
                       int64_t *io) {
    const struct toc_yaml *n = map ? toc_yaml_get(map, key) : NULL;
    int rc = n ? toc_yaml_int(n, io, b->err) : 0;
    if (rc == 0 && n && (*io < 0 || *io > max))
        return fail_node(b, n, "the number is out of range");
    return rc;
}

/* A comma-separated text or a list, NULL-terminated. */
static int read_list(struct builder *b, const struct toc_yaml *n, const char *const **out,
                     size_t *out_count) {
    const char **items = TOC_ARENA_NEW_ARRAY(&b->set->arena, const char *, LIST_MAX + 1);
    size_t count = 0;
    struct toc_sv text, part;
    if (!items)
        return TOC_ELIMIT;
    if (n && n->type == TOC_YAML_SEQUENCE) {
        for (size_t i = 0; i < n->count && count < LIST_MAX; i++) {
            int rc = toc_yaml_string(&n->items[i], &text, b->err);
            if (rc < 0)
                return rc;
            items[count++] = toc_arena_dup_sv(&b->set->arena, text).p;
        }
    } else if (n) {
        int rc = toc_yaml_string(n, &text, b->err);
        while (rc == 0 && count < LIST_MAX && toc_sv_split(&text, ',', &part))
            if (toc_sv_trim(part).n)
                items[count++] = toc_arena_dup_sv(&b->set->arena, toc_sv_trim(part)).p;
        if (rc < 0)
            return rc;
    }
    *out = items;
    *out_count = count;
    return 0;
}

/* headers: {Name: value} → "Name: value" */
static int read_headers(struct builder *b, const struct toc_yaml *map, const char *const **out) {
    const struct toc_yaml *headers = map ? toc_yaml_get(map, "headers") : NULL;
    if (!headers)
        return 0;
    if (headers->type != TOC_YAML_MAPPING)
        return fail_node(b, headers, "headers must be a mapping of names to values");
    const char **items = TOC_ARENA_NEW_ARRAY(&b->set->arena, const char *, headers->count + 1);
    for (size_t i = 0; items && i < headers->count; i++) {
        struct toc_sv value;
        struct toc_buf line = TOC_BUF_INIT;
        int rc = toc_yaml_string(&headers->items[i], &value, b->err);
        if (rc < 0)
            return rc;
        toc_buf_printf(&line, "%.*s: %.*s", TOC_SV_ARG(headers->items[i].key), TOC_SV_ARG(value));
        items[i] = toc_arena_dup_sv(&b->set->arena, toc_buf_sv(&line)).p;
        toc_buf_fini(&line);
    }
    *out = items;
    return 0;
}

static int read_tls(struct builder *b, const struct toc_yaml *map, const char **ca,
                    const char **cert, const char **key, bool *insecure) {
    const struct toc_yaml *tls = map ? toc_yaml_get(map, "tls_config") : NULL;
    int rc = read_text(b, tls, "ca_file", ca);
    if (rc == 0 && cert)
        rc = read_text(b, tls, "cert_file", cert);
    if (rc == 0 && key)
        rc = read_text(b, tls, "key_file", key);
    return rc < 0 ? rc : read_flag(b, tls, "insecure_skip_verify", insecure);
}

/* http_config as upstream has it. */
static int read_http(struct builder *b, const struct toc_yaml *entry,
                     struct toc_channel_http *out) {
    const struct toc_yaml *http = toc_yaml_get(entry, "http_config");
    if (!http && b->global)
        http = toc_yaml_get(b->global, "http_config");
    const struct toc_yaml *basic = http ? toc_yaml_get(http, "basic_auth") : NULL;
    const struct toc_yaml *authorization = http ? toc_yaml_get(http, "authorization") : NULL;
    int rc = read_text(b, basic, "username", &out->user);
    if (rc == 0)
        rc = read_secret(b, basic, "password", &out->password);
    if (rc == 0)
        rc = read_secret(b, authorization, "credentials", &out->bearer_token);
    if (rc == 0)
        rc = read_text(b, http, "proxy_url", &out->proxy_url);
    if (rc == 0)
        rc = read_tls(b, http, &out->ca_file, &out->cert_file, &out->key_file,
                      &out->insecure_skip_verify);
    return rc;
}

/* Settings that every channel has. */
static int read_common(struct builder *b, const struct toc_yaml *entry,
                       const struct toc_alert_integration *i, struct toc_channel *c) {
    const char *language;
    c->skips_resolved = !i->sends_resolved;
    int rc = read_text(b, entry, "language", &language);
    if (rc == 0 && language && toc_language_parse(toc_sv_cstr(language), &c->language) < 0)
        rc = fail_node(b, toc_yaml_get(entry, "language"), "language must be en or zh");
    if (rc == 0)
        rc = read_text(b, entry, "title", &c->title_template);
    return rc < 0 ? rc : read_text(b, entry, "text", &c->text_template);
}

/* ------------------------------------------------------------------------------------------
 * channels */

static int split_smarthost(struct builder *b, const struct toc_yaml *at, const char *text,
                           struct toc_email_settings *e) {
    const char *colon = strrchr(text, ':');
    unsigned port;
    if (!colon || sscanf(colon + 1, "%u", &port) != 1 || port == 0 || port > 65535)
        return fail_node(b, at, "smarthost must be HOST:PORT");
    e->port = (uint16_t)port;
    e->smarthost = toc_arena_dup_sv(&b->set->arena, toc_sv_make(text, (size_t)(colon - text))).p;
    return 0;
}

/* KEY of the entry, else smtp_KEY of global. */
static int read_smtp(struct builder *b, const struct toc_yaml *entry, const char *key,
                     const char **out) {
    char global_key[64];
    snprintf(global_key, sizeof global_key, "smtp_%s", key);
    int rc = read_secret(b, entry, key, out);
    if (rc == 0 && !*out && b->global)
        rc = read_secret(b, b->global, global_key, out);
    return rc;
}

static int read_email(struct builder *b, const struct toc_yaml *entry, struct toc_channel *c) {
    struct toc_email_settings *e = &c->email;
    const char *smarthost;
    size_t count;
    bool requires_tls = true, is_implicit = false;
    int rc = read_smtp(b, entry, "smarthost", &smarthost);
    if (rc == 0 && !smarthost)
        rc = fail_node(b, entry, "email_configs needs smarthost (or global.smtp_smarthost)");
    if (rc == 0)
        rc = split_smarthost(b, entry, smarthost, e);
    if (rc == 0)
        rc = read_smtp(b, entry, "from", &e->from);
    if (rc == 0 && !e->from)
        rc = fail_node(b, entry, "email_configs needs from (or global.smtp_from)");
    if (rc == 0)
        rc = read_list(b, toc_yaml_get(entry, "to"), &e->to, &count);
    if (rc == 0)
        rc = read_smtp(b, entry, "auth_username", &e->user);
    if (rc == 0)
        rc = read_smtp(b, entry, "auth_password", &e->password);
    if (rc == 0 && b->global)
        rc = read_flag(b, b->global, "smtp_require_tls", &requires_tls);
    if (rc == 0)
        rc = read_flag(b, entry, "require_tls", &requires_tls);
    if (rc == 0)
        rc = read_flag(b, entry, "force_implicit_tls", &is_implicit);
    if (rc == 0)
        rc = read_tls(b, entry, &e->ca_file, NULL, NULL, &e->insecure_skip_verify);
    e->security = is_implicit || e->port == 465 ? TOC_EMAIL_TLS
                  : requires_tls                ? TOC_EMAIL_STARTTLS
                                                : TOC_EMAIL_PLAIN;
    return rc;
}

static int read_webhook(struct builder *b, const struct toc_yaml *entry, struct toc_channel *c) {
    int64_t most = 0;
    int rc = read_secret(b, entry, "url", &c->webhook.url);
    if (rc == 0)
        rc = read_number(b, entry, "max_alerts", 1000000, &most);
    c->webhook.max_alerts = (size_t)most;
    return rc < 0 ? rc : read_http(b, entry, &c->http);
}

static int read_ntfy(struct builder *b, const struct toc_yaml *entry, struct toc_channel *c) {
    static const char *const keys[] = {
        "url",      "url_file", "token", "token_file",    "token_env",   "icon_url", "use_headers",
        "language", "title",    "text",  "send_resolved", "http_config", "headers",  NULL};
    int rc = toc_yaml_check_keys(entry, keys, b->err);
    if (rc == 0)
        rc = read_secret(b, entry, "url", &c->ntfy.url);
    if (rc == 0 && !c->ntfy.url)
        rc = fail_node(b, entry, "ntfy_configs needs url, the address of the topic");
    if (rc == 0)
        rc = read_text(b, entry, "icon_url", &c->ntfy.icon_url);
    if (rc == 0)
        rc = read_flag(b, entry, "use_headers", &c->ntfy.use_headers);
    if (rc == 0)
        rc = read_http(b, entry, &c->http);
    if (rc == 0)
        rc = read_secret(b, entry, "token", &c->http.bearer_token);
    return rc < 0 ? rc : read_headers(b, entry, &c->http.headers);
}

static int read_sms(struct builder *b, const struct toc_yaml *entry, struct toc_channel *c) {
    static const char *const keys[] = {"to",
                                       "url",
                                       "url_file",
                                       "method",
                                       "body",
                                       "content_type",
                                       "success_status",
                                       "success_body",
                                       "max_segments",
                                       "language",
                                       "title",
                                       "text",
                                       "send_resolved",
                                       "http_config",
                                       "headers",
                                       NULL};
    int64_t segments = 0, status = 0;
    int rc = toc_yaml_check_keys(entry, keys, b->err);
    if (rc == 0)
        rc = read_secret(b, entry, "url", &c->sms.url);
    if (rc == 0)
        rc = read_text(b, entry, "method", &c->sms.method);
    if (rc == 0)
        rc = read_text(b, entry, "body", &c->sms.body);
    if (rc == 0)
        rc = read_text(b, entry, "content_type", &c->sms.content_type);
    if (rc == 0)
        rc = read_text(b, entry, "success_body", &c->sms.ok_body);
    if (rc == 0)
        rc = read_number(b, entry, "max_segments", 10, &segments);
    if (rc == 0)
        rc = read_number(b, entry, "success_status", 599, &status);
    if (rc == 0)
        rc = read_headers(b, entry, &c->http.headers);
    c->sms.max_segments = (int)segments;
    if (rc == 0 && status) {
        int *list = TOC_ARENA_NEW_ARRAY(&b->set->arena, int, 2);
        if (!list)
            return TOC_ELIMIT;
        list[0] = (int)status;
        c->sms.ok_statuses = list;
    }
    return rc < 0 ? rc : read_http(b, entry, &c->http);
}

static int read_twilio(struct builder *b, const struct toc_yaml *entry, struct toc_channel *c) {
    static const char *const keys[] = {"to",
                                       "from",
                                       "account_sid",
                                       "auth_token",
                                       "auth_token_file",
                                       "auth_token_env",
                                       "api_url",
                                       "max_segments",
                                       "language",
                                       "title",
                                       "text",
                                       "send_resolved",
                                       "http_config",
                                       NULL};
    int64_t segments = 0;
    int rc = toc_yaml_check_keys(entry, keys, b->err);
    if (rc == 0)
        rc = read_text(b, entry, "from", &c->twilio.from);
    if (rc == 0)
        rc = read_secret(b, entry, "account_sid", &c->twilio.account_sid);
    if (rc == 0)
        rc = read_secret(b, entry, "auth_token", &c->twilio.auth_token);
    if (rc == 0)
        rc = read_text(b, entry, "api_url", &c->twilio.api_url);
    if (rc == 0)
        rc = read_number(b, entry, "max_segments", 10, &segments);
    c->twilio.max_segments = (int)segments;
    return rc < 0 ? rc : read_http(b, entry, &c->http);
}

/* --------------------------------------------------------------------------------------- one
 * receiver */

static int read_settings(struct builder *b, const struct toc_yaml *entry, struct toc_channel *c) {
    switch (c->kind) {
    case TOC_CHANNEL_EMAIL:
        return read_email(b, entry, c);
    case TOC_CHANNEL_SMS:
        return read_sms(b, entry, c);
    case TOC_CHANNEL_TWILIO:
        return read_twilio(b, entry, c);
    case TOC_CHANNEL_NTFY:
        return read_ntfy(b, entry, c);
    case TOC_CHANNEL_WEBHOOK:
        return read_webhook(b, entry, c);
    default:
        return TOC_EUNSUPPORTED;
    }
}

/* A name that stays the same over reloads: "email", "email/2", … */
static const char *channel_name(struct builder *b, const struct toc_channel *channels, size_t count,
                                enum toc_channel_kind kind) {
    size_t same = 1;
    for (size_t i = 0; i < count; i++)
        same += channels[i].kind == kind;
    struct toc_buf name = TOC_BUF_INIT;
    toc_buf_append_cstr(&name, toc_channel_kind_text(kind));
    if (same > 1)
        toc_buf_printf(&name, "/%zu", same);
    const char *kept = toc_arena_dup_sv(&b->set->arena, toc_buf_sv(&name)).p;
    toc_buf_fini(&name);
    return kept;
}

/* SMS go to one number per channel, so that a number that fails is retried alone. */
static int add_numbers(struct builder *b, const struct toc_yaml *entry,
                       const struct toc_channel *base, struct toc_channel *channels,
                       size_t *count) {
    const char *const *numbers;
    size_t n;
    int rc = read_list(b, toc_yaml_get(entry, "to"), &numbers, &n);
    if (rc == 0 && n == 0)
        rc = fail_node(b, entry, "the entry needs to, one or more telephone numbers");
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (*count == CHANNELS_MAX)
            return fail_node(b, entry, "more than 64 channels in one receiver");
        struct toc_channel *c = &channels[*count];
        *c = *base;
        c->name = channel_name(b, channels, *count, base->kind);
        if (c->kind == TOC_CHANNEL_SMS)
            c->sms.to = numbers[i];
        else
            c->twilio.to = numbers[i];
        (*count)++;
    }
    return rc;
}

static int add_channel(struct builder *b, const struct toc_alert_integration *i,
                       struct toc_channel *channels, size_t *count) {
    struct toc_channel c = {.kind = toc_channel_kind_parse(i->type)};
    if (c.kind == TOC_CHANNEL_KIND_COUNT)
        return toc_err_at(
            b->err, TOC_EUNSUPPORTED, i->node->line, i->node->column,
            "%.*s_configs is not supported yet; use webhook_configs, email_configs, ntfy_configs, "
            "sms_configs or twilio_configs",
            TOC_SV_ARG(i->type));
    int rc = read_common(b, i->node, i, &c);
    if (rc == 0)
        rc = read_settings(b, i->node, &c);
    if (rc < 0)
        return rc;
    if (c.kind == TOC_CHANNEL_SMS || c.kind == TOC_CHANNEL_TWILIO)
        return add_numbers(b, i->node, &c, channels, count);
    if (*count == CHANNELS_MAX)
        return fail_node(b, i->node, "more than 64 channels in one receiver");
    c.name = channel_name(b, channels, *count, c.kind);
    channels[(*count)++] = c;
    return 0;
}

static int add_receiver(struct builder *b, const struct toc_alert_receiver *from,
                        struct toc_receiver *out) {
    struct toc_channel *channels =
        TOC_ARENA_NEW_ARRAY(&b->set->arena, struct toc_channel, CHANNELS_MAX);
    size_t count = 0;
    if (!channels)
        return TOC_ELIMIT;
    for (size_t i = 0; i < from->count; i++) {
        int rc = add_channel(b, &from->integrations[i], channels, &count);
        if (rc < 0)
            return rc;
    }
    *out = (struct toc_receiver){toc_arena_dup_sv(&b->set->arena, from->name).p, channels, count};
    return count ? toc_receiver_check(out, b->err) : 0;
}

int toc_receivers_build(const struct toc_alert_config *c, const char *base_dir,
                        struct toc_receiver_set **out, struct toc_err *err) {
    struct builder b = {toc_receiver_set_new(), c->global, base_dir, err};
    struct toc_receiver *items =
        TOC_ARENA_NEW_ARRAY(&b.set->arena, struct toc_receiver, c->receiver_count + 1);
    int rc = items ? 0 : TOC_ELIMIT;
    for (size_t i = 0; i < c->receiver_count && rc == 0; i++)
        rc = add_receiver(&b, &c->receivers[i], &items[i]);
    if (rc < 0) {
        toc_receiver_set_unref(&b.set);
        return rc;
    }
    b.set->items = items;
    b.set->count = c->receiver_count;
    *out = b.set;
    return 0;
}
