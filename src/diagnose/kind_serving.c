/* Kinds of inference servers: latency_slo, ttft_slo, error_burst. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "diagnose/doctor_priv.h"

static const double none = NAN;

enum { RECENT_MS = 10000, LEAST_SCRAPES = 3, STALE_MS = 60000 };

/* One histogram of a server: how to get at it, and what to call it. */
struct signal {
    enum toc_kind kind;
    const char *what;
    const char *metric;
    size_t count_at, sum_at, buckets_at; /* offsets in an entry */
    size_t bounds_at, bound_count_at;    /* offsets in the model */
    size_t slo_at;                       /* offset in the limits */
    size_t picture_at;                   /* offset in the model */
};

static const struct signal latency_signal = {
    TOC_KIND_LATENCY_SLO,
    "requests",
    "vllm:e2e_request_latency_seconds",
    offsetof(struct toc_server_entry, latency_count),
    offsetof(struct toc_server_entry, latency_sum),
    offsetof(struct toc_server_entry, latency_buckets),
    offsetof(struct toc_server_model, latency_bounds),
    offsetof(struct toc_server_model, latency_bound_count),
    offsetof(struct toc_doctor_limits, latency_slo_s),
    offsetof(struct toc_server_model, latency),
};
static const struct signal ttft_signal = {
    TOC_KIND_TTFT_SLO,
    "first tokens",
    "vllm:time_to_first_token_seconds",
    offsetof(struct toc_server_entry, ttft_count),
    offsetof(struct toc_server_entry, ttft_sum),
    offsetof(struct toc_server_entry, ttft_buckets),
    offsetof(struct toc_server_model, ttft_bounds),
    offsetof(struct toc_server_model, ttft_bound_count),
    offsetof(struct toc_doctor_limits, ttft_slo_s),
    offsetof(struct toc_server_model, ttft),
};

static const struct toc_server_entry *entry_newest(const struct toc_server_model *m, size_t i) {
    return &m->entries[(m->start + m->count - 1 - i) % TOC_SERVER_ENTRIES];
}
static float float_at(const struct toc_server_entry *e, size_t at) {
    return *(const float *)(const void *)((const char *)e + at);
}

struct bucket {
    double bound, count;
};
static int by_bound(const void *a, const void *b) {
    double x = ((const struct bucket *)a)->bound, y = ((const struct bucket *)b)->bound;
    return (x > y) - (x < y);
}

/* Quantile of the cumulative buckets summed over entries newer than from_ms; NaN without
 * requests. */
static double bucket_quantile(const struct toc_server_model *m, const struct signal *s,
                              int64_t from_ms, double q) {
    const double *bounds = (const double *)(const void *)((const char *)m + s->bounds_at);
    size_t n = *(const size_t *)(const void *)((const char *)m + s->bound_count_at);
    struct bucket b[TOC_BUCKETS_MAX] = {0};
    for (size_t i = 0; i < n; i++)
        b[i].bound = bounds[i];
    for (size_t k = 0; k < m->count && entry_newest(m, k)->t_ms >= from_ms; k++)
        for (size_t i = 0; i < n; i++)
            b[i].count += float_at(entry_newest(m, k), s->buckets_at + i * sizeof(float));
    if (!n)
        return NAN;
    qsort(b, n, sizeof *b, by_bound);
    double rank = q * b[n - 1].count;
    if (!(b[n - 1].count > 0))
        return NAN;
    for (size_t i = 0; i < n; i++) {
        if (b[i].count < rank)
            continue;
        double low = i ? b[i - 1].bound : 0, below = i ? b[i - 1].count : 0;
        if (isinf(b[i].bound))
            return low;
        return low + (b[i].bound - low) * (rank - below) / TOC_MAX(b[i].count - below, 1e-9);
    }
    return b[n - 1].bound;
}

static double mean_of(const struct toc_server_entry *e, const struct signal *s) {
    double n = float_at(e, s->count_at);
    return n > 0 ? float_at(e, s->sum_at) / n : NAN;
}

/* Means of the scrapes with to_ms > t >= from_ms. */
static size_t means_between(const struct toc_server_model *m, const struct signal *s,
                            int64_t from_ms, int64_t to_ms, double *out) {
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct toc_server_entry *e = entry_newest(m, i);
        double mean = mean_of(e, s);
        if (e->t_ms >= from_ms && e->t_ms < to_ms && isfinite(mean))
            out[n++] = mean;
    }
    return n;
}

/* The recent window holds at least LEAST_SCRAPES scrapes, so it is longer for slow scraping. */
static int64_t recent_from(const struct toc_server_model *m, double hold_s) {
    int64_t from_ms = m->last_t_ms - (int64_t)(hold_s * 1000);
    if (m->count > LEAST_SCRAPES)
        from_ms = TOC_MIN(from_ms, entry_newest(m, LEAST_SCRAPES - 1)->t_ms);
    return from_ms;
}

