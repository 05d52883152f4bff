/*
 * Retention: by time (per rule of series) and by size. What a block is older than is counted in
 * covered time: it is the time that the newer blocks of the same store have between them. Neither
 * the wall clock nor a stray time stamp decides, so a clock that jumps ten years ahead covers no
 * time and deletes nothing.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/rollups.h"
#include "sys/log.h"

const char *toc_metricdb_expiry_text(enum toc_metricdb_expiry reason) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_METRICDB_EXPIRY_TABLE(X)
#undef X
    };
    return texts[reason];
}

/* --- rules --- */

static int64_t default_keep(const struct toc_metricdb *db, int store) {
    const int64_t keeps[] = {db->limits.retention_ms, db->limits.rollup_5m_ms,
                             db->limits.rollup_1h_ms};
    return keeps[store];
}

static int copy_matchers(const struct toc_metricdb_retention_rule *from,
                         struct toc_retention_rule *to, struct toc_err *err) {
    to->matchers = TOC_NEW_ARRAY(struct toc_matcher, from->matcher_count + 1);
    for (size_t i = 0; i < from->matcher_count; i++) {
        const struct toc_matcher *m = &from->matchers[i];
        int rc = toc_matcher_init(&to->matchers[i], m->op, m->name, m->value, err);
        if (rc)
            return rc;
        to->matcher_count++;
    }
    return 0;
}

