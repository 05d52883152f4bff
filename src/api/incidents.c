/* Incidents: reading, handling, review, and the one-click acknowledge link. */
#include "api/api_priv.h"
#include "codec/text.h"
#include "incident/summary.h"
#include "model/incident_json.h"
#include "notify/ack_link.h"

static int write_incident(void *ctx, const struct toc_incident *i) {
    toc_incident_write_json(ctx, i, NULL, 0);
    return 0;
}

void toc_api_incidents(struct toc_api_call *c) {
    struct toc_err err = {0};
    struct toc_incident_filter f = {0};
    struct toc_sv state = toc_api_param(c, "state");
    if (!toc_api_limit(c, 100, 1000, &f.limit))
        return;
    if (state.n && !toc_sv_eq(state, TOC_SV("open")) && !toc_sv_eq(state, TOC_SV("all"))) {
        toc_api_problem(c, 400, "invalid", "state must be open or all, got \"%.*s\"",
                        TOC_SV_ARG(state));
        return;
    }
    f.is_open_only = !toc_sv_eq(state, TOC_SV("all"));
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "incidents");
    toc_json_begin_array(&c->json);
    int rc = toc_incident_list(c->api->parts.incidents, &f, write_incident, &c->json, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

static void answer_detail(struct toc_api_call *c, struct toc_sv id) {
    struct toc_err err = {0};
    int rc = toc_incident_detail_json(c->api->parts.incidents, id, &c->res->body, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
}

void toc_api_incident(struct toc_api_call *c) {
    answer_detail(c, c->params[0]);
}

/* Applies the action of the body and answers with the incident. */
static void act(struct toc_api_call *c, struct toc_incident_action *a) {
    struct toc_err err = {0};
    a->actor = toc_sv_cstr(c->actor);
    int rc = toc_incident_act(c->api->parts.incidents, c->params[0], a, c->now, NULL, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        answer_detail(c, c->params[0]);
}

/* A verdict is also a lesson for what withholds alerts. */
static void act_and_teach(struct toc_api_call *c, struct toc_incident_action *a) {
    struct toc_err err = {0};
    struct toc_incident i;
    a->actor = toc_sv_cstr(c->actor);
    int rc = toc_incident_act(c->api->parts.incidents, c->params[0], a, c->now, &i, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    if (c->api->parts.learn)
        (void)toc_learn_verdict(c->api->parts.learn, &i, a->actor, c->now);
    toc_incident_fini(&i);
    answer_detail(c, c->params[0]);
}

static void act_with_comment(struct toc_api_call *c, enum toc_incident_action_type type) {
    const struct toc_json *body;
    struct toc_incident_action a = {.type = type};
    if (toc_api_body(c, &body) && toc_api_body_string(c, body, "comment", &a.comment))
        act(c, &a);
}

void toc_api_incident_acknowledge(struct toc_api_call *c) {
    act_with_comment(c, TOC_INCIDENT_ACTION_ACKNOWLEDGE);
}
void toc_api_incident_mitigate(struct toc_api_call *c) {
    act_with_comment(c, TOC_INCIDENT_ACTION_MITIGATE);
}
void toc_api_incident_resolve(struct toc_api_call *c) {
    act_with_comment(c, TOC_INCIDENT_ACTION_RESOLVE);
}
void toc_api_incident_review(struct toc_api_call *c) {
    act_with_comment(c, TOC_INCIDENT_ACTION_REVIEW);
}

void toc_api_incident_assign(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_ASSIGN};
    if (toc_api_body(c, &body) && toc_api_body_string(c, body, "comment", &a.comment) &&
        toc_api_body_string(c, body, "assignee", &a.assignee))
        act(c, &a);
}

void toc_api_incident_comment(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_COMMENT};
    if (toc_api_body(c, &body) && toc_api_body_string(c, body, "text", &a.comment))
        act(c, &a);
}

void toc_api_incident_verdict(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_sv verdict;
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_VERDICT};
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "verdict", &verdict) ||
        !toc_api_body_string(c, body, "duplicate_of", &a.duplicate_of) ||
        !toc_api_body_string(c, body, "comment", &a.comment))
        return;
    a.verdict = toc_verdict_parse(verdict);
    if (a.verdict == TOC_VERDICT_COUNT || a.verdict == TOC_VERDICT_NONE)
        toc_api_problem(c, 400, "invalid",
                        "verdict must be true, false, expected or duplicate, got \"%.*s\"",
                        TOC_SV_ARG(verdict));
    else
        act_and_teach(c, &a);
}

void toc_api_incident_summary(struct toc_api_call *c) {
    struct toc_err err = {0};
    c->res->content_type = "text/markdown; charset=utf-8";
    int rc = toc_incident_summary(c->api->parts.incidents, c->params[0], &c->res->body, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
}

/* --------------------------------------------------------------------------------- acknowledge
 * links */

static bool link_is_good(struct toc_api_call *c) {
    struct toc_err err = {0};
    int rc = toc_ack_token_verify(c->api->parts.ack_key, c->params[0], toc_api_param(c, "token"),
                                  c->now, &err);
    if (rc == TOC_ETOO_OLD)
        toc_api_problem(c, 403, "link_expired", "this link has expired; acknowledge in the web UI");
    else if (rc < 0)
        toc_api_problem(c, 403, "link_invalid", "this link is not valid for this incident");
    return rc >= 0;
}

static void page(struct toc_api_call *c, const char *title, const char *body_format,
                 struct toc_sv text) {
    struct toc_buf safe = TOC_BUF_INIT;
    toc_html_escape(text, &safe);
    c->res->content_type = "text/html; charset=utf-8";
    toc_buf_printf(&c->res->body,
                   "<!doctype html><html lang=en><meta charset=utf-8>"
                   "<meta name=viewport content=\"width=device-width, initial-scale=1\">"
                   "<title>%s</title><h1>%s</h1>",
                   title, title);
    toc_buf_append_cstr(&c->res->body, body_format);
    toc_buf_append_sv(&c->res->body, toc_buf_sv(&safe));
    toc_buf_fini(&safe);
}

/* Opening the link changes nothing: mail scanners open links. The button does. */
void toc_api_incident_ack_page(struct toc_api_call *c) {
    struct toc_err err = {0};
    struct toc_incident i;
    if (!link_is_good(c))
        return;
    int rc = toc_incident_get(c->api->parts.incidents, c->params[0], &i, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    page(c, "Acknowledge incident", "<p>", i.title);
    toc_buf_append_cstr(&c->res->body, "</p><form method=post action=\"acknowledge-link?token=");
    toc_percent_encode(toc_api_param(c, "token"), &c->res->body);
    toc_buf_append_cstr(&c->res->body, "\"><button>Acknowledge</button></form></html>");
    toc_incident_fini(&i);
}

void toc_api_incident_ack_link(struct toc_api_call *c) {
    struct toc_err err = {0};
    if (!link_is_good(c))
        return;
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_ACKNOWLEDGE,
                                    .actor = TOC_SV("link"),
                                    .comment =
                                        TOC_SV("acknowledged by the link of a notification")};
    int rc = toc_incident_act(c->api->parts.incidents, c->params[0], &a, c->now, NULL, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        page(c, "Acknowledged", "<p>Thank you. The incident is acknowledged.</p>", TOC_SV(""));
}
