#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "made.h"
#include "model/sample.h"

enum { BATCH_MAX = LEDGER_SERIES * 2 };

/* --- series and values --- */

static char g_names[LEDGER_SERIES][3][16];
static struct toc_label g_items[LEDGER_SERIES][3];

static void make_series(void) {
    for (int i = 0; i < LEDGER_SERIES; i++) {
        snprintf(g_names[i][0], sizeof g_names[i][0], "m%d", i % 3);
        snprintf(g_names[i][1], sizeof g_names[i][1], "%d", i);
        snprintf(g_names[i][2], sizeof g_names[i][2], "%c", 'a' + i % 2);
        g_items[i][0] = (struct toc_label){TOC_METRIC_NAME, toc_sv_cstr(g_names[i][0])};
        g_items[i][1] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(g_names[i][1])};
        g_items[i][2] = (struct toc_label){TOC_SV("job"), toc_sv_cstr(g_names[i][2])};
    }
}

struct toc_labels ledger_labels(int series) {
    return (struct toc_labels){g_items[series], 3};
}

static uint64_t seed_of(int series, int64_t t_ms) {
    return (uint64_t)t_ms * 31 + (uint64_t)series;
}

/* Every fourth series holds histograms, with floats in between. */
static bool is_histogram(int series, int64_t t_ms) {
    return series % 4 == 3 && seed_of(series, t_ms) % 8 != 0;
}

static uint64_t histogram_seed(int series, int64_t t_ms) {
    return seed_of(series, t_ms) % MADE_WIDE;
}

static double value_of(int series, int64_t t_ms) {
    struct toc_rng r;
    if (series % 4 == 0) /* a counter */
        return (double)((t_ms - LEDGER_START_MS) / 100);
    toc_rng_seed(&r, seed_of(series, t_ms));
    return made_odd_value(&r);
}

/* --- slots --- */

static size_t place_of(const struct ledger_series *s, int64_t t_ms) {
    size_t i = s->count;
    while (i && s->items[i - 1].t_ms >= t_ms)
        i--;
    return i;
}

static struct ledger_slot *find(const struct ledger_series *s, int64_t t_ms) {
    size_t i = place_of(s, t_ms);
    return i < s->count && s->items[i].t_ms == t_ms ? &s->items[i] : NULL;
}

static struct ledger_slot *slot_at(struct ledger_series *s, int64_t t_ms) {
    size_t i = place_of(s, t_ms);
    if (i < s->count && s->items[i].t_ms == t_ms)
        return &s->items[i];
    TOC_VEC_PUSH(s, ((struct ledger_slot){0}));
    memmove(s->items + i + 1, s->items + i, (s->count - 1 - i) * sizeof *s->items);
    s->items[i] = (struct ledger_slot){.t_ms = t_ms};
    return &s->items[i];
}

static uint64_t pick(struct ledger *l, uint64_t n) {
    return toc_rng_below(&l->rng, n);
}

static void note_write(struct ledger *l, int series, int64_t t_ms, bool is_acknowledged) {
    struct ledger_slot *x = slot_at(&l->series[series], t_ms);
    bool is_soft = l->options.durability == TOC_DURABILITY_OS;
    if (!is_acknowledged) {
        x->state = x->state == LEDGER_STORED ? LEDGER_STORED : LEDGER_MAYBE;
        return;
    }
    x->is_soft = is_soft && (x->is_soft || x->state != LEDGER_STORED);
    x->state = LEDGER_STORED;
    x->change = l->changes;
    l->acknowledged++;
}

static void harden(struct ledger *l) {
    for (int k = 0; k < LEDGER_SERIES; k++)
        for (size_t i = 0; i < l->series[k].count; i++)
            l->series[k].items[i].is_soft = false;
}

void ledger_lose_soft(struct ledger *l) {
    for (int k = 0; k < LEDGER_SERIES; k++)
        for (size_t i = 0; i < l->series[k].count; i++) {
            struct ledger_slot *x = &l->series[k].items[i];
            if (x->is_soft)
                x->state = LEDGER_MAYBE;
        }
}

void ledger_settle(struct ledger *l) {
    for (int k = 0; k < LEDGER_SERIES; k++)
        for (size_t i = 0; i < l->series[k].count; i++) {
            struct ledger_slot *x = &l->series[k].items[i];
            if (x->state == LEDGER_MAYBE)
                x->state = x->was_found ? LEDGER_STORED : LEDGER_GONE;
            x->is_soft = false;
        }
}

void ledger_copy_series(struct ledger_series *to, const struct ledger_series *from) {
    for (int k = 0; k < LEDGER_SERIES; k++) {
        to[k] = (struct ledger_series){0};
        TOC_VEC_RESERVE(&to[k], from[k].count + 1);
        if (from[k].count)
            memcpy(to[k].items, from[k].items, from[k].count * sizeof *to[k].items);
        to[k].count = from[k].count;
    }
}

