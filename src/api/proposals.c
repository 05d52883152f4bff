/* After a false alarm: the proposed threshold with its effect on stored history, and applying it. */
#include <math.h>

#include "api/api_priv.h"
#include "incident/proposal.h"

static struct toc_proposal_context context_of(struct toc_api_call *c) {
    return (struct toc_proposal_context){.incidents = c->api->parts.incidents,
                                         .rules = c->api->parts.rules_face,
                                         .querier = c->api->parts.querier};
}

void toc_api_incident_proposal(struct toc_api_call *c) {
    struct toc_proposal_context context = context_of(c);
    struct toc_err err = {0};
    int rc = toc_incident_proposal_json(&context, c->params[0], c->now, &c->res->body, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
}

void toc_api_incident_proposal_apply(struct toc_api_call *c) {
    struct toc_proposal_context context = context_of(c);
    const struct toc_json *body;
    struct toc_sv comment;
    double threshold;
    struct toc_err err = {0};
    if (!toc_api_body(c, &body) || !toc_api_body_string(c, body, "comment", &comment))
        return;
    if (!body || toc_json_get_double(body, "threshold", NAN, &threshold, &err) < 0 || !isfinite(threshold)) {
        toc_api_problem(c, 400, "invalid", "the body needs \"threshold\", a finite number");
        return;
    }
    int rc = toc_incident_proposal_apply(&context, c->params[0], threshold, toc_sv_cstr(c->actor), comment,
                                         c->now, &c->res->body, &err);
    if (rc < 0)
        toc_api_fail(c, rc, &err);
}
