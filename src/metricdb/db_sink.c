/* Writing: check, put into the head, log, acknowledge. */
#include "base/alloc.h"
#include "metricdb/histogram_code.h"
#include "metricdb/histogram_track.h"
#include "metricdb/metricdb_priv.h"

/* --- a batch --- */

struct batch {
    struct toc_metricdb *db;
    int64_t floor_ms, ceiling_ms; /* accepted: floor < t <= ceiling */
    struct toc_wal_entry *entries;
    size_t count;
    size_t stored;          /* accepted ones that are there already and not logged */
    struct toc_buf encoded; /* of the histogram at hand */
    int64_t sealed_ms;      /* samples at or before it are compared with the blocks */
    int64_t late_ms;        /* samples before it fill a window of the past */
    int64_t mono_ns;        /* 0: not asked for yet */
    int64_t noted_ms;       /* start of the window that was noted last */
    struct toc_late late;
    struct toc_write_result result;
    bool is_own;     /* nobody sends these samples again: they are never shed */
    bool is_echo;    /* what is there already is not logged again */
    uint8_t refused; /* of the sample at hand: 0, or 1 + the reason */
};

int toc_metricdb_admits(struct toc_metricdb *db, struct toc_err *err) {
    if (atomic_load_explicit(&db->shortage, memory_order_relaxed) & TOC_NO_MEMORY_AT_ALL)
        return toc_errf(err, TOC_EBUSY,
                        "the memory budget is used up; send again in a few seconds, send less, or "
                        "raise storage.memory_budget");
    return toc_wal_admits(db->wal, err);
}

static int begin(struct toc_metricdb *db, size_t count, bool is_own, struct batch *b,
                 struct toc_err *err) {
    *b = (struct batch){.db = db, .is_own = is_own};
    int rc = is_own ? 0 : toc_metricdb_admits(db, err);
    if (rc)
        return rc;
    b->entries =
        count > SIZE_MAX / sizeof *b->entries ? NULL : toc_try_alloc(count * sizeof *b->entries);
    if (!b->entries)
        return toc_errf(err, TOC_ENOMEM, "no memory for a batch of %zu samples", count);
    int64_t now = toc_clock_now(db->clock).ms;
    b->sealed_ms = atomic_load_explicit(&db->sealed_ms, memory_order_acquire);
    /* A wall clock that was set back must not make the present "too old". */
    b->floor_ms = TOC_MIN(b->sealed_ms, now - db->limits.retention_ms);
    b->late_ms = now - db->limits.block_span_ms - db->limits.block_span_ms / 2;
    b->ceiling_ms = now + db->limits.future_tolerance_ms;
    return 0;
}

static void reject(struct batch *b, enum toc_reject_reason reason) {
    b->result.rejected[reason]++;
    b->refused = (uint8_t)(reason + 1);
}

static bool has_newer(const struct toc_series *s, int64_t t_ms) {
    int64_t first, last;
    return toc_series_bounds(s, &first, &last) && last > t_ms;
}

/* Ready to be stored? Leaves its bytes in b->encoded. */
static bool encode_histogram(struct batch *b, const struct toc_histogram *h) {
    size_t buckets = h->positive.size + h->negative.size + h->custom_bound_count;
    if (buckets > TOC_HISTOGRAM_BUCKETS_MAX || toc_histogram_validate(h, NULL))
        return false;
    toc_buf_reset(&b->encoded);
    toc_histogram_encode(h, &b->encoded);
    return !b->encoded.error;
}

static enum toc_append append(struct batch *b, struct toc_head_shard *shard, struct toc_series *s,
                              int64_t t_ms, double value, const struct toc_histogram *h) {
    if (!h)
        return toc_series_append(&b->db->head, shard, s, t_ms, value);
    return toc_series_append_histogram(&b->db->head, shard, s, t_ms, h, toc_buf_sv(&b->encoded));
}

/* A sample whose time may be sealed: true when it needs no more, as it is in a block or refused. */
static bool settle_late(struct batch *b, uint64_t key, struct toc_labels labels, int64_t t_ms,
                        double value, const struct toc_histogram *h) {
    struct toc_sv encoded = h ? toc_buf_sv(&b->encoded) : TOC_SV_NULL;
    enum toc_append found = toc_late_check(b->db, &b->late, key, labels, t_ms, value, encoded);
    b->stored += found == TOC_APPEND_SAME;
    if (found == TOC_APPEND_DUPLICATE)
        reject(b, TOC_REJECT_DUPLICATE);
    return found != TOC_APPEND_DONE;
}

