/* Requests of one receiver: when they are due, what is in them, what their end means. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "codec/compress.h"
#include "forward/remote_priv.h"
#include "sys/log.h"

enum {
    COMPLAINT_MS = 60000,
    BODY_SHOWN = 160,
    ANSWER_BYTES = 64 << 10,
    IDLE_MS = 200,
    METADATA_MIN_MS = 1000
};

#define WRITTEN_PREFIX "X-Prometheus-Remote-Write-"

void forward_sender_init(struct forward_sender *s, struct toc_forward_remote *r, size_t shard) {
    *s = (struct forward_sender){.remote = r, .shard = shard, .filled_ms = forward_now_ms(r)};
}

void forward_sender_fini(struct forward_sender *s) {
    toc_buf_fini(&s->packed);
    toc_buf_fini(&s->senders);
    toc_http_dress_fini(&s->dress);
    toc_http_result_fini(&s->result);
}

void forward_note_problem(struct toc_forward_remote *r, const char *text, bool is_loss) {
    int64_t now = forward_now_ms(r);
    r->stats.is_failing = true;
    snprintf(r->stats.problem, sizeof r->stats.problem, "%s", text);
    if (now < r->next_complaint_ms[is_loss])
        return;
    r->has_complained = true;
    r->next_complaint_ms[is_loss] = now + COMPLAINT_MS;
    toc_log(TOC_LOG_WARN, "forward", "remote write to %.*s: %s%s", TOC_SV_ARG(r->config->name),
            is_loss ? "samples are given up: " : "", text);
}

static void note_success(struct toc_forward_remote *r) {
    if (r->has_complained)
        toc_log(TOC_LOG_INFO, "forward", "remote write to %.*s works again",
                TOC_SV_ARG(r->config->name));
    r->has_complained = false;
    r->stats.is_failing = false;
    r->stats.problem[0] = 0;
}

/* --- a request --- */

static bool is_cancelled(void *ctx) {
    struct forward_sender *s = ctx;
    return atomic_load_explicit(&s->remote->is_cut, memory_order_relaxed);
}

static int set_call(struct forward_sender *s, struct toc_err *err) {
    const struct toc_forward_remote *r = s->remote;
    bool is_2 = s->message == TOC_FORWARD_2;
    if (r->o.path)
        toc_remote_path_write(r->o.path, &s->senders);
    const char *const own[] = {
        "Content-Encoding: snappy",
        is_2 ? "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request"
             : "Content-Type: application/x-protobuf",
        is_2 ? "X-Prometheus-Remote-Write-Version: 2.0.0"
             : "X-Prometheus-Remote-Write-Version: 0.1.0",
        r->o.path ? toc_buf_cstr(&s->senders) : NULL, NULL};
    s->call = (struct toc_http_call){
        .url = r->config->url.p,
        .method = "POST",
        .body = toc_buf_sv(&s->packed),
        .keep_prefix = WRITTEN_PREFIX,
        .connect_timeout_ms = r->config->remote_timeout_ms,
        .timeout_ms = r->config->remote_timeout_ms,
        .max_response_bytes = ANSWER_BYTES,
        .is_cancelled = is_cancelled,
        .cancel_ctx = s,
    };
    return toc_http_dress_call(&s->dress, &r->config->http, r->o.vfs, own, &s->call, err);
}

/* The message in r->plain goes out. */
static int begin(struct forward_sender *s, toc_on_http_done *fn, struct toc_err *err) {
    struct toc_forward_remote *r = s->remote;
    toc_buf_reset(&s->packed);
    int rc = toc_compress(TOC_COMPRESSION_SNAPPY, toc_buf_sv(&r->plain), &s->packed);
    rc = rc ? rc : toc_buf_error(&r->plain);
    if (rc)
        return toc_errf(err, rc, "a message could not be built: %s", toc_strerror(rc));
    rc = set_call(s, err);
    if (!rc)
        rc = toc_http_multi_start(r->multi, &s->call, &s->result, fn, s, err);
    if (rc)
        return rc;
    s->is_busy = true;
    s->start_ms = forward_now_ms(r);
    r->stats.requests++;
    r->stats.sent_bytes += s->packed.n;
    return 0;
}

/* --- its end --- */

/* "…Samples-Written: 5" */
static bool find_written(const char *kept, const char *what, uint64_t *out) {
    struct toc_sv rest = toc_sv_cstr(kept), line, name;
    while (toc_sv_split(&rest, '\n', &line)) {
        if (!toc_sv_split(&line, ':', &name) ||
            !toc_sv_eq_nocase(toc_sv_sub(name, sizeof WRITTEN_PREFIX - 1, name.n),
                              toc_sv_cstr(what)))
            continue;
        return toc_parse_u64(toc_sv_trim(line), out) == 0;
    }
    return false;
}