int toc_metricdb_copy_rules(struct toc_metricdb *db, const struct toc_metricdb_options *o,
                            struct toc_err *err) {
    size_t n = o->retention_rule_count;
    if (n > TOC_METRICDB_RETENTION_RULES_MAX)
        return toc_errf(err, TOC_ELIMIT, "%zu rules of retention; at most %d are possible", n,
                        TOC_METRICDB_RETENTION_RULES_MAX);
    db->rules = TOC_NEW_ARRAY(struct toc_retention_rule, n + 1);
    for (size_t i = 0; i <= n; i++) {
        struct toc_retention_rule *rule = &db->rules[db->rule_count++];
        for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++) {
            int64_t keep = i < n ? o->retention_rules[i].keep_ms[k] : 0;
            rule->keep_ms[k] = keep ? keep : default_keep(db, k);
            if (k && rule->keep_ms[k] >= 0) /* never shorter than what they are made of */
                rule->keep_ms[k] = TOC_MAX(rule->keep_ms[k], rule->keep_ms[TOC_METRICDB_RAW]);
        }
        int rc = i < n ? copy_matchers(&o->retention_rules[i], rule, err) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

void toc_metricdb_free_rules(struct toc_metricdb *db) {
    for (size_t i = 0; i < db->rule_count; i++) {
        for (size_t k = 0; k < db->rules[i].matcher_count; k++)
            toc_matcher_fini(&db->rules[i].matchers[k]);
        toc_free(db->rules[i].matchers);
    }
    toc_free(db->rules);
}

size_t toc_metricdb_rule_of(const struct toc_metricdb *db, struct toc_labels labels) {
    size_t i = 0;
    while (i + 1 < db->rule_count &&
           !toc_matchers_match(db->rules[i].matchers, db->rules[i].matcher_count, labels))
        i++;
    return i;
}

/* --- the series of one rule in one block --- */

struct cut {
    struct toc_metricdb *db;
    struct toc_blocks *set;
    struct toc_block *block;
    size_t rule;
    uint64_t samples; /* taken out */
    TOC_VEC(struct toc_tombstone) more;
};

static bool is_cut(const struct toc_tombstones *t, uint32_t series,
                   const struct toc_block_meta *m) {
    size_t n;
    const struct toc_tombstone *gone = toc_tombstones_of(t, series, &n);
    return n == 1 && gone->min_ms <= m->min_ms && gone->max_ms >= m->max_ms;
}

static uint64_t count_samples(const struct toc_block_index *x, uint32_t series) {
    struct toc_block_cursor cursor;
    struct toc_block_chunk c;
    uint64_t samples = 0;
    if (toc_block_index_chunks(x, series, &cursor))
        return 0;
    while (toc_block_cursor_next(&cursor, &c))
        samples += c.samples;
    return samples;
}

/* Series of the rule that are still whole or in part there. */
static void find_series(struct cut *c, const struct toc_block_index *x,
                        const struct toc_tombstones *t) {
    const struct toc_block_meta *m = &c->block->meta;
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    for (uint32_t i = 0; i < m->series; i++) {
        struct toc_labels labels;
        if (is_cut(t, i, m) || toc_block_index_labels(x, i, items, &labels) ||
            toc_metricdb_rule_of(c->db, labels) != c->rule)
            continue;
        c->samples += count_samples(x, i);
        TOC_VEC_PUSH(&c->more, ((struct toc_tombstone){i, m->min_ms, m->max_ms}));
    }
}

static int cut_out(struct cut *c, const struct toc_block_index *x) {
    struct toc_tombstones *old = toc_blocks_tombstones(c->set, c->block);
    int rc = 0;
    find_series(c, x, old);
    if (c->more.count) {
        struct toc_tombstones *all = toc_tombstones_merge(old, c->more.items, c->more.count);
        rc = toc_tombstones_write(all, c->block->vfs, c->block->path);
        if (rc)
            toc_tombstones_unref(&all);
        else
            toc_blocks_set_tombstones(c->set, c->block, all);
    }
    toc_tombstones_unref(&old);
    TOC_VEC_FINI(&c->more);
    return rc;
}

static void count_expired(struct toc_metricdb *db, enum toc_metricdb_expiry why, uint64_t samples,
                          uint64_t bytes) {
    atomic_fetch_add_explicit(&db->expired_samples[why], samples, memory_order_relaxed);
    atomic_fetch_add_explicit(&db->expired_bytes[why], bytes, memory_order_relaxed);
}

/* Marks the series of the rule as deleted; maintenance rewrites the block later. */
static int expire_rule(struct toc_metricdb *db, struct toc_blocks *set, struct toc_block *b,
                       size_t rule) {
    struct cut c = {.db = db, .set = set, .block = b, .rule = rule};
    struct toc_block_index *x;
    unsigned damaged;
    int rc = toc_blocks_index(set, b, &x, &damaged);
    if (!rc) {
        rc = cut_out(&c, x);
        toc_block_index_unref(&x);
    }
    if (rc && rc != TOC_ECORRUPT) /* a damaged block stays until it goes as a whole */
        return rc;
    b->expired_rules |= UINT32_C(1) << rule;
    bool is_default = rule + 1 == db->rule_count;
    count_expired(db, is_default ? TOC_METRICDB_EXPIRED_TIME : TOC_METRICDB_EXPIRED_MATCHER,
                  rc ? 0 : c.samples, 0);
    return 0;
}

/* --- by time --- */

static int newest_first(const void *a, const void *b) {
    const struct toc_block *x = *(struct toc_block *const *)a, *y = *(struct toc_block *const *)b;
    return (x->meta.max_ms < y->meta.max_ms) - (x->meta.max_ms > y->meta.max_ms);
}

static void delete_block(struct toc_metricdb *db, struct toc_blocks *set, struct toc_block *b,
                         enum toc_metricdb_expiry why) {
    if (toc_blocks_has_leftovers(set))
        return; /* later */
    count_expired(db, why, b->meta.samples, b->bytes);
    toc_blocks_delete(set, b);
    atomic_fetch_add_explicit(&db->blocks_deleted, 1, memory_order_relaxed);
}

/* Rules whose time has come: a bit each. */
static uint32_t expired_rules(const struct toc_metricdb *db, int store, uint64_t covered_ms) {
    uint32_t bits = 0;
    for (size_t i = 0; i < db->rule_count; i++) {
        int64_t keep = db->rules[i].keep_ms[store];
        if (keep < 0 || covered_ms >= (uint64_t)keep)
            bits |= UINT32_C(1) << i;
    }
    return bits;
}

/* Cutting out costs reading an index and writing a list of series: so many of them a step. */
enum { CUTS_PER_STEP = 16, CUT_SERIES_PER_STEP = 200000 };

struct budget {
    uint64_t cuts, series;
};

/* One block behind which the newer ones cover so much. *out_waits: it goes when it has been rolled
 * up. */
static int expire_block(struct toc_metricdb *db, int store, struct toc_block *b,
                        uint64_t covered_ms, struct budget *left, bool *out_waits) {
    struct toc_blocks *set = toc_metricdb_store(db, store);
    uint32_t all = UINT32_MAX >> (32 - db->rule_count);
    uint32_t bits = expired_rules(db, store, covered_ms);
    bool is_whole = bits == all;
    int rc = 0;
    *out_waits = store == TOC_METRICDB_RAW && (is_whole || bits & ~b->expired_rules) &&
                 !toc_metricdb_is_rolled_up(db, b);
    if (*out_waits)
        return 0;
    if (is_whole)
        delete_block(db, set, b, TOC_METRICDB_EXPIRED_TIME);
    for (size_t i = 0; i < db->rule_count && !is_whole && left->cuts && !rc; i++) {
        if (!((bits & ~b->expired_rules) >> i & 1))
            continue;
        rc = expire_rule(db, set, b, i);
        left->series -= TOC_MIN(left->series, b->meta.series);
        left->cuts = left->series ? left->cuts - 1 : 0;
    }
    return rc;
}

/* What the blocks newer than each cover. */
static void measure(struct toc_block **blocks, size_t n, uint64_t *covered_ms) {
    uint64_t covered = 0;
    int64_t edge = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        const struct toc_block_meta *m = &blocks[i]->meta;
        int64_t end = TOC_MIN(edge, m->max_ms);
        covered_ms[i] = covered;
        if (end > m->min_ms)
            covered += (uint64_t)end - (uint64_t)m->min_ms;
        edge = TOC_MIN(edge, m->min_ms);
    }
}