/* The same by reference: the labels are needed, so that it may not matter that others hold the
 * shard. */
static bool settle_late_ref(struct batch *b, const struct toc_metricdb_sample *x) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    struct toc_head *h = &b->db->head;
    struct toc_head_shard *shard;
    struct toc_labels labels = TOC_LABELS_EMPTY;
    toc_rwlock_read(&h->index_lock);
    unsigned ticket = toc_head_enter_select(h); /* keeps the labels alive */
    toc_rwlock_unlock(&h->index_lock);
    struct toc_series *s = toc_head_ref_lock(h, x->ref, &shard);
    if (s) {
        labels = toc_series_labels(h, s, items);
        toc_mutex_unlock(&shard->mutex);
    }
    bool settled = s && settle_late(b, x->ref, labels, x->t_ms, x->value, x->histogram);
    toc_head_leave_select(h, ticket);
    return settled;
}

static void note_late(struct batch *b, int64_t t_ms) {
    int64_t span_ms = b->db->limits.block_span_ms;
    if (b->mono_ns && t_ms >= b->noted_ms && t_ms < b->noted_ms + span_ms)
        return;
    if (!b->mono_ns)
        b->mono_ns = toc_clock_mono(b->db->clock).ns;
    b->noted_ms = toc_metricdb_note_late(b->db, t_ms, b->mono_ns);
}

/* Under the shard lock; a histogram stands encoded in the batch. */
static void put_sample(struct batch *b, struct toc_head_shard *shard, struct toc_series *s,
                       int64_t t_ms, double value, const struct toc_histogram *h) {
    if (t_ms <= b->floor_ms) {
        reject(b, has_newer(s, t_ms) ? TOC_REJECT_OUT_OF_ORDER : TOC_REJECT_TOO_OLD);
        return;
    }
    if (t_ms < b->late_ms)
        note_late(b, t_ms);
    enum toc_append found = append(b, shard, s, t_ms, value, h);
    if (found == TOC_APPEND_DUPLICATE) {
        reject(b, TOC_REJECT_DUPLICATE);
        return;
    }
    /* The same sample again is logged again: the one before may not be durable yet. */
    if (found == TOC_APPEND_SAME && b->is_echo) {
        b->stored++;
        return;
    }
    uint64_t ref = toc_series_ref(s);
    if (h)
        b->entries[b->count++] =
            toc_wal_blob_entry(ref, t_ms, toc_wal_histogram_blob(toc_buf_sv(&b->encoded)));
    else
        b->entries[b->count++] = (struct toc_wal_entry){ref, t_ms, toc_f64_bits(value)};
}

/* With a ticket the log is not waited for, unless every write is to have an fsync of its own. */
static int log_entries(struct batch *b, uint64_t *out_ticket, struct toc_err *err) {
    struct toc_wal *wal = b->db->wal;
    struct toc_wal_entry *entries = b->entries;
    uint64_t ticket = 0;
    int rc = 0;
    b->entries = NULL;
    if (!b->count && !(b->is_echo && b->stored)) {
        toc_free(entries);
        return 0;
    }
    if (b->is_own)
        rc = toc_wal_push_own(wal, entries, b->count, &ticket, err);
    else
        ticket = toc_wal_push_take(wal, entries, b->count);
    if (rc || !out_ticket || b->db->durability == TOC_DURABILITY_SYNC)
        return rc ? rc : toc_wal_wait(wal, ticket, err);
    *out_ticket = ticket;
    return 0;
}

static int finish(struct batch *b, uint64_t *out_ticket, struct toc_write_result *out_result,
                  struct toc_err *err) {
    struct toc_metricdb *db = b->db;
    int rc = log_entries(b, out_ticket, err);
    toc_buf_fini(&b->encoded);
    toc_late_fini(&b->late);
    if (!rc) {
        b->result.accepted = b->count + b->stored;
        atomic_fetch_add_explicit(&db->samples_total, b->count, memory_order_relaxed);
    }
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        if (b->result.rejected[i])
            atomic_fetch_add_explicit(&db->rejected[i], b->result.rejected[i],
                                      memory_order_relaxed);
    if (out_result)
        *out_result = b->result;
    return rc;
}

