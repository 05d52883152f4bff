/* One scrape: request, reading, report series, write. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "collect/scrape_priv.h"

enum {
    ALIGN_TOLERANCE_MS = 2,
    BODY_ROOM_KEPT = 1 << 20, /* of an answer, for the next one */
};

struct scrape_transfer {
    struct toc_scraper *scraper;
    struct scrape_target *target;
    struct toc_buf accept, timeout;
    struct toc_http_dress dress;
    struct toc_http_call call;
    struct toc_http_result result;
    struct toc_mono start;
};

static bool is_cancelled(void *ctx) {
    struct scrape_target *t = ctx;
    return atomic_load_explicit(&t->is_removed, memory_order_relaxed);
}

static void set_call(struct scrape_target *t, struct toc_http_call *call) {
    const struct toc_scrape_config *c = t->spec->config;
    *call = (struct toc_http_call){
        .url = t->spec->url,
        .connect_timeout_ms = t->spec->timeout_ms,
        .timeout_ms = t->spec->timeout_ms,
        .max_response_bytes =
            c->limits.body_size_limit ? (size_t)c->limits.body_size_limit : (size_t)1 << 30,
        .is_cancelled = is_cancelled,
        .cancel_ctx = t,
    };
}

/* Headers and credentials around the call itself. */
static int dress(struct toc_scraper *s, struct scrape_target *t, struct scrape_transfer *x,
                 struct toc_err *err) {
    const struct toc_scrape_config *c = t->spec->config;
    set_call(t, &x->call);
    toc_buf_reset(&x->accept);
    toc_buf_reset(&x->timeout);
    toc_buf_append_cstr(&x->accept, "Accept: ");
    toc_buf_append_cstr(&x->accept, c->accept);
    toc_buf_printf(&x->timeout, "X-Prometheus-Scrape-Timeout-Seconds: %g",
                   (double)t->spec->timeout_ms / 1000);
    const char *const own[] = {toc_buf_cstr(&x->accept), toc_buf_cstr(&x->timeout),
                               c->enable_compression ? NULL : "Accept-Encoding: identity", NULL};
    return toc_http_dress_call(&x->dress, &c->http, s->vfs, own, &x->call, err);
}

