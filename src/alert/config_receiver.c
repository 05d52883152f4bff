/*
 * Receivers and global settings. One table says which keys each channel knows and what it needs;
 * channels of our own leave their keys to notify/.
 */
#include <stdio.h>

#include "alert/config_priv.h"

static const char global_fields[] =
    "resolve_timeout http_config smtp_from smtp_hello smtp_smarthost smtp_auth_username "
    "smtp_auth_password smtp_auth_password_file smtp_auth_secret smtp_auth_secret_file "
    "smtp_auth_identity smtp_require_tls smtp_tls_config smtp_force_implicit_tls slack_api_url "
    "slack_api_url_file slack_app_token slack_app_token_file slack_app_url pagerduty_url "
    "opsgenie_api_url opsgenie_api_key opsgenie_api_key_file wechat_api_url wechat_api_secret "
    "wechat_api_secret_file wechat_api_corp_id victorops_api_url victorops_api_key "
    "victorops_api_key_file telegram_api_url telegram_bot_token telegram_bot_token_file "
    "webex_api_url jira_api_url rocketchat_api_url rocketchat_token rocketchat_token_file "
    "rocketchat_token_id rocketchat_token_id_file mattermost_webhook_url "
    "mattermost_webhook_url_file";

static const char http_fields[] =
    "basic_auth authorization oauth2 enable_http2 follow_redirects proxy_url no_proxy "
    "proxy_from_environment proxy_connect_header tls_config http_headers bearer_token "
    "bearer_token_file";

/*
 * X(type, send_resolved, has_http, keys, own, global, error)
 * own/global: space-separated keys of the entry and of global, one of which must be there, else the
 * error.
 * "*" as keys: read by the channel itself.
 */