static void describe(const struct forward_sender *s, int rc, const struct toc_err *err,
                     struct toc_buf *out) {
    struct toc_sv body = toc_sv_trim(toc_buf_sv(&s->result.body));
    if (rc) {
        toc_buf_append_cstr(out, err->message);
        return;
    }
    toc_buf_printf(out, "HTTP %d%s", s->result.status, body.n ? ": " : "");
    for (size_t i = 0; i < body.n && i < BODY_SHOWN; i++) {
        unsigned char c = (unsigned char)body.p[i];
        toc_buf_append_char(out, c < 0x20 || c > 0x7e ? ' ' : (char)c);
    }
}

static struct toc_forward_answer answer_of(const struct forward_sender *s, int rc) {
    struct toc_forward_answer a = {.rc = rc, .status = s->result.status};
    uint64_t histograms = 0;
    a.has_written = find_written(s->result.kept, "Samples-Written", &a.written);
    if (find_written(s->result.kept, "Histograms-Written", &histograms))
        a.written += histograms;
    a.wait_ms = toc_forward_retry_after_ms(toc_sv_cstr(s->result.retry_after),
                                           toc_clock_now(s->remote->o.clock).ms);
    return a;
}

/* What the receiver took of a message, and what it did not want. */
static void count_taken(struct forward_sender *s, uint64_t refused, bool is_refused) {
    struct toc_forward_stats *st = &s->remote->stats;
    const struct toc_forward_encoded *c = &s->counts;
    uint64_t samples = c->floats + c->histograms;
    refused = TOC_MIN(refused, samples);
    uint64_t taken = samples - refused;
    st->sent += taken;
    st->sent_histograms += TOC_MIN((uint64_t)c->histograms, taken);
    st->sent_exemplars += is_refused ? 0 : c->exemplars;
    st->dropped_exemplars += is_refused ? c->exemplars : 0;
    st->dropped[TOC_FORWARD_DROP_REFUSED] += refused;
    st->newest_sent_ms = taken ? TOC_MAX(st->newest_sent_ms, c->newest_ms) : st->newest_sent_ms;
}

static void count_left_out(struct forward_sender *s) {
    struct toc_forward_stats *st = &s->remote->stats;
    st->dropped[TOC_FORWARD_DROP_TOO_OLD] += s->counts.too_old;
    st->dropped[TOC_FORWARD_DROP_NO_SERIES] += s->counts.broken;
}

static void pop(struct forward_sender *s, size_t items, int64_t now_ms) {
    toc_forward_queue_pop(&s->remote->queue, s->shard, items);
    s->filled_ms = now_ms;
}

static void fall_back(struct forward_sender *s) {
    struct toc_forward_remote *r = s->remote;
    if (r->message == TOC_FORWARD_2)
        toc_log(TOC_LOG_WARN, "forward",
                "remote write to %.*s: the receiver does not take %s; %s is sent until a reload",
                TOC_SV_ARG(r->config->name), toc_forward_message_name(TOC_FORWARD_2),
                toc_forward_message_name(TOC_FORWARD_1));
    r->message = TOC_FORWARD_1;
    r->stats.is_older_message = true;
}

static void note_verdict(struct forward_sender *s, enum toc_forward_verdict verdict,
                         const struct toc_forward_next *next, uint64_t refused, const char *text) {
    struct toc_forward_remote *r = s->remote;
    uint64_t samples = s->counts.floats + s->counts.histograms;
    if (verdict == TOC_FORWARD_OLDER_MESSAGE)
        fall_back(s);
    if (verdict == TOC_FORWARD_AGAIN) {
        r->stats.failed_requests++;
        r->stats.retried += samples;
        r->has_failed = true;
    } else if (verdict == TOC_FORWARD_SMALLER || verdict == TOC_FORWARD_REFUSED) {
        r->stats.failed_requests++;
    }
    if (verdict == TOC_FORWARD_TAKEN && !refused)
        note_success(r);
    else if (verdict == TOC_FORWARD_AGAIN || next->is_refused || refused)
        forward_note_problem(r, text, verdict != TOC_FORWARD_AGAIN);
    else if (verdict == TOC_FORWARD_PARTLY)
        note_success(r);
}

static void on_done(void *ctx, int rc, const struct toc_err *err) {
    struct forward_sender *s = ctx;
    struct toc_forward_remote *r = s->remote;
    int64_t now = forward_now_ms(r);
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_forward_answer a = answer_of(s, rc);
    enum toc_forward_verdict verdict =
        toc_forward_judge(&a, s->message, r->config->queue.retry_on_http_429);
    s->is_busy = false;
    r->busy_ms += now - s->start_ms;
    r->stats.request_seconds += s->result.duration_s;
    if (rc == TOC_ECANCELED)
        return;
    uint64_t samples = s->counts.floats + s->counts.histograms;
    struct toc_forward_next next = toc_forward_pace_next(&s->pace, verdict, s->counts.items,
                                                         a.wait_ms, &r->config->queue, now);
    uint64_t refused = next.is_refused ? samples : 0;
    if (verdict == TOC_FORWARD_PARTLY)
        refused = samples - TOC_MIN(a.written, samples);
    describe(s, rc, err, &text);
    note_verdict(s, verdict, &next, refused, toc_buf_cstr(&text));
    toc_buf_fini(&text);
    if (!next.done)
        return;
    count_taken(s, refused, next.is_refused);
    count_left_out(s);
    pop(s, next.done, now);
}

