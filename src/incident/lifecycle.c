#include "incident/lifecycle.h"

#include "base/assert.h"

enum { COMMENT_MAX_BYTES = 16 * 1024, NAME_MAX_BYTES = 128 };

bool toc_lifecycle_allows(enum toc_incident_state from, enum toc_incident_state to) {
    static const bool allowed[TOC_INCIDENT_STATE_COUNT][TOC_INCIDENT_STATE_COUNT] = {
#define X(from_, to_) [TOC_INCIDENT_##from_][TOC_INCIDENT_##to_] = true,
        TOC_TRANSITION_TABLE(X)
#undef X
    };
    return allowed[from][to];
}

static void first_time(struct toc_ts *t, struct toc_ts now) {
    if (!t->ms)
        *t = now;
}

static void stamp(struct toc_incident *i, enum toc_incident_state to, struct toc_ts now) {
    if (!toc_incident_state_is_open(to))
        first_time(&i->resolved_at, now);
    else
        i->resolved_at = (struct toc_ts){0};
    if (i->state == TOC_INCIDENT_MONITORING)
        i->monitoring_at = (struct toc_ts){0};
    if (to == TOC_INCIDENT_TRIGGERED)
        i->triggered_at = now;
    else if (to == TOC_INCIDENT_NOTIFIED)
        first_time(&i->notified_at, now);
    else if (to == TOC_INCIDENT_ACKNOWLEDGED)
        first_time(&i->acknowledged_at, now);
    else if (to == TOC_INCIDENT_MITIGATING)
        first_time(&i->mitigated_at, now);
    else if (to == TOC_INCIDENT_MONITORING)
        i->monitoring_at = now;
    else if (to == TOC_INCIDENT_REVIEWED)
        i->reviewed_at = now;
}

int toc_lifecycle_move(struct toc_incident *i, enum toc_incident_state to, struct toc_ts now,
                       struct toc_err *err) {
    if (!toc_lifecycle_allows(i->state, to))
        return toc_errf(err, TOC_ECONFLICT, "incident %s is %s and cannot become %s", i->id,
                        toc_incident_state_text(i->state), toc_incident_state_text(to));
    stamp(i, to, now);
    i->held_state = to == TOC_INCIDENT_MONITORING ? i->state : to;
    i->state = to;
    i->updated_at = now;
    return 0;
}

const char *toc_incident_action_text(enum toc_incident_action_type type) {
    static const char *const names[] = {
#define X(e, name) name,
        TOC_INCIDENT_ACTION_TABLE(X)
#undef X
    };
    TOC_ASSERT(type < TOC_INCIDENT_ACTION_COUNT);
    return names[type];
}

/* While all alerts are quiet, taking over is noted and takes effect should it fire again. */
static int take_over(struct toc_incident *i, enum toc_incident_state to,
                     const struct toc_incident_action *a, struct toc_ts now, struct toc_err *err) {
    if (i->state != TOC_INCIDENT_MONITORING) {
        int rc = toc_lifecycle_move(i, to, now, err);
        if (rc)
            return rc;
    } else if (!toc_lifecycle_allows(i->held_state, to)) {
        return toc_errf(err, TOC_ECONFLICT, "incident %s was %s already before its alerts resolved",
                        i->id, toc_incident_state_text(i->held_state));
    } else {
        i->held_state = to;
        if (to == TOC_INCIDENT_MITIGATING)
            first_time(&i->mitigated_at, now);
    }
    first_time(&i->acknowledged_at, now);
    if (!i->acknowledged_by.n || to == TOC_INCIDENT_ACKNOWLEDGED)
        i->acknowledged_by = toc_incident_text(i, a->actor);
    return 0;
}

static int acknowledge(struct toc_incident *i, const struct toc_incident_action *a,
                       struct toc_ts now, struct toc_err *err) {
    bool is_done = i->state == TOC_INCIDENT_ACKNOWLEDGED || i->state == TOC_INCIDENT_MITIGATING;
    if (is_done)
        return toc_errf(err, TOC_ECONFLICT, "incident %s has been acknowledged already by %.*s",
                        i->id, TOC_SV_ARG(i->acknowledged_by));
    return take_over(i, TOC_INCIDENT_ACKNOWLEDGED, a, now, err);
}

static int assign(struct toc_incident *i, const struct toc_incident_action *a,
                  struct toc_err *err) {
    if (i->state == TOC_INCIDENT_REVIEWED)
        return toc_errf(err, TOC_ECONFLICT,
                        "incident %s has been reviewed: there is nothing left to "
                        "assign",
                        i->id);
    if (!a->assignee.n || a->assignee.n > NAME_MAX_BYTES)
        return toc_errf(err, TOC_EINVAL, "assignee: a name of 1 to %d bytes is needed",
                        NAME_MAX_BYTES);
    i->assignee = toc_incident_text(i, a->assignee);
    return 0;
}

