/*
 * Random writes (floats and histograms, by labels and by reference, in order, late, duplicate, odd
 * values, impossible times), deletions, retention, clock moves, housekeeping, clean restarts, power
 * losses, snapshots and selects with every kind of matcher: the database answers as a naive model
 * does.
 *
 * prop_metricdb [--seed S] [--ops N]   seeds that are a multiple of 3 span centuries, others keep
 * two days
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "made.h"
#include "metricdb/metricdb.h"
#include "sys/vfs_sim.h"

/* Each combination of these is a series; PODS more share their labels but for one and get few
 * samples. */
enum { NAMES = 4, INSTANCES = 5, JOBS = 4, GRID = NAMES * INSTANCES * JOBS, PODS = 120 };
enum { SERIES = GRID + PODS };
#define CENTURY_MS INT64_C(3155760000000)
#define BLOCK_MS INT64_C(7200000)

static const char *const g_names[NAMES] = {"cpu", "mem", "cpu_total", "loss"};
static const char *const g_instances[INSTANCES] = {"0", "1", "10", "a.b", "\xe4\xb8\xad"};
static const char *const g_jobs[JOBS] = {"", "a", "b", "ab"};

/* A float, or a histogram that follows from its seed. */
struct sample {
    int64_t t_ms;
    uint64_t bits; /* of the value, or the seed */
    bool is_histogram;
};

struct model_series {
    struct toc_labels labels;
    struct toc_label items[4];
    char pod[8];
    uint64_t hash;
    TOC_VEC(struct sample) samples; /* sorted */
};

struct world {
    struct toc_rng rng;
    struct toc_vfs_sim *disk;
    struct toc_clock_virtual clock;
    struct toc_metricdb_options options;
    struct toc_metricdb *db;
    struct model_series series[SERIES];
    uint16_t by_hash[SERIES];
    struct made_room room;
    bool is_long; /* centuries */
    uint64_t op, selects, writes, deletes, snapshots, expired, wide, blocks_deleted;
    uint64_t starts, loaded; /* of them with a checkpoint */
};

#define CHECK(w, cond)                                                  \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: op %llu: %s\n", __FILE__, __LINE__, \
                    (unsigned long long)(w)->op, #cond);                \
            abort();                                                    \
        }                                                               \
    } while (0)

static uint64_t pick(struct world *w, uint64_t n) {
    return toc_rng_below(&w->rng, n);
}

static struct world *g_sorting;
static int by_hash(const void *a, const void *b) {
    uint64_t x = g_sorting->series[*(const uint16_t *)a].hash;
    uint64_t y = g_sorting->series[*(const uint16_t *)b].hash;
    return (x > y) - (x < y);
}

static void init_labels(struct model_series *s, size_t i) {
    const char *job = i < GRID ? g_jobs[i % JOBS] : "pods";
    size_t n = 0;
    s->items[n++] =
        (struct toc_label){TOC_METRIC_NAME, toc_sv_cstr(g_names[i / JOBS / INSTANCES % NAMES])};
    s->items[n++] = (struct toc_label){TOC_SV("i"), toc_sv_cstr(g_instances[i / JOBS % INSTANCES])};
    if (job[0])
        s->items[n++] = (struct toc_label){TOC_SV("job"), toc_sv_cstr(job)};
    if (i >= GRID) {
        snprintf(s->pod, sizeof s->pod, "p%d", (int)(i - GRID));
        s->items[n++] = (struct toc_label){TOC_SV("pod"), toc_sv_cstr(s->pod)};
    }
    s->labels = (struct toc_labels){s->items, n};
    s->hash = toc_labels_hash(s->labels);
}

static void init_series(struct world *w) {
    for (size_t i = 0; i < SERIES; i++) {
        init_labels(&w->series[i], i);
        w->by_hash[i] = (uint16_t)i;
    }
    g_sorting = w;
    qsort(w->by_hash, SERIES, sizeof w->by_hash[0], by_hash);
}