static const char *status_text(int status) {
    static const struct {
        int status;
        const char *text;
    } rows[] = {{301, "Moved Permanently"},
                {302, "Found"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {429, "Too Many Requests"},
                {500, "Internal Server Error"},
                {502, "Bad Gateway"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "";
}

static int format_of(const struct toc_scrape_config *c, const char *content_type,
                     enum toc_exposition_format *out, struct toc_err *err) {
    struct toc_sv type = toc_sv_cstr(content_type);
    struct toc_sv media = toc_sv_trim(toc_sv_sub(type, 0, toc_sv_find_char(type, ';')));
    bool is_openmetrics = toc_sv_eq_nocase(media, TOC_SV("application/openmetrics-text"));
    bool is_protobuf = toc_sv_eq_nocase(media, TOC_SV("application/vnd.google.protobuf"));
    if (!is_openmetrics && !is_protobuf && !toc_sv_eq_nocase(media, TOC_SV("text/plain"))) {
        if (c->fallback_protocol < 0)
            return toc_errf(
                err, TOC_EPROTOCOL,
                "received unsupported Content-Type \"%s\" and no fallback_scrape_protocol "
                "specified for target",
                content_type);
        is_openmetrics = c->fallback_protocol == TOC_SCRAPE_OPENMETRICS_1 ||
                         c->fallback_protocol == TOC_SCRAPE_OPENMETRICS_0;
        is_protobuf = c->fallback_protocol == TOC_SCRAPE_PROTO;
    }
    *out = is_protobuf      ? TOC_EXPOSITION_PROTOBUF
           : is_openmetrics ? TOC_EXPOSITION_OPENMETRICS
                            : TOC_EXPOSITION_TEXT;
    return 0;
}

static int check_answer(const struct toc_http_result *r, struct toc_err *err) {
    if (r->status == 200)
        return 0;
    return toc_errf(err, TOC_EPROTOCOL, "server returned HTTP status %d%s%s", r->status,
                    status_text(r->status)[0] ? " " : "", status_text(r->status));
}

/* Reads the answer; afterwards the cache holds the points. */
static void read_answer(struct scrape_transfer *x, struct scrape_outcome *o) {
    struct scrape_target *t = x->target;
    struct toc_http_result *result = &x->result;
    struct scrape_input in = {.config = t->spec->config,
                              .t_ms = o->t_ms,
                              .wants_starts = x->scraper->metrics &&
                                              toc_metricdb_wants_starts(x->scraper->metrics)};
    o->body_bytes = o->rc == TOC_ELIMIT ? -1 : (double)result->body.n;
    if (o->rc == TOC_ELIMIT)
        snprintf(o->err.message, sizeof o->err.message,
                 "body size limit exceeded: more than %lld bytes",
                 (long long)t->spec->config->limits.body_size_limit);
    if (o->rc == 0)
        o->rc = check_answer(result, &o->err);
    if (o->rc == 0)
        o->rc = format_of(t->spec->config, result->content_type, &in.format, &o->err);
    if (o->rc == 0) {
        in.body = toc_buf_sv(&result->body);
        o->rc = toc_scrape_cache_ingest(&t->cache, &in, &o->counts, &o->err);
        if (o->rc < 0 && o->err.line && in.format != TOC_EXPOSITION_PROTOBUF)
            toc_err_prefix(&o->err, "line %d, column %d: ", o->err.line, o->err.column);
    } else {
        toc_scrape_cache_end_series(&t->cache, o->t_ms);
    }
}

static void add_reports(struct scrape_target *t, const struct scrape_outcome *o) {
    const struct toc_scrape_config *c = t->spec->config;
    const double values[REPORT_COUNT] = {
        [REPORT_UP] = o->rc == 0,
        [REPORT_DURATION] = o->duration_s,
        [REPORT_SCRAPED] = (double)o->counts.scraped,
        [REPORT_POST_RELABEL] = (double)o->counts.post_relabel,
        [REPORT_ADDED] = (double)o->counts.added,
        [REPORT_TIMEOUT] = (double)t->spec->timeout_ms / 1000,
        [REPORT_SAMPLE_LIMIT] = (double)c->limits.sample_limit,
        [REPORT_BODY_BYTES] = o->body_bytes,
    };
    static const bool is_extra[REPORT_COUNT] = {
#define X(name, text, extra) [name] = (extra),
        TOC_SCRAPE_REPORT_TABLE(X)
#undef X
    };
    for (int i = 0; i < REPORT_COUNT; i++)
        if (!is_extra[i] || c->extra_scrape_metrics)
            toc_scrape_cache_report(&t->cache, (enum scrape_report)i, o->t_ms, values[i]);
}

/* Into the store; durable when a wait for the ticket has returned. */
static int write_points(struct toc_scraper *s, struct scrape_target *t, struct scrape_outcome *o,
                        struct toc_err *err) {
    if (!t->cache.points.count)
        return 0;
    return s->metrics ? toc_scrape_cache_write(&t->cache, s->metrics, &o->written, &o->ticket, err)
                      : toc_scrape_cache_write_sink(&t->cache, s->sink, &o->written, err);
}

static void count_written(struct toc_scraper *s, const struct toc_write_result *written) {
    size_t rejected = 0;
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        rejected += written->rejected[i];
    atomic_fetch_add(&s->counters.samples, written->accepted);
    atomic_fetch_add(&s->counters.samples_rejected, rejected);
}

/* The planned moment when the real one is close to it, so that deltas are constant and compress. */
static int64_t scrape_time(struct scrape_target *t, int64_t now_ms) {
    int64_t interval = t->spec->interval_ms;
    if (t->aligned_ms == 0 || now_ms < t->aligned_ms)
        t->aligned_ms = now_ms;
    t->aligned_ms += (now_ms - t->aligned_ms) / interval * interval;
    int64_t tolerance = TOC_MIN((int64_t)ALIGN_TOLERANCE_MS, interval / 100);
    return now_ms - t->aligned_ms <= tolerance ? t->aligned_ms : now_ms;
}

static void note_unwritten(struct toc_scraper *s, struct scrape_outcome *o, int rc,
                           const struct toc_err *err) {
    atomic_fetch_add(&s->counters.write_failures, 1);
    o->ticket = 0;
    o->written = (struct toc_write_result){0};
    if (o->rc < 0)
        return;
    o->rc = rc;
    o->err = *err;
    toc_err_prefix(&o->err, "the samples were not stored: ");
}

static void publish(struct toc_scraper *s, struct scrape_target *t) {
    const struct scrape_outcome *o = &t->outcome;
    toc_mutex_lock(&s->mutex);
    t->last_scrape = (struct toc_ts){o->t_ms};
    t->last_duration_s = o->duration_s;
    t->health = o->rc == 0 ? TOC_TARGET_UP : TOC_TARGET_DOWN;
    t->last_samples = o->counts.scraped;
    toc_sv_copy(toc_sv_cstr(o->rc < 0 ? o->err.message : ""), t->last_error, sizeof t->last_error);
    toc_mutex_unlock(&s->mutex);
}

void toc_scrape_settle(struct toc_scraper *s, struct scrape_target *t, int rc,
                       const struct toc_err *err) {
    struct scrape_outcome *o = &t->outcome;
    if (o->is_cancelled)
        return; /* whoever removed it ends its series */
    if (rc < 0 && o->ticket) {
        note_unwritten(s, o, rc, err);
        publish(s, t);
    }
    count_written(s, &o->written);
    atomic_fetch_add(&s->counters.scrapes, 1);
    atomic_fetch_add(&s->counters.scrapes_failed, o->rc < 0);
    atomic_fetch_add(&s->counters.samples_dropped, o->dropped);
}

static void give_back(struct scrape_transfer *x) {
    if (x->result.body.capacity > BODY_ROOM_KEPT)
        toc_http_result_fini(&x->result);
    TOC_VEC_PUSH(&x->scraper->idle_transfers, x);
}

static void on_done(void *ctx, int rc, const struct toc_err *err) {
    struct scrape_transfer *x = ctx;
    struct toc_scraper *s = x->scraper;
    struct scrape_target *t = x->target;
    struct scrape_outcome *o = &t->outcome;
    struct toc_err write_err = {0};
    uint64_t dropped = t->cache.dropped_future + t->cache.dropped_duplicate;
    o->rc = rc;
    o->err = *err;
    o->duration_s = (double)(toc_clock_mono(s->clock).ns - x->start.ns) / 1e9;
    o->is_cancelled = rc == TOC_ECANCELED && is_cancelled(t);
    if (!o->is_cancelled) {
        read_answer(x, o);
        add_reports(t, o);
        rc = write_points(s, t, o, &write_err);
        if (rc < 0)
            note_unwritten(s, o, rc, &write_err);
        o->dropped = t->cache.dropped_future + t->cache.dropped_duplicate - dropped;
        if (o->rc == 0)
            toc_scrape_cache_send_metadata(&t->cache, s->sink);
        publish(s, t);
    }
    give_back(x);
    TOC_VEC_PUSH(&s->unsettled, t);
}

static struct scrape_transfer *take_transfer(struct toc_scraper *s, struct scrape_target *t) {
    struct scrape_transfer *x = s->idle_transfers.count
                                    ? s->idle_transfers.items[--s->idle_transfers.count]
                                    : TOC_NEW(struct scrape_transfer);
    x->scraper = s;
    x->target = t;
    x->start = toc_clock_mono(s->clock);
    return x;
}

void toc_scrape_transfer_free(struct scrape_transfer **xp) {
    struct scrape_transfer *x = *xp;
    toc_buf_fini(&x->accept);
    toc_buf_fini(&x->timeout);
    toc_http_dress_fini(&x->dress);
    toc_http_result_fini(&x->result);
    toc_free(x);
    *xp = NULL;
}

void toc_scrape_begin(struct toc_scraper *s, struct scrape_target *t) {
    struct scrape_transfer *x = take_transfer(s, t);
    struct toc_err err = {0};
    t->outcome = (struct scrape_outcome){.t_ms = scrape_time(t, toc_clock_now(s->clock).ms)};
    int rc = dress(s, t, x, &err);
    if (rc == 0)
        rc = toc_http_multi_start(s->multi, &x->call, &x->result, on_done, x, &err);
    if (rc < 0) {
        toc_buf_reset(&x->result.body);
        on_done(x, rc, &err);
    }
}

void toc_scrape_end(struct toc_scraper *s, struct scrape_target *t) {
    struct toc_err err = {0};
    int64_t t_ms = toc_clock_now(s->clock).ms;
    if (t->last_scrape.ms == 0)
        return; /* nothing was written */
    /* Never at or before the last samples, which the marker would clash with. */
    t_ms = TOC_MAX(t_ms, t->last_scrape.ms + 1);
    toc_scrape_cache_end_series(&t->cache, t_ms);
    for (int i = 0; i < REPORT_COUNT; i++)
        if (i < REPORT_TIMEOUT || t->spec->config->extra_scrape_metrics)
            toc_scrape_cache_report(&t->cache, (enum scrape_report)i, t_ms, toc_stale_nan());
    struct scrape_outcome o = {0};
    int rc = write_points(s, t, &o, &err);
    if (rc == 0 && o.ticket)
        rc = toc_metricdb_wait(s->metrics, o.ticket, &err);
    if (rc < 0)
        note_unwritten(s, &o, rc, &err); /* there is nobody left to tell */
    count_written(s, &o.written);
}
