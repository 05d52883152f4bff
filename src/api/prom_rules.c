/* rules, alerts. */
#include <stdlib.h>

#include "api/prom_match.h"
#include "base/num.h"
#include "base/vec.h"
#include "guard/digest.h"
#include "rules/rules.h"

/* What the request wants to see. */
struct rules_filter {
    const struct toc_http_request *req;
    struct toc_prom_matches matches;
    bool wants_alerting, wants_recording, excludes_alerts;
    size_t group_limit;
    struct toc_sv token;
};

/* One group, written already. */
struct group_json {
    const char *name, *file; /* in the request's arena */
    struct toc_buf json;
};

struct rules_page {
    const struct rules_filter *filter;
    TOC_VEC_FIELDS(struct group_json)
};

/* ------------------------------------------------------------------------------------------
 * alerts */

static void write_alert(struct toc_json_writer *w, const struct toc_rule_alert_view *a) {
    char value[TOC_F64_TEXT_MAX];
    size_t n = toc_f64_text(a->value, TOC_F64_EXPONENT, value);
    toc_json_begin_object(w);
    toc_json_key(w, "labels");
    toc_json_labels(w, a->labels);
    toc_json_key(w, "annotations");
    toc_json_labels(w, a->annotations);
    toc_json_kv_cstr(w, "state", toc_rule_alert_state_text(a->state));
    toc_json_kv_time(w, "activeAt", a->active_at);
    if (a->keep_firing_since.ms)
        toc_json_kv_time(w, "keepFiringSince", a->keep_firing_since);
    if (a->held_since.ms)
        toc_json_kv_time(w, "heldSince", a->held_since);
    toc_json_kv_string(w, "value", toc_sv_make(value, n));
    toc_json_end_object(w);
}

static void write_group_alerts(void *ctx, const struct toc_rule_group_view *g) {
    for (size_t i = 0; i < g->rule_count; i++)
        for (size_t k = 0; k < g->rules[i].alert_count; k++)
            write_alert(ctx, &g->rules[i].alerts[k]);
}

/* Alerts that rules do not make (the doctor's, those from outside) are listed beside the rules'
 * own. */
static void write_other_alert(void *ctx, const struct toc_alert_view *v) {
    struct toc_json_writer *w = ctx;
    if (v->is_resolved)
        return;
    struct toc_rule_alert_view a = {.labels = v->alert->labels,
                                    .annotations = v->alert->annotations,
                                    .state = TOC_RULE_FIRING,
                                    .active_at = v->alert->starts_at,
                                    .value = v->alert->value};
    if (toc_sv_eq(toc_labels_get(a.labels, TOC_SV("source")), TOC_SV("doctor")))
        write_alert(w, &a);
}

void toc_api_prom_alerts(struct toc_api_call *c) {
    struct toc_alert_filter all = TOC_ALERT_FILTER_ALL;
    struct toc_err err = {0};
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "alerts");
    toc_json_begin_array(&c->json);
    toc_rules_each_group(c->api->parts.rules, write_group_alerts, &c->json);
    int rc = toc_alert_manager_each_alert(c->api->parts.alerts, &all, c->now, write_other_alert,
                                          &c->json, &err);
    if (rc < 0) {
        toc_prom_error(c, TOC_PROM_INTERNAL, "%s", err.message);
        return;
    }
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

/* Alerts are handled inside: there is no other Alertmanager to name. */
void toc_api_prom_alertmanagers(struct toc_api_call *c) {
    toc_prom_begin(c);
    toc_json_raw(&c->json, TOC_SV("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}"));
    toc_prom_end(c);
}

/* ------------------------------------------------------------------------------------------
 * rules */

static void write_texts(struct toc_json_writer *w, const char *key, const struct toc_rule_text *t,
                        size_t n) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        toc_json_key_sv(w, t[i].name);
        toc_json_string(w, t[i].text);
    }
    toc_json_end_object(w);
}

static void kv_seconds(struct toc_json_writer *w, const char *key, int64_t ms) {
    toc_json_kv_double(w, key, (double)ms / 1000.0);
}

static void write_alerting(struct toc_json_writer *w, const struct toc_rule_view *r,
                           bool excludes_alerts) {
    toc_json_kv_cstr(w, "state",
                     r->last_evaluation.ms ? toc_rule_alert_state_text(r->state) : "unknown");
    toc_json_kv_string(w, "name", r->rule->name);
    toc_json_kv_string(w, "query", r->query);
    kv_seconds(w, "duration", r->rule->for_ms);
    kv_seconds(w, "keepFiringFor", r->rule->keep_firing_for_ms);
    write_texts(w, "labels", r->rule->labels, r->rule->label_count);
    write_texts(w, "annotations", r->rule->annotations, r->rule->annotation_count);
    if (r->is_overridden)
        toc_json_kv_double(w, "fileThreshold", r->file_threshold);
    if (excludes_alerts)
        return;
    toc_json_key(w, "alerts");
    toc_json_begin_array(w);
    for (size_t i = 0; i < r->alert_count; i++)
        write_alert(w, &r->alerts[i]);
    toc_json_end_array(w);
}