/* --- what is due --- */

static void send_batch(struct forward_sender *s, size_t max_items, int64_t now_ms) {
    struct toc_forward_remote *r = s->remote;
    const struct toc_forward_queue_config *q = &r->config->queue;
    struct toc_err err = {0};
    struct toc_forward_encode_options o = {
        .message = r->message,
        .max_items = max_items,
        .oldest_ms =
            q->sample_age_limit ? toc_clock_now(r->o.clock).ms - q->sample_age_limit : INT64_MIN,
        .metadata = &r->metadata,
    };
    s->message = r->message;
    toc_buf_reset(&r->plain);
    toc_forward_encode(&r->encoder, &r->queue, s->shard, &o, &r->plain, &s->counts);
    const struct toc_forward_encoded *c = &s->counts;
    if (!c->floats && !c->histograms && !c->exemplars) {
        count_left_out(s);
        pop(s, c->items, now_ms);
        return;
    }
    int rc = begin(s, on_done, &err);
    if (!rc)
        return;
    (void)toc_forward_pace_next(&s->pace, TOC_FORWARD_AGAIN, c->items, 0, q, now_ms);
    r->has_failed = true;
    forward_note_problem(r, err.message, false);
}

/* 0: now. */
static int64_t due_in(const struct forward_sender *s, int64_t now_ms) {
    const struct toc_forward_remote *r = s->remote;
    const struct toc_forward_queue_config *q = &r->config->queue;
    size_t count = r->queue.shards.items[s->shard].count;
    int64_t wait = s->pace.not_before_ms - now_ms;
    bool is_full = count >= (size_t)q->max_samples_per_send;
    /* While a refused request is taken apart, or the queue is to be empty, nobody waits for more.
     */
    if (!is_full && !s->pace.size && !r->is_draining)
        wait = TOC_MAX(wait, s->filled_ms + q->batch_send_deadline - now_ms);
    return TOC_MAX(wait, INT64_C(0));
}

int64_t forward_send_due(struct toc_forward_remote *r, int64_t now_ms) {
    int64_t next_ms = IDLE_MS;
    if (atomic_load_explicit(&r->stopping, memory_order_relaxed))
        return next_ms;
    for (size_t i = 0; i < r->senders.count; i++) {
        struct forward_sender *s = r->senders.items[i];
        if (s->is_busy)
            continue;
        if (!r->queue.shards.items[i].count) {
            s->filled_ms = now_ms;
            continue;
        }
        int64_t wait = due_in(s, now_ms);
        size_t max = (size_t)r->config->queue.max_samples_per_send;
        if (wait == 0)
            send_batch(s, s->pace.size ? TOC_MIN(s->pace.size, max) : max, now_ms);
        else
            next_ms = TOC_MIN(next_ms, wait);
    }
    return next_ms;
}

/* --- types and help texts --- */

static void on_metadata_done(void *ctx, int rc, const struct toc_err *err) {
    struct forward_sender *s = ctx;
    struct toc_forward_remote *r = s->remote;
    (void)err;
    s->is_busy = false;
    bool is_taken = !rc && s->result.status >= 200 && s->result.status < 300;
    if (is_taken)
        r->stats.sent_metadata += s->counts.items;
    else
        r->stats.failed_metadata += s->counts.items;
    /* They come again with the next round; a receiver in trouble is left alone until then. */
    r->meta_at = is_taken ? r->meta_at + s->counts.items : SIZE_MAX;
}

void forward_send_metadata(struct toc_forward_remote *r, int64_t now_ms) {
    const struct toc_forward_metadata_config *c = &r->config->metadata;
    struct forward_sender *s = &r->meta;
    struct toc_err err = {0};
    if (s->is_busy || atomic_load_explicit(&r->stopping, memory_order_relaxed))
        return;
    if (now_ms >= r->next_metadata_ms) {
        /* Soon at first, when metrics are just being learnt. */
        r->metadata_wait_ms =
            TOC_MIN(TOC_MAX(2 * r->metadata_wait_ms, (int64_t)METADATA_MIN_MS), c->send_interval);
        r->next_metadata_ms = now_ms + r->metadata_wait_ms;
        toc_forward_metadata_refresh(&r->metadata, r->o.db);
        r->meta_at = 0;
    }
    if (!c->send || r->message == TOC_FORWARD_2 || r->meta_at >= r->metadata.rows.count)
        return;
    size_t count = TOC_MIN(r->metadata.rows.count - r->meta_at, (size_t)c->max_samples_per_send);
    s->counts = (struct toc_forward_encoded){.items = count};
    s->message = TOC_FORWARD_1;
    toc_buf_reset(&r->plain);
    toc_forward_encode_metadata(r->metadata.rows.items + r->meta_at, count, &r->plain);
    if (begin(s, on_metadata_done, &err))
        r->meta_at = SIZE_MAX;
}
