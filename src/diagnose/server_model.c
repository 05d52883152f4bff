/*
 * Inference servers as they are seen through their own metrics: counters of each series become
 * differences per scrape, summed over the series of one instance.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "diagnose/doctor_priv.h"
#include "model/sample.h"

enum role {
    ROLE_LATENCY_BUCKET,
    ROLE_LATENCY_COUNT,
    ROLE_LATENCY_SUM,
    ROLE_TTFT_BUCKET,
    ROLE_TTFT_COUNT,
    ROLE_TTFT_SUM,
    ROLE_FINISHED,
    ROLE_ABORTED,
    ROLE_HTTP
};

/* X(metric, role): what servers call the signals. */
#define SERVER_METRICS(X)                                               \
    X("vllm:e2e_request_latency_seconds_bucket", ROLE_LATENCY_BUCKET)   \
    X("vllm:e2e_request_latency_seconds_count", ROLE_LATENCY_COUNT)     \
    X("vllm:e2e_request_latency_seconds_sum", ROLE_LATENCY_SUM)         \
    X("vllm:time_to_first_token_seconds_bucket", ROLE_TTFT_BUCKET)      \
    X("vllm:time_to_first_token_seconds_count", ROLE_TTFT_COUNT)        \
    X("vllm:time_to_first_token_seconds_sum", ROLE_TTFT_SUM)            \
    X("vllm:request_success_total", ROLE_FINISHED)                      \
    X("sglang:e2e_request_latency_seconds_bucket", ROLE_LATENCY_BUCKET) \
    X("sglang:e2e_request_latency_seconds_count", ROLE_LATENCY_COUNT)   \
    X("sglang:e2e_request_latency_seconds_sum", ROLE_LATENCY_SUM)       \
    X("sglang:time_to_first_token_seconds_bucket", ROLE_TTFT_BUCKET)    \
    X("sglang:time_to_first_token_seconds_count", ROLE_TTFT_COUNT)      \
    X("sglang:time_to_first_token_seconds_sum", ROLE_TTFT_SUM)          \
    X("sglang:num_requests_total", ROLE_FINISHED)                       \
    X("sglang:num_aborted_requests_total", ROLE_ABORTED)                \
    X("http_requests_total", ROLE_HTTP)

static int role_of(struct toc_sv metric) {
#define X(name, role)                 \
    if (toc_sv_eq_cstr(metric, name)) \
        return role;
    SERVER_METRICS(X)
#undef X
    return -1;
}

void toc_server_model_free(struct toc_server_model *m) {
    const struct toc_map_entry *e;
    for (size_t cursor = 0; (e = toc_map_next(&m->counters, &cursor));)
        toc_free(e->value);
    toc_map_fini(&m->counters);
    for (int i = 0; i < CASE_COUNT; i++)
        toc_case_fini(&m->cases[i]);
    toc_free((void *)(uintptr_t)m->job.p);
    toc_free((void *)(uintptr_t)m->instance.p);
    toc_free((void *)(uintptr_t)m->model.p);
    toc_free(m);
}

static struct toc_sv own(struct toc_sv s) {
    return toc_sv_make(toc_sv_dup_cstr(s), s.n);
}

struct toc_server_model *toc_doctor_server(struct toc_doctor *d, struct toc_sv job,
                                           struct toc_sv instance) {
    char bytes[600];
    if (job.n + instance.n + 1 > sizeof bytes)
        return NULL;
    memcpy(bytes, job.n ? job.p : "", job.n);
    bytes[job.n] = '\n';
    memcpy(bytes + job.n + 1, instance.n ? instance.p : "", instance.n);
    struct toc_sv key = toc_sv_make(bytes, job.n + instance.n + 1);
    struct toc_server_model *m = toc_map_get(&d->server_by_key, key);
    if (m || d->servers.count >= TOC_DOCTOR_SERVERS_MAX)
        return m;
    m = TOC_NEW(struct toc_server_model);
    m->job = own(job);
    m->instance = own(instance);
    toc_map_put(&d->server_by_key, key, m);
    TOC_VEC_PUSH(&d->servers, m);
    return m;
}

/* The entry of a scrape; scrapes come in order of time, but the series of one may be read in two
 * ticks. */
static struct toc_server_entry *entry_at(struct toc_server_model *m, int64_t t_ms) {
    for (size_t i = 0; i < m->count && i < 8; i++) {
        struct toc_server_entry *e =
            &m->entries[(m->start + m->count - 1 - i) % TOC_SERVER_ENTRIES];
        if (e->t_ms == t_ms)
            return e;
        if (e->t_ms < t_ms)
            break;
    }
    const struct toc_server_entry *last =
        m->count ? &m->entries[(m->start + m->count - 1) % TOC_SERVER_ENTRIES] : NULL;
    if (last && t_ms < last->t_ms)
        return NULL;
    if (m->count == TOC_SERVER_ENTRIES) {
        m->start = (m->start + 1) % TOC_SERVER_ENTRIES;
        m->count--;
    }
    struct toc_server_entry *e = &m->entries[(m->start + m->count++) % TOC_SERVER_ENTRIES];
    *e = (struct toc_server_entry){.t_ms = t_ms};
    return e;
}

