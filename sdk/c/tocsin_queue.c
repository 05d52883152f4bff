/* Lines on their way: a bounded ring and the thread that sends. Apache-2.0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tocsin_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH_BYTES = 256 << 10,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 5000,
    SIGN_EVERY_MS = 3000,
};

int64_t tocsin_now_ms(clockid_t clock) {
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void drop_oldest(struct tocsin_run *run) {
    struct tocsin_line *l = run->first;
    run->first = l->next;
    if (!run->first)
        run->last = NULL;
    run->buffered_bytes -= l->n;
    run->dropped++;
    run->settled++;
    free(l);
}

/* With the mutex held. */
void tocsin_enqueue(struct tocsin_run *run, const struct tocsin_text *t) {
    struct tocsin_line *l = t->failed ? NULL : malloc(sizeof *l + t->n);
    if (!l) {
        run->dropped++;
        return;
    }
    l->next = NULL;
    l->n = t->n;
    memcpy(l->bytes, t->p, t->n);
    while (run->first && run->buffered_bytes + l->n > run->max_buffered_bytes)
        drop_oldest(run);
    if (run->last)
        run->last->next = l;
    else
        run->first = l;
    run->last = l;
    run->buffered_bytes += l->n;
    run->queued++;
    pthread_cond_broadcast(&run->changed);
}

/* Moves lines into `batch`; with the mutex held. */
static uint64_t take_batch(struct tocsin_run *run, char *batch, size_t *n) {
    uint64_t count = 0;
    *n = 0;
    while (run->first && *n + run->first->n <= BATCH_BYTES) {
        struct tocsin_line *l = run->first;
        memcpy(batch + *n, l->bytes, l->n);
        *n += l->n;
        run->buffered_bytes -= l->n;
        run->first = l->next;
        free(l);
        count++;
    }
    if (!run->first)
        run->last = NULL;
    return count;
}

static void tocsin_wait_ms(struct tocsin_run *run, int64_t ms) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t ns = ts.tv_nsec + ms % 1000 * 1000000;
    ts.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    ts.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&run->changed, &run->mutex, &ts);
}

/* Waits out a back-off although lines keep coming; with the mutex held. */
static void back_off(struct tocsin_run *run, int64_t ms) {
    int64_t end = tocsin_now_ms(CLOCK_MONOTONIC) + ms;
    while (!run->stopping && tocsin_now_ms(CLOCK_MONOTONIC) < end)
        tocsin_wait_ms(run, end - tocsin_now_ms(CLOCK_MONOTONIC));
}

/* Until a line comes; a run that is silent for long says that it lives. */
static void wait_for_line(struct tocsin_run *run) {
    int64_t left_ms = run->line_at_ms + SIGN_EVERY_MS - tocsin_now_ms(CLOCK_MONOTONIC);
    if (run->last_state > TOCSIN_PAUSED)
        pthread_cond_wait(&run->changed, &run->mutex); /* it has ended */
    else if (left_ms > 0)
        tocsin_wait_ms(run, left_ms);
    else
        tocsin_add_sign_of_life(run);
}

void *tocsin_send_lines(void *arg) {
    struct tocsin_run *run = arg;
    char *batch = malloc(BATCH_BYTES);
    size_t n = 0;
    uint64_t count = 0; /* lines in the batch that has not arrived yet */
    int64_t backoff_ms = BACKOFF_FIRST_MS;
    pthread_mutex_lock(&run->mutex);
    while (batch) {
        if (count == 0)
            count = take_batch(run, batch, &n);
        if (count == 0 && run->stopping)
            break;
        if (count == 0) {
            wait_for_line(run);
            continue;
        }
        pthread_mutex_unlock(&run->mutex);
        enum tocsin_outcome outcome =
            run->file ? tocsin_append(run, batch, n) : tocsin_post(run, batch, n);
        pthread_mutex_lock(&run->mutex);
        if (outcome == TOCSIN_NOT_NOW && run->stopping)
            break;
        if (outcome == TOCSIN_NOT_NOW) {
            back_off(run, backoff_ms);
            backoff_ms = backoff_ms * 2 < BACKOFF_MAX_MS ? backoff_ms * 2 : BACKOFF_MAX_MS;
            continue;
        }
        run->dropped += outcome == TOCSIN_REFUSED ? count : 0;
        run->settled += count;
        count = 0;
        backoff_ms = BACKOFF_FIRST_MS;
        pthread_cond_broadcast(&run->changed);
    }
    pthread_mutex_unlock(&run->mutex);
    free(batch);
    tocsin_disconnect(run);
    return NULL;
}

int tocsin_flush(struct tocsin_run *run, int timeout_ms) {
    if (!run)
        return 0;
    int64_t end = tocsin_now_ms(CLOCK_MONOTONIC) + timeout_ms;
    pthread_mutex_lock(&run->mutex);
    uint64_t want = run->queued;
    while (run->settled < want && tocsin_now_ms(CLOCK_MONOTONIC) < end)
        tocsin_wait_ms(run, end - tocsin_now_ms(CLOCK_MONOTONIC));
    int rc = run->settled < want ? -1 : 0;
    pthread_mutex_unlock(&run->mutex);
    return rc;
}

uint64_t tocsin_dropped(const struct tocsin_run *run) {
    if (!run)
        return 0;
    pthread_mutex_lock((pthread_mutex_t *)&run->mutex);
    uint64_t n = run->dropped;
    pthread_mutex_unlock((pthread_mutex_t *)&run->mutex);
    return n;
}