static int write_points(struct toc_metricdb *db, bool is_own, const struct toc_point *points,
                        size_t count, struct toc_write_result *out_result, struct toc_err *err) {
    struct batch b;
    if (out_result)
        *out_result = (struct toc_write_result){0};
    int rc = begin(db, count, is_own, &b, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++) {
        const struct toc_point *p = &points[i];
        enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
        struct toc_head_shard *shard;
        if (p->t_ms > b.ceiling_ms) {
            reject(&b, TOC_REJECT_TOO_FAR_IN_FUTURE);
            continue;
        }
        if (p->histogram && !encode_histogram(&b, p->histogram)) {
            reject(&b, TOC_REJECT_INVALID_HISTOGRAM);
            continue;
        }
        bool too_old = p->t_ms <= b.floor_ms; /* no series is made for it */
        if (!too_old && p->t_ms <= b.sealed_ms &&
            settle_late(&b, toc_labels_hash(p->labels), p->labels, p->t_ms, p->value, p->histogram))
            continue;
        struct toc_series *s =
            too_old ? toc_head_series_lock(&db->head, p->labels, 0, &shard)
                    : toc_admission_series_lock(db, p->labels, is_own, &shard, &reason);
        if (!s) {
            reason = too_old ? TOC_REJECT_TOO_OLD : reason;
            reject(&b, reason);
            continue;
        }
        put_sample(&b, shard, s, p->t_ms, p->value, p->histogram);
        toc_mutex_unlock(&shard->mutex);
    }
    return finish(&b, NULL, out_result, err);
}

int toc_metricdb_series_ref(struct toc_metricdb *db, struct toc_labels labels, uint64_t *out_ref,
                            enum toc_reject_reason *out_reason) {
    struct toc_head_shard *shard;
    struct toc_series *s = toc_admission_series_lock(db, labels, false, &shard, out_reason);
    if (!s) {
        atomic_fetch_add_explicit(&db->rejected[*out_reason], 1, memory_order_relaxed);
        return TOC_EREJECTED;
    }
    *out_ref = toc_series_ref(s);
    toc_mutex_unlock(&shard->mutex);
    return 0;
}

/* --- by reference --- */

/* Does the sample need no series? Refused, or in a block already. */
static bool is_settled(struct batch *b, const struct toc_metricdb_sample *x) {
    if (x->t_ms > b->ceiling_ms) {
        reject(b, TOC_REJECT_TOO_FAR_IN_FUTURE);
        return true;
    }
    bool is_late = x->t_ms <= b->sealed_ms && x->t_ms > b->floor_ms;
    if (!x->histogram)
        return is_late && settle_late_ref(b, x);
    if (!encode_histogram(b, x->histogram)) {
        reject(b, TOC_REJECT_INVALID_HISTOGRAM);
        return true;
    }
    return is_late && settle_late_ref(b, x);
}

/* Samples of one series that stand side by side in the batch. */
struct run {
    uint32_t first, count;
};

static unsigned shard_of(uint64_t ref) {
    return (uint32_t)ref % TOC_HEAD_SHARDS;
}

/* The runs of what is not settled yet, in the order of the batch; how many of each shard. */
static size_t find_runs(struct batch *b, struct toc_metricdb_sample *samples, size_t count,
                        struct run *out, size_t by_shard[TOC_HEAD_SHARDS]) {
    size_t n = 0, end = SIZE_MAX; /* of the last run */
    for (size_t i = 0; i < count; i++) {
        struct toc_metricdb_sample *x = &samples[i];
        bool is_plain = !x->histogram && x->t_ms > b->sealed_ms && x->t_ms <= b->ceiling_ms;
        x->refused = b->refused = 0;
        if (!is_plain && is_settled(b, x)) {
            x->refused = b->refused;
            continue;
        }
        if (end == i && samples[i - 1].ref == x->ref) {
            out[n - 1].count++;
        } else {
            out[n++] = (struct run){(uint32_t)i, 1};
            by_shard[shard_of(x->ref)]++;
        }
        end = i + 1;
    }
    return n;
}

