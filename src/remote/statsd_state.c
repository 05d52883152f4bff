#include "remote/statsd_state.h"

#include <math.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"
#include "model/sample.h"
#include "remote/import_batch.h"
#include "remote/observations.h"

enum { MAX_SERIES = 100000, TTL_MS = 5 * 60 * 1000, ARENA_BYTES = 256 << 20, PIECE_POINTS = 16384 };

struct series {
    struct toc_sv key; /* owned */
    enum toc_statsd_type type;
    struct toc_labels labels, sum, count; /* owned; the last two of observations only */
    double value;                         /* of counters and gauges */
    struct observations *observations;
    struct toc_map members; /* of a set, since the last flush */
    struct toc_mono seen;
};

struct toc_statsd {
    struct toc_statsd_limits limits;
    struct toc_sink *sink;
    struct toc_clock *clock;
    struct toc_map by_key; /* type-less: name and labels -> struct series */
    struct toc_map described;
    struct {
        TOC_VEC_FIELDS(struct series *)
    } series;
    struct {
        TOC_VEC_FIELDS(struct toc_point)
    } points;
    struct toc_labels_builder builder;
    struct toc_arena arena; /* of one line, or of one flush */
    struct toc_buf key;
    size_t member_count;
    atomic_ullong packets, lines, live, expired, flushes, failed_flushes, samples;
    atomic_ullong values[TOC_STATSD_TYPE_COUNT], refused[TOC_STATSD_FAULT_COUNT];
    atomic_ullong rejected[TOC_REJECT_REASON_COUNT];
};

static void add_to(atomic_ullong *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

struct toc_statsd *toc_statsd_new(const struct toc_statsd_limits *limits, struct toc_sink *sink,
                                  struct toc_clock *clock) {
    struct toc_statsd *s = TOC_NEW(struct toc_statsd);
    s->limits = *limits;
    s->limits.max_series = limits->max_series ? limits->max_series : MAX_SERIES;
    s->limits.ttl_ms = limits->ttl_ms ? limits->ttl_ms : TTL_MS;
    s->sink = sink;
    s->clock = clock;
    toc_arena_init(&s->arena, ARENA_BYTES);
    return s;
}

static void free_series(struct series *x) {
    toc_labels_free(&x->labels);
    toc_labels_free(&x->sum);
    toc_labels_free(&x->count);
    if (x->observations)
        observations_fini(x->observations);
    toc_free(x->observations);
    toc_map_fini(&x->members);
    toc_free((char *)x->key.p);
    toc_free(x);
}

void toc_statsd_free(struct toc_statsd **sp) {
    struct toc_statsd *s = *sp;
    if (!s)
        return;
    for (size_t i = 0; i < s->series.count; i++)
        free_series(s->series.items[i]);
    TOC_VEC_FINI(&s->series);
    TOC_VEC_FINI(&s->points);
    toc_map_fini(&s->by_key);
    toc_map_fini(&s->described);
    toc_labels_builder_fini(&s->builder);
    toc_arena_fini(&s->arena);
    toc_buf_fini(&s->key);
    toc_free(s);
    *sp = NULL;
}

/* --- series --- */

static bool is_observed(enum toc_statsd_type t) {
    return t == TOC_STATSD_TIMER || t == TOC_STATSD_HISTOGRAM || t == TOC_STATSD_DISTRIBUTION;
}

/* Name and tags as labels in the builder. */
static struct toc_labels labels_of(struct toc_statsd *s, const struct toc_statsd_line *line) {
    toc_labels_builder_reset(&s->builder);
    for (size_t i = 0; i < line->tag_count; i++)
        toc_labels_builder_set(&s->builder, import_clean_name(line->tags[i].name, false, &s->arena),
                               line->tags[i].value);
    toc_labels_builder_set(&s->builder, TOC_METRIC_NAME,
                           import_clean_name(line->name, true, &s->arena));
    return toc_labels_builder_finish(&s->builder);
}

static struct toc_labels with_suffix(struct toc_statsd *s, struct toc_labels l,
                                     const char *suffix) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_buf name = TOC_BUF_INIT;
    toc_labels_builder_add_all(&b, l);
    toc_buf_append_sv(&name, toc_labels_get(l, TOC_METRIC_NAME));
    toc_buf_append_cstr(&name, suffix);
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_buf_sv(&name));
    struct toc_labels kept = toc_labels_dup(toc_labels_builder_finish(&b));
    toc_labels_builder_fini(&b);
    toc_buf_fini(&name);
    (void)s;
    return kept;
}

