/* A back-test of rules over what is stored, for the UI and for reviews: one request, one answer, as
 * long as a query may take. */
#include <string.h>

#include "api/api_priv.h"
#include "api/feature.h"
#include "replay/replay.h"
#include "replay/replay_json.h"

enum { INCIDENTS_LISTED_MAX = 1000 };

struct asked {
    struct toc_sv rules, compare, zone;
    int64_t from_ms, to_ms, interval_ms;
    bool has_known;
    struct toc_known_incidents known;
    struct toc_query query;
};

/* ------------------------------------------------------------------------------------- reading */

static bool invalid(struct toc_api_call *c, const char *what) {
    toc_api_problem(c, 400, "invalid", "%s", what);
    return false;
}

static bool read_time(const struct toc_json *object, const char *key, int64_t *io_ms) {
    struct toc_sv text;
    struct toc_ts t;
    const struct toc_json *member = toc_json_get(object, key);
    if (!member || member->type == TOC_JSON_NULL)
        return true;
    if (toc_json_get_string(object, key, TOC_SV(""), &text, NULL) < 0 ||
        toc_ts_parse_rfc3339(text, &t, NULL) < 0)
        return false;
    *io_ms = t.ms;
    return true;
}

static bool read_one_known(const struct toc_json *item, struct asked *a) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_known_incident k = {INT64_MIN, INT64_MIN, TOC_SV(""), TOC_LABELS_EMPTY};
    const struct toc_json *labels = toc_json_get(item, "labels");
    bool is_good = read_time(item, "start", &k.start_ms) && read_time(item, "end", &k.end_ms) &&
                   k.start_ms != INT64_MIN && k.end_ms >= k.start_ms &&
                   toc_json_get_string(item, "name", TOC_SV(""), &k.name, NULL) == 0;
    for (size_t i = 0; is_good && labels && i < labels->count; i++) {
        is_good = labels->type == TOC_JSON_OBJECT && labels->items[i].type == TOC_JSON_STRING;
        if (is_good)
            toc_labels_builder_set(&b, labels->items[i].key, labels->items[i].string);
    }
    k.labels = toc_labels_builder_finish(&b);
    is_good = is_good && toc_known_incidents_add(&a->known, &k) == 0;
    toc_labels_builder_fini(&b);
    return is_good;
}

static int keep_true(void *ctx, const struct toc_incident *i) {
    struct toc_known_incident k = {i->started_at.ms ? i->started_at.ms : i->detected_at.ms,
                                   i->resolved_at.ms ? i->resolved_at.ms : i->updated_at.ms,
                                   i->title, i->subject};
    k.end_ms = TOC_MAX(k.end_ms, k.start_ms);
    return i->verdict == TOC_VERDICT_TRUE ? toc_known_incidents_add(ctx, &k) : 0;
}

static bool read_known(struct toc_api_call *c, const struct toc_json *body, struct asked *a) {
    const struct toc_incident_filter all = {.limit = INCIDENTS_LISTED_MAX};
    const struct toc_json *list = toc_json_get(body, "known");
    struct toc_err err = {0};
    bool takes_judged;
    if (toc_json_get_bool(body, "known_incidents", false, &takes_judged, &err) < 0)
        return invalid(c, err.message);
    a->has_known = takes_judged || (list && list->type == TOC_JSON_ARRAY);
    if (list && list->type != TOC_JSON_ARRAY && list->type != TOC_JSON_NULL)
        return invalid(c, "\"known\" is a list of incidents");
    for (size_t i = 0; list && i < list->count; i++)
        if (!read_one_known(&list->items[i], a))
            return invalid(c, "an incident in \"known\" has \"start\" and \"end\" (RFC 3339, the "
                              "end not before the start), may have \"name\" and \"labels\"");
    int rc = takes_judged
                 ? toc_incident_list(c->api->parts.incidents, &all, keep_true, &a->known, &err)
                 : 0;
    if (rc < 0)
        toc_api_fail(c, rc, &err);
    toc_known_incidents_sort(&a->known);
    return rc == 0;
}

static bool read_body(struct toc_api_call *c, struct asked *a) {
    const struct toc_json *body;
    struct toc_err err = {0};
    double interval_s;
    if (!toc_api_body(c, &body))
        return false;
    if (!body || !toc_api_body_string(c, body, "rules", &a->rules))
        return body ? false : invalid(c, "the body needs \"rules\" and \"from\"");
    if (!toc_api_body_string(c, body, "compare", &a->compare) ||
        !toc_api_body_string(c, body, "zone", &a->zone))
        return false;
    a->from_ms = INT64_MIN;
    a->to_ms = c->now.ms;
    if (!a->rules.n)
        return invalid(c, "the body needs \"rules\", the text of a rule file");
    if (!read_time(body, "from", &a->from_ms) || !read_time(body, "to", &a->to_ms) ||
        a->from_ms == INT64_MIN)
        return invalid(c, "the body needs \"from\", and \"to\" unless it is now: RFC 3339");
    if (toc_json_get_double(body, "interval_s", (double)c->api->parts.subquery_step_ms / 1000,
                            &interval_s, &err) < 0 ||
        !(interval_s >= 1 && interval_s <= 86400))
        return invalid(c, "\"interval_s\" is 1 to 86400");
    a->interval_ms = (int64_t)(interval_s * 1000);
    return read_known(c, body, a);
}

/* ------------------------------------------------------------------------------------- running */