#define INTEGRATION_TABLE(X)                                                                       \
    X("discord", true, true,                                                                       \
      "webhook_url webhook_url_file title message content username "                               \
      "avatar_url",                                                                                \
      "webhook_url webhook_url_file", "",                                                          \
      "one of webhook_url or webhook_url_file must be configured")                                 \
    X("email", false, false,                                                                       \
      "to from smarthost hello auth_username auth_password "                                       \
      "auth_password_file auth_password_env language auth_secret auth_secret_file auth_identity "  \
      "require_tls tls_config "                                                                    \
      "force_implicit_tls headers html text threading",                                            \
      "to", "", "missing to address in email config")                                              \
    X("incidentio", true, true,                                                                    \
      "url url_file alert_source_token alert_source_token_file "                                   \
      "max_alerts timeout",                                                                        \
      "url url_file", "", "one of url or url_file must be configured")                             \
    X("jira", true, true,                                                                          \
      "api_url api_type project summary description labels priority "                              \
      "issue_type resolve_transition reopen_transition wont_fix_resolution reopen_duration "       \
      "fields",                                                                                    \
      "project", "", "missing project in jira_config")                                             \
    X("mattermost", true, true,                                                                    \
      "webhook_url webhook_url_file channel username icon_url "                                    \
      "icon_emoji fallback color pretext text author_name author_link author_icon title "          \
      "title_link fields thumb_url footer footer_icon image_url attachments type props priority",  \
      "webhook_url webhook_url_file", "mattermost_webhook_url mattermost_webhook_url_file",        \
      "missing webhook_url or webhook_url_file on mattermost_config")                              \
    X("msteams", true, true, "webhook_url webhook_url_file title summary text",                    \
      "webhook_url webhook_url_file", "",                                                          \
      "one of webhook_url or webhook_url_file must be configured")                                 \
    X("msteamsv2", true, true, "webhook_url webhook_url_file title text",                          \
      "webhook_url webhook_url_file", "",                                                          \
      "one of webhook_url or webhook_url_file must be configured")                                 \
    X("opsgenie", true, true,                                                                      \
      "api_key api_key_file api_url message description source details "                           \
      "entity responders actions tags note priority update_alerts",                                \
      "api_key api_key_file", "opsgenie_api_key opsgenie_api_key_file",                            \
      "no global OpsGenie API Key set either inline or in a file")                                 \
    X("pagerduty", true, true,                                                                     \
      "routing_key routing_key_file service_key service_key_file url "                             \
      "client client_url description severity class component group source details images links "  \
      "timeout",                                                                                   \
      "routing_key routing_key_file service_key service_key_file", "",                             \
      "missing service or routing key in PagerDuty config")                                        \
    X("pushover", true, true,                                                                      \
      "user_key user_key_file token token_file title message url "                                 \
      "url_title device sound priority retry expire ttl html monospace",                           \
      "user_key user_key_file", "", "one of user_key or user_key_file must be configured")         \
    X("rocketchat", true, true,                                                                    \
      "api_url token token_file token_id token_id_file channel color "                             \
      "title title_link text emoji icon_url fields short_fields image_url thumb_url link_names "   \
      "actions",                                                                                   \
      "token token_file", "rocketchat_token rocketchat_token_file",                                \
      "no global Rocketchat Token set either inline or in a file")                                 \
    X("slack", false, true,                                                                        \
      "api_url api_url_file app_token app_token_file app_url channel "                             \
      "username color title title_link pretext text message_text fields short_fields footer "      \
      "fallback callback_id icon_emoji icon_url image_url thumb_url link_names mrkdwn_in actions " \
      "update_message timeout",                                                                    \
      "api_url api_url_file app_token app_token_file",                                             \
      "slack_api_url slack_api_url_file slack_app_token slack_app_token_file",                     \
      "no Slack API URL nor App token set either inline or in a file")                             \
    X("sns", true, true,                                                                           \
      "api_url sigv4 topic_arn phone_number target_arn subject message "                           \
      "attributes use_aws_http_client",                                                            \
      "topic_arn phone_number target_arn", "",                                                     \
      "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config")               \
    X("telegram", true, true,                                                                      \
      "api_url bot_token bot_token_file chat_id chat_id_file "                                     \
      "message_thread_id message disable_notifications parse_mode",                                \
      "bot_token bot_token_file", "telegram_bot_token telegram_bot_token_file",                    \
      "missing bot_token or bot_token_file on telegram_config")                                    \
    X("victorops", true, true,                                                                     \
      "api_key api_key_file api_url routing_key message_type "                                     \
      "entity_display_name state_message monitoring_tool custom_fields",                           \
      "api_key api_key_file", "victorops_api_key victorops_api_key_file",                          \
      "no global VictorOps API Key set")                                                           \
    X("webex", true, true, "api_url room_id message", "room_id", "",                               \
      "missing room_id on webex_config")                                                           \
    X("webhook", true, true, "url url_file url_env max_alerts timeout payload language",           \
      "url url_file url_env", "", "one of url or url_file must be configured")                     \
    X("wechat", false, true,                                                                       \
      "api_secret api_secret_file corp_id api_url message message_type "                           \
      "agent_id to_user to_party to_tag",                                                          \
      "api_secret api_secret_file", "wechat_api_secret wechat_api_secret_file",                    \
      "no global Wechat Api Secret set either inline or in a file")                                \
    X("sms", true, true, "*", "", "", "")                                                          \
    X("twilio", true, true, "*", "", "", "")                                                       \
    X("ntfy", true, true, "*", "", "", "")

struct integration_row {
    const char *type;
    bool sends_resolved, has_http;
    const char *keys, *own, *global, *error;
};

static const struct integration_row rows[] = {
#define X(type, resolved, http, keys, own, global, error) \
    {type, resolved, http, keys, own, global, error},
    INTEGRATION_TABLE(X)
#undef X
};

static const struct integration_row *find_row(struct toc_sv key) {
    if (!toc_sv_ends_with(key, TOC_SV("_configs")))
        return NULL;
    struct toc_sv type = toc_sv_sub(key, 0, key.n - 8);
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++)
        if (toc_sv_eq_cstr(type, rows[i].type))
            return &rows[i];
    return NULL;
}

/* The first of the space-separated keys that has a value. */
static const struct toc_yaml *first_set(const struct toc_yaml *mapping, struct toc_sv keys) {
    struct toc_sv name;
    while (mapping && toc_sv_split(&keys, ' ', &name))
        for (size_t i = 0; i < mapping->count; i++) {
            const struct toc_yaml *n = &mapping->items[i];
            bool is_empty = n->type == TOC_YAML_SCALAR && !n->scalar.n;
            if (toc_sv_eq(n->key, name) && !is_empty && !toc_yaml_is_null(n))
                return n;
        }
    return NULL;
}

static bool has_any(const struct toc_yaml *mapping, const char *keys) {
    return first_set(mapping, toc_sv_cstr(keys)) != NULL;
}

