/*
 * The thread that scrapes: begins what is due, lets answers come in side by side, and makes the
 * samples of all answers of a moment durable together.
 */
#include "base/alloc.h"
#include "collect/scrape_priv.h"

enum {
    LONGEST_WAIT_MS = 1000,
    /* Nobody waits for the fsync of a scrape, so those of several beats share one: answers wait a
     * tenth of their interval, at most this long. */
    SETTLE_SHARE = 10,
    LONGEST_SETTLE_MS = 500,
};

/* Mutex held; let go while requests are made. */
static void begin_due(struct toc_scraper *s) {
    int64_t now = toc_scrape_mono_ms(s);
    struct toc_heap_node *node;
    while (!s->is_stopping && (node = toc_heap_peek(&s->heap)) && node->key <= now &&
           toc_http_multi_running(s->multi) < s->max_in_flight) {
        toc_heap_pop(&s->heap);
        struct scrape_target *t = TOC_CONTAINER_OF(node, struct scrape_target, due);
        t->is_running = true;
        t->begun_ms = now;
        t->was_held = node->key <= s->full_at_ms;
        s->running_count++;
        toc_scrape_take_next_spec(s, t);
        toc_mutex_unlock(&s->mutex);
        toc_scrape_begin(s, t);
        toc_mutex_lock(&s->mutex);
    }
    if (!s->is_stopping && node && node->key <= now)
        s->full_at_ms = now;
}

/* Mutex held: how long nothing needs to be done but to look at answers. */
static int64_t idle_ms(struct toc_scraper *s) {
    int64_t now = toc_scrape_mono_ms(s), until = now + LONGEST_WAIT_MS;
    struct toc_heap_node *node = toc_heap_peek(&s->heap);
    if (node && toc_http_multi_running(s->multi) < s->max_in_flight)
        until = TOC_MIN(until, node->key);
    if (s->unsettled.count)
        until = TOC_MIN(until, s->is_stopping ? now : s->settle_due_ms);
    return TOC_MAX(until - now, 0);
}

/* The target is free for its next turn, or to go. */
static void release(struct toc_scraper *s, struct scrape_target *t) {
    toc_mutex_lock(&s->mutex);
    t->is_running = false;
    s->running_count--;
    bool is_removed = atomic_load(&t->is_removed), is_gone = is_removed && !s->is_stopping;
    if (is_removed && s->is_stopping) {
        TOC_VEC_PUSH(&s->orphans, t);
    } else if (!is_removed && !s->is_stopping) {
        toc_scrape_take_next_spec(s, t);
        toc_scrape_reschedule(s, t);
    }
    toc_mutex_unlock(&s->mutex);
    if (is_gone) {
        toc_scrape_end(s, t);
        toc_scrape_target_free(&t);
    }
}

static void settle_all(struct toc_scraper *s) {
    struct toc_err err = {0};
    uint64_t ticket = 0;
    for (size_t i = 0; i < s->unsettled.count; i++)
        ticket = TOC_MAX(ticket, s->unsettled.items[i]->outcome.ticket);
    int rc = ticket ? toc_metricdb_wait(s->metrics, ticket, &err) : 0;
    for (size_t i = 0; i < s->unsettled.count; i++) {
        toc_scrape_settle(s, s->unsettled.items[i], rc, &err);
        release(s, s->unsettled.items[i]);
    }
    s->unsettled.count = 0;
}

/* Those that have just come, from place `from` on, may have less time than those before. */
static void note_unsettled(struct toc_scraper *s, size_t from) {
    int64_t now = toc_scrape_mono_ms(s);
    for (size_t i = from; i < s->unsettled.count; i++) {
        int64_t delay = TOC_MIN(s->unsettled.items[i]->spec->interval_ms / SETTLE_SHARE,
                                (int64_t)LONGEST_SETTLE_MS);
        s->settle_due_ms = i ? TOC_MIN(s->settle_due_ms, now + delay) : now + delay;
    }
}

void toc_scrape_loop(void *scraper) {
    struct toc_scraper *s = scraper;
    toc_mutex_lock(&s->mutex);
    while (!s->is_stopping || s->running_count) {
        begin_due(s);
        int64_t wait_ms = idle_ms(s);
        toc_mutex_unlock(&s->mutex);
        size_t before = s->unsettled.count;
        toc_http_multi_poll(s->multi, wait_ms);
        if (s->unsettled.count > before)
            note_unsettled(s, before);
        toc_mutex_lock(&s->mutex);
        bool is_due = s->is_stopping || !s->metrics || s->settle_due_ms <= toc_scrape_mono_ms(s);
        toc_mutex_unlock(&s->mutex);
        if (s->unsettled.count && is_due)
            settle_all(s);
        toc_mutex_lock(&s->mutex);
    }
    toc_mutex_unlock(&s->mutex);
}
