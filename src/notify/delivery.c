/* One attempt: find the channel, decode, send, record, count, tell. */
#include <stdio.h>

#include "notify/outbox_priv.h"
#include "sys/log.h"
#include "sys/random.h"

enum { BACKOFF_FIRST_MS = 1000, BACKOFF_MAX_MS = 300000, STORE_RETRY_MS = 1000 };

struct attempt {
    struct toc_notifier *notifier;
    const struct toc_job *job;
    int rc;
    int kind; /* of the channel, -1 when it is not configured */
    struct toc_delivery delivery;
    struct toc_err err;
    struct toc_ts at;
    struct toc_ts next_at;
    bool gave_up;
};

static bool is_stopping(void *ctx) {
    struct toc_notifier *n = ctx;
    return atomic_load_explicit(&n->is_stopping, memory_order_acquire);
}

static int send_now(struct attempt *t, const struct toc_channel *c,
                    struct toc_http_client **client) {
    const struct toc_notifier_options *o = &t->notifier->options;
    struct toc_notification what;
    struct toc_arena a = TOC_ARENA_INIT;
    int rc = toc_notification_decode(t->job->payload, &a, &what, &t->err);
    if (rc)
        toc_err_prefix(&t->err, "the stored notification cannot be read: ");
    if (!rc && o->deliver)
        rc = o->deliver(o->deliver_ctx, c, &what, NULL, &t->delivery, &t->err);
    else if (!rc) {
        if (!*client)
            *client = toc_http_client_new();
        rc = toc_channel_deliver(c, &what, *client, &t->delivery, &t->err);
    }
    toc_arena_fini(&a);
    return rc;
}

/* A receiver that a reload took away may come back: its notifications wait. */
static int not_configured(struct attempt *t) {
    return toc_errf(&t->err, TOC_ENOENT,
                    "receiver \"%.*s\" has no channel \"%.*s\" in the present configuration",
                    TOC_SV_ARG(t->job->receiver), TOC_SV_ARG(t->job->channel));
}

static void run(struct attempt *t, struct toc_http_client **client) {
    struct toc_receiver_set *set = toc_notifier_receivers(t->notifier);
    const struct toc_channel *c =
        toc_channel_find(toc_receiver_find(set, t->job->receiver), t->job->channel);
    t->kind = c ? (int)c->kind : -1;
    t->delivery.is_cancelled = is_stopping;
    t->delivery.cancel_ctx = t->notifier;
    t->rc = c ? send_now(t, c, client) : not_configured(t);
    toc_receiver_set_unref(&set);
}

/* 1 s, 2 s, 4 s … 5 min, ± 20 % so that receivers are not hit in step; the peer may ask for more.
 */
static int64_t backoff_ms(struct attempt *t) {
    int64_t doublings = TOC_MIN(t->job->attempt_count, (int64_t)9);
    int64_t ms = TOC_MIN((int64_t)BACKOFF_FIRST_MS << doublings, (int64_t)BACKOFF_MAX_MS);
    toc_mutex_lock(&t->notifier->mutex);
    double jitter = 0.8 + 0.4 * toc_rng_unit(&t->notifier->rng);
    toc_mutex_unlock(&t->notifier->mutex);
    return TOC_MAX((int64_t)((double)ms * jitter), t->delivery.retry_after_ms);
}

static void plan_next(struct attempt *t) {
    if (t->rc == 0)
        return;
    t->next_at.ms = t->at.ms + backoff_ms(t);
    bool too_old = t->next_at.ms - t->job->created_at.ms > t->notifier->options.max_age_ms;
    t->gave_up = toc_delivery_is_permanent(t->rc) || too_old;
}

static const char *detail_of(const struct attempt *t) {
    if (t->rc == 0)
        return t->delivery.detail[0] ? t->delivery.detail : "delivered";
    return t->err.message[0] ? t->err.message : toc_strerror(t->rc);
}

/* Until the attempt is on disk the item must not be tried again, or a full disk would repeat
 * messages: the worker waits for the store. */
static void record(struct attempt *t) {
    struct toc_notifier *n = t->notifier;
    struct toc_outbox_attempt a = {.at = t->at,
                                   .ok = t->rc == 0,
                                   .is_permanent = t->gave_up,
                                   .detail = toc_sv_cstr(detail_of(t)),
                                   .next_at = t->next_at};
    for (;;) {
        struct toc_err err = {0};
        int rc = toc_outbox_attempted(n->options.db, t->job->id, &a, &err);
        if (rc == 0 || rc == TOC_ENOENT || rc == TOC_ECONFLICT)
            return; /* gone or finished: somebody pruned or closed it meanwhile */
        toc_log(TOC_LOG_ERROR, "notify", "attempt not recorded: %s", err.message);
        toc_mutex_lock(&n->mutex);
        n->stats.store_errors++;
        if (!n->is_stopping && !n->options.is_manual)
            (void)toc_cond_wait_ms(&n->pause, &n->mutex, STORE_RETRY_MS);
        bool leave = n->is_stopping || n->options.is_manual;
        toc_mutex_unlock(&n->mutex);
        if (leave)
            return;
    }
}