/* Runs by shard, else in their order: those of shard i end at ends[i]. */
static void sort_by_shard(const struct toc_metricdb_sample *samples, const struct run *runs,
                          size_t count, const size_t by_shard[TOC_HEAD_SHARDS], struct run *out,
                          size_t ends[TOC_HEAD_SHARDS]) {
    size_t at[TOC_HEAD_SHARDS], sum = 0;
    for (int s = 0; s < TOC_HEAD_SHARDS; s++) {
        at[s] = sum;
        ends[s] = sum += by_shard[s];
    }
    for (size_t i = 0; i < count; i++)
        out[at[shard_of(samples[runs[i].first].ref)]++] = runs[i];
}

enum { SLOT_AHEAD = 16, SERIES_AHEAD = 8, TAIL_AHEAD = 4 };

/* What comes after run i on its way to the cache. */
TOC_PREFETCHING void fetch_ahead(const struct toc_head_shard *shard,
                                 const struct toc_metricdb_sample *samples, const struct run *runs,
                                 size_t i, size_t count) {
    if (i + SLOT_AHEAD < count)
        toc_head_prefetch_slot(shard, samples[runs[i + SLOT_AHEAD].first].ref);
    if (i + SERIES_AHEAD < count)
        toc_head_prefetch(shard, samples[runs[i + SERIES_AHEAD].first].ref);
    if (i + TAIL_AHEAD < count)
        toc_head_prefetch_tail(shard, samples[runs[i + TAIL_AHEAD].first].ref);
}

/* The first ones of a shard, which nothing fetched ahead of: a scrape has some twenty for each. */
TOC_PREFETCHING void fetch_first(const struct toc_head_shard *shard,
                                 const struct toc_metricdb_sample *samples, const struct run *runs,
                                 size_t count) {
    for (size_t i = 0; i < count && i < SLOT_AHEAD; i++)
        toc_head_prefetch_slot(shard, samples[runs[i].first].ref);
    for (size_t i = 0; i < count && i < SERIES_AHEAD; i++)
        toc_head_prefetch(shard, samples[runs[i].first].ref);
    for (size_t i = 0; i < count && i < TAIL_AHEAD; i++)
        toc_head_prefetch_tail(shard, samples[runs[i].first].ref);
}

/* Puts what can be put without a look at anything that is there; how many from the front. */
static size_t put_front(struct batch *b, struct toc_head_shard *shard, struct toc_series *s,
                        const struct toc_metricdb_sample *x, size_t n) {
    int64_t from_ms = TOC_MAX(b->floor_ms + 1, b->late_ms), until_ms = INT64_MAX;
    if (x->t_ms > b->floor_ms && x->t_ms < b->late_ms) {
        note_late(b, x->t_ms);
        from_ms = x->t_ms;
        until_ms = TOC_MIN(b->late_ms, b->noted_ms + b->db->limits.block_span_ms);
    }
    size_t put = toc_series_append_latest(&b->db->head, shard, s, x, n, from_ms, until_ms);
    struct toc_wal_entry *entries = b->entries + b->count;
    uint64_t ref = toc_series_ref(s);
    for (size_t i = 0; i < put; i++)
        entries[i] = (struct toc_wal_entry){ref, x[i].t_ms, toc_f64_bits(x[i].value)};
    b->count += put;
    return put;
}

static void put_run(struct batch *b, struct toc_head_shard *shard, struct toc_series *s,
                    struct toc_metricdb_sample *x, size_t n) {
    for (size_t i = 0; i < n;) {
        i += put_front(b, shard, s, x + i, n - i);
        if (i == n)
            return;
        if (x[i].histogram)
            (void)encode_histogram(b, x[i].histogram); /* it was valid before */
        b->refused = 0;
        put_sample(b, shard, s, x[i].t_ms, x[i].value, x[i].histogram);
        x[i++].refused = b->refused;
    }
}

/* The samples of one shard under one lock. */
static void put_shard(struct batch *b, struct toc_head_shard *shard,
                      struct toc_metricdb_sample *samples, const struct run *runs, size_t count,
                      size_t *io_unknown) {
    toc_mutex_lock(&shard->mutex);
    fetch_first(shard, samples, runs, count);
    for (size_t i = 0; i < count; i++) {
        struct toc_metricdb_sample *x = &samples[runs[i].first];
        fetch_ahead(shard, samples, runs, i, count);
        struct toc_series *s = toc_head_find_ref(shard, x->ref);
        if (s) {
            put_run(b, shard, s, x, runs[i].count);
            continue;
        }
        for (size_t k = 0; k < runs[i].count; k++)
            x[k].ref = 0;
        *io_unknown += runs[i].count;
    }
    toc_mutex_unlock(&shard->mutex);
}