void ledger_free_series(struct ledger_series *series) {
    for (int k = 0; k < LEDGER_SERIES; k++)
        TOC_VEC_FINI(&series[k]);
}

/* --- life --- */

void ledger_init(struct ledger *l, struct toc_vfs_sim *disk, uint64_t seed,
                 enum toc_durability durability) {
    *l = (struct ledger){0};
    make_series();
    toc_rng_seed(&l->rng, seed);
    toc_clock_virtual_init(&l->clock, (struct toc_ts){LEDGER_START_MS});
    l->options =
        (struct toc_metricdb_options){.vfs = toc_vfs_sim_vfs(disk),
                                      .clock = &l->clock.base,
                                      .dir = "/data",
                                      .durability = durability,
                                      .limits = {.wal_segment_bytes = 3000 + pick(l, 30000),
                                                 .index_cache_bytes = 20000,
                                                 .max_pending_samples = 400,
                                                 .checkpoint_samples = 10 + pick(l, 200),
                                                 .scrub_interval_ms = 3600000,
                                                 .head_base_bytes = 4000 + pick(l, 40000)}};
}

void ledger_fini(struct ledger *l) {
    toc_metricdb_close(&l->db);
    ledger_free_series(l->series);
    ledger_free_series(l->snapshot_series);
}

int ledger_open(struct ledger *l) {
    struct toc_err err = {0};
    return toc_metricdb_open(&l->options, &l->db, &err);
}

/* --- writing --- */

struct row {
    int series;
    int64_t t_ms;
    bool is_refused; /* so far as the answer tells */
};

struct rows {
    struct row items[BATCH_MAX];
    struct toc_histogram histograms[BATCH_MAX];
    struct made_room *rooms[BATCH_MAX];
    size_t count;
};

static void add_row(struct rows *r, int series, int64_t t_ms) {
    for (size_t i = 0; i < r->count; i++)
        if (r->items[i].series == series && r->items[i].t_ms == t_ms)
            return;
    if (r->count < BATCH_MAX)
        r->items[r->count++] = (struct row){series, t_ms, false};
}

static const struct toc_histogram *histogram_of(struct rows *r, size_t i) {
    struct row *x = &r->items[i];
    if (!is_histogram(x->series, x->t_ms))
        return NULL;
    r->rooms[i] = toc_xalloc(sizeof *r->rooms[i]);
    r->histograms[i] = made_histogram(histogram_seed(x->series, x->t_ms), r->rooms[i]);
    return &r->histograms[i];
}

static void fill_point(struct rows *r, size_t i, struct toc_point *out) {
    struct row *x = &r->items[i];
    *out = toc_float_point(ledger_labels(x->series), x->t_ms, value_of(x->series, x->t_ms));
    out->histogram = histogram_of(r, i);
}

/* Points tell only how many were refused: then none is taken as acknowledged. */
static int send_points(struct ledger *l, struct rows *r) {
    static struct toc_point points[BATCH_MAX];
    struct toc_sink *sink = toc_metricdb_sink(l->db);
    struct toc_write_result result;
    for (size_t i = 0; i < r->count; i++)
        fill_point(r, i, &points[i]);
    int rc = sink->write(sink, points, r->count, &result, NULL);
    for (size_t i = 0; i < r->count; i++)
        r->items[i].is_refused = rc || result.accepted != r->count;
    return rc;
}

static void fill_samples(struct ledger *l, struct rows *r, struct toc_metricdb_sample *samples) {
    enum toc_reject_reason reason;
    for (size_t i = 0; i < r->count; i++) {
        struct row *x = &r->items[i];
        samples[i] =
            (struct toc_metricdb_sample){.t_ms = x->t_ms, .value = value_of(x->series, x->t_ms)};
        samples[i].histogram = histogram_of(r, i);
        if (toc_metricdb_series_ref(l->db, ledger_labels(x->series), &samples[i].ref, &reason))
            samples[i].ref = 0;
    }
}

/* In one step, or handed over and waited for; sometimes nobody waits. */
static int send_refs(struct ledger *l, struct rows *r) {
    static struct toc_metricdb_sample samples[BATCH_MAX];
    struct toc_write_result result;
    size_t unknown = 0;
    uint64_t ticket, way = pick(l, 5);
    fill_samples(l, r, samples);
    int rc =
        way < 3 ? toc_metricdb_write_refs(l->db, samples, r->count, &result, &unknown, NULL)
                : toc_metricdb_put_refs(l->db, samples, r->count, &result, &unknown, &ticket, NULL);
    if (!rc && way == 3)
        rc = toc_metricdb_wait(l->db, ticket, NULL);
    for (size_t i = 0; i < r->count; i++)
        r->items[i].is_refused = rc || way == 4 || samples[i].refused || !samples[i].ref;
    return rc;
}