/* SERIES when there is none. */
static size_t series_with(const struct world *w, struct toc_labels labels) {
    uint64_t hash = toc_labels_hash(labels);
    size_t low = 0, high = SERIES;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (w->series[w->by_hash[middle]].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < SERIES && toc_labels_eq(w->series[w->by_hash[low]].labels, labels);
    return found ? w->by_hash[low] : SERIES;
}

/* Pods get a sample now and then. */
static struct model_series *any_series(struct world *w) {
    return &w->series[pick(w, pick(w, 10) ? GRID : SERIES)];
}

static void open_db(struct world *w) {
    struct toc_err err = {0};
    int rc = toc_metricdb_open(&w->options, &w->db, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.message);
    CHECK(w, rc == 0);
    struct toc_metricdb_stats s;
    toc_metricdb_stats(w->db, &s);
    CHECK(w, s.checkpoints_refused == 0);
    w->starts++;
    w->loaded += s.checkpoint_samples > 0;
}

/* --- writing --- */

static size_t place_of(const struct model_series *s, int64_t t_ms) {
    size_t i = s->samples.count;
    while (i && s->samples.items[i - 1].t_ms >= t_ms)
        i--;
    return i;
}

static const struct sample *model_at(const struct model_series *s, int64_t t_ms) {
    size_t i = place_of(s, t_ms);
    return i < s->samples.count && s->samples.items[i].t_ms == t_ms ? &s->samples.items[i] : NULL;
}

static void model_put(struct model_series *s, int64_t t_ms, uint64_t bits, bool is_histogram) {
    size_t i = place_of(s, t_ms);
    TOC_VEC_PUSH(&s->samples, ((struct sample){0}));
    memmove(s->samples.items + i + 1, s->samples.items + i,
            (s->samples.count - 1 - i) * sizeof *s->samples.items);
    s->samples.items[i] = (struct sample){t_ms, bits, is_histogram};
}

static int64_t any_time(struct world *w) {
    int64_t now = w->clock.wall.ms;
    switch (pick(w, 12)) {
    case 0: /* late, or too late */
        return now - (int64_t)pick(w, 5 * 3600000);
    case 1: /* late but within the window */
        return now - (int64_t)pick(w, 1800000);
    case 2: /* in the future, or too far */
        return now + (int64_t)pick(w, 2 * 3600000);
    case 3: /* around the boundary of a block */
        return now - now % BLOCK_MS - (int64_t)pick(w, 4) * BLOCK_MS + (int64_t)pick(w, 3) - 1;
    case 4: /* seldom: before 1970, around 0, in another century, where numbers end */
        switch (pick(w, w->is_long ? 20 : 200)) {
        case 0:
            return (int64_t)pick(w, 5) - 2;
        case 1:
            return -(int64_t)pick(w, 1000) * BLOCK_MS / 3;
        case 2:
            return now + (int64_t)pick(w, (uint64_t)CENTURY_MS);
        case 3:
            return pick(w, 2) ? INT64_MIN + (int64_t)pick(w, 2) : INT64_MAX - (int64_t)pick(w, 2);
        default:
            return now - (int64_t)pick(w, 86400000);
        }
    default:
        return now - (int64_t)pick(w, 30) * 1000;
    }
}

static struct toc_point any_point(struct world *w, struct model_series *s, uint64_t *out_bits) {
    struct toc_point p = toc_float_point(s->labels, any_time(w), made_odd_value(&w->rng));
    const struct sample *old = model_at(s, p.t_ms);
    bool again = old && pick(w, 2);
    /* Some series hold both kinds, most only floats; few histograms are wide. */
    bool is_histogram = again ? old->is_histogram : (s - w->series) % 3 == 0 && pick(w, 3);
    uint64_t seed = pick(w, 2000) ? pick(w, 64) : MADE_WIDE + pick(w, 4);
    *out_bits = again ? old->bits : is_histogram ? seed : toc_f64_bits(p.value);
    static struct toc_histogram histogram;
    if (!is_histogram) {
        p.value = toc_f64_from_bits(*out_bits);
        return p;
    }
    histogram = made_histogram(*out_bits, &w->room);
    p.histogram = &histogram;
    w->wide += *out_bits >= MADE_WIDE;
    return p;
}

/* The verdict must be one that the model can justify. */
static void check_verdict(struct world *w, struct model_series *s, const struct toc_point *p,
                          uint64_t bits, const struct toc_write_result *r) {
    int64_t now = w->clock.wall.ms, tolerance = w->options.limits.future_tolerance_ms;
    const struct sample *old = model_at(s, p->t_ms);
    bool is_histogram = p->histogram != NULL;
    bool same = old && old->bits == bits && old->is_histogram == is_histogram;
    if (r->accepted) {
        CHECK(w, p->t_ms <= now + tolerance);
        CHECK(w, !old || same);
        if (!old)
            model_put(s, p->t_ms, bits, is_histogram);
    } else if (r->rejected[TOC_REJECT_DUPLICATE]) {
        CHECK(w, old && !same);
    } else if (r->rejected[TOC_REJECT_TOO_FAR_IN_FUTURE]) {
        CHECK(w, p->t_ms > now + tolerance);
    } else {
        CHECK(w, r->rejected[TOC_REJECT_OUT_OF_ORDER] + r->rejected[TOC_REJECT_TOO_OLD] == 1);
        CHECK(w, p->t_ms <= now - 1800000);
    }
}

static void write_one(struct world *w) {
    struct model_series *s = any_series(w);
    uint64_t bits;
    struct toc_point p = any_point(w, s, &bits);
    struct toc_write_result r;
    struct toc_sink *sink = toc_metricdb_sink(w->db);
    CHECK(w, sink->write(sink, &p, 1, &r, NULL) == 0);
    check_verdict(w, s, &p, bits, &r);
    w->writes++;
}

/* One sample by reference, with one of a reference that never was beside it. */
static void write_ref(struct world *w) {
    struct model_series *s = any_series(w);
    uint64_t bits;
    size_t unknown;
    enum toc_reject_reason reason;
    struct toc_write_result r;
    struct toc_point p = any_point(w, s, &bits);
    struct toc_metricdb_sample x[2] = {
        {.t_ms = p.t_ms, .value = p.value, .histogram = p.histogram},
        {.ref = UINT64_C(0x7fffffff00000001), .t_ms = w->clock.wall.ms, .value = 1}};
    CHECK(w, toc_metricdb_series_ref(w->db, s->labels, &x[0].ref, &reason) == 0);
    CHECK(w, toc_metricdb_write_refs(w->db, x, 2, &r, &unknown, NULL) == 0);
    CHECK(w, unknown == 1 && !x[1].ref && x[0].ref);
    CHECK(w, (x[0].refused == 0) == (r.accepted == 1));
    check_verdict(w, s, &p, bits, &r);
    w->writes++;
}

/* The present sample of many series in one batch. */
static void write_batch(struct world *w) {
    struct toc_metricdb_sample samples[GRID];
    struct toc_point points[GRID];
    size_t series[GRID], n = 0, unknown = 0;
    int64_t t = w->clock.wall.ms;
    enum toc_reject_reason reason;
    for (size_t i = 0; i < GRID; i++)
        if (!model_at(&w->series[i], t) && pick(w, 2)) {
            series[n] = i;
            points[n++] = toc_float_point(w->series[i].labels, t, made_odd_value(&w->rng));
        }
    struct toc_write_result r;
    if (pick(w, 2)) {
        struct toc_sink *sink = toc_metricdb_sink(w->db);
        CHECK(w, sink->write(sink, points, n, &r, NULL) == 0);
    } else {
        for (size_t i = 0; i < n; i++) {
            samples[i] = (struct toc_metricdb_sample){.t_ms = t, .value = points[i].value};
            CHECK(w,
                  toc_metricdb_series_ref(w->db, points[i].labels, &samples[i].ref, &reason) == 0);
        }
        CHECK(w, toc_metricdb_write_refs(w->db, samples, n, &r, &unknown, NULL) == 0);
    }
    CHECK(w, r.accepted == n && !unknown);
    for (size_t i = 0; i < n; i++)
        model_put(&w->series[series[i]], t, toc_f64_bits(points[i].value), false);
    w->writes += n;
}

/* --- reading --- */

static const char *const g_patterns[] = {
    "",    "cpu",          "cpu.*", "mem|loss",  "a|b",     "a?b?", ".+",
    ".*",  "1|10",         "a\\.b", "[ab]+",     "a|",      "nope", "(?i)CPU",
    "10",  "\xe4\xb8\xad", "cpu.+", "(cpu|mem)", "(?:a|b)", "c.*u", "\xe4\xb8\xad*",
    "ab*", "c.*",          "(a|b",  "1{1}0",     "p1.*",    "pods", "p7|p8|p100"};

static void make_matcher(struct world *w, struct toc_matcher *m) {
    static const char *const names[] = {"__name__", "i", "job", "absent", "pod"};
    const char *name = names[pick(w, TOC_ARRAY_LEN(names))];
    const char *pattern = g_patterns[pick(w, TOC_ARRAY_LEN(g_patterns))];
    enum toc_match_op op = (enum toc_match_op)pick(w, 4);
    /* "(a|b" is no expression, but a value. */
    if (toc_matcher_init(m, op, toc_sv_cstr(name), toc_sv_cstr(pattern), NULL))
        CHECK(w, toc_matcher_init(m, TOC_MATCH_EQ, toc_sv_cstr(name), toc_sv_cstr(pattern), NULL) ==
                     0);
}

struct check {
    struct world *w;
    const struct toc_select *s;
    bool seen[SERIES];
    size_t count;
    struct toc_labels last;
};

/* The first sample at or behind t_ms. */
static size_t lower_bound(const struct model_series *s, int64_t t_ms) {
    size_t low = 0, high = s->samples.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->samples.items[middle].t_ms < t_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t first_in(const struct model_series *s, const struct toc_select *q, size_t *out_n) {
    size_t from = lower_bound(s, q->min_ms);
    size_t to = q->max_ms == INT64_MAX ? s->samples.count : lower_bound(s, q->max_ms + 1);
    *out_n = to > from ? to - from : 0;
    return from;
}

static int check_series(void *ctx, const struct toc_series_view *v) {
    struct check *c = ctx;
    size_t k = series_with(c->w, v->labels), n;
    CHECK(c->w, k < SERIES && !c->seen[k]);
    c->seen[k] = true;
    c->count++;
    if (c->s->sorted) {
        CHECK(c->w, c->count == 1 || toc_labels_cmp(c->last, c->w->series[k].labels) < 0);
        c->last = c->w->series[k].labels;
    }
    size_t from = first_in(&c->w->series[k], c->s, &n);
    if (c->s->labels_only)
        return 0;
    CHECK(c->w, v->count == n);
    for (size_t i = 0; i < n; i++) {
        const struct sample *want = &c->w->series[k].samples.items[from + i];
        const struct toc_histogram *h = v->histograms ? v->histograms[i] : NULL;
        CHECK(c->w, v->t_ms[i] == want->t_ms && want->is_histogram == (h != NULL));
        if (h)
            CHECK(c->w, v->values[i] == 0 && made_is_histogram(h, want->bits));
        else
            CHECK(c->w, toc_f64_bits(v->values[i]) == want->bits);
    }
    return 0;
}

/* The same by a frozen set, read from the last series to the first. */
static void read_set(struct world *w, struct check *c, const struct toc_select *s) {
    struct toc_querier *q = toc_metricdb_querier(w->db);
    struct toc_series_set *set;
    struct toc_series_buffer buffer = {0};
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    CHECK(w, q->open(q, s, &set, NULL) == 0);
    for (size_t i = 0; i < set->count; i++) {
        struct toc_series_view v;
        size_t k = s->sorted ? i : set->count - 1 - i;
        CHECK(w, set->read(set, k, s->min_ms, s->max_ms, &buffer, &v, NULL) == 0);
        v.labels = set->labels(set, k, items);
        if (v.count)
            check_series(c, &v);
    }
    set->close(&set);
    CHECK(w, set == NULL);
    toc_series_buffer_fini(&buffer);
}

static void select_some(struct world *w) {
    struct toc_matcher matchers[3];
    struct toc_select s = {.matchers = matchers, .matcher_count = (size_t)pick(w, 4)};
    for (size_t i = 0; i < s.matcher_count; i++)
        make_matcher(w, &matchers[i]);
    int64_t now = w->clock.wall.ms;
    s.max_ms = pick(w, 4) ? now - (int64_t)pick(w, 6 * 3600000) : INT64_MAX;
    s.min_ms = pick(w, 6) ? now - (int64_t)pick(w, 12 * 3600000) : INT64_MIN;
    if (pick(w, 3) == 0) { /* an instant: what lies in the five minutes before */
        s.max_ms = any_time(w);
        s.min_ms = s.max_ms > INT64_MIN + 300000 ? s.max_ms - 300000 + 1 : INT64_MIN;
    }
    s.sorted = pick(w, 2);
    struct check c = {.w = w, .s = &s};
    struct toc_querier *q = toc_metricdb_querier(w->db);
    if (pick(w, 2))
        CHECK(w, q->select(q, &s, check_series, &c, NULL) == 0);
    else
        read_set(w, &c, &s);
    for (size_t k = 0; k < SERIES; k++) {
        size_t n;
        first_in(&w->series[k], &s, &n);
        bool expected = n && toc_matchers_match(matchers, s.matcher_count, w->series[k].labels);
        CHECK(w, c.seen[k] == expected);
    }
    for (size_t i = 0; i < s.matcher_count; i++)
        toc_matcher_fini(&matchers[i]);
    w->selects++;
}

/* --- label values --- */

struct values {
    struct world *w;
    struct toc_sv name;
    bool seen[SERIES]; /* of the series whose value was listed */
    struct toc_sv last;
    char text[16];
};

static int note_value(void *ctx, struct toc_sv value) {
    struct values *v = ctx;
    CHECK(v->w, value.n && value.n < sizeof v->text && toc_sv_cmp(v->last, value) < 0);
    memcpy(v->text, value.p, value.n);
    v->last = toc_sv_make(v->text, value.n);
    for (size_t k = 0; k < SERIES; k++)
        v->seen[k] |= toc_sv_eq(toc_labels_get(v->w->series[k].labels, v->name), value);
    return 0;
}

static struct toc_sv any_name(struct world *w) {
    const struct toc_sv names[] = {TOC_METRIC_NAME, TOC_SV("i"), TOC_SV("job"), TOC_SV("pod")};
    return names[pick(w, TOC_ARRAY_LEN(names))];
}

/* Every value of a series that has a sample in the range is listed, none that no matching series
 * has. */
static void list_values(struct world *w) {
    struct toc_matcher matchers[2];
    struct toc_select s = {.matchers = matchers, .matcher_count = (size_t)pick(w, 3)};
    for (size_t i = 0; i < s.matcher_count; i++)
        make_matcher(w, &matchers[i]);
    s.max_ms = w->clock.wall.ms - (int64_t)pick(w, 6 * 3600000);
    s.min_ms = pick(w, 2) ? s.max_ms - (int64_t)pick(w, 6 * 3600000) : INT64_MIN;
    struct values v = {.w = w, .name = any_name(w)};
    struct toc_querier *q = toc_metricdb_querier(w->db);
    CHECK(w, q->label_values(q, v.name, &s, note_value, &v, NULL) == 0);
    bool allowed[SERIES] = {0};
    for (size_t k = 0; k < SERIES; k++) {
        size_t n;
        struct toc_sv value = toc_labels_get(w->series[k].labels, v.name);
        bool matches = toc_matchers_match(matchers, s.matcher_count, w->series[k].labels);
        first_in(&w->series[k], &s, &n);
        CHECK(w, v.seen[k] || !matches || !n || !value.n);
        for (size_t j = 0; j < SERIES && matches; j++)
            allowed[j] |= toc_sv_eq(toc_labels_get(w->series[j].labels, v.name), value);
    }
    for (size_t k = 0; k < SERIES; k++)
        CHECK(w, allowed[k] || !v.seen[k]);
    for (size_t i = 0; i < s.matcher_count; i++)
        toc_matcher_fini(&matchers[i]);
}

/* --- deleting --- */

static void delete_some(struct world *w) {
    struct toc_matcher matchers[2];
    struct toc_select s = {.matchers = matchers, .matcher_count = 1 + (size_t)pick(w, 2)};
    for (size_t i = 0; i < s.matcher_count; i++)
        make_matcher(w, &matchers[i]);
    int64_t now = w->clock.wall.ms;
    s.max_ms = pick(w, 3) ? now - (int64_t)pick(w, 6 * 3600000) : INT64_MAX;
    s.min_ms = pick(w, 3) ? s.max_ms - (int64_t)pick(w, 3 * 3600000) : INT64_MIN;
    uint64_t touched;
    CHECK(w, toc_metricdb_delete(w->db, &s, &touched, NULL) == 0);
    for (size_t k = 0; k < SERIES; k++) {
        struct model_series *m = &w->series[k];
        size_t kept = 0;
        if (!toc_matchers_match(matchers, s.matcher_count, m->labels))
            continue;
        for (size_t i = 0; i < m->samples.count; i++)
            if (m->samples.items[i].t_ms < s.min_ms || m->samples.items[i].t_ms > s.max_ms)
                m->samples.items[kept++] = m->samples.items[i];
        CHECK(w, touched || kept == m->samples.count);
        m->samples.count = kept;
    }
    for (size_t i = 0; i < s.matcher_count; i++)
        toc_matcher_fini(&matchers[i]);
    w->deletes++;
}

/* --- label names --- */

struct names {
    struct world *w;
    bool seen[4];
};

static int note_label_name(void *ctx, struct toc_sv name) {
    static const char *const known[] = {"__name__", "i", "job", "pod"};
    struct names *n = ctx;
    size_t k = 0;
    while (k < 4 && !toc_sv_eq_cstr(name, known[k]))
        k++;
    CHECK(n->w, k < 4 && !n->seen[k]);
    n->seen[k] = true;
    return 0;
}

/* Every name of a series that matches and has a sample is listed. */
static void list_names(struct world *w) {
    struct toc_matcher m;
    struct names n = {.w = w};
    bool must[4] = {0}, may[4] = {0};
    make_matcher(w, &m);
    struct toc_select s = {.matchers = &m, .matcher_count = 1, .max_ms = INT64_MAX};
    s.min_ms = w->clock.wall.ms - (int64_t)pick(w, 6 * 3600000);
    struct toc_querier *q = toc_metricdb_querier(w->db);
    CHECK(w, q->label_names(q, &s, note_label_name, &n, NULL) == 0);
    for (size_t k = 0; k < SERIES; k++) {
        size_t samples;
        const struct toc_labels l = w->series[k].labels;
        if (!toc_matchers_match(&m, 1, l))
            continue;
        first_in(&w->series[k], &s, &samples);
        for (int i = 0; i < 4; i++) {
            const char *const known[] = {"__name__", "i", "job", "pod"};
            bool has = toc_labels_get(l, toc_sv_cstr(known[i])).n > 0;
            may[i] |= has;
            must[i] |= has && samples;
        }
    }
    for (int i = 0; i < 4; i++)
        CHECK(w, n.seen[i] ? may[i] : !must[i]);
    toc_matcher_fini(&m);
}

/* --- everything at once: retention and snapshots --- */

struct whole {
    struct world *w;
    int64_t forgotten_ms; /* samples before it may be gone; INT64_MIN: none */
    bool seen[SERIES];
};

/* Samples that retention took away leave the model; nothing else may be missing. */
static int compare_whole(void *ctx, const struct toc_series_view *v) {
    struct whole *x = ctx;
    struct world *w = x->w;
    size_t k = series_with(w, v->labels), at = 0, kept = 0;
    CHECK(w, k < SERIES);
    struct model_series *s = &w->series[k];
    x->seen[k] = true;
    for (size_t i = 0; i < s->samples.count; i++) {
        struct sample want = s->samples.items[i];
        bool is_there = at < v->count && v->t_ms[at] == want.t_ms;
        CHECK(w, is_there || want.t_ms < x->forgotten_ms);
        at += is_there;
        w->expired += !is_there;
        if (is_there)
            s->samples.items[kept++] = want;
    }
    CHECK(w, at == v->count);
    s->samples.count = kept;
    return 0;
}

static void compare_all(struct world *w, struct toc_metricdb *db, int64_t forgotten_ms) {
    struct whole x = {.w = w, .forgotten_ms = forgotten_ms};
    struct toc_select s = {.min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(db);
    CHECK(w, q->select(q, &s, compare_whole, &x, NULL) == 0);
    for (size_t k = 0; k < SERIES; k++) {
        struct model_series *m = &w->series[k];
        if (x.seen[k] || !m->samples.count)
            continue;
        CHECK(w, m->samples.items[m->samples.count - 1].t_ms < forgotten_ms);
        w->expired += m->samples.count;
        m->samples.count = 0;
    }
}

/* A block goes when newer ones cover the retention time: so nothing younger than that is gone. */
static void look_for_expired(struct world *w) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(w->db, &s);
    if (s.blocks_deleted == w->blocks_deleted)
        return;
    w->blocks_deleted = s.blocks_deleted;
    compare_all(w, w->db, s.newest_ms - w->options.limits.retention_ms);
}

static void snapshot(struct world *w) {
    char name[TOC_SNAPSHOT_NAME_MAX], dir[128];
    struct toc_metricdb_options o = w->options;
    struct toc_metricdb *copy;
    CHECK(w, toc_metricdb_snapshot(w->db, true, name, NULL) == 0);
    snprintf(dir, sizeof dir, "/data/snapshots/%s", name);
    o.dir = dir;
    CHECK(w, toc_metricdb_open(&o, &copy, NULL) == 0);
    compare_all(w, copy, INT64_MIN);
    toc_metricdb_close(&copy);
    toc_vfs_sim_remove_tree(w->disk, dir);
    w->snapshots++;
}

/* --- life --- */

static void restart(struct world *w, bool loses_power) {
    toc_metricdb_close(&w->db);
    if (loses_power)
        toc_vfs_sim_restart(w->disk);
    open_db(w);
    w->blocks_deleted = 0;
}

static void keep_house(struct world *w, bool compacts) {
    if (compacts)
        CHECK(w, toc_metricdb_compact(w->db, NULL) == 0);
    else
        CHECK(w, toc_metricdb_maintain(w->db, NULL) == 0);
    look_for_expired(w);
}

static void read_some(struct world *w) {
    uint64_t kind = pick(w, 10);
    if (kind == 0)
        list_values(w);
    else if (kind == 1)
        list_names(w);
    else
        select_some(w);
}

static void step(struct world *w) {
    uint64_t kind = pick(w, 10000);
    w->op++;
    if (kind < 3500) {
        write_one(w);
    } else if (kind < 6000) {
        write_ref(w);
    } else if (kind < 7000) {
        write_batch(w);
        toc_clock_virtual_advance(&w->clock, 1 + (int64_t)pick(w, 60000));
    } else if (kind < 8000) {
        toc_clock_virtual_advance(&w->clock, (int64_t)pick(w, 30000));
    } else if (kind < 8490) {
        keep_house(w, false);
    } else if (kind < 8495) {
        keep_house(w, true);
    } else if (kind < 8500) {
        snapshot(w);
    } else if (kind < 9880) {
        read_some(w);
    } else if (kind < 9900) {
        delete_some(w);
    } else if (kind < 9950) {
        toc_clock_virtual_advance(&w->clock, (int64_t)pick(w, 2 * 3600000));
    } else {
        restart(w, kind < 9980);
    }
}

static struct toc_metricdb_limits limits_of(const struct world *w) {
    struct toc_metricdb_limits l = {.wal_segment_bytes = 20000,
                                    .index_cache_bytes = 20000,
                                    .head_base_bytes = 30000,
                                    .checkpoint_samples = 100,
                                    .future_tolerance_ms = 3600000,
                                    .retention_ms = 2 * INT64_C(86400000)};
    if (w->is_long) {
        l.future_tolerance_ms = CENTURY_MS;
        l.retention_ms = 5 * CENTURY_MS;
    }
    return l;
}

int main(int argc, char **argv) {
    uint64_t seed = args_number(argc, argv, "--seed", 1);
    uint64_t ops = args_number(argc, argv, "--ops", 20000);
    static struct world w;
    toc_rng_seed(&w.rng, seed);
    w.is_long = seed % 3 == 0;
    printf("seed %llu, %llu operations, %s\n", (unsigned long long)seed, (unsigned long long)ops,
           w.is_long ? "centuries" : "two days kept");
    fflush(stdout);
    w.disk = toc_vfs_sim_new(seed);
    toc_clock_virtual_init(&w.clock, (struct toc_ts){INT64_C(1760000400000)});
    w.options = (struct toc_metricdb_options){.vfs = toc_vfs_sim_vfs(w.disk),
                                              .clock = &w.clock.base,
                                              .dir = "/data",
                                              .limits = limits_of(&w)};
    init_series(&w);
    open_db(&w);
    while (w.op < ops)
        step(&w);
    struct toc_metricdb_stats s;
    toc_metricdb_stats(w.db, &s);
    printf("%llu writes (%llu histograms of %d buckets), %llu selects, %llu deletes, %llu "
           "snapshots, %llu samples expired, %llu blocks, %llu corruptions\n",
           (unsigned long long)w.writes, (unsigned long long)w.wide, MADE_BUCKETS_MAX,
           (unsigned long long)w.selects, (unsigned long long)w.deletes,
           (unsigned long long)w.snapshots, (unsigned long long)w.expired,
           (unsigned long long)s.blocks, (unsigned long long)s.corruptions);
    printf("%llu of %llu starts read a checkpoint\n", (unsigned long long)w.loaded,
           (unsigned long long)w.starts);
    CHECK(&w, s.corruptions == 0);
    CHECK(&w, w.loaded > w.starts / 8);
    toc_metricdb_close(&w.db);
    for (size_t i = 0; i < SERIES; i++)
        TOC_VEC_FINI(&w.series[i].samples);
    toc_vfs_sim_free(&w.disk);
    return 0;
}
