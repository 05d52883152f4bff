/* Thresholds as reviewed changes: proposed with their effect, accepted or rejected by somebody,
 * recorded. */
#include <math.h>
#include <stdio.h>

#include "api/api_priv.h"
#include "api/feature.h"
#include "replay/threshold_review.h"
#include "statedb/changes.h"

#define DEFAULT_HISTORY_S (30 * 86400.0)

static bool invalid(struct toc_api_call *c, const char *what) {
    toc_api_problem(c, 400, "invalid", "%s", what);
    return false;
}

static int write_review(void *ctx, const struct toc_threshold_review *r) {
    toc_review_json(ctx, r);
    return 0;
}

void toc_api_threshold_reviews(struct toc_api_call *c) {
    struct toc_err err = {0};
    size_t damaged = 0;
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "reviews");
    toc_json_begin_array(&c->json);
    int rc = toc_reviews_each(c->api->parts.blobs, write_review, &c->json, &damaged, &err);
    if (rc < 0) {
        toc_api_fail(c, rc, &err);
        return;
    }
    toc_json_end_array(&c->json);
    toc_json_kv_int(&c->json, "damaged", (int64_t)damaged);
    toc_json_end_object(&c->json);
}

/* ------------------------------------------------------------------------------------ proposing */

static bool read_number(struct toc_api_call *c, const struct toc_json *body, const char *key,
                        double fallback, double least, double *out) {
    struct toc_err err = {0};
    if (toc_json_get_double(body, key, fallback, out, &err) < 0)
        return invalid(c, err.message);
    if (!(*out >= least) || !isfinite(*out)) {
        toc_api_problem(c, 400, "invalid", "\"%s\" must be a number of at least %g", key, least);
        return false;
    }
    return true;
}

static bool read_proposal(struct toc_api_call *c, struct toc_threshold_review *r) {
    const struct toc_json *body;
    double history_s;
    if (!toc_api_body(c, &body))
        return false;
    if (!body || !toc_json_get(body, "threshold"))
        return invalid(c, "the body needs \"rule\" and \"threshold\"");
    if (!toc_api_body_string(c, body, "rule", &r->rule) ||
        !toc_api_body_string(c, body, "reason", &r->reason) ||
        !read_number(c, body, "threshold", NAN, -INFINITY, &r->after) ||
        !read_number(c, body, "budget_count", 0, 0, &r->budget_count) ||
        !read_number(c, body, "budget_period_s", 7 * 86400, 60, &r->budget_period_s) ||
        !read_number(c, body, "history_s", DEFAULT_HISTORY_S, 600, &history_s))
        return false;
    r->history_ms = (int64_t)(history_s * 1000);
    return r->rule.n ? true : invalid(c, "the body needs \"rule\", the name of an alert rule");
}

static bool on_progress(void *ctx, int64_t done_ms, int64_t total_ms) {
    (void)done_ms;
    (void)total_ms;
    return !toc_query_should_stop(ctx);
}

static int try_both(struct toc_api_call *c, struct toc_query *q, struct toc_sv routing,
                    struct toc_threshold_review *r, struct toc_err *err) {
    const struct toc_trial_options o = {
        .rules = c->api->parts.rules,
        .querier = c->api->parts.querier,
        .executor = c->api->parts.executor,
        .features = toc_feature_promql(atomic_load(&c->api->features)),
        .lookback_ms = toc_query_gate_limits(c->api->queries).lookback_ms,
        .zones = c->api->parts.zones,
        .routing = routing,
        .on_progress = on_progress,
        .ctx = q};
    int64_t to_ms = c->now.ms, from_ms = to_ms - r->history_ms;
    double ignored;
    int rc =
        toc_threshold_trial(&o, r->rule, NAN, from_ms, to_ms, &r->effect_before, &r->before, err);
    return rc ? rc
              : toc_threshold_trial(&o, r->rule, r->after, from_ms, to_ms, &r->effect_after,
                                    &ignored, err);
}

static int try_out(struct toc_api_call *c, struct toc_threshold_review *r, struct toc_err *err) {
    struct toc_query q = {
        .request = c->req, .kind = "backtest", .text = r->rule, .actor = toc_sv_cstr(c->actor)};
    struct toc_buf routing = TOC_BUF_INIT;
    if (toc_query_begin(c->api->queries, &q, 0) < 0)
        return toc_errf(err, TOC_EBUSY, "too many queries run; try again later");
    c->api->parts.routing_text(c->api->parts.daemon, &routing);
    int rc = try_both(c, &q, toc_buf_sv(&routing), r, err);
    toc_query_end(&q);
    toc_buf_fini(&routing);
    return rc;
}

void toc_api_threshold_review_propose(struct toc_api_call *c) {
    struct toc_threshold_review r = {.proposed_by = toc_sv_cstr(c->actor), .proposed_at = c->now};
    struct toc_err err = {0};
    if (!read_proposal(c, &r))
        return;
    int rc = try_out(c, &r, &err);
    if (rc == 0)
        rc = toc_review_save(c->api->parts.blobs, &r, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        toc_review_json(&c->json, &r);
}

/* ------------------------------------------------------------------------------------- deciding */

static int record(struct toc_api_call *c, const struct toc_threshold_review *r,
                  struct toc_err *err) {
    char before[32], after[32];
    (void)snprintf(before, sizeof before, "%.17g", r->before);
    (void)snprintf(after, sizeof after, "%.17g", r->after);
    const struct toc_change change = {.kind = TOC_SV("threshold"),
                                      .subject = r->rule,
                                      .before = toc_sv_cstr(before),
                                      .after = toc_sv_cstr(after),
                                      .actor = r->decided_by,
                                      .at = r->decided_at};
    return toc_changes_add(c->api->parts.state, &change, NULL, err);
}

/* In force, recorded, stored; when it cannot be recorded the old number is in force again. */
static int put_in_force(struct toc_api_call *c, struct toc_threshold_review *r,
                        struct toc_err *err) {
    struct toc_threshold_access *access = c->api->parts.thresholds;
    int rc = access->set(access, r->rule, r->after, err);
    if (rc)
        return rc;
    rc = record(c, r, err);
    if (rc == 0)
        rc = toc_review_save(c->api->parts.blobs, r, err);
    if (rc && access->set(access, r->rule, r->before, NULL))
        return toc_errf(err, rc, "and the old threshold could not be set again");
    return rc;
}

static void decide(struct toc_api_call *c, enum toc_review_state to) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_threshold_review r;
    const struct toc_json *body;
    struct toc_sv comment;
    struct toc_err err = {0};
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "comment", &comment))
        return;
    int rc = toc_review_load(c->api->parts.blobs, c->params[0], &arena, &r, &err);
    if (rc == 0)
        rc = toc_review_decide(&r, to, toc_sv_cstr(c->actor), comment, c->now, &err);
    if (rc == 0)
        rc = to == TOC_REVIEW_ACCEPTED ? put_in_force(c, &r, &err)
                                       : toc_review_save(c->api->parts.blobs, &r, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        toc_review_json(&c->json, &r);
    toc_arena_fini(&arena);
}

void toc_api_threshold_review_accept(struct toc_api_call *c) {
    decide(c, TOC_REVIEW_ACCEPTED);
}
void toc_api_threshold_review_reject(struct toc_api_call *c) {
    decide(c, TOC_REVIEW_REJECTED);
}