/* Every X beside X_file. */
static int check_pairs(const struct toc_yaml *mapping, struct toc_err *err) {
    for (size_t i = 0; i < mapping->count; i++) {
        const struct toc_yaml *n = &mapping->items[i];
        if (!toc_sv_ends_with(n->key, TOC_SV("_file")))
            continue;
        struct toc_sv base = toc_sv_sub(n->key, 0, n->key.n - 5);
        if (first_set(mapping, base) && first_set(mapping, n->key))
            return toc_err_at(err, TOC_EINVAL, n->key_line, n->key_column,
                              "at most one of %.*s & %.*s must be configured", TOC_SV_ARG(base),
                              TOC_SV_ARG(n->key));
    }
    return 0;
}

static int check_http(const struct toc_yaml *parent, struct toc_err *err) {
    const struct toc_yaml *n = toc_yaml_get(parent, "http_config");
    if (!n || toc_yaml_is_null(n))
        return 0;
    int rc = toc_alert_check_fields(n, http_fields, "", "config.plain", err);
    int ways = has_any(n, "basic_auth") + has_any(n, "authorization") + has_any(n, "oauth2");
    if (!rc && ways > 1)
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column,
                        "at most one of basic_auth, oauth2 & authorization must be configured");
    return rc;
}

static const char slack_post_url[] = "https://slack.com/api/chat.postMessage";

/* A token and a webhook exclude each other; the API's own address beside a token is an old
 * workaround. */
static int check_global_slack(const struct toc_yaml *node, struct toc_err *err) {
    const struct toc_yaml *url = toc_yaml_get(node, "slack_api_url");
    bool is_api = url && toc_sv_eq_cstr(url->scalar, slack_post_url);
    if (is_api || !has_any(node, "slack_api_url slack_api_url_file") ||
        !has_any(node, "slack_app_token slack_app_token_file"))
        return 0;
    return toc_err_at(err, TOC_EINVAL, node->line, node->column,
                      "at most one of slack_app_token/slack_app_token_file & "
                      "slack_api_url/slack_api_url_file must be configured");
}

int toc_alert_read_global(struct toc_alert_config *c, const struct toc_yaml *node,
                          struct toc_err *err) {
    if (!node || toc_yaml_is_null(node))
        return 0;
    int rc = toc_alert_check_fields(node, global_fields, "", "config.plain", err);
    if (!rc)
        rc = check_pairs(node, err);
    if (!rc)
        rc = check_global_slack(node, err);
    if (!rc)
        rc = check_http(node, err);
    const struct toc_yaml *timeout = rc ? NULL : toc_yaml_get(node, "resolve_timeout");
    if (timeout && !toc_yaml_is_null(timeout))
        rc = toc_yaml_duration(timeout, &c->resolve_timeout_ms, err);
    c->global = node;
    return rc;
}

static int check_email(const struct toc_alert_config *c, const struct toc_yaml *n,
                       struct toc_err *err) {
    if (!has_any(n, "smarthost") && !has_any(c->global, "smtp_smarthost"))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "no global SMTP smarthost set");
    if (!has_any(n, "from") && !has_any(c->global, "smtp_from"))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "no global SMTP from set");
    return 0;
}

static int check_slack(const struct toc_alert_config *c, const struct toc_yaml *n,
                       struct toc_err *err) {
    const struct toc_yaml *update = toc_yaml_get(n, "update_message");
    const struct toc_yaml *url = toc_yaml_get(n, "api_url");
    bool updates = false;
    int rc = update ? toc_yaml_bool(update, &updates, err) : 0;
    (void)c;
    if (!rc && updates && url && !toc_sv_eq_cstr(url->scalar, slack_post_url))
        rc =
            toc_err_at(err, TOC_EINVAL, n->line, n->column,
                       "update_message can only be used with bot tokens. api_url must be set to %s",
                       slack_post_url);
    return rc;
}

static int check_needs(const struct toc_alert_config *c, const struct integration_row *row,
                       const struct toc_yaml *n, struct toc_err *err) {
    if (row->own[0] && !has_any(n, row->own) &&
        !(row->global[0] && has_any(c->global, row->global)))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "%s", row->error);
    if (!strcmp(row->type, "email"))
        return check_email(c, n, err);
    return strcmp(row->type, "slack") ? 0 : check_slack(c, n, err);
}