static int resolve(struct toc_incident *i, const struct toc_incident_action *a, struct toc_ts now,
                   struct toc_err *err) {
    if (!toc_incident_state_is_open(i->state))
        return toc_errf(err, TOC_ECONFLICT, "incident %s is %s: it is closed already", i->id,
                        toc_incident_state_text(i->state));
    int rc = toc_lifecycle_move(i, TOC_INCIDENT_RESOLVED, now, err);
    if (rc == 0)
        i->resolved_by = toc_incident_text(i, a->actor);
    return rc;
}

static int review(struct toc_incident *i, struct toc_ts now, struct toc_err *err) {
    if (toc_incident_state_is_open(i->state))
        return toc_errf(err, TOC_ECONFLICT,
                        "incident %s is still open (%s): resolve it before the review", i->id,
                        toc_incident_state_text(i->state));
    return toc_lifecycle_move(i, TOC_INCIDENT_REVIEWED, now, err);
}

/* Takes back a verdict that had closed the incident. */
static int undo_closing_verdict(struct toc_incident *i, size_t firing_count, struct toc_ts now,
                                struct toc_err *err) {
    i->duplicate_of = TOC_SV_NULL;
    if (i->state != TOC_INCIDENT_FALSE_ALARM && i->state != TOC_INCIDENT_DUPLICATE_OF)
        return 0;
    return toc_lifecycle_move(i, firing_count ? TOC_INCIDENT_TRIGGERED : TOC_INCIDENT_RESOLVED, now,
                              err);
}

/* A hard kind that still fires is recorded as a false alarm but stays open until it has recovered.
 */
static int call_false(struct toc_incident *i, size_t firing_count, struct toc_ts now,
                      struct toc_err *err) {
    if (toc_kind_info(i->kind)->is_hard && firing_count)
        return undo_closing_verdict(i, firing_count, now, err);
    i->duplicate_of = TOC_SV_NULL;
    return toc_lifecycle_move(i, TOC_INCIDENT_FALSE_ALARM, now, err);
}

static int call_duplicate(struct toc_incident *i, struct toc_sv other, struct toc_ts now,
                          struct toc_err *err) {
    if (!other.n || other.n >= TOC_INCIDENT_ID_MAX)
        return toc_errf(err, TOC_EINVAL, "duplicate_of: the id of the other incident is needed");
    if (toc_sv_eq_cstr(other, i->id))
        return toc_errf(err, TOC_EINVAL, "incident %s cannot be a duplicate of itself", i->id);
    int rc = toc_lifecycle_move(i, TOC_INCIDENT_DUPLICATE_OF, now, err);
    if (rc == 0)
        i->duplicate_of = toc_incident_text(i, other);
    return rc;
}

static int give_verdict(struct toc_incident *i, const struct toc_incident_action *a,
                        size_t firing_count, struct toc_ts now, struct toc_err *err) {
    if (i->state == TOC_INCIDENT_REVIEWED)
        return toc_errf(err, TOC_ECONFLICT, "incident %s has been reviewed: its verdict stands",
                        i->id);
    if (a->verdict == i->verdict)
        return toc_errf(err, TOC_ECONFLICT, "incident %s has the verdict \"%s\" already", i->id,
                        toc_verdict_text(i->verdict));
    int rc;
    switch (a->verdict) {
    case TOC_VERDICT_TRUE:
    case TOC_VERDICT_EXPECTED:
        rc = undo_closing_verdict(i, firing_count, now, err);
        break;
    case TOC_VERDICT_FALSE:
        rc = call_false(i, firing_count, now, err);
        break;
    case TOC_VERDICT_DUPLICATE:
        rc = call_duplicate(i, a->duplicate_of, now, err);
        break;
    default:
        return toc_errf(err, TOC_EINVAL,
                        "verdict: one of true, false, expected, duplicate is needed");
    }
    if (rc == 0)
        i->verdict = a->verdict;
    return rc;
}