static void describe(struct toc_statsd *s, const struct series *x) {
    static const enum toc_metric_type types[] = {
        [TOC_STATSD_COUNTER] = TOC_METRIC_COUNTER,
        [TOC_STATSD_GAUGE] = TOC_METRIC_GAUGE,
        [TOC_STATSD_SET] = TOC_METRIC_GAUGE,
        [TOC_STATSD_TIMER] = TOC_METRIC_HISTOGRAM,
        [TOC_STATSD_HISTOGRAM] = TOC_METRIC_HISTOGRAM,
        [TOC_STATSD_DISTRIBUTION] = TOC_METRIC_HISTOGRAM,
    };
    struct toc_sv name = toc_labels_get(x->labels, TOC_METRIC_NAME);
    if (!s->sink->metadata || toc_map_has(&s->described, name) ||
        s->described.count >= s->limits.max_series)
        return;
    toc_map_put(&s->described, name, s);
    s->sink->metadata(s->sink, name, types[x->type], TOC_SV("Metric from StatsD."),
                      x->type == TOC_STATSD_TIMER ? TOC_SV("seconds") : TOC_SV(""));
}

static struct series *make_series(struct toc_statsd *s, struct toc_labels l,
                                  enum toc_statsd_type type) {
    struct series *x = TOC_NEW(struct series);
    x->type = type;
    x->key = toc_sv_make(toc_xmemdup(s->key.p, s->key.n), s->key.n);
    x->labels = toc_labels_dup(l);
    if (is_observed(type)) {
        x->sum = with_suffix(s, l, "_sum");
        x->count = with_suffix(s, l, "_count");
        x->observations = TOC_NEW(struct observations);
        observations_init(x->observations);
    }
    toc_map_put(&s->by_key, x->key, x);
    TOC_VEC_PUSH(&s->series, x);
    atomic_store_explicit(&s->live, s->series.count, memory_order_relaxed);
    describe(s, x);
    return x;
}

static enum toc_statsd_fault find_series(struct toc_statsd *s, const struct toc_statsd_line *line,
                                         struct series **out) {
    struct toc_labels l = labels_of(s, line);
    toc_buf_reset(&s->key);
    toc_labels_encode(l, &s->key);
    if (s->arena.overflowed || toc_buf_error(&s->key))
        return TOC_STATSD_TOO_LONG;
    *out = toc_map_get(&s->by_key, toc_buf_sv(&s->key));
    if (!*out && s->series.count >= s->limits.max_series)
        return TOC_STATSD_SERIES_LIMIT;
    if (!*out)
        *out = make_series(s, l, line->type);
    /* Timers, histograms and distributions of one name go together, as long as the unit is one. */
    bool fits = (*out)->type == line->type ||
                (is_observed((*out)->type) && is_observed(line->type) &&
                 ((*out)->type == TOC_STATSD_TIMER) == (line->type == TOC_STATSD_TIMER));
    return fits ? TOC_STATSD_GOOD : TOC_STATSD_TYPE_CONFLICT;
}

/* --- lines --- */

static enum toc_statsd_fault take_value(struct toc_statsd *s, struct series *x,
                                        const struct toc_statsd_value *v, double rate) {
    switch (x->type) {
    case TOC_STATSD_COUNTER:
        x->value += v->number / rate;
        break;
    case TOC_STATSD_GAUGE:
        x->value = v->is_change ? x->value + v->number : v->number;
        break;
    case TOC_STATSD_SET:
        if (toc_map_has(&x->members, v->text))
            break;
        if (s->member_count >= TOC_STATSD_SET_MEMBERS_MAX)
            return TOC_STATSD_SET_LIMIT;
        toc_map_put(&x->members, v->text, x);
        s->member_count++;
        break;
    case TOC_STATSD_TIMER: /* milliseconds become seconds, as in Prometheus' exporter */
        observations_add(x->observations, v->number / 1000, 1 / rate);
        break;
    default:
        observations_add(x->observations, v->number, 1 / rate);
    }
    return TOC_STATSD_GOOD;
}

static enum toc_statsd_fault take_line(struct toc_statsd *s, struct toc_sv text,
                                       struct toc_mono now) {
    struct toc_statsd_line line;
    struct toc_statsd_value v;
    struct series *x = NULL;
    if (text.n > TOC_STATSD_LINE_MAX)
        return TOC_STATSD_TOO_LONG;
    enum toc_statsd_fault f = toc_statsd_parse(text, &line);
    toc_arena_reset(&s->arena);
    if (!f)
        f = find_series(s, &line, &x);
    if (f)
        return f;
    x->seen = now;
    struct toc_sv rest = line.values;
    while (!f && toc_statsd_value(&rest, line.type, &v)) {
        f = take_value(s, x, &v, line.rate);
        add_to(&s->values[line.type], f == TOC_STATSD_GOOD);
    }
    return f;
}