/* Writers begin at different shards, so that they do not wait for each other at each. */
static void put_shards(struct batch *b, struct toc_metricdb_sample *samples, const struct run *runs,
                       const size_t ends[TOC_HEAD_SHARDS], unsigned first, size_t *out_unknown) {
    for (unsigned i = 0; i < TOC_HEAD_SHARDS; i++) {
        unsigned s = (first + i) % TOC_HEAD_SHARDS;
        size_t from = s ? ends[s - 1] : 0;
        if (ends[s] > from)
            put_shard(b, &b->db->head.shards[s], samples, runs + from, ends[s] - from, out_unknown);
    }
}

static int write_refs(struct toc_metricdb *db, bool is_echo, struct toc_metricdb_sample *samples,
                      size_t count, struct toc_write_result *out_result, size_t *out_unknown,
                      uint64_t *out_ticket, struct toc_err *err) {
    struct batch b;
    size_t by_shard[TOC_HEAD_SHARDS] = {0}, ends[TOC_HEAD_SHARDS];
    *out_unknown = 0;
    *out_result = (struct toc_write_result){0};
    int rc = begin(db, count, out_ticket != NULL, &b, err);
    if (rc)
        return rc;
    b.is_echo = is_echo;
    struct run *runs =
        count > UINT32_MAX / 16 ? NULL : toc_try_alloc(2 * (count + 1) * sizeof *runs);
    if (!runs) {
        toc_free(b.entries);
        return toc_errf(err, TOC_ENOMEM, "no memory for a batch of %zu samples", count);
    }
    size_t n = find_runs(&b, samples, count, runs, by_shard);
    sort_by_shard(samples, runs, n, by_shard, runs + n, ends);
    if (n)
        put_shards(&b, samples, runs + n, ends, shard_of(samples[runs[0].first].ref), out_unknown);
    toc_free(runs);
    return finish(&b, out_ticket, out_result, err);
}

int toc_metricdb_write_refs(struct toc_metricdb *db, struct toc_metricdb_sample *samples,
                            size_t count, struct toc_write_result *out_result, size_t *out_unknown,
                            struct toc_err *err) {
    return write_refs(db, false, samples, count, out_result, out_unknown, NULL, err);
}

int toc_metricdb_write_echo(struct toc_metricdb *db, struct toc_metricdb_sample *samples,
                            size_t count, struct toc_write_result *out_result, size_t *out_unknown,
                            struct toc_err *err) {
    return write_refs(db, true, samples, count, out_result, out_unknown, NULL, err);
}

int toc_metricdb_put_refs(struct toc_metricdb *db, struct toc_metricdb_sample *samples,
                          size_t count, struct toc_write_result *out_result, size_t *out_unknown,
                          uint64_t *out_ticket, struct toc_err *err) {
    *out_ticket = 0;
    return write_refs(db, false, samples, count, out_result, out_unknown, out_ticket, err);
}

int toc_metricdb_wait(struct toc_metricdb *db, uint64_t ticket, struct toc_err *err) {
    return ticket ? toc_wal_wait(db->wal, ticket, err) : 0;
}

static int write_sink(struct toc_sink *sink, const struct toc_point *points, size_t count,
                      struct toc_write_result *out_result, struct toc_err *err) {
    return write_points(TOC_CONTAINER_OF(sink, struct toc_metricdb, sink), false, points, count,
                        out_result, err);
}

static int write_own(struct toc_sink *sink, const struct toc_point *points, size_t count,
                     struct toc_write_result *out_result, struct toc_err *err) {
    return write_points(TOC_CONTAINER_OF(sink, struct toc_metricdb, own_sink), true, points, count,
                        out_result, err);
}

void toc_metricdb_init_sink(struct toc_metricdb *db) {
    db->sink.write = write_sink;
    db->own_sink.write = write_own;
}

struct toc_sink *toc_metricdb_own_sink(struct toc_metricdb *db) {
    return &db->own_sink;
}

void toc_metricdb_set_shortage(struct toc_metricdb *db, unsigned bits) {
    atomic_store_explicit(&db->shortage, bits, memory_order_relaxed);
    toc_wal_hold(db->wal, bits & TOC_SHORT_OF_DISK);
}

struct toc_sink *toc_metricdb_sink(struct toc_metricdb *db) {
    return &db->sink;
}