static int check_action(const struct toc_incident_action *a, struct toc_err *err) {
    if (!a->actor.n || a->actor.n > NAME_MAX_BYTES)
        return toc_errf(err, TOC_EINVAL, "actor: a name of 1 to %d bytes is needed",
                        NAME_MAX_BYTES);
    if (a->comment.n > COMMENT_MAX_BYTES)
        return toc_errf(err, TOC_ELIMIT, "comment: %zu bytes are over the limit of %d",
                        a->comment.n, COMMENT_MAX_BYTES);
    if (!toc_sv_is_utf8(a->comment) || !toc_sv_is_utf8(a->actor) || !toc_sv_is_utf8(a->assignee))
        return toc_errf(err, TOC_EINVAL, "comment: not well-formed UTF-8");
    if (a->type == TOC_INCIDENT_ACTION_COMMENT && !toc_sv_trim(a->comment).n)
        return toc_errf(err, TOC_EINVAL, "text: a comment needs some text");
    return 0;
}

static int dispatch(struct toc_incident *i, const struct toc_incident_action *a,
                    size_t firing_count, struct toc_ts now, struct toc_err *err) {
    switch (a->type) {
    case TOC_INCIDENT_ACTION_ACKNOWLEDGE:
        return acknowledge(i, a, now, err);
    case TOC_INCIDENT_ACTION_ASSIGN:
        return assign(i, a, err);
    case TOC_INCIDENT_ACTION_COMMENT:
        return 0;
    case TOC_INCIDENT_ACTION_MITIGATE:
        return take_over(i, TOC_INCIDENT_MITIGATING, a, now, err);
    case TOC_INCIDENT_ACTION_VERDICT:
        return give_verdict(i, a, firing_count, now, err);
    case TOC_INCIDENT_ACTION_RESOLVE:
        return resolve(i, a, now, err);
    case TOC_INCIDENT_ACTION_REVIEW:
        return review(i, now, err);
    case TOC_INCIDENT_ACTION_COUNT:
        break;
    }
    TOC_UNREACHABLE();
}

static const char *join_comment(struct toc_sv comment) {
    return comment.n ? ": " : "";
}

static enum toc_timeline_type describe(const struct toc_incident *i,
                                       const struct toc_incident_action *a, size_t firing_count,
                                       struct toc_buf *text) {
    const char *sep = join_comment(a->comment);
    switch (a->type) {
    case TOC_INCIDENT_ACTION_ACKNOWLEDGE:
        toc_buf_printf(text, "Acknowledged%s%.*s", sep, TOC_SV_ARG(a->comment));
        return TOC_TIMELINE_ACKNOWLEDGED;
    case TOC_INCIDENT_ACTION_ASSIGN:
        toc_buf_printf(text, "Assigned to %.*s%s%.*s", TOC_SV_ARG(i->assignee), sep,
                       TOC_SV_ARG(a->comment));
        return TOC_TIMELINE_ASSIGNED;
    case TOC_INCIDENT_ACTION_COMMENT:
        toc_buf_append_sv(text, a->comment);
        return TOC_TIMELINE_COMMENT;
    case TOC_INCIDENT_ACTION_MITIGATE:
        toc_buf_printf(text, "Mitigation started%s%.*s", sep, TOC_SV_ARG(a->comment));
        return TOC_TIMELINE_MITIGATING;
    case TOC_INCIDENT_ACTION_VERDICT:
        toc_buf_printf(text, "Verdict: %s%s%.*s%s%.*s", toc_verdict_text(a->verdict),
                       i->duplicate_of.n ? " of " : "", TOC_SV_ARG(i->duplicate_of), sep,
                       TOC_SV_ARG(a->comment));
        return TOC_TIMELINE_VERDICT;
    case TOC_INCIDENT_ACTION_RESOLVE:
        toc_buf_append_cstr(text, "Resolved by hand");
        if (firing_count)
            toc_buf_printf(text, " while %zu of its alerts still fire", firing_count);
        toc_buf_printf(text, "%s%.*s", sep, TOC_SV_ARG(a->comment));
        return TOC_TIMELINE_RESOLVED;
    case TOC_INCIDENT_ACTION_REVIEW:
        toc_buf_printf(text, "Reviewed%s%.*s", sep, TOC_SV_ARG(a->comment));
        return TOC_TIMELINE_REVIEWED;
    case TOC_INCIDENT_ACTION_COUNT:
        break;
    }
    TOC_UNREACHABLE();
}

int toc_lifecycle_act(struct toc_incident *i, const struct toc_incident_action *a,
                      size_t firing_count, struct toc_ts now, enum toc_timeline_type *out_type,
                      struct toc_buf *text, struct toc_err *err) {
    int rc = check_action(a, err);
    if (rc == 0)
        rc = dispatch(i, a, firing_count, now, err);
    if (rc)
        return rc;
    i->updated_at = now;
    *out_type = describe(i, a, firing_count, text);
    return 0;
}