void toc_statsd_take(struct toc_statsd *s, struct toc_sv packet) {
    struct toc_mono now = toc_clock_mono(s->clock);
    struct toc_sv rest = packet, text;
    add_to(&s->packets, 1);
    while (rest.n && toc_sv_split(&rest, '\n', &text)) {
        text = toc_sv_trim(text);
        if (!text.n)
            continue;
        enum toc_statsd_fault f = take_line(s, text, now);
        add_to(&s->lines, 1);
        if (f)
            add_to(&s->refused[f], 1);
    }
}

void toc_statsd_count_too_long(struct toc_statsd *s) {
    add_to(&s->lines, 1);
    add_to(&s->refused[TOC_STATSD_TOO_LONG], 1);
}

/* --- flush --- */

static void put(struct toc_statsd *s, struct toc_labels l, int64_t t_ms, double value) {
    TOC_VEC_PUSH(&s->points, toc_float_point(l, t_ms, value));
}

static void put_series(struct toc_statsd *s, struct series *x, int64_t t_ms) {
    if (!is_observed(x->type)) {
        put(s, x->labels, t_ms, x->type == TOC_STATSD_SET ? (double)x->members.count : x->value);
        return;
    }
    struct toc_point p = toc_float_point(x->labels, t_ms, 0);
    p.histogram = observations_histogram(x->observations, &s->arena);
    if (p.histogram)
        TOC_VEC_PUSH(&s->points, p);
    put(s, x->sum, t_ms, x->observations->sum);
    put(s, x->count, t_ms, x->observations->count);
}

static void put_end(struct toc_statsd *s, struct series *x, int64_t t_ms) {
    put(s, x->labels, t_ms, toc_stale_nan());
    if (is_observed(x->type)) {
        put(s, x->sum, t_ms, toc_stale_nan());
        put(s, x->count, t_ms, toc_stale_nan());
    }
}

static int write_points(struct toc_statsd *s, struct toc_err *err) {
    struct toc_write_result result = {0};
    int rc = s->points.count
                 ? s->sink->write(s->sink, s->points.items, s->points.count, &result, err)
                 : 0;
    s->points.count = 0;
    toc_arena_reset(&s->arena);
    if (rc)
        return rc;
    add_to(&s->samples, result.accepted);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        add_to(&s->rejected[i], result.rejected[i]);
    return 0;
}

static bool is_idle(const struct toc_statsd *s, const struct series *x, struct toc_mono now) {
    return now.ns - x->seen.ns > s->limits.ttl_ms * 1000000;
}

/* The ones that were ended; their markers are written. */
static void forget_idle(struct toc_statsd *s, struct toc_mono now) {
    size_t kept = 0;
    for (size_t i = 0; i < s->series.count; i++) {
        struct series *x = s->series.items[i];
        if (!is_idle(s, x, now)) {
            s->series.items[kept++] = x;
            continue;
        }
        toc_map_remove(&s->by_key, x->key);
        free_series(x);
        add_to(&s->expired, 1);
    }
    s->series.count = kept;
    atomic_store_explicit(&s->live, kept, memory_order_relaxed);
}

static void empty_sets(struct toc_statsd *s) {
    for (size_t i = 0; i < s->series.count; i++)
        toc_map_fini(&s->series.items[i]->members);
    s->member_count = 0;
}

int toc_statsd_flush(struct toc_statsd *s, struct toc_err *err) {
    struct toc_mono now = toc_clock_mono(s->clock);
    int64_t t_ms = toc_clock_now(s->clock).ms;
    int rc = 0;
    toc_arena_reset(&s->arena);
    for (size_t i = 0; i < s->series.count && !rc; i++) {
        struct series *x = s->series.items[i];
        if (is_idle(s, x, now))
            put_end(s, x, t_ms);
        else
            put_series(s, x, t_ms);
        if (s->points.count >= PIECE_POINTS)
            rc = write_points(s, err);
    }
    if (!rc)
        rc = write_points(s, err);
    add_to(&s->flushes, 1);
    add_to(&s->failed_flushes, rc != 0);
    empty_sets(s);
    if (!rc)
        forget_idle(s, now);
    return rc;
}

void toc_statsd_stats(struct toc_statsd *s, struct toc_statsd_stats *out) {
    *out = (struct toc_statsd_stats){
        .packets = atomic_load(&s->packets),
        .lines = atomic_load(&s->lines),
        .series = atomic_load(&s->live),
        .expired = atomic_load(&s->expired),
        .flushes = atomic_load(&s->flushes),
        .failed_flushes = atomic_load(&s->failed_flushes),
        .samples = atomic_load(&s->samples),
    };
    for (size_t i = 0; i < TOC_STATSD_TYPE_COUNT; i++)
        out->values[i] = atomic_load(&s->values[i]);
    for (size_t i = 0; i < TOC_STATSD_FAULT_COUNT; i++)
        out->refused[i] = atomic_load(&s->refused[i]);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        out->rejected[i] = atomic_load(&s->rejected[i]);
}