static int send(struct ledger *l, struct rows *r) {
    l->changes++;
    int rc = pick(l, 2) ? send_points(l, r) : send_refs(l, r);
    for (size_t i = 0; i < r->count; i++) {
        note_write(l, r->items[i].series, r->items[i].t_ms, !r->items[i].is_refused);
        toc_free(r->rooms[i]);
    }
    return rc;
}

int ledger_write(struct ledger *l) {
    static struct rows r;
    r = (struct rows){0};
    for (int i = 0; i < LEDGER_SERIES; i++)
        add_row(&r, i, l->clock.wall.ms);
    return send(l, &r);
}

static int64_t any_time(struct ledger *l) {
    int64_t now = l->clock.wall.ms;
    switch (pick(l, 6)) {
    case 0: /* the past */
        return now - (int64_t)pick(l, 10 * 3600000);
    case 1: /* around the boundary of a block */
        return now - now % 7200000 - (int64_t)pick(l, 3) * 7200000 + (int64_t)pick(l, 3) - 1;
    case 2:
        return now + (int64_t)pick(l, 3600000);
    default:
        return now - (int64_t)pick(l, 1200) * 1000;
    }
}

static void write_any(struct ledger *l) {
    static struct rows r;
    r = (struct rows){0};
    for (uint64_t n = 1 + pick(l, BATCH_MAX); n; n--)
        add_row(&r, (int)pick(l, LEDGER_SERIES), any_time(l));
    (void)send(l, &r);
}

/* The very same samples again, whatever became of them. */
static void write_again(struct ledger *l) {
    static struct rows r;
    r = (struct rows){0};
    for (int i = 0; i < BATCH_MAX / 2; i++) {
        int k = (int)pick(l, LEDGER_SERIES);
        const struct ledger_series *s = &l->series[k];
        if (s->count)
            add_row(&r, k, s->items[s->count - 1 - pick(l, s->count)].t_ms);
    }
    (void)send(l, &r);
}

/* What is there with another value, which must be refused. */
static void write_conflict(struct ledger *l) {
    int k = (int)pick(l, LEDGER_SERIES);
    struct ledger_series *s = &l->series[k];
    if (!s->count)
        return;
    struct ledger_slot *x = &s->items[pick(l, s->count)];
    if (x->state != LEDGER_STORED || l->are_faults_on)
        return;
    struct toc_write_result r;
    struct toc_point p = toc_float_point(ledger_labels(k), x->t_ms, 123456.75);
    struct toc_sink *sink = toc_metricdb_sink(l->db);
    int rc = sink->write(sink, &p, 1, &r, NULL);
    if (!rc && r.accepted) {
        fprintf(stderr, "another value for an acknowledged sample was accepted\n");
        exit(LEDGER_FAILED);
    }
}

/* --- deleting --- */

static bool is_selected(int k, const struct toc_matcher *m) {
    return toc_matchers_match(m, 1, ledger_labels(k));
}

static void delete_some(struct ledger *l) {
    static const char *const patterns[] = {"1", "2|3|5", "1.", ".*7", "2[0-3]"};
    struct toc_matcher m;
    struct toc_select s = {.matchers = &m, .matcher_count = 1};
    uint64_t touched;
    if (toc_matcher_init(&m, TOC_MATCH_RE, TOC_SV("i"),
                         toc_sv_cstr(patterns[pick(l, TOC_ARRAY_LEN(patterns))]), NULL))
        exit(LEDGER_FAILED);
    s.max_ms = l->clock.wall.ms - (int64_t)pick(l, 8 * 3600000);
    s.min_ms = pick(l, 3) ? s.max_ms - (int64_t)pick(l, 3 * 3600000) : INT64_MIN;
    l->changes++;
    int rc = toc_metricdb_delete(l->db, &s, &touched, NULL);
    for (int k = 0; k < LEDGER_SERIES; k++) {
        if (!is_selected(k, &m))
            continue;
        for (size_t i = 0; i < l->series[k].count; i++) {
            struct ledger_slot *x = &l->series[k].items[i];
            if (x->t_ms < s.min_ms || x->t_ms > s.max_ms || x->state == LEDGER_GONE)
                continue;
            x->state = rc ? LEDGER_MAYBE : LEDGER_GONE;
            x->change = l->changes;
        }
    }
    toc_matcher_fini(&m);
}

/* --- snapshots --- */

static void take_snapshot(struct ledger *l) {
    char name[TOC_SNAPSHOT_NAME_MAX];
    if (toc_metricdb_snapshot(l->db, true, name, NULL))
        return;
    memcpy(l->snapshot, name, sizeof name);
    ledger_free_series(l->snapshot_series);
    ledger_copy_series(l->snapshot_series, l->series);
}