/* Index of a bucket bound, kept sorted only by first appearance; SIZE_MAX when there is no room. */
static size_t bound_index(double *bounds, size_t *count, struct toc_sv le) {
    double v;
    if (toc_parse_f64(le, &v))
        return SIZE_MAX;
    for (size_t i = 0; i < *count; i++)
        if (bounds[i] == v)
            return i;
    if (*count == TOC_BUCKETS_MAX)
        return SIZE_MAX;
    bounds[*count] = v;
    return (*count)++;
}

/* Growth of a counter since its last sample: a fall is a restart of the server. False for the
 * first sample. */
static bool growth_of(struct toc_sample_at *last, int64_t t_ms, double v, double *out) {
    bool is_first = last->t_ms == 0;
    *out = v >= last->value ? v - last->value : v;
    *last = (struct toc_sample_at){t_ms, v};
    return !is_first && *out > 0;
}

static bool is_error_status(struct toc_sv status) {
    return status.n > 0 && status.p[0] == '5';
}

static bool is_error_reason(struct toc_sv reason) {
    return toc_sv_eq_cstr(reason, "error") || toc_sv_eq_cstr(reason, "repetition");
}

static void note_endpoint(struct toc_server_model *m, struct toc_labels l) {
    struct toc_sv handler = toc_labels_get(l, TOC_SV("handler"));
    if (handler.n)
        toc_sv_copy(handler, m->error_endpoint, sizeof m->error_endpoint);
}

static void add_growth(struct toc_server_model *m, struct toc_server_entry *e, int role,
                       struct toc_labels l, double grown) {
    struct toc_sv le = toc_labels_get(l, TOC_SV("le"));
    size_t i;
    float g = (float)grown;
    switch (role) {
    case ROLE_LATENCY_BUCKET:
        if ((i = bound_index(m->latency_bounds, &m->latency_bound_count, le)) != SIZE_MAX)
            e->latency_buckets[i] += g;
        break;
    case ROLE_TTFT_BUCKET:
        if ((i = bound_index(m->ttft_bounds, &m->ttft_bound_count, le)) != SIZE_MAX)
            e->ttft_buckets[i] += g;
        break;
    case ROLE_LATENCY_COUNT:
        e->latency_count += g;
        break;
    case ROLE_LATENCY_SUM:
        e->latency_sum += g;
        break;
    case ROLE_TTFT_COUNT:
        e->ttft_count += g;
        break;
    case ROLE_TTFT_SUM:
        e->ttft_sum += g;
        break;
    case ROLE_FINISHED:
        e->requests += g;
        if (is_error_reason(toc_labels_get(l, TOC_SV("finished_reason"))))
            e->errors += g;
        break;
    case ROLE_ABORTED:
        e->errors += g;
        break;
    default:
        e->http_requests += g;
        if (is_error_status(toc_labels_get(l, TOC_SV("status")))) {
            e->http_errors += g;
            note_endpoint(m, l);
        }
    }
}

/* X(identity of a counter) is its label set's hash: collisions would need 2^32 series of one
 * server. */
static struct toc_sample_at *counter_get(struct toc_server_model *m, struct toc_labels l) {
    enum { MAX = 20000 };
    uint64_t hash = toc_labels_hash(l);
    struct toc_sample_at *last = toc_map_get(&m->counters, toc_map_u64(&hash));
    if (!last && m->counters.count < MAX) {
        last = TOC_NEW(struct toc_sample_at);
        toc_map_put(&m->counters, toc_map_u64(&hash), last);
    }
    return last;
}

static int on_series(void *ctx, const struct toc_series_view *s) {
    struct toc_doctor *d = ctx;
    d->server_series++;
    int role = role_of(toc_labels_get(s->labels, TOC_METRIC_NAME));
    struct toc_server_model *m =
        role < 0 ? NULL
                 : toc_doctor_server(d, toc_labels_get(s->labels, TOC_SV("job")),
                                     toc_labels_get(s->labels, TOC_SV("instance")));
    struct toc_sample_at *last = m ? counter_get(m, s->labels) : NULL;
    struct toc_sv model = toc_labels_get(s->labels, TOC_SV("model_name"));
    if (!last)
        return 0;
    if (!m->model.n && model.n)
        m->model = own(model);
    for (size_t i = 0; i < s->count; i++) {
        double grown;
        if (s->t_ms[i] <= last->t_ms || !isfinite(s->values[i]))
            continue;
        bool has_grown = growth_of(last, s->t_ms[i], s->values[i], &grown);
        struct toc_server_entry *e = entry_at(m, s->t_ms[i]);
        m->last_t_ms = TOC_MAX(m->last_t_ms, s->t_ms[i]);
        m->changes++;
        if (e && has_grown)
            add_growth(m, e, role, s->labels, grown);
    }
    return 0;
}

