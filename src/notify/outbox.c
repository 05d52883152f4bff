#include "notify/outbox.h"

#include "base/hash.h"
#include "notify/outbox_priv.h"
#include "sys/log.h"
#include "sys/random.h"

enum {
    LANES_MAX = 256,
    LANE_QUEUE_MAX = 64, /* what does not fit stays in the database */
    BATCH_FIRST = 256,   /* items read beyond those in flight */
    BATCH_MAX = 65536,
    IDLE_WAIT_MS = 60000,
    BUSY_WAIT_MS = 1000, /* while items are in flight: others may become due behind them */
    DEFAULT_MAX_AGE_MS = 24 * 3600 * 1000
};

static struct toc_sv copy_into(char **at, struct toc_sv s) {
    struct toc_sv copy = toc_sv_make(*at, s.n);
    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static struct toc_job *job_new(const struct toc_outbox_item *item) {
    size_t bytes = item->receiver.n + item->channel.n + item->incident_id.n + item->payload.n;
    struct toc_job *j = toc_xalloc(sizeof *j + bytes);
    char *at = j->bytes;
    j->id = item->id;
    j->attempt_count = item->attempt_count;
    j->created_at = item->created_at;
    j->receiver = copy_into(&at, item->receiver);
    j->channel = copy_into(&at, item->channel);
    j->incident_id = copy_into(&at, item->incident_id);
    j->payload = copy_into(&at, item->payload);
    return j;
}

static struct toc_sv id_key(const int64_t *id) {
    return toc_sv_make((const char *)id, sizeof *id);
}

/* What one reading of the outbox brings. */
struct batch {
    struct toc_map skip; /* ids in flight when the reading began */
    TOC_VEC(struct toc_job *) jobs;
    size_t rows;
};

static int collect(void *ctx, const struct toc_outbox_item *item) {
    struct batch *b = ctx;
    b->rows++;
    if (!toc_map_has(&b->skip, id_key(&item->id)))
        TOC_VEC_PUSH(&b->jobs, job_new(item));
    return 0;
}

static void batch_fini(struct batch *b) {
    for (size_t i = 0; i < b->jobs.count; i++)
        toc_free(b->jobs.items[i]);
    TOC_VEC_FINI(&b->jobs);
    toc_map_fini(&b->skip);
}

/* Due items that are not in flight. */
static int read_batch(struct toc_notifier *n, size_t limit, struct batch *b) {
    struct toc_err err = {0};
    size_t cursor = 0;
    toc_mutex_lock(&n->mutex);
    for (const struct toc_map_entry *e; (e = toc_map_next(&n->in_flight, &cursor));)
        toc_map_put(&b->skip, e->key, n);
    toc_mutex_unlock(&n->mutex);
    int rc = toc_outbox_due(n->options.db, toc_clock_now(n->options.clock), limit + b->skip.count,
                            collect, b, &err);
    if (rc) {
        toc_log(TOC_LOG_ERROR, "notify", "outbox not readable: %s", err.message);
        toc_mutex_lock(&n->mutex);
        n->stats.store_errors++;
        toc_mutex_unlock(&n->mutex);
    }
    return rc;
}

static struct toc_job *next_job(struct toc_lane *l) {
    struct toc_notifier *n = l->notifier;
    struct toc_job *job = NULL;
    toc_mutex_lock(&n->mutex);
    while (!n->is_stopping && !l->queue.count)
        toc_cond_wait(&l->cond, &n->mutex);
    if (!n->is_stopping) {
        job = l->queue.items[0];
        TOC_VEC_REMOVE(&l->queue, 0);
    }
    toc_mutex_unlock(&n->mutex);
    return job;
}

static void lane_main(void *ctx) {
    struct toc_lane *l = ctx;
    struct toc_notifier *n = l->notifier;
    for (struct toc_job *job; (job = next_job(l));) {
        toc_notifier_attempt(n, job, &l->client);
        toc_mutex_lock(&n->mutex);
        toc_map_remove(&n->in_flight, id_key(&job->id));
        n->is_woken = true;
        toc_cond_signal(&n->wake);
        toc_mutex_unlock(&n->mutex);
        toc_free(job);
    }
}

/* Under the lock. NULL when no thread could be started: the items stay due. */
static struct toc_lane *lane_new(struct toc_notifier *n, struct toc_sv key) {
    struct toc_lane *l = TOC_NEW(struct toc_lane);
    l->notifier = n;
    toc_cond_init(&l->cond);
    if (toc_thread_start(&l->thread, "notify", lane_main, l)) {
        toc_cond_fini(&l->cond);
        toc_free(l);
        return NULL;
    }
    toc_map_put(&n->lanes, key, l);
    TOC_VEC_PUSH(&n->lane_list, l);
    return l;
}

static struct toc_lane *lane_for(struct toc_notifier *n, const struct toc_job *job) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_buf_append_sv(&key, job->receiver);
    toc_buf_append_char(&key, '\0');
    toc_buf_append_sv(&key, job->channel);
    struct toc_lane *l = toc_map_get(&n->lanes, toc_buf_sv(&key));
    if (!l && n->lane_list.count < LANES_MAX)
        l = lane_new(n, toc_buf_sv(&key));
    if (!l && n->lane_list.count) /* too many: share, by name, so that the order holds */
        l = n->lane_list.items[toc_hash64(key.p, key.n, 0) % n->lane_list.count];
    toc_buf_fini(&key);
    return l;
}

