/*
 * Random writes (floats and histograms, in order, late, duplicate, odd values), deletions, clock
 * moves, housekeeping, clean restarts, power losses and selects with every kind of matcher: the
 * database answers as a naive model does.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "metricdb/histogram_code.h"
#include "metricdb/metricdb.h"
#include "sys/vfs_sim.h"

enum { NAMES = 4, INSTANCES = 5, JOBS = 4, SERIES = NAMES * INSTANCES * JOBS };

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
    struct toc_label items[3];
    TOC_VEC(struct sample) samples; /* sorted */
};

struct world {
    struct toc_rng rng;
    struct toc_vfs_sim *disk;
    struct toc_clock_virtual clock;
    struct toc_metricdb_options options;
    struct toc_metricdb *db;
    struct model_series series[SERIES];
    uint64_t op, selects, writes, deletes;
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

static void init_series(struct world *w) {
    for (size_t i = 0; i < SERIES; i++) {
        struct model_series *s = &w->series[i];
        const char *job = g_jobs[i % JOBS];
        size_t n = 0;
        s->items[n++] =
            (struct toc_label){TOC_METRIC_NAME, toc_sv_cstr(g_names[i / JOBS / INSTANCES])};
        s->items[n++] =
            (struct toc_label){TOC_SV("i"), toc_sv_cstr(g_instances[i / JOBS % INSTANCES])};
        if (job[0])
            s->items[n++] = (struct toc_label){TOC_SV("job"), toc_sv_cstr(job)};
        s->labels = (struct toc_labels){s->items, n};
    }
}

static void open_db(struct world *w) {
    struct toc_err err = {0};
    int rc = toc_metricdb_open(&w->options, &w->db, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.message);
    CHECK(w, rc == 0);
}

/* --- writing --- */

static double odd_value(struct world *w) {
    switch (pick(w, 8)) {
    case 0:
        return toc_stale_nan();
    case 1:
        return toc_f64_from_bits(0x7ff8000000000000 | pick(w, 1000));
    case 2:
        return pick(w, 2) ? INFINITY : -0.0;
    case 3:
        return toc_rng_normal(&w->rng);
    default:
        return (double)pick(w, 50);
    }
}

/* The histogram of a seed; the same seed gives the same one. */
static struct toc_histogram make_histogram(uint64_t seed, int32_t *index, double *count) {
    struct toc_rng r;
    toc_rng_seed(&r, seed);
    bool is_float = toc_rng_below(&r, 4) == 0, is_custom = toc_rng_below(&r, 4) == 0;
    static const double bounds[] = {0.1, 1, 2.5, 10};
    struct toc_histogram h = {.schema = is_custom ? TOC_HISTOGRAM_SCHEMA_CUSTOM
                                                  : (int32_t)toc_rng_below(&r, 2),
                              .reset_hint = (enum toc_reset_hint)toc_rng_below(&r, 4)};
    size_t n = toc_rng_below(&r, 6);
    for (size_t i = 0; i < n; i++) {
        index[i] = (int32_t)(i ? index[i - 1] + 1 + (is_custom ? 0 : (int)toc_rng_below(&r, 3))
                               : (is_custom ? 0 : (int)toc_rng_below(&r, 9) - 4));
        count[i] = is_float ? toc_rng_unit(&r) : (double)toc_rng_below(&r, 1000);
    }
    n = is_custom && n > 5 ? 5 : n;
    h.positive = (struct toc_buckets){index, count, n};
    if (is_custom) {
        h.custom_bounds = bounds;
        h.custom_bound_count = 4;
    } else {
        h.negative = (struct toc_buckets){index, count, n / 2};
        h.zero_threshold = 0.001;
        h.zero_count = (double)toc_rng_below(&r, 10);
    }
    h.count = (double)toc_rng_below(&r, 100000);
    h.sum = toc_rng_below(&r, 8) ? toc_rng_normal(&r) : toc_stale_nan();
    return h;
}

static bool is_histogram_of(const struct toc_histogram *h, uint64_t seed) {
    int32_t index[8];
    double count[8];
    struct toc_histogram want = make_histogram(seed, index, count);
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    toc_histogram_encode(&want, &a);
    toc_histogram_encode(h, &b);
    bool same = toc_sv_eq(toc_buf_sv(&a), toc_buf_sv(&b));
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    return same;
}

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
    switch (pick(w, 10)) {
    case 0: /* late, or too late */
        return now - (int64_t)pick(w, 5 * 3600000);
    case 1: /* late but within the window */
        return now - (int64_t)pick(w, 1800000);
    case 2: /* in the future, or too far */
        return now + (int64_t)pick(w, 2 * 3600000);
    default:
        return now - (int64_t)pick(w, 30) * 1000;
    }
}