static void draw(const struct toc_server_model *m, const struct signal *s, double hold_s,
                 double ratio, double frozen, struct toc_server_picture *p) {
    double v[TOC_SERVER_ENTRIES];
    int64_t from_ms = recent_from(m, hold_s);
    size_t n = means_between(m, s, 0, from_ms - 3000, v);
    *p = (struct toc_server_picture){.usual_scrapes = n,
                                     .since_ms = from_ms,
                                     .of_changes = m->changes,
                                     .of_ratio = ratio,
                                     .of_frozen = frozen};
    p->usual = toc_history_median(v, n);
    p->sigma = n ? toc_history_mad(v, n, p->usual) : NAN;
    if (frozen > 0)
        p->usual = frozen;
    double line = TOC_MAX(ratio * p->usual, p->usual + 4 * p->sigma);
    p->recent = means_between(m, s, from_ms, INT64_MAX, v);
    for (size_t i = 0; i < p->recent; i++)
        p->slow += v[i] > line;
    p->now = toc_history_median(v, p->recent);
    p->p99 = bucket_quantile(m, s, from_ms, 0.99);
    for (size_t i = 0; i < m->count && entry_newest(m, i)->t_ms >= from_ms; i++)
        p->requests += float_at(entry_newest(m, i), s->count_at);
}

/* Drawn anew only when a sample came, or it is looked at in another way. */
static const struct toc_server_picture *picture_of(struct toc_server_model *m,
                                                   const struct signal *s, double hold_s,
                                                   double ratio, double frozen) {
    struct toc_server_picture *p = (void *)((char *)m + s->picture_at);
    if (p->of_changes != m->changes || p->of_ratio != ratio || p->of_frozen != frozen)
        draw(m, s, hold_s, ratio, frozen, p);
    return p;
}

static void fill_slow(const struct toc_server_model *m, struct toc_case *c, const struct signal *s,
                      const struct toc_server_picture *p, double slo_s, bool is_slo, double ratio) {
    bool has_model = m->model.n > 0;
    toc_case_begin(c, s->kind, c->is_open ? c->started_ms : p->since_ms);
    if (is_slo)
        toc_case_title(c, "%.*s%s%.*s: 99th percentile of %s is %.3g s (objective %.3g s)",
                       TOC_SV_ARG(m->instance), has_model ? " " : "", TOC_SV_ARG(m->model), s->what,
                       p->p99, slo_s);
    else
        toc_case_title(c, "%.*s%s%.*s: %s take %.3g s, %.1f times as long as usual",
                       TOC_SV_ARG(m->instance), has_model ? " " : "", TOC_SV_ARG(m->model), s->what,
                       p->now, p->now / p->usual);
    toc_case_summary(c,
                     "Over the last seconds %s took %.3g s on average (usually %.3g s), the "
                     "99th percentile is %.3g s.",
                     s->what, p->now, p->usual, p->p99);
    toc_case_action(c, "Look at the queue, the KV cache and the batch size of this server; shed or "
                       "move load, then look for what changed.");
    toc_case_evidence(
        c, "Mean time", "s",
        (struct toc_evidence_numbers){p->now, ratio * p->usual, 0, p->usual + 3 * p->sigma},
        "rate(%s_sum{instance=\"%.*s\"}[30s]) / rate(%s_count{instance=\"%.*s\"}[30s])", s->metric,
        TOC_SV_ARG(m->instance), s->metric, TOC_SV_ARG(m->instance));
    toc_case_evidence(
        c, "99th percentile", "s", (struct toc_evidence_numbers){p->p99, slo_s, none, none},
        "histogram_quantile(0.99, sum by (le) (rate(%s_bucket{instance=\"%.*s\"}[1m])))", s->metric,
        TOC_SV_ARG(m->instance));
    toc_case_cause(c, 0.4, "", "More or longer requests than the server can batch");
    toc_case_cause(c, 0.3, "", "The device is slower: throttled, shared, or swapping its cache");
}

static enum toc_verdict judge_signal(struct toc_doctor *d, struct toc_server_model *m,
                                     struct toc_case *c, const struct signal *s) {
    enum { LEAST_USUAL = 10, LEAST_REQUESTS = 10, SLO_REQUESTS = 100 };
    const struct toc_doctor_limits *l = &d->o.limits;
    double slo_s = *(const double *)(const void *)((const char *)l + s->slo_at);
    bool is_busy = toc_doctor_is_contended(d, l->latency_hold_s);
    double ratio = is_busy ? l->slow_contended_ratio : l->latency_ratio;
    if (!m->count || d->now_ms - m->last_t_ms > STALE_MS)
        return VERDICT_UNKNOWN;
    const struct toc_server_picture *p =
        picture_of(m, s, l->latency_hold_s, toc_case_is_known(c) ? 0.5 * l->latency_ratio : ratio,
                   toc_case_is_known(c) ? c->reference : 0);
    if (p->recent < LEAST_SCRAPES || p->requests < LEAST_REQUESTS)
        return c->is_open && p->requests > 0 ? VERDICT_UNKNOWN : VERDICT_CALM;
    bool is_slo = p->requests >= SLO_REQUESTS && p->p99 > slo_s;
    bool has_usual = p->usual_scrapes >= LEAST_USUAL && p->usual > 0;
    bool is_slow = has_usual && p->slow * 5 >= p->recent * 4 && p->now - p->usual > 0.02;
    if (!is_slo && !is_slow)
        return VERDICT_CALM;
    if (!toc_case_is_known(c))
        c->reference = has_usual ? p->usual : 0;
    fill_slow(m, c, s, p, slo_s, is_slo && !is_slow, ratio);
    return VERDICT_ILL;
}

