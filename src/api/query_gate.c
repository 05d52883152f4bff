#include "api/query_gate.h"

#include "base/alloc.h"
#include "sys/log.h"
#include "sys/thread.h"

enum {
    SLOW_KEPT = 32,
    SLOW_TEXT_MAX = 1024,
    LOOK_EVERY_NS = 20000000, /* at the connection, for a client that went away */
    WAIT_STEP_MS = 20,
    NS_PER_MS = 1000000,
};

struct slow_query {
    const char *kind;
    char text[SLOW_TEXT_MAX], actor[128];
    struct toc_ts started_at;
    double seconds;
    uint64_t samples;
};

struct query_list {
    struct toc_query *first, *last;
    size_t count;
};

struct toc_query_gate {
    struct toc_clock *clock;
    atomic_bool refuses;
    struct toc_mutex mutex;
    struct toc_cond changed;
    struct toc_query_limits limits;
    struct query_list waiting, running;
    struct toc_query_stats stats;
    struct slow_query slow[SLOW_KEPT]; /* a ring */
    uint64_t slow_count;
};

static struct toc_query_limits with_defaults(const struct toc_query_limits *l) {
    struct toc_query_limits out = *l;
#define X(field, type, value, what) \
    if (out.field == 0)             \
        out.field = (value);
    TOC_QUERY_LIMIT_TABLE(X)
#undef X
    return out;
}

struct toc_query_gate *toc_query_gate_new(struct toc_clock *clock,
                                          const struct toc_query_limits *l) {
    struct toc_query_gate *g = TOC_NEW(struct toc_query_gate);
    g->clock = clock;
    g->limits = with_defaults(l);
    toc_mutex_init(&g->mutex, TOC_LOCK_QUEUE);
    toc_cond_init(&g->changed);
    return g;
}

void toc_query_gate_free(struct toc_query_gate **gp) {
    struct toc_query_gate *g = *gp;
    if (!g)
        return;
    toc_cond_fini(&g->changed);
    toc_mutex_fini(&g->mutex);
    toc_free(g);
    *gp = NULL;
}

void toc_query_gate_set(struct toc_query_gate *g, const struct toc_query_limits *l) {
    toc_mutex_lock(&g->mutex);
    g->limits = with_defaults(l);
    toc_cond_broadcast(&g->changed);
    toc_mutex_unlock(&g->mutex);
}

void toc_query_gate_refuse(struct toc_query_gate *g, bool refuses) {
    atomic_store_explicit(&g->refuses, refuses, memory_order_relaxed);
}

struct toc_query_limits toc_query_gate_limits(struct toc_query_gate *g) {
    toc_mutex_lock(&g->mutex);
    struct toc_query_limits l = g->limits;
    toc_mutex_unlock(&g->mutex);
    return l;
}

/* ------------------------------------------------------------------------------------------
 * lists, under the mutex */

static void append(struct query_list *l, struct toc_query *q) {
    q->next = NULL;
    q->previous = l->last;
    *(l->last ? &l->last->next : &l->first) = q;
    l->last = q;
    l->count++;
}

static void take_out(struct query_list *l, struct toc_query *q) {
    *(q->previous ? &q->previous->next : &l->first) = q->next;
    *(q->next ? &q->next->previous : &l->last) = q->previous;
    l->count--;
}

/* ------------------------------------------------------------------------------------------
 * one query */

static int64_t now_ns(const struct toc_query *q) {
    return toc_clock_mono(q->gate->clock).ns;
}

/* Looks at the connection at most every LOOK_EVERY_NS, by one thread at a time. */
static bool has_client_gone(struct toc_query *q, int64_t now) {
    long long last = atomic_load_explicit(&q->looked_ns, memory_order_relaxed);
    if (!q->request || now - last < LOOK_EVERY_NS ||
        !atomic_compare_exchange_strong(&q->looked_ns, &last, now))
        return false;
    return toc_http_peer_is_gone(q->request);
}

bool toc_query_should_stop(void *query) {
    struct toc_query *q = query;
    if (atomic_load_explicit(&q->why, memory_order_relaxed) != TOC_QUERY_RUNNING)
        return true;
    int64_t now = now_ns(q);
    bool is_refused = atomic_load_explicit(&q->gate->refuses, memory_order_relaxed);
    int why = is_refused                ? TOC_QUERY_REFUSED
              : now > q->deadline_ns    ? TOC_QUERY_TIMED_OUT
              : has_client_gone(q, now) ? TOC_QUERY_CANCELED
                                        : TOC_QUERY_RUNNING;
    if (why != TOC_QUERY_RUNNING)
        atomic_store_explicit(&q->why, why, memory_order_relaxed);
    return why != TOC_QUERY_RUNNING;
}

static void count_end(struct toc_query_gate *g, const struct toc_query *q) {
    int why = atomic_load(&q->why);
    g->stats.timed_out += why == TOC_QUERY_TIMED_OUT;
    g->stats.canceled += why == TOC_QUERY_CANCELED;
    g->stats.refused += why == TOC_QUERY_REFUSED;
}