/* One sample: the verdict must be the one that the model can justify. */
static void write_one(struct world *w) {
    struct model_series *s = &w->series[pick(w, SERIES)];
    int64_t now = w->clock.wall.ms;
    int32_t index[8];
    double count[8];
    struct toc_point p = toc_float_point(s->labels, any_time(w), odd_value(w));
    const struct sample *old = model_at(s, p.t_ms);
    bool again = old && pick(w, 2);
    /* Some series hold both kinds, most only floats. */
    bool is_histogram = again ? old->is_histogram : (s - w->series) % 3 == 0 && pick(w, 3);
    uint64_t bits = again ? old->bits : is_histogram ? pick(w, 64) : toc_f64_bits(p.value);
    struct toc_histogram histogram = make_histogram(bits, index, count);
    if (is_histogram)
        p.histogram = &histogram;
    else
        p.value = toc_f64_from_bits(bits);
    bool same = old && old->bits == bits && old->is_histogram == is_histogram;
    struct toc_write_result r;
    struct toc_sink *sink = toc_metricdb_sink(w->db);
    CHECK(w, sink->write(sink, &p, 1, &r, NULL) == 0);
    bool late = p.t_ms <= now - 1800000;
    if (r.accepted) {
        CHECK(w, p.t_ms <= now + 3600000);
        CHECK(w, !old || same);
        if (!old)
            model_put(s, p.t_ms, bits, is_histogram);
    } else if (r.rejected[TOC_REJECT_DUPLICATE]) {
        CHECK(w, old && !same);
    } else if (r.rejected[TOC_REJECT_TOO_FAR_IN_FUTURE]) {
        CHECK(w, p.t_ms > now + 3600000);
    } else {
        CHECK(w, r.rejected[TOC_REJECT_OUT_OF_ORDER] + r.rejected[TOC_REJECT_TOO_OLD] == 1);
        CHECK(w, late);
    }
    w->writes++;
}

/* The present sample of many series in one batch. */
static void write_batch(struct world *w) {
    struct toc_point points[SERIES];
    size_t n = 0;
    int64_t t = w->clock.wall.ms;
    for (size_t i = 0; i < SERIES; i++)
        if (!model_at(&w->series[i], t) && pick(w, 2))
            points[n++] = toc_float_point(w->series[i].labels, t, odd_value(w));
    struct toc_write_result r;
    struct toc_sink *sink = toc_metricdb_sink(w->db);
    CHECK(w, sink->write(sink, points, n, &r, NULL) == 0);
    CHECK(w, r.accepted == n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < SERIES; k++)
            if (toc_labels_eq(points[i].labels, w->series[k].labels))
                model_put(&w->series[k], t, toc_f64_bits(points[i].value), false);
    w->writes += n;
}

/* --- reading --- */

static const char *const g_patterns[] = {
    "",    "cpu",          "cpu.*", "mem|loss",  "a|b",     "a?b?", ".+",
    ".*",  "1|10",         "a\\.b", "[ab]+",     "a|",      "nope", "(?i)CPU",
    "10",  "\xe4\xb8\xad", "cpu.+", "(cpu|mem)", "(?:a|b)", "c.*u", "\xe4\xb8\xad*",
    "ab*", "c.*",          "(a|b",  "1{1}0"};