/* Hands the batch to the lanes; returns how many jobs found a place. */
static size_t assign(struct toc_notifier *n, struct batch *b) {
    size_t assigned = 0;
    toc_mutex_lock(&n->mutex);
    for (size_t i = 0; i < b->jobs.count && !n->is_stopping; i++) {
        struct toc_job *job = b->jobs.items[i];
        struct toc_lane *l = lane_for(n, job);
        if (!l || l->queue.count >= LANE_QUEUE_MAX)
            continue;
        b->jobs.items[i] = NULL;
        TOC_VEC_PUSH(&l->queue, job);
        toc_map_put(&n->in_flight, id_key(&job->id), n);
        toc_cond_signal(&l->cond);
        assigned++;
    }
    toc_mutex_unlock(&n->mutex);
    return assigned;
}

/* Reads until everything due is in a lane or its lane is full. A receiver with many waiting items
 * must not hide those of others: the window widens while it brings nothing new. */
static void dispatch(struct toc_notifier *n) {
    for (size_t limit = BATCH_FIRST; limit <= BATCH_MAX;) {
        struct batch b = {0};
        int rc = read_batch(n, limit, &b);
        bool is_full = b.rows >= limit + b.skip.count;
        size_t assigned = rc ? 0 : assign(n, &b);
        batch_fini(&b);
        if (rc || !is_full || n->is_stopping)
            return;
        if (!assigned)
            limit *= 4;
    }
}

static int64_t wait_ms(struct toc_notifier *n) {
    struct toc_ts next = {0};
    if (toc_outbox_next_due(n->options.db, &next, NULL))
        return BUSY_WAIT_MS;
    if (!next.ms)
        return IDLE_WAIT_MS;
    int64_t ms = next.ms - toc_clock_now(n->options.clock).ms;
    /* Due already: in flight, or its lane is full; a worker that finishes wakes us. */
    return ms <= 0 ? BUSY_WAIT_MS : TOC_MIN(ms, (int64_t)IDLE_WAIT_MS);
}

static void dispatcher_main(void *ctx) {
    struct toc_notifier *n = ctx;
    while (!n->is_stopping) {
        dispatch(n);
        int64_t ms = wait_ms(n);
        toc_mutex_lock(&n->mutex);
        if (n->in_flight.count)
            ms = TOC_MIN(ms, (int64_t)BUSY_WAIT_MS);
        if (!n->is_woken && !n->is_stopping)
            (void)toc_cond_wait_ms(&n->wake, &n->mutex, ms);
        n->is_woken = false;
        toc_mutex_unlock(&n->mutex);
    }
}