static int read_integration(const struct toc_alert_config *c, const struct integration_row *row,
                            const struct toc_yaml *n, struct toc_alert_integration *out,
                            struct toc_err *err) {
    char type_name[64];
    (void)snprintf(type_name, sizeof type_name, "%s.plain", row->type);
    *out = (struct toc_alert_integration){toc_sv_cstr(row->type), n, row->sends_resolved};
    if (n->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, n->line, n->column, "expected a mapping");
    int rc = 0;
    if (strcmp(row->keys, "*")) {
        rc = toc_alert_check_fields(n, row->keys,
                                    row->has_http ? "send_resolved http_config" : "send_resolved",
                                    type_name, err);
        if (!rc)
            rc = check_pairs(n, err);
        if (!rc)
            rc = check_needs(c, row, n, err);
        if (!rc)
            rc = check_http(n, err);
    }
    const struct toc_yaml *resolved = rc ? NULL : toc_yaml_get(n, "send_resolved");
    return resolved ? toc_yaml_bool(resolved, &out->sends_resolved, err) : rc;
}

static int count_integrations(const struct toc_yaml *receiver, size_t *out, struct toc_err *err) {
    *out = 0;
    for (size_t i = 0; i < receiver->count; i++) {
        const struct toc_yaml *n = &receiver->items[i];
        if (toc_sv_eq_cstr(n->key, "name") || toc_sv_eq_cstr(n->key, "labels"))
            continue;
        if (!find_row(n->key))
            return toc_err_at(err, TOC_EUNKNOWN_KEY, n->key_line, n->key_column,
                              "yaml: unmarshal errors:\n  line %d: field %.*s not found in type "
                              "config.plain",
                              n->key_line, TOC_SV_ARG(toc_sv_sub(n->key, 0, 100)));
        if (n->type != TOC_YAML_SEQUENCE && !toc_yaml_is_null(n))
            return toc_err_at(err, TOC_ETYPE, n->line, n->column, "expected a list");
        *out += n->type == TOC_YAML_SEQUENCE ? n->count : 0;
    }
    return 0;
}

static int read_integrations(struct toc_alert_config *c, struct toc_alert_receiver *out,
                             struct toc_err *err) {
    size_t total;
    int rc = count_integrations(out->node, &total, err);
    if (rc)
        return rc;
    out->integrations = TOC_ARENA_NEW_ARRAY(&c->arena, struct toc_alert_integration, total + 1);
    if (!out->integrations)
        return TOC_ENOMEM;
    out->sends_resolved = total == 0;
    for (size_t i = 0; i < out->node->count && !rc; i++) {
        const struct toc_yaml *list = &out->node->items[i];
        const struct integration_row *row = find_row(list->key);
        for (size_t k = 0; row && list->type == TOC_YAML_SEQUENCE && k < list->count && !rc; k++) {
            struct toc_alert_integration *one = &out->integrations[out->count++];
            rc = read_integration(c, row, &list->items[k], one, err);
            out->sends_resolved |= one->sends_resolved;
        }
    }
    return rc;
}

static int read_receiver(struct toc_alert_config *c, const struct toc_yaml *n,
                         struct toc_err *err) {
    struct toc_alert_receiver out = {.node = n};
    if (n->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, n->line, n->column, "expected a mapping");
    const struct toc_yaml *name = toc_yaml_get(n, "name");
    int rc = name ? toc_yaml_string(name, &out.name, err) : 0;
    if (!rc && !out.name.n)
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "missing name in receiver");
    if (!rc && toc_alert_config_receiver(c, out.name))
        rc = toc_err_at(err, TOC_EDUPLICATE, n->line, n->column,
                        "notification config name \"%.*s\" is not unique", TOC_SV_ARG(out.name));
    if (!rc)
        rc = read_integrations(c, &out, err);
    if (!rc)
        c->receivers[c->receiver_count++] = out;
    return rc;
}

int toc_alert_read_receivers(struct toc_alert_config *c, const struct toc_yaml *list,
                             struct toc_err *err) {
    if (!list || toc_yaml_is_null(list))
        return 0;
    if (list->type != TOC_YAML_SEQUENCE || list->count > 10000)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column,
                          "expected a list of at most 10000 receivers");
    c->receivers = TOC_ARENA_NEW_ARRAY(&c->arena, struct toc_alert_receiver, list->count + 1);
    if (!c->receivers)
        return TOC_ENOMEM;
    int rc = 0;
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = read_receiver(c, &list->items[i], err);
    return rc;
}
