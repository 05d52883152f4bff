/* Training runs: the list, and taking their reports. */
#include <math.h>

#include "api/api_priv.h"
#include "diagnose/coverage_list.h"

enum { STALLED_AFTER_MS = 60000 };

struct run_list {
    struct toc_json_writer *w;
    struct toc_ts now;
};

static const char *state_of(const struct toc_run_info *r, struct toc_ts now) {
    switch (r->state) {
    case TOC_RUN_FINISHED:
        return "finished";
    case TOC_RUN_FAILED:
        return "failed";
    case TOC_RUN_RUNNING:
        return now.ms - r->last_line_at.ms > STALLED_AFTER_MS ? "stalled" : "running";
    default:
        return "paused";
    }
}

static void kv_number(struct toc_json_writer *w, const char *key, double v) {
    toc_json_key(w, key);
    toc_json_double(w, v);
}

static void write_run(void *ctx, const struct toc_run_info *r) {
    struct run_list *l = ctx;
    struct toc_json_writer *w = l->w;
    toc_json_begin_object(w);
    toc_json_kv_string(w, "run", r->run);
    toc_json_kv_cstr(w, "state", state_of(r, l->now));
    toc_json_kv_int(w, "step", r->has_step ? r->step : 0);
    kv_number(w, "loss", r->loss);
    kv_number(w, "grad_norm", r->grad_norm);
    kv_number(w, "step_seconds", r->step_seconds);
    kv_number(w, "tokens_per_second", r->tokens_per_second);
    kv_number(w, "memory_bytes", r->memory_bytes);
    kv_number(w, "learning_rate", r->learning_rate);
    toc_json_kv_time(w, "last_step_at", r->last_step_at);
    toc_json_kv_time(w, "started_at", r->started_at);
    toc_json_key(w, "labels");
    toc_json_labels(w, r->labels);
    toc_json_end_object(w);
}

void toc_api_runs(struct toc_api_call *c) {
    struct run_list list = {&c->json, c->now};
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "runs");
    toc_json_begin_array(&c->json);
    toc_run_receiver_list(c->api->parts.runs, write_run, &list);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
}

void toc_api_run_coverage(struct toc_api_call *c) {
    struct toc_coverage_list coverage;
    if (!c->api->parts.doctor ||
        toc_coverage_collect(c->api->parts.doctor, c->params[0], &coverage)) {
        toc_api_problem(
            c, 404, "not_found",
            "the doctor has seen no run \"%.*s\": it knows a run from its first report on",
            TOC_SV_ARG(c->params[0]));
        return;
    }
    toc_json_begin_object(&c->json);
    toc_json_kv_string(&c->json, "run", c->params[0]);
    toc_json_key(&c->json, "coverage");
    toc_coverage_json(&coverage, &c->json);
    toc_json_end_object(&c->json);
    toc_coverage_fini(&coverage);
}

void toc_api_ingest_run(struct toc_api_call *c) {
    struct toc_sv format = toc_api_param(c, "format");
    struct toc_run_body body = {.run = toc_api_param(c, "run"), .bytes = c->req->body};
    struct toc_err err = {0};
    if (format.n && !toc_sv_eq(format, TOC_SV("jsonl")) && !toc_sv_eq(format, TOC_SV("csv"))) {
        toc_api_problem(c, 400, "invalid", "format must be jsonl or csv, got \"%.*s\"",
                        TOC_SV_ARG(format));
        return;
    }
    if (body.run.n == 0) {
        toc_api_problem(c, 400, "invalid", "the parameter run=NAME is missing");
        return;
    }
    body.format = toc_sv_eq(format, TOC_SV("csv")) ? TOC_RUN_CSV : TOC_RUN_JSONL;
    int rc = toc_run_receiver_put(c->api->parts.runs, &body, c->now, &err);
    if (rc < 0)
        toc_api_fail(c, rc == TOC_EPARSE || rc == TOC_ELIMIT ? rc : TOC_EUNAVAILABLE, &err);
    else
        c->res->status = 204;
}