/* The oldest first, so that what is left of a series has no hole. */
static int expire_by_time(struct toc_metricdb *db, int store) {
    struct toc_block **blocks;
    size_t n = toc_blocks_overlapping(toc_metricdb_store(db, store), INT64_MIN, INT64_MAX, &blocks);
    uint64_t *covered_ms = TOC_NEW_ARRAY(uint64_t, n + 1);
    struct budget left = {CUTS_PER_STEP, CUT_SERIES_PER_STEP};
    bool waits = false;
    int rc = 0;
    qsort(blocks, n, sizeof *blocks, newest_first);
    measure(blocks, n, covered_ms);
    for (size_t i = n; i-- > 0;) {
        if (!rc && !waits && left.cuts)
            rc = expire_block(db, store, blocks[i], covered_ms[i], &left, &waits);
        toc_block_unref(&blocks[i]);
    }
    toc_free(covered_ms);
    toc_free(blocks);
    return rc;
}

/* --- by size --- */

static uint64_t total_bytes(struct toc_metricdb *db) {
    struct toc_metricdb_stats wal = {0};
    toc_wal_stats(db->wal, &wal);
    uint64_t bytes = wal.wal_bytes;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++) {
        struct toc_blocks *set = toc_metricdb_store(db, k);
        toc_mutex_lock(&set->mutex);
        for (size_t i = 0; i < set->list.count; i++)
            bytes += set->list.items[i]->bytes;
        toc_mutex_unlock(&set->mutex);
    }
    return bytes;
}

/* The block whose newest sample is the oldest; of a roll-up and the raw samples that it was made
 * of, the raw ones. Caller unrefs. */
static struct toc_block *oldest_block(struct toc_metricdb *db, struct toc_blocks **out_set) {
    struct toc_block *oldest = NULL;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++) {
        struct toc_blocks *set = toc_metricdb_store(db, k);
        toc_mutex_lock(&set->mutex);
        for (size_t i = 0; i < set->list.count; i++) {
            struct toc_block *b = set->list.items[i];
            if (oldest && b->meta.max_ms >= oldest->meta.max_ms)
                continue;
            *out_set = set;
            toc_block_unref(&oldest);
            oldest = toc_block_ref(b);
        }
        toc_mutex_unlock(&set->mutex);
    }
    return oldest;
}

enum { DELETIONS_PER_STEP = 16 };

/* What the log still holds comes back at the next start: such a block waits for the log. */
static void expire_by_size(struct toc_metricdb *db) {
    uint64_t limit = db->limits.retention_bytes;
    for (int i = 0; limit && i < DELETIONS_PER_STEP && total_bytes(db) > limit; i++) {
        struct toc_blocks *set = NULL;
        struct toc_block *b = oldest_block(db, &set);
        bool is_free = b && b->meta.first_unsealed <= toc_wal_oldest(db->wal) &&
                       !toc_blocks_has_leftovers(set);
        if (is_free)
            delete_block(db, set, b, TOC_METRICDB_EXPIRED_SIZE);
        toc_block_unref(&b);
        if (!is_free)
            return;
    }
}

int toc_metricdb_expire(struct toc_metricdb *db) {
    int rc = 0;
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT && !rc; k++)
        rc = expire_by_time(db, k);
    if (!rc)
        expire_by_size(db);
    return rc;
}