int toc_query_begin(struct toc_query_gate *g, struct toc_query *q, int64_t timeout_ms) {
    toc_mutex_lock(&g->mutex);
    q->gate = g;
    q->begun_ns = q->admitted_ns = now_ns(q);
    int64_t most = g->limits.timeout_ms;
    q->deadline_ns =
        q->begun_ns + (timeout_ms > 0 && timeout_ms < most ? timeout_ms : most) * NS_PER_MS;
    atomic_store(&q->looked_ns, q->begun_ns);
    atomic_store(&q->why, TOC_QUERY_RUNNING);
    append(&g->waiting, q);
    toc_query_should_stop(q); /* also when there is nobody to wait for */
    while ((g->waiting.first != q || g->running.count >= g->limits.max_concurrency) &&
           !toc_query_should_stop(q))
        toc_cond_wait_ms(&g->changed, &g->mutex, WAIT_STEP_MS);
    take_out(&g->waiting, q);
    int why = atomic_load(&q->why);
    if (why == TOC_QUERY_RUNNING) {
        q->admitted_ns = now_ns(q);
        append(&g->running, q);
    } else {
        count_end(g, q);
    }
    toc_cond_broadcast(&g->changed); /* the next in line is first now */
    toc_mutex_unlock(&g->mutex);
    return why == TOC_QUERY_RUNNING     ? 0
           : why == TOC_QUERY_TIMED_OUT ? TOC_ETIMEDOUT
           : why == TOC_QUERY_REFUSED   ? TOC_ENOMEM
                                        : TOC_ECANCELED;
}

static double seconds_of(const struct toc_query *q) {
    return (double)(now_ns(q) - q->begun_ns) / 1e9;
}

/* Wall time of its begin. */
static struct toc_ts started_at(const struct toc_query *q) {
    struct toc_ts now = toc_clock_now(q->gate->clock);
    return (struct toc_ts){now.ms - (now_ns(q) - q->begun_ns) / NS_PER_MS};
}

/* A text that does not fit ends in "...". */
static void copy_text(struct toc_sv text, char *out, size_t size) {
    if (toc_sv_copy(text, out, size))
        return;
    toc_sv_copy(toc_sv_sub(text, 0, size - 4), out, size);
    memcpy(out + size - 4, "...", 4);
}

static void keep_slow(struct toc_query_gate *g, const struct toc_query *q, double seconds) {
    struct slow_query *s = &g->slow[g->slow_count++ % SLOW_KEPT];
    s->kind = q->kind;
    copy_text(q->text, s->text, sizeof s->text);
    copy_text(q->actor, s->actor, sizeof s->actor);
    s->started_at = started_at(q);
    s->seconds = seconds;
    s->samples = q->samples;
}

void toc_query_end(struct toc_query *q) {
    struct toc_query_gate *g = q->gate;
    double seconds = seconds_of(q);
    toc_mutex_lock(&g->mutex);
    take_out(&g->running, q);
    g->stats.finished++;
    g->stats.seconds += seconds;
    count_end(g, q);
    bool is_slow = g->limits.slow_ms >= 0 && seconds * 1000 >= (double)g->limits.slow_ms;
    if (is_slow) {
        g->stats.slow++;
        keep_slow(g, q, seconds);
    }
    toc_cond_broadcast(&g->changed);
    toc_mutex_unlock(&g->mutex);
    if (is_slow)
        toc_log(TOC_LOG_WARN, "query", "slow %s query: %.3f s, %llu samples, by %.*s: %.*s",
                q->kind, seconds, (unsigned long long)q->samples, TOC_SV_ARG(q->actor),
                TOC_SV_ARG(q->text));
}

/* ------------------------------------------------------------------------------------------
 * what people see */

static void each_of(const struct query_list *l, bool is_waiting, toc_on_query *fn, void *ctx) {
    for (const struct toc_query *q = l->first; q; q = q->next) {
        struct toc_query_view v = {.kind = toc_sv_cstr(q->kind),
                                   .text = q->text,
                                   .actor = q->actor,
                                   .started_at = started_at(q),
                                   .seconds = seconds_of(q),
                                   .is_waiting = is_waiting};
        fn(ctx, &v);
    }
}

void toc_query_gate_each_active(struct toc_query_gate *g, toc_on_query *fn, void *ctx) {
    toc_mutex_lock(&g->mutex);
    each_of(&g->running, false, fn, ctx);
    each_of(&g->waiting, true, fn, ctx);
    toc_mutex_unlock(&g->mutex);
}

void toc_query_gate_each_slow(struct toc_query_gate *g, toc_on_query *fn, void *ctx) {
    toc_mutex_lock(&g->mutex);
    uint64_t kept = g->slow_count < SLOW_KEPT ? g->slow_count : SLOW_KEPT;
    for (uint64_t i = 1; i <= kept; i++) {
        const struct slow_query *s = &g->slow[(g->slow_count - i) % SLOW_KEPT];
        struct toc_query_view v = {.kind = toc_sv_cstr(s->kind),
                                   .text = toc_sv_cstr(s->text),
                                   .actor = toc_sv_cstr(s->actor),
                                   .started_at = s->started_at,
                                   .seconds = s->seconds,
                                   .samples = s->samples};
        fn(ctx, &v);
    }
    toc_mutex_unlock(&g->mutex);
}

struct toc_query_stats toc_query_gate_stats(struct toc_query_gate *g) {
    toc_mutex_lock(&g->mutex);
    struct toc_query_stats s = g->stats;
    s.running = g->running.count;
    s.waiting = g->waiting.count;
    toc_mutex_unlock(&g->mutex);
    return s;
}