static uint64_t seed_of(const struct toc_notifier_options *o) {
    uint64_t seed = o->seed;
    if (!seed)
        toc_random_bytes(&seed, sizeof seed);
    return seed;
}

int toc_notifier_start(const struct toc_notifier_options *o, struct toc_notifier **out,
                       struct toc_err *err) {
    struct toc_notifier *n = TOC_NEW(struct toc_notifier);
    n->options = *o;
    if (n->options.max_age_ms <= 0)
        n->options.max_age_ms = DEFAULT_MAX_AGE_MS;
    toc_mutex_init(&n->mutex, TOC_LOCK_NOTIFY);
    toc_cond_init(&n->wake);
    toc_cond_init(&n->pause);
    toc_rng_seed(&n->rng, seed_of(o));
    n->receivers = toc_receiver_set_new();
    int rc = o->is_manual ? 0 : toc_thread_start(&n->dispatcher, "notify-disp", dispatcher_main, n);
    if (rc) {
        toc_notifier_stop(&n);
        return toc_errf(err, rc, "the notifier's thread does not start: %s", toc_strerror(rc));
    }
    *out = n;
    return 0;
}

static void lane_free(struct toc_lane *l) {
    toc_thread_join(&l->thread);
    for (size_t i = 0; i < l->queue.count; i++)
        toc_free(l->queue.items[i]);
    TOC_VEC_FINI(&l->queue);
    toc_http_client_free(&l->client);
    toc_cond_fini(&l->cond);
    toc_free(l);
}

void toc_notifier_stop(struct toc_notifier **np) {
    if (!np || !*np)
        return;
    struct toc_notifier *n = *np;
    toc_mutex_lock(&n->mutex);
    atomic_store_explicit(&n->is_stopping, true, memory_order_release);
    toc_cond_broadcast(&n->wake);
    toc_cond_broadcast(&n->pause);
    for (size_t i = 0; i < n->lane_list.count; i++)
        toc_cond_broadcast(&n->lane_list.items[i]->cond);
    toc_mutex_unlock(&n->mutex);
    toc_thread_join(&n->dispatcher); /* first: only it makes lanes */
    for (size_t i = 0; i < n->lane_list.count; i++)
        lane_free(n->lane_list.items[i]);
    TOC_VEC_FINI(&n->lane_list);
    toc_map_fini(&n->lanes);
    toc_map_fini(&n->in_flight);
    toc_receiver_set_unref(&n->receivers);
    toc_http_client_free(&n->manual_client);
    toc_cond_fini(&n->wake);
    toc_cond_fini(&n->pause);
    toc_mutex_fini(&n->mutex);
    toc_free(n);
    *np = NULL;
}

void toc_notifier_set_receivers(struct toc_notifier *n, struct toc_receiver_set *take_set) {
    toc_mutex_lock(&n->mutex);
    struct toc_receiver_set *old = n->receivers;
    n->receivers = take_set;
    n->is_woken = true;
    toc_cond_signal(&n->wake);
    toc_mutex_unlock(&n->mutex);
    toc_receiver_set_unref(&old);
}

struct toc_receiver_set *toc_notifier_receivers(struct toc_notifier *n) {
    toc_mutex_lock(&n->mutex);
    struct toc_receiver_set *s = toc_receiver_set_ref(n->receivers);
    toc_mutex_unlock(&n->mutex);
    return s;
}

/* Messages of one incident keep their order in each channel; without an incident, those of one
 * group. */
static void append_order_key(const struct toc_notification *what, const struct toc_channel *c,
                             struct toc_buf *out) {
    struct toc_sv thread = what->incident_id.n ? what->incident_id
                           : what->group_key.n ? what->group_key
                                               : what->key;
    toc_buf_printf(out, "%.*s/%s/%.*s", TOC_SV_ARG(what->receiver), c->name, TOC_SV_ARG(thread));
}