/* Series come one by one with all their samples: the reading of a first look must be entered in
 * order of time, so a look back is made in slices. Else what is new is in the last of them, and
 * beside it only what came late: one look is enough for both. */
static int read_slices(struct toc_doctor *d, struct toc_err *err) {
    enum { SLICE_MS = 30000, FIRST_LOOK_MS = 300000, OVERLAP_MS = 30000 };
    int64_t from_ms = d->now_ms - FIRST_LOOK_MS; /* what is older is history, not news */
    int64_t slice_ms = SLICE_MS;
    if (d->last_servers_ms)
        from_ms = TOC_MAX(from_ms, d->last_servers_ms - OVERLAP_MS);
    if (d->last_servers_ms && d->now_ms - d->last_servers_ms <= SLICE_MS)
        slice_ms = d->now_ms - from_ms;
    struct toc_select select = {.matchers = &d->server_metrics, .matcher_count = 1};
    int rc = 0;
    d->server_series = 0;
    for (; !rc && from_ms < d->now_ms; from_ms += slice_ms + 1) {
        select.min_ms = from_ms;
        select.max_ms = TOC_MIN(from_ms + slice_ms, d->now_ms);
        rc = d->o.querier->select(d->o.querier, &select, on_series, d, err);
    }
    return rc;
}

/* Many servers are read less often than every tick, so that a second's work stays bounded. */
int toc_doctor_read_servers(struct toc_doctor *d, struct toc_err *err) {
    enum { SERIES_PER_SECOND = 1000, LONGEST_PAUSE_MS = 10000 };
    int64_t pause_ms =
        TOC_MIN((int64_t)d->server_series * 1000 / SERIES_PER_SECOND, (int64_t)LONGEST_PAUSE_MS);
    if (d->last_servers_ms && d->now_ms - d->last_servers_ms < pause_ms)
        return 0;
    int rc = read_slices(d, err);
    if (!rc)
        d->last_servers_ms = d->now_ms;
    return rc;
}

static int on_pressure(void *ctx, const struct toc_series_view *s) {
    struct toc_doctor *d = ctx;
    for (size_t i = 0; i < s->count; i++) {
        struct toc_sample_at *last = &d->pressure_last;
        double span_s = (double)(s->t_ms[i] - last->t_ms) / 1000;
        if (s->t_ms[i] <= last->t_ms || !isfinite(s->values[i]))
            continue;
        if (last->t_ms && s->values[i] >= last->value && span_s < 60)
            toc_bins_add(&d->pressure, s->t_ms[i], (s->values[i] - last->value) / span_s);
        *last = (struct toc_sample_at){s->t_ms[i], s->values[i]};
    }
    return 1; /* this machine's is enough */
}

int toc_doctor_read_pressure(struct toc_doctor *d, struct toc_err *err) {
    struct toc_select select = {
        .matchers = &d->pressure_metrics,
        .matcher_count = 1,
        .min_ms = d->last_tick_ms ? d->last_tick_ms - 5000 : d->now_ms - TOC_BACKFILL_MS,
        .max_ms = d->now_ms,
        .sorted = true,
    };
    int rc = d->o.querier->select(d->o.querier, &select, on_pressure, d, err);
    toc_bins_settle(&d->pressure, d->now_ms);
    return rc < 0 ? rc : 0;
}

static double mean_pressure(const struct toc_doctor *d, int64_t from_ms, int64_t to_ms) {
    double v[TOC_BINS], sum = 0;
    size_t n = toc_bins_window(&d->pressure, from_ms, to_ms, v, TOC_BINS);
    for (size_t i = 0; i < n; i++)
        sum += v[i];
    return n ? sum / (double)n : 0;
}

bool toc_doctor_is_contended(const struct toc_doctor *d, double window_s) {
    enum { BEFORE_MS = 300000 };
    static const double increase = 0.2;
    int64_t from_ms = d->now_ms - (int64_t)(window_s * 1000) - 1000;
    double now = mean_pressure(d, from_ms, INT64_MAX);
    /* A machine that was as busy before has that in what is usual: it explains no change. */
    double before = mean_pressure(d, from_ms - BEFORE_MS, from_ms - 2000);
    return now >= d->o.limits.contention_ratio && now >= before + increase;
}