/* --- audit --- */

struct audit {
    struct ledger_series *series;
    struct ledger_audit a;
};

static bool is_right(int k, const struct toc_series_view *v, size_t i) {
    const struct toc_histogram *h = v->histograms ? v->histograms[i] : NULL;
    if (is_histogram(k, v->t_ms[i]))
        return h && made_is_histogram(h, histogram_seed(k, v->t_ms[i]));
    return !h && toc_f64_bits(v->values[i]) == toc_f64_bits(value_of(k, v->t_ms[i]));
}

static int audit_series(void *ctx, const struct toc_series_view *v) {
    struct audit *x = ctx;
    int k = atoi(toc_labels_get(v->labels, TOC_SV("i")).p);
    for (size_t i = 0; i < v->count; i++) {
        struct ledger_slot *slot = find(&x->series[k], v->t_ms[i]);
        bool is_twice = i && v->t_ms[i] <= v->t_ms[i - 1];
        x->a.found++;
        if (!slot || is_twice || !is_right(k, v, i))
            x->a.foreign++;
        else
            slot->was_found = true;
    }
    return 0;
}

static struct ledger_audit audit(struct toc_metricdb *db, struct ledger_series *series) {
    struct audit x = {.series = series};
    struct toc_select s = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(db);
    for (int k = 0; k < LEDGER_SERIES; k++)
        for (size_t i = 0; i < series[k].count; i++)
            series[k].items[i].was_found = false;
    x.a.code = q->select(q, &s, audit_series, &x, NULL);
    for (int k = 0; k < LEDGER_SERIES; k++)
        for (size_t i = 0; i < series[k].count; i++) {
            const struct ledger_slot *slot = &series[k].items[i];
            x.a.missing += slot->state == LEDGER_STORED && !slot->was_found;
            x.a.revived += slot->state == LEDGER_GONE && slot->was_found;
        }
    return x.a;
}

struct ledger_audit ledger_audit(struct ledger *l) {
    return audit(l->db, l->series);
}

struct ledger_audit ledger_audit_snapshot(struct ledger *l) {
    struct toc_metricdb_options o = l->options;
    struct toc_metricdb *db;
    char dir[128];
    struct ledger_audit a = {.code = TOC_ENOENT};
    snprintf(dir, sizeof dir, "/data/snapshots/%s", l->snapshot);
    o.dir = dir;
    if (!toc_vfs_exists(o.vfs, dir))
        return a;
    a.code = toc_metricdb_open(&o, &db, NULL);
    if (!a.code)
        a = audit(db, l->snapshot_series);
    toc_metricdb_close(&db);
    return a;
}

/* --- steps --- */

/* A read in the middle of everything: nothing made up. Faults may hide samples, with an error. */
static void read_all(struct ledger *l) {
    struct ledger_audit a = ledger_audit(l);
    if (a.foreign || a.revived || (!l->are_faults_on && (a.code || a.missing))) {
        fprintf(stderr, "read: code %d, %llu missing, %llu foreign, %llu revived\n", a.code,
                (unsigned long long)a.missing, (unsigned long long)a.foreign,
                (unsigned long long)a.revived);
        exit(LEDGER_FAILED);
    }
}

/* With `os` an fsync that failed is known to this process only: the next one cannot tell. */
static void reopen(struct ledger *l) {
    if (!toc_metricdb_flush(l->db, NULL))
        harden(l);
    else
        ledger_lose_soft(l);
    toc_metricdb_close(&l->db);
    (void)ledger_open(l);
}

void ledger_step(struct ledger *l) {
    uint64_t kind = pick(l, 100);
    l->operations++;
    if (!l->db && ledger_open(l))
        return;
    if (kind < 30) {
        (void)ledger_write(l);
        toc_clock_virtual_advance(&l->clock, 1000 + (int64_t)pick(l, 400000));
    } else if (kind < 50) {
        write_any(l);
    } else if (kind < 53) {
        write_again(l);
    } else if (kind < 55) {
        write_conflict(l);
    } else if (kind < 75) {
        (void)toc_metricdb_maintain(l->db, NULL);
        toc_clock_virtual_advance(&l->clock, (int64_t)pick(l, 60000));
    } else if (kind < 78) {
        if (toc_metricdb_compact(l->db, NULL)) /* with faults on it may */
            return;
    } else if (kind < 83) {
        delete_some(l);
    } else if (kind < 88) {
        toc_clock_virtual_advance(&l->clock, (int64_t)pick(l, 2 * 3600000));
    } else if (kind < 92) {
        if (!toc_metricdb_flush(l->db, NULL))
            harden(l);
    } else if (kind < 94) {
        take_snapshot(l);
    } else if (kind < 97) {
        read_all(l);
    } else {
        reopen(l);
    }
}