static void make_matcher(struct world *w, struct toc_matcher *m) {
    static const char *const names[] = {"__name__", "i", "job", "absent"};
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

static size_t first_in(const struct model_series *s, const struct toc_select *q, size_t *out_n) {
    size_t from = place_of(s, q->min_ms), to = from;
    while (to < s->samples.count && s->samples.items[to].t_ms <= q->max_ms)
        to++;
    *out_n = to - from;
    return from;
}

static int check_series(void *ctx, const struct toc_series_view *v) {
    struct check *c = ctx;
    size_t k = 0, n;
    while (k < SERIES && !toc_labels_eq(v->labels, c->w->series[k].labels))
        k++;
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
            CHECK(c->w, v->values[i] == 0 && is_histogram_of(h, want->bits));
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
    s.min_ms = pick(w, 4) ? now - (int64_t)pick(w, 12 * 3600000) : INT64_MIN;
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

/* Every value of a series that has a sample in the range is listed, none that no matching series
 * has. */
static void list_values(struct world *w) {
    struct toc_matcher matchers[2];
    struct toc_select s = {.matchers = matchers, .matcher_count = (size_t)pick(w, 3)};
    for (size_t i = 0; i < s.matcher_count; i++)
        make_matcher(w, &matchers[i]);
    s.max_ms = w->clock.wall.ms - (int64_t)pick(w, 6 * 3600000);
    s.min_ms = pick(w, 2) ? s.max_ms - (int64_t)pick(w, 6 * 3600000) : INT64_MIN;
    struct values v = {.w = w, .name = pick(w, 2) ? TOC_SV("i") : TOC_SV("job")};
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

/* --- life --- */

static void step(struct world *w) {
    uint64_t kind = pick(w, 1000);
    w->op++;
    if (kind < 600) {
        write_one(w);
    } else if (kind < 700) {
        write_batch(w);
        toc_clock_virtual_advance(&w->clock, 1 + (int64_t)pick(w, 60000));
    } else if (kind < 800) {
        toc_clock_virtual_advance(&w->clock, (int64_t)pick(w, 30000));
    } else if (kind < 849) {
        CHECK(w, toc_metricdb_maintain(w->db, NULL) == 0);
    } else if (kind < 850) {
        CHECK(w, toc_metricdb_compact(w->db, NULL) == 0);
    } else if (kind < 988) {
        if (pick(w, 8))
            select_some(w);
        else
            list_values(w);
    } else if (kind < 990) {
        delete_some(w);
    } else if (kind < 995) {
        toc_clock_virtual_advance(&w->clock, (int64_t)pick(w, 2 * 3600000));
    } else {
        toc_metricdb_close(&w->db);
        if (kind < 998)
            toc_vfs_sim_restart(w->disk);
        open_db(w);
    }
}

int main(int argc, char **argv) {
    uint64_t seed = 1, ops = 20000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--ops"))
            ops = strtoull(argv[i + 1], NULL, 10);
    }
    printf("seed %llu, %llu operations\n", (unsigned long long)seed, (unsigned long long)ops);
    static struct world w;
    toc_rng_seed(&w.rng, seed);
    w.disk = toc_vfs_sim_new(seed);
    toc_clock_virtual_init(&w.clock, (struct toc_ts){INT64_C(1760000400000)});
    w.options = (struct toc_metricdb_options){.vfs = toc_vfs_sim_vfs(w.disk),
                                              .clock = &w.clock.base,
                                              .dir = "/data",
                                              .limits = {.wal_segment_bytes = 20000,
                                                         .index_cache_bytes = 20000,
                                                         .head_base_bytes = 30000}};
    init_series(&w);
    open_db(&w);
    while (w.op < ops)
        step(&w);
    struct toc_metricdb_stats s;
    toc_metricdb_stats(w.db, &s);
    printf("%llu writes, %llu selects, %llu deletes, %llu blocks, %llu corruptions\n",
           (unsigned long long)w.writes, (unsigned long long)w.selects,
           (unsigned long long)w.deletes, (unsigned long long)s.blocks,
           (unsigned long long)s.corruptions);
    CHECK(&w, s.corruptions == 0);
    toc_metricdb_close(&w.db);
    for (size_t i = 0; i < SERIES; i++)
        TOC_VEC_FINI(&w.series[i].samples);
    toc_vfs_sim_free(&w.disk);
    return 0;
}
