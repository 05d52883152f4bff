/* Learning from verdicts: scopes, preview, apply, roll back, what was withheld. */
#include <math.h>

#include "api/api_priv.h"
#include "base/num.h"
#include "incident/learn.h"
#include "incident/learn_report.h"

void toc_api_learn(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "scopes");
    toc_learn_write_scopes(c->api->parts.learn, &c->json);
    toc_json_end_object(&c->json);
}

void toc_api_learn_report(struct toc_api_call *c) {
    struct toc_err err = {0};
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "rules");
    int rc = toc_learn_write_report(c->api->parts.learn, c->api->parts.incidents, &c->json, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        toc_json_end_object(&c->json);
}

void toc_api_learn_alerts(struct toc_api_call *c) {
    struct toc_sv which = toc_api_param(c, "withheld");
    size_t limit;
    if (!toc_api_limit(c, 100, TOC_LEARN_ALERTS_MAX, &limit))
        return;
    if (which.n && !toc_sv_eq(which, TOC_SV("true")) && !toc_sv_eq(which, TOC_SV("false"))) {
        toc_api_problem(c, 400, "invalid", "withheld must be true or false, got \"%.*s\"",
                        TOC_SV_ARG(which));
        return;
    }
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "alerts");
    toc_learn_write_alerts(c->api->parts.learn, toc_sv_eq(which, TOC_SV("true")), limit, &c->json);
    toc_json_end_object(&c->json);
}

/* Parameters of a preview, members of a body. */
static bool plan_of_params(struct toc_api_call *c, struct toc_learn_plan *p) {
    struct toc_sv keep = toc_api_param(c, "keep");
    *p = (struct toc_learn_plan){.scope = c->params[0],
                                 .without = toc_api_param(c, "without"),
                                 .accepts_contradiction = toc_sv_eq(
                                     toc_api_param(c, "accept_contradiction"), TOC_SV("true"))};
    if (!keep.n || toc_parse_f64(keep, &p->keep) == 0)
        return true;
    toc_api_problem(c, 400, "invalid", "keep must be a number");
    return false;
}

void toc_api_learn_preview(struct toc_api_call *c) {
    struct toc_learn_plan plan;
    struct toc_err err = {0};
    if (!plan_of_params(c, &plan))
        return;
    int rc = toc_learn_preview(c->api->parts.learn, &plan, c->now, &c->json, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
}

static bool plan_of_body(struct toc_api_call *c, const struct toc_json *body,
                         struct toc_learn_plan *p) {
    struct toc_sv mode = TOC_SV_NULL;
    struct toc_err err = {0};
    *p = (struct toc_learn_plan){.scope = c->params[0], .actor = toc_sv_cstr(c->actor)};
    if (!toc_api_body_string(c, body, "mode", &mode) ||
        !toc_api_body_string(c, body, "without", &p->without))
        return false;
    const struct toc_json *accepts = body ? toc_json_get(body, "accept_contradiction") : NULL;
    p->accepts_contradiction = accepts && accepts->type == TOC_JSON_BOOL && accepts->boolean;
    p->mode = toc_learn_mode_parse(mode.n ? mode : TOC_SV("enforce"));
    if (p->mode != TOC_LEARN_SHADOW && p->mode != TOC_LEARN_ENFORCE) {
        toc_api_problem(c, 400, "invalid", "mode must be shadow or enforce");
        return false;
    }
    if (body && toc_json_get(body, "keep") &&
        toc_json_get_double(body, "keep", 0, &p->keep, &err) < 0) {
        toc_api_problem(c, 400, "invalid", "keep must be a number");
        return false;
    }
    return true;
}

static void answer_version(struct toc_api_call *c, struct toc_sv scope, uint32_t version) {
    toc_json_begin_object(&c->json);
    toc_json_kv_string(&c->json, "scope", scope);
    toc_json_kv_int(&c->json, "version", version);
    toc_json_kv_cstr(&c->json, "actor", c->actor);
    toc_json_end_object(&c->json);
}

void toc_api_learn_apply(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_learn_plan plan;
    struct toc_err err = {0};
    uint32_t version = 0;
    if (!toc_api_body(c, &body) || !plan_of_body(c, body, &plan))
        return;
    int rc = toc_learn_apply(c->api->parts.learn, &plan, c->now, &version, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        answer_version(c, plan.scope, version);
}

void toc_api_learn_roll_back(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_err err = {0};
    double version = 0;
    if (!toc_api_body(c, &body))
        return;
    bool is_bad = body && toc_json_get(body, "version") &&
                  toc_json_get_double(body, "version", 0, &version, &err) < 0;
    if (is_bad || !(version >= 0 && version <= UINT32_MAX) || version != floor(version)) {
        toc_api_problem(c, 400, "invalid", "version must be a whole number");
        return;
    }
    int rc = toc_learn_roll_back(c->api->parts.learn, c->params[0], (uint32_t)version, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        toc_api_learn(c);
}

void toc_api_learn_verdict(struct toc_api_call *c) {
    const struct toc_json *body;
    struct toc_sv verdict = TOC_SV_NULL;
    struct toc_err err = {0};
    uint64_t id = 0;
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "verdict", &verdict))
        return;
    if (toc_parse_u64(c->params[0], &id) < 0) {
        toc_api_problem(c, 400, "invalid", "the alert's id must be a number");
        return;
    }
    int rc = toc_learn_verdict_alert(c->api->parts.learn, id, toc_verdict_parse(verdict),
                                     toc_sv_cstr(c->actor), c->now, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        toc_api_learn(c);
}