static int add_item(struct toc_notifier *n, const struct toc_notification *what,
                    const struct toc_channel *c, struct toc_sv payload, bool *out_is_new,
                    struct toc_err *err) {
    struct toc_buf key = TOC_BUF_INIT, order = TOC_BUF_INIT, subject = TOC_BUF_INIT;
    int64_t id;
    toc_buf_printf(&key, "%.*s/%.*s/%s", TOC_SV_ARG(what->key), TOC_SV_ARG(what->receiver),
                   c->name);
    append_order_key(what, c, &order);
    toc_message_subject(what, c->language, &subject);
    struct toc_outbox_new item = {
        .idempotency_key = toc_buf_sv(&key),
        .receiver = what->receiver,
        .channel = toc_sv_cstr(c->name),
        .incident_id = what->incident_id,
        .order_key = toc_buf_sv(&order),
        .subject = toc_buf_sv(&subject),
        .payload = payload,
    };
    int rc =
        toc_outbox_add(n->options.db, &item, toc_clock_now(n->options.clock), &id, out_is_new, err);
    toc_buf_fini(&key);
    toc_buf_fini(&order);
    toc_buf_fini(&subject);
    return rc;
}

static int add_items(struct toc_notifier *n, const struct toc_notification *what,
                     const struct toc_receiver *r, size_t *out_count, struct toc_err *err) {
    struct toc_buf payload = TOC_BUF_INIT;
    toc_notification_encode(what, &payload);
    int rc =
        toc_buf_error(&payload) ? toc_errf(err, TOC_ENOMEM, "no memory for this notification") : 0;
    for (size_t i = 0; i < r->channel_count && !rc; i++) {
        bool is_new = false;
        if (r->channels[i].skips_resolved && what->is_resolved)
            continue;
        rc = add_item(n, what, &r->channels[i], toc_buf_sv(&payload), &is_new, err);
        *out_count += is_new;
    }
    toc_buf_fini(&payload);
    return rc;
}

int toc_notifier_send(struct toc_notifier *n, const struct toc_notification *what,
                      size_t *out_count, struct toc_err *err) {
    struct toc_receiver_set *set = toc_notifier_receivers(n);
    const struct toc_receiver *r = toc_receiver_find(set, what->receiver);
    size_t added = 0;
    int rc = 0;
    if (!what->key.n)
        rc = toc_errf(err, TOC_EINVAL, "a notification needs a key");
    else if (!r)
        rc = toc_errf(err, TOC_ENOENT, "there is no receiver \"%.*s\"", TOC_SV_ARG(what->receiver));
    else
        rc = add_items(n, what, r, &added, err);
    toc_receiver_set_unref(&set);
    if (out_count)
        *out_count = added;
    toc_mutex_lock(&n->mutex);
    n->is_woken = true;
    toc_cond_signal(&n->wake);
    toc_mutex_unlock(&n->mutex);
    return rc;
}

size_t toc_notifier_pump(struct toc_notifier *n) {
    size_t attempts = 0;
    uint64_t store_errors =
        n->stats.store_errors; /* what is not recorded would come again at once */
    for (bool found = true; found && n->stats.store_errors == store_errors;) {
        struct batch b = {0};
        found = read_batch(n, BATCH_FIRST, &b) == 0 && b.jobs.count > 0;
        for (size_t i = 0; found && i < b.jobs.count; i++)
            toc_notifier_attempt(n, b.jobs.items[i], &n->manual_client);
        attempts += found ? b.jobs.count : 0;
        batch_fini(&b);
    }
    return attempts;
}

void toc_notifier_get_stats(struct toc_notifier *n, struct toc_notifier_stats *out) {
    toc_mutex_lock(&n->mutex);
    *out = n->stats;
    out->workers = n->lane_list.count;
    out->in_flight = n->in_flight.count;
    toc_mutex_unlock(&n->mutex);
}