static void write_recording(struct toc_json_writer *w, const struct toc_rule_view *r) {
    toc_json_kv_string(w, "name", r->rule->name);
    toc_json_kv_string(w, "query", r->query);
    write_texts(w, "labels", r->rule->labels, r->rule->label_count);
}

/* What is known against a rule; an extension, absent when there is nothing. */
static void write_life(struct toc_json_writer *w, const struct toc_rule_life_view *l) {
    if (l->state == TOC_RULE_ALIVE)
        return;
    toc_json_key(w, "life");
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "state", toc_rule_life_text(l->state));
    toc_prom_kv_time(w, "since", l->since);
    if (l->selector.n)
        toc_json_kv_string(w, "selector", l->selector);
    if (l->job.n)
        toc_json_kv_string(w, "job", l->job);
    if (l->suggestion.n)
        toc_json_kv_string(w, "suggestion", l->suggestion);
    toc_json_end_object(w);
}

static void write_rule(struct toc_json_writer *w, const struct toc_rule_view *r,
                       bool excludes_alerts) {
    toc_json_begin_object(w);
    if (r->rule->is_alert)
        write_alerting(w, r, excludes_alerts);
    else
        write_recording(w, r);
    toc_json_kv_cstr(w, "health", toc_rule_health_text(r->health));
    if (r->last_error.n)
        toc_json_kv_string(w, "lastError", r->last_error);
    toc_json_kv_double(w, "evaluationTime", r->evaluation_s);
    toc_prom_kv_time(w, "lastEvaluation", r->last_evaluation);
    toc_json_kv_cstr(w, "type", r->rule->is_alert ? "alerting" : "recording");
    write_life(w, &r->life);
    toc_json_end_object(w);
}

/* Is the value among those of a repeated parameter, or is there none of it? */
static bool is_wanted(const struct toc_http_request *req, const char *name, struct toc_sv value) {
    bool is_given = false;
    for (size_t i = 0; i < req->param_count; i++) {
        if (!toc_sv_eq_cstr(req->params[i].name, name))
            continue;
        if (toc_sv_eq(req->params[i].value, value))
            return true;
        is_given = true;
    }
    return !is_given;
}

/* match[] looks at the labels as they are written in the rule. */
static bool do_labels_match(const struct rules_filter *f, const struct toc_rule *r) {
    if (f->matches.count == 0)
        return true;
    struct toc_labels_builder b = {0};
    for (size_t i = 0; i < r->label_count; i++)
        toc_labels_builder_set(&b, r->labels[i].name, r->labels[i].text);
    bool is_match = toc_prom_matches_labels(&f->matches, toc_labels_builder_finish(&b));
    toc_labels_builder_fini(&b);
    return is_match;
}

static bool is_rule_wanted(const struct rules_filter *f, const struct toc_rule_view *r) {
    return (r->rule->is_alert ? f->wants_alerting : f->wants_recording) &&
           is_wanted(f->req, "rule_name[]", r->rule->name) && do_labels_match(f, r->rule);
}

static size_t write_group(struct toc_json_writer *w, const struct rules_filter *f,
                          const struct toc_rule_group_view *g) {
    size_t written = 0;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "name", g->group->name);
    toc_json_kv_string(w, "file", g->file);
    toc_json_key(w, "rules");
    toc_json_begin_array(w);
    for (size_t i = 0; i < g->rule_count; i++) {
        if (!is_rule_wanted(f, &g->rules[i]))
            continue;
        write_rule(w, &g->rules[i], f->excludes_alerts);
        written++;
    }
    toc_json_end_array(w);
    kv_seconds(w, "interval", g->interval_ms);
    toc_json_kv_int(w, "limit", g->group->limit);
    toc_json_kv_double(w, "evaluationTime", g->evaluation_s);
    toc_prom_kv_time(w, "lastEvaluation", g->last_evaluation);
    toc_json_end_object(w);
    return written;
}