static void count(struct attempt *t) {
    struct toc_notifier *n = t->notifier;
    toc_mutex_lock(&n->mutex);
    if (t->kind < 0) {
        n->stats.unknown_receiver++;
    } else {
        struct toc_notifier_channel_stats *s = &n->stats.by_kind[t->kind];
        s->delivered += t->rc == 0;
        s->failed_attempts += t->rc != 0;
        s->gave_up += t->gave_up;
        s->template_errors += t->rc == 0 && t->delivery.template_failed;
        if (t->rc == 0) {
            double latency_s = (double)(t->at.ms - t->job->created_at.ms) / 1000;
            s->latency_sum_s += latency_s;
            s->latency_max_s = TOC_MAX(s->latency_max_s, latency_s);
            s->latency_count++;
        }
    }
    toc_mutex_unlock(&n->mutex);
}

static void tell(const struct attempt *t) {
    const struct toc_notifier_options *o = &t->notifier->options;
    struct toc_notifier_event e = {
        .incident_id = t->job->incident_id,
        .receiver = t->job->receiver,
        .channel = t->job->channel,
        .ok = t->rc == 0,
        .gave_up = t->gave_up,
        .attempt = t->job->attempt_count + 1,
        .at = t->at,
        .detail = detail_of(t),
    };
    if (t->gave_up)
        toc_log(TOC_LOG_ERROR, "notify", "gave up on %.*s by %.*s: %s", TOC_SV_ARG(e.receiver),
                TOC_SV_ARG(e.channel), e.detail);
    if (o->on_event)
        o->on_event(o->event_ctx, &e);
}

void toc_notifier_attempt(struct toc_notifier *n, const struct toc_job *job,
                          struct toc_http_client **client) {
    struct attempt t = {.notifier = n, .job = job};
    run(&t, client);
    if (t.rc == TOC_ECANCELED && is_stopping(n))
        return; /* the next start tries again */
    t.at = toc_clock_now(n->options.clock);
    plan_next(&t);
    record(&t);
    count(&t);
    tell(&t);
}

static struct toc_notification test_notification(const struct toc_receiver *r, struct toc_ts now,
                                                 struct toc_sv external_url, struct toc_sv key) {
    struct toc_notification n = toc_notification_empty();
    n.key = key;
    n.receiver = toc_sv_cstr(r->name);
    n.is_test = true;
    n.severity = TOC_SEVERITY_INFO;
    n.title = TOC_SV("Tocsin test message");
    n.summary = TOC_SV("This channel works. Nothing is wrong; nobody needs to act.");
    n.at = n.since = now;
    n.external_url = n.incident_url = external_url;
    n.group_key = TOC_SV("{}:{alertname=\"TocsinTest\"}");
    return n;
}

size_t toc_notify_test(const struct toc_receiver *r, struct toc_ts now, struct toc_sv external_url,
                       struct toc_notify_result *out, size_t max) {
    static const struct toc_label name[] = {{{"alertname", 9}, {"TocsinTest", 10}}};
    uint64_t random;
    char key[40];
    toc_random_bytes(&random, sizeof random);
    int key_bytes = snprintf(key, sizeof key, "test-%016llx", (unsigned long long)random);
    struct toc_notification n =
        test_notification(r, now, external_url, toc_sv_make(key, (size_t)key_bytes));
    struct toc_notification_alert alert = {.labels = {name, 1}, .starts_at = now};
    n.alerts = &alert;
    n.alert_count = 1;
    n.group_labels = n.common_labels = alert.labels;
    size_t count = TOC_MIN(max, r->channel_count);
    for (size_t i = 0; i < count; i++) {
        struct toc_delivery d = {0};
        struct toc_err err = {0};
        /* A client of its own: no channel is judged by a connection that another one opened. */
        struct toc_http_client *client = toc_http_client_new();
        int rc = toc_channel_deliver(&r->channels[i], &n, client, &d, &err);
        toc_http_client_free(&client);
        out[i] = (struct toc_notify_result){.channel = r->channels[i].name, .ok = rc == 0};
        snprintf(out[i].detail, sizeof out[i].detail, "%.230s",
                 rc == 0          ? d.detail
                 : err.message[0] ? err.message
                                  : toc_strerror(rc));
    }
    return count;
}
