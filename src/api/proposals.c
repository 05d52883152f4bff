/* After a false alarm: the proposed threshold with its effect on stored history, and applying it.
 */
#include <math.h>

#include "api/api_priv.h"
#include "incident/proposal.h"

static struct toc_proposal_options options_of(struct toc_api_call *c) {
    return (struct toc_proposal_options){.manager = c->api->parts.incidents,
                                         .access = c->api->parts.thresholds,
                                         .querier = c->api->parts.querier};
}

void toc_api_incident_proposal(struct toc_api_call *c) {
    struct toc_proposal_options options = options_of(c);
    struct toc_proposal proposal = {0};
    struct toc_err err = {0};
    int rc = toc_incident_proposal(&options, c->params[0], c->now, &proposal, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        toc_proposal_write_json(&c->json, &proposal);
    toc_proposal_fini(&proposal);
}

static void write_applied(struct toc_api_call *c, const struct toc_proposal_applied *a) {
    toc_json_begin_object(&c->json);
    toc_json_kv_int(&c->json, "change_id", a->change_id);
    toc_json_kv_cstr(&c->json, "rule", a->rule);
    toc_json_kv_double(&c->json, "old_threshold", a->old_threshold);
    toc_json_kv_double(&c->json, "new_threshold", a->new_threshold);
    toc_json_kv_time(&c->json, "applied_at", a->applied_at);
    toc_json_kv_cstr(&c->json, "actor", c->actor);
    toc_json_end_object(&c->json);
}

void toc_api_incident_proposal_apply(struct toc_api_call *c) {
    struct toc_proposal_options options = options_of(c);
    struct toc_proposal_applied applied;
    const struct toc_json *body;
    struct toc_sv comment;
    double threshold;
    struct toc_err err = {0};
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "comment", &comment))
        return;
    if (!body || toc_json_get_double(body, "threshold", NAN, &threshold, &err) < 0 ||
        !isfinite(threshold)) {
        toc_api_problem(c, 400, "invalid", "the body needs \"threshold\", a finite number");
        return;
    }
    int rc = toc_incident_proposal_apply(&options, c->params[0], threshold, toc_sv_cstr(c->actor),
                                         comment, c->now, &applied, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    else
        write_applied(c, &applied);
}