/* Groups without a rule to show are left out. */
static void keep_group(void *ctx, const struct toc_rule_group_view *g) {
    struct rules_page *page = ctx;
    const struct rules_filter *f = page->filter;
    if (!is_wanted(f->req, "rule_group[]", g->group->name) || !is_wanted(f->req, "file[]", g->file))
        return;
    struct group_json j = {.json = TOC_BUF_INIT};
    struct toc_json_writer w;
    toc_json_writer_init(&w, &j.json);
    j.name = toc_arena_dup_sv(f->req->arena, g->group->name).p;
    j.file = toc_arena_dup_sv(f->req->arena, g->file).p;
    if (write_group(&w, f, g) == 0 || !j.name || !j.file) {
        toc_buf_fini(&j.json);
        return;
    }
    TOC_VEC_PUSH(page, j);
}

static int by_file_and_name(const void *a, const void *b) {
    const struct group_json *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    return order ? order : strcmp(x->name, y->name);
}

/* The token of the page that begins with this group. */
static void token_of(const struct group_json *g, char out[TOC_SHA256_TEXT]) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text, "%s;%s", g->file, g->name);
    toc_sha256_text(toc_buf_sv(&text), out);
    toc_buf_fini(&text);
}

/* Index of the first group of the page; SIZE_MAX when no group has the token. */
static size_t page_start(const struct rules_page *page) {
    char token[TOC_SHA256_TEXT];
    if (page->filter->token.n == 0)
        return 0;
    for (size_t i = 0; i < page->count; i++) {
        token_of(&page->items[i], token);
        if (toc_sv_eq_cstr(page->filter->token, token))
            return i;
    }
    return SIZE_MAX;
}

static void answer_page(struct toc_api_call *c, const struct rules_page *page) {
    char token[TOC_SHA256_TEXT];
    size_t from = page_start(page), limit = page->filter->group_limit;
    if (from == SIZE_MAX) {
        toc_prom_bad(c, "group_next_token",
                     "invalid group_next_token '%.*s'. were rule groups changed?",
                     TOC_SV_ARG(page->filter->token));
        return;
    }
    size_t to = limit && page->count - from > limit ? from + limit : page->count;
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "groups");
    toc_json_begin_array(&c->json);
    for (size_t i = from; i < to; i++)
        toc_json_raw(&c->json, toc_buf_sv(&page->items[i].json));
    toc_json_end_array(&c->json);
    if (to < page->count) {
        token_of(&page->items[to], token);
        toc_json_kv_cstr(&c->json, "groupNextToken", token);
    }
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

/* ------------------------------------------------------------------------------------------
 * parameters */

static bool read_type(struct toc_api_call *c, struct rules_filter *f) {
    struct toc_sv type = toc_api_param(c, "type");
    f->wants_alerting = type.n == 0 || toc_sv_eq_nocase(type, TOC_SV("alert"));
    f->wants_recording = type.n == 0 || toc_sv_eq_nocase(type, TOC_SV("record"));
    if (!f->wants_alerting && !f->wants_recording)
        toc_prom_bad(c, "type", "not supported value %s", toc_prom_quote(c, type));
    return f->wants_alerting || f->wants_recording;
}

static bool read_paging(struct toc_api_call *c, struct rules_filter *f) {
    struct toc_sv limit = toc_api_param(c, "group_limit");
    int64_t n = 0;
    f->token = toc_api_param(c, "group_next_token");
    if (limit.n == 0) {
        if (f->token.n)
            toc_prom_bad(c, "group_next_token",
                         "group_limit needs to be present in order to paginate over the groups");
        return f->token.n == 0;
    }
    if (toc_parse_i64(limit, &n) < 0 || n < 0) {
        toc_prom_bad(c, "group_limit", "group_limit needs to be a valid number: parsing %s",
                     toc_prom_quote(c, limit));
        return false;
    }
    if (n == 0)
        toc_prom_bad(c, "group_limit", "group_limit needs to be greater than 0");
    f->group_limit = (size_t)n;
    return n > 0;
}

static bool read_filter(struct toc_api_call *c, struct rules_filter *f) {
    struct toc_sv exclude = toc_api_param(c, "exclude_alerts");
    f->req = c->req;
    if (!read_type(c, f) || !toc_prom_bool(c, "exclude_alerts", exclude, &f->excludes_alerts) ||
        !read_paging(c, f))
        return false;
    return toc_prom_matches_read(c, false, &f->matches);
}

void toc_api_prom_rules(struct toc_api_call *c) {
    struct rules_filter filter = {0};
    struct rules_page page = {.filter = &filter};
    if (!read_filter(c, &filter))
        return;
    toc_rules_each_group(c->api->parts.rules, keep_group, &page);
    if (page.count)
        qsort(page.items, page.count, sizeof *page.items, by_file_and_name);
    answer_page(c, &page);
    for (size_t i = 0; i < page.count; i++)
        toc_buf_fini(&page.items[i].json);
    TOC_VEC_FINI(&page);
    toc_prom_matches_fini(&filter.matches);
}