static bool on_progress(void *ctx, int64_t done_ms, int64_t total_ms) {
    (void)done_ms;
    (void)total_ms;
    return !toc_query_should_stop(ctx);
}

struct outcome {
    struct toc_replay_record record;
    struct toc_score score;
    struct toc_causes causes;
};

static int parse(struct toc_api_call *c, struct toc_sv rules, struct toc_rule_file **out_file,
                 struct toc_alert_config **out_routing, struct toc_err *err) {
    const struct toc_rule_file_options o = {.features =
                                                toc_feature_promql(atomic_load(&c->api->features))};
    struct toc_buf routing = TOC_BUF_INIT;
    int rc = toc_rule_file_parse_with(TOC_SV("rules"), rules, &o, out_file, err);
    if (rc < 0) {
        err->line = 0; /* its message says the place */
        return TOC_EINVAL;
    }
    c->api->parts.routing_text(c->api->parts.daemon, &routing);
    rc = toc_alert_config_parse(toc_buf_sv(&routing), &c->api->parts.zones, out_routing, err);
    toc_buf_fini(&routing);
    if (rc < 0)
        toc_rule_file_free(out_file);
    return rc;
}

static int run(struct toc_api_call *c, struct asked *a, struct toc_sv rules, struct outcome *out,
               struct toc_err *err) {
    const struct toc_query_limits limits = toc_query_gate_limits(c->api->queries);
    struct toc_rule_file *file = NULL;
    struct toc_alert_config *routing = NULL;
    const struct toc_replay_options o = {.history = c->api->parts.querier,
                                         .from_ms = a->from_ms,
                                         .to_ms = a->to_ms,
                                         .executor = c->api->parts.executor,
                                         .features =
                                             toc_feature_promql(atomic_load(&c->api->features)),
                                         .default_interval_ms = a->interval_ms,
                                         .lookback_ms = limits.lookback_ms,
                                         .zones = c->api->parts.zones,
                                         .on_progress = on_progress,
                                         .ctx = &a->query};
    const struct toc_score_options scoring = {
        .known = a->has_known ? &a->known : NULL, .zones = c->api->parts.zones, .zone = a->zone};
    int rc = parse(c, rules, &file, &routing, err);
    if (rc == 0)
        rc = toc_replay_run(&o, &file, 1, routing, &out->record, err);
    if (rc == 0)
        toc_replay_score(&out->record, &scoring, &out->score);
    if (rc == 0 && a->has_known)
        toc_replay_causes(&out->record, &out->score, c->api->parts.querier, a->interval_ms,
                          &out->causes);
    return rc;
}

static void answer(struct toc_api_call *c, const struct asked *a, const struct outcome *outcomes) {
    bool compares = a->compare.n > 0;
    struct toc_replay_difference difference = {0};
    const struct toc_causes *last = a->has_known ? &outcomes[compares].causes : NULL;
    const struct toc_replay_side sides[2] = {
        {compares ? "before" : "rules", &outcomes[0].record, &outcomes[0].score, last},
        {"after", &outcomes[1].record, &outcomes[1].score, last}};
    if (compares)
        toc_replay_compare(&outcomes[0].record, &outcomes[1].record, a->interval_ms, &difference);
    toc_replay_json(&c->json, sides, compares ? 2 : 1, compares ? &difference : NULL);
    toc_replay_difference_fini(&difference);
}

static void fail(struct toc_api_call *c, const struct asked *a, int rc, const struct toc_err *err) {
    int why = atomic_load(&a->query.why);
    if (rc == TOC_ECANCELED && why == TOC_QUERY_TIMED_OUT)
        toc_api_problem(c, 503, "timeout",
                        "the back-test took longer than a query may (query.timeout): take a "
                        "shorter range or fewer rules, or tocsin backtest on a backup");
    else if (rc == TOC_ECANCELED && why == TOC_QUERY_REFUSED)
        toc_api_problem(c, 503, "memory", TOC_QUERY_REFUSED_TEXT);
    else
        toc_api_fail(c, rc, err);
}

static void test(struct toc_api_call *c, struct asked *a) {
    struct outcome outcomes[2] = {0};
    struct toc_err err = {0};
    a->query = (struct toc_query){.request = c->req,
                                  .kind = "backtest",
                                  .text = toc_sv_sub(a->rules, 0, 200),
                                  .actor = toc_sv_cstr(c->actor)};
    if (toc_query_begin(c->api->queries, &a->query, 0) < 0) {
        toc_api_problem(c, 503, "busy", "too many queries run; try again later");
        return;
    }
    int rc = run(c, a, a->rules, &outcomes[0], &err);
    if (rc == 0 && a->compare.n)
        rc = run(c, a, a->compare, &outcomes[1], &err);
    a->query.samples = outcomes[0].record.samples + outcomes[1].record.samples;
    toc_query_end(&a->query);
    if (rc == 0)
        answer(c, a, outcomes);
    else
        fail(c, a, rc, &err);
    for (size_t i = 0; i < 2; i++) {
        toc_causes_fini(&outcomes[i].causes);
        toc_score_fini(&outcomes[i].score);
        toc_replay_record_fini(&outcomes[i].record);
    }
}

void toc_api_backtest(struct toc_api_call *c) {
    struct asked a = {0};
    if (read_body(c, &a))
        test(c, &a);
    toc_known_incidents_fini(&a.known);
}
