#include "remote/otlp_delta.h"

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "remote/otlp_distribution.h"
#include "sys/thread.h"

/* In a list by last use, the longest idle one first. */
struct entry {
    struct entry *previous, *next;
    struct toc_hash128 key;
    struct toc_mono used_at;
    int64_t start_ns; /* of the first point of the sum */
    int64_t time_ns;  /* of the last point */
    double value;
    struct otlp_distribution *distribution; /* owned; NULL for a number */
};

/* What an entry was before the message. */
struct undo {
    struct entry *entry;
    bool is_new;
    int64_t start_ns, time_ns;
    double value;
    struct otlp_distribution *distribution; /* owned until the end */
};

struct otlp_delta {
    struct toc_mutex mutex; /* held between begin and end */
    struct toc_map entries; /* key to entry */
    struct entry *first, *last;
    size_t bytes;
    uint64_t evicted;
    struct otlp_delta_limits limits;
    struct toc_mono now;
    struct {
        TOC_VEC_FIELDS(struct undo)
    } journal;
};

struct otlp_delta *otlp_delta_new(void) {
    struct otlp_delta *d = TOC_NEW(struct otlp_delta);
    toc_mutex_init(&d->mutex, TOC_LOCK_OTLP);
    return d;
}

static struct toc_sv key_bytes(const struct toc_hash128 *key) {
    return toc_sv_make((const char *)key, sizeof *key);
}

static size_t bytes_of(const struct entry *e) {
    return sizeof *e + (e->distribution ? otlp_distribution_bytes(e->distribution) : 0);
}

/* --- the list --- */

static void unlink_entry(struct otlp_delta *d, struct entry *e) {
    if (e->previous)
        e->previous->next = e->next;
    else
        d->first = e->next;
    if (e->next)
        e->next->previous = e->previous;
    else
        d->last = e->previous;
}

static void append_entry(struct otlp_delta *d, struct entry *e) {
    e->previous = d->last;
    e->next = NULL;
    if (d->last)
        d->last->next = e;
    else
        d->first = e;
    d->last = e;
}

static void forget(struct otlp_delta *d, struct entry *e) {
    unlink_entry(d, e);
    (void)toc_map_remove(&d->entries, key_bytes(&e->key));
    d->bytes -= bytes_of(e);
    toc_free(e->distribution);
    toc_free(e);
}

void otlp_delta_free(struct otlp_delta **dp) {
    struct otlp_delta *d = *dp;
    if (!d)
        return;
    while (d->first)
        forget(d, d->first);
    toc_map_fini(&d->entries);
    TOC_VEC_FINI(&d->journal);
    toc_mutex_fini(&d->mutex);
    toc_free(d);
    *dp = NULL;
}

/* --- transactions --- */

void otlp_delta_begin(struct otlp_delta *d, const struct otlp_delta_limits *limits,
                      struct toc_mono now) {
    toc_mutex_lock(&d->mutex);
    d->limits = *limits;
    d->now = now;
    while (d->first && now.ns - d->first->used_at.ns > limits->max_idle_ms * 1000000) {
        forget(d, d->first);
        d->evicted++;
    }
}

static void undo(struct otlp_delta *d, struct undo *u) {
    struct entry *e = u->entry;
    if (u->is_new) {
        forget(d, e);
        return;
    }
    d->bytes -= bytes_of(e);
    toc_free(e->distribution);
    e->start_ns = u->start_ns;
    e->time_ns = u->time_ns;
    e->value = u->value;
    e->distribution = u->distribution;
    d->bytes += bytes_of(e);
}

void otlp_delta_end(struct otlp_delta *d, bool is_kept) {
    for (size_t i = d->journal.count; i-- > 0;) {
        if (is_kept)
            toc_free(d->journal.items[i].distribution);
        else
            undo(d, &d->journal.items[i]);
    }
    d->journal.count = 0;
    if (d->journal.capacity > 4096)
        TOC_VEC_FINI(&d->journal);
    toc_mutex_unlock(&d->mutex);
}

/* --- points --- */

static struct entry *make_entry(struct otlp_delta *d, struct toc_hash128 key) {
    if (d->entries.count >= d->limits.max_series || d->bytes >= d->limits.max_bytes)
        return NULL;
    struct entry *e = TOC_NEW(struct entry);
    e->key = key;
    toc_map_put(&d->entries, key_bytes(&key), e);
    append_entry(d, e);
    d->bytes += bytes_of(e);
    return e;
}

/* A new series, or other bounds than before. */
static bool begins_anew(const struct entry *e, enum otlp_kind kind, const struct otlp_point *p) {
    const struct otlp_distribution *sum = e ? e->distribution : NULL;
    return !e || (sum && kind == OTLP_HISTOGRAM && !otlp_has_equal_bounds(sum, p->distribution));
}

/* The sum with the point, as a block of its own. */
static struct otlp_distribution *added(const struct entry *e, enum otlp_kind kind,
                                       const struct otlp_point *p) {
    const struct otlp_distribution *sum = begins_anew(e, kind, p) ? NULL : e->distribution;
    return otlp_distribution_add(sum, p->distribution, kind);
}

static void note(struct otlp_delta *d, struct entry *e, bool is_new) {
    struct undo u = {e, is_new, e->start_ns, e->time_ns, e->value, e->distribution};
    TOC_VEC_PUSH(&d->journal, u);
}

enum otlp_delta_verdict otlp_delta_add(struct otlp_delta *d, struct toc_hash128 key,
                                       enum otlp_kind kind, struct otlp_point *io) {
    struct entry *e = toc_map_get(&d->entries, key_bytes(&key));
    struct otlp_distribution *sum = NULL;
    bool is_new = !e, is_anew = begins_anew(e, kind, io);
    if (e && io->time_ns <= e->time_ns)
        return OTLP_DELTA_OUT_OF_ORDER;
    if (io->distribution && !(sum = added(e, kind, io)))
        return OTLP_DELTA_INVALID;
    if (!e && !(e = make_entry(d, key))) {
        toc_free(sum);
        return OTLP_DELTA_FULL;
    }
    note(d, e, is_new);
    d->bytes -= bytes_of(e);
    e->start_ns = is_anew ? io->start_ns : e->start_ns;
    e->time_ns = io->time_ns;
    e->used_at = d->now;
    e->value += io->value;
    e->distribution = sum;
    d->bytes += bytes_of(e);
    unlink_entry(d, e);
    append_entry(d, e);
    io->start_ns = e->start_ns;
    io->value = e->value;
    io->distribution = sum;
    return OTLP_DELTA_ADDED;
}

void otlp_delta_stats(struct otlp_delta *d, struct otlp_delta_stats *out) {
    toc_mutex_lock(&d->mutex);
    *out = (struct otlp_delta_stats){d->entries.count, d->bytes, d->evicted};
    toc_mutex_unlock(&d->mutex);
}