enum toc_verdict toc_judge_latency(struct toc_doctor *d, struct toc_server_model *m,
                                   struct toc_case *c) {
    return judge_signal(d, m, c, &latency_signal);
}

enum toc_verdict toc_judge_ttft(struct toc_doctor *d, struct toc_server_model *m,
                                struct toc_case *c) {
    return judge_signal(d, m, c, &ttft_signal);
}

struct errors {
    double requests, errors, usual_ratio;
};

/* Servers count their requests, their HTTP layer counts them again: the one with more errors
 * speaks. */
static struct errors count_errors(const struct toc_server_model *m, int64_t from_ms, bool http) {
    double old_requests = 0, old_errors = 0;
    struct errors r = {0};
    for (size_t i = 0; i < m->count; i++) {
        const struct toc_server_entry *e = entry_newest(m, i);
        double n = http ? e->http_requests : e->requests, bad = http ? e->http_errors : e->errors;
        if (e->t_ms >= from_ms) {
            r.requests += n;
            r.errors += bad;
        } else if (e->t_ms < from_ms - 3000) {
            old_requests += n;
            old_errors += bad;
        }
    }
    r.requests = TOC_MAX(r.requests, r.errors);
    r.usual_ratio = old_requests > 0 ? old_errors / old_requests : 0;
    return r;
}

static void fill_errors(const struct toc_server_model *m, struct toc_case *c,
                        const struct errors *r, bool http, int64_t since_ms, double limit) {
    double ratio = r->errors / r->requests;
    toc_case_begin(c, TOC_KIND_ERROR_BURST, c->is_open ? c->started_ms : since_ms);
    if (m->error_endpoint[0])
        toc_case_layer(c, toc_sv_cstr(m->error_endpoint));
    toc_case_title(c, "%.*s%s%s: %.0f %% of requests fail", TOC_SV_ARG(m->instance),
                   m->error_endpoint[0] ? " " : "", m->error_endpoint, 100 * ratio);
    toc_case_summary(c, "%.0f of %.0f requests in the last seconds failed; usually %.2g %%.",
                     r->errors, r->requests, 100 * r->usual_ratio);
    toc_case_action(
        c, "Read the server's log for its first error; take the instance out of rotation if "
           "others are healthy.");
    struct toc_evidence_numbers numbers = {ratio, limit, 0, r->usual_ratio};
    if (http)
        toc_case_evidence(
            c, "Share of failed requests", "ratio", numbers,
            "sum(rate(http_requests_total{instance=\"%.*s\",status=~\"5.*\"}[30s])) / "
            "sum(rate(http_requests_total{instance=\"%.*s\"}[30s]))",
            TOC_SV_ARG(m->instance), TOC_SV_ARG(m->instance));
    else
        toc_case_evidence(c, "Share of failed requests", "ratio", numbers,
                          "sum(rate(vllm:request_success_total{instance=\"%.*s\","
                          "finished_reason=\"error\"}[30s])) / "
                          "sum(rate(vllm:request_success_total{instance=\"%.*s\"}[30s]))",
                          TOC_SV_ARG(m->instance), TOC_SV_ARG(m->instance));
    toc_case_cause(c, 0.4, "", "The server or what it depends on refuses work");
}

enum toc_verdict toc_judge_errors(struct toc_doctor *d, struct toc_server_model *m,
                                  struct toc_case *c) {
    enum { USUAL_FACTOR = 5 };
    const struct toc_doctor_limits *l = &d->o.limits;
    if (!m->count || d->now_ms - m->last_t_ms > STALE_MS)
        return VERDICT_UNKNOWN;
    int64_t from_ms = recent_from(m, (double)RECENT_MS / 1000);
    struct errors own = count_errors(m, from_ms, false), http = count_errors(m, from_ms, true);
    bool is_http = http.errors > own.errors;
    struct errors r = is_http ? http : own;
    double limit = c->is_open
                       ? l->error_ratio / 2
                       : TOC_MAX(l->error_ratio, USUAL_FACTOR * TOC_MIN(r.usual_ratio, 0.15));
    double least = c->is_open ? 1 : l->error_count;
    if (r.errors < least || !(r.requests > 0) || r.errors / r.requests < limit)
        return VERDICT_CALM;
    fill_errors(m, c, &r, is_http, from_ms, limit);
    return VERDICT_ILL;
}
