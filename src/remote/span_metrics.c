#include "remote/span_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "remote/otlp_span.h"
#include "sys/thread.h"

enum { MAX_VALUES = 100, MAX_CELLS = 2000, VALUE_BYTES = 128, FLUSH_MS = 1000, ERRORS_MAX = 16 };

/* Of gen_ai.client.operation.duration, in seconds. */
static const double bounds[] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
enum { BOUNDS = TOC_ARRAY_LEN(bounds) };

/* X(enum, label) */
#define LABELS(X)                   \
    X(LABEL_SERVICE, "service")     \
    X(LABEL_PROVIDER, "provider")   \
    X(LABEL_MODEL, "model")         \
    X(LABEL_OPERATION, "operation") \
    X(LABEL_ERROR_TYPE, "error_type")

enum label {
#define X(name, text) name,
    LABELS(X)
#undef X
        LABEL_COUNT
};
enum { CELL_LABELS = LABEL_ERROR_TYPE }; /* those that every series has */

static const char *const label_names[] = {
#define X(name, text) text,
    LABELS(X)
#undef X
};

struct error_count {
    struct toc_sv type; /* interned */
    uint64_t count;
    bool is_announced;
};

/* One combination of labels. */
struct cell {
    struct toc_sv values[CELL_LABELS]; /* interned */
    uint64_t requests, with_duration, buckets[BOUNDS + 1];
    double seconds, input_tokens, output_tokens;
    bool has_input, has_output, is_input_announced, is_output_announced;
    struct error_count errors[ERRORS_MAX];
    size_t error_count;
    bool is_changed, is_announced;
};

struct toc_spans {
    struct toc_spans_options o;
    struct toc_mutex mutex;               /* guards all below */
    struct toc_map interned[LABEL_COUNT]; /* value → struct toc_sv *, owned */
    struct toc_map by_key;                /* values → struct cell * */
    struct {
        TOC_VEC_FIELDS(struct cell *)
    } cells;
    int64_t flushed_ms;
    bool is_flushing;
    struct toc_spans_stats stats;
};

struct toc_spans *toc_spans_new(const struct toc_spans_options *o) {
    struct toc_spans *s = TOC_NEW(struct toc_spans);
    s->o = *o;
    s->o.max_values = o->max_values ? o->max_values : MAX_VALUES;
    s->o.max_series = o->max_series ? o->max_series : MAX_CELLS;
    toc_mutex_init(&s->mutex, TOC_LOCK_REMOTE);
    return s;
}

static void free_values(struct toc_map *values) {
    const struct toc_map_entry *e;
    for (size_t cursor = 0; (e = toc_map_next(values, &cursor));) {
        struct toc_sv *value = e->value;
        toc_free((void *)(uintptr_t)value->p);
        toc_free(value);
    }
    toc_map_fini(values);
}

void toc_spans_free(struct toc_spans **ps) {
    struct toc_spans *s = ps ? *ps : NULL;
    if (!s)
        return;
    for (size_t i = 0; i < s->cells.count; i++)
        toc_free(s->cells.items[i]);
    TOC_VEC_FINI(&s->cells);
    toc_map_fini(&s->by_key);
    for (int i = 0; i < LABEL_COUNT; i++)
        free_values(&s->interned[i]);
    toc_mutex_fini(&s->mutex);
    toc_free(s);
    *ps = NULL;
}

/* --- counting --- */

static struct toc_sv clean(struct toc_sv value) {
    value = toc_sv_trim(value);
    if (!value.n)
        return TOC_SV("unknown");
    if (!toc_sv_is_utf8(value))
        return TOC_SV("_invalid_");
    size_t n = TOC_MIN(value.n, (size_t)VALUE_BYTES);
    while (n < value.n && n > 0 && ((unsigned char)value.p[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    return toc_sv_sub(value, 0, n);
}

/* A value that stays: one of the label's values, or what stands for those beyond the limit. */
static struct toc_sv intern(struct toc_spans *s, enum label label, struct toc_sv value) {
    struct toc_map *known = &s->interned[label];
    value = clean(value);
    struct toc_sv *kept = toc_map_get(known, value);
    if (!kept && known->count >= s->o.max_values) {
        s->stats.overflowed++;
        return TOC_SV("_overflow_");
    }
    if (!kept) {
        kept = TOC_NEW(struct toc_sv);
        *kept = toc_sv_make(toc_sv_dup_cstr(value), value.n);
        toc_map_put(known, value, kept);
    }
    return *kept;
}

static struct cell *cell_get(struct toc_spans *s, const struct toc_sv values[CELL_LABELS]) {
    uint64_t key[CELL_LABELS];
    for (int i = 0; i < CELL_LABELS; i++)
        key[i] = (uint64_t)(uintptr_t)values[i].p;
    struct toc_sv bytes = toc_sv_make((const char *)key, sizeof key);
    struct cell *c = toc_map_get(&s->by_key, bytes);
    if (c || s->cells.count >= s->o.max_series)
        return c;
    c = TOC_NEW(struct cell);
    memcpy(c->values, values, sizeof c->values);
    TOC_VEC_PUSH(&s->cells, c);
    toc_map_put(&s->by_key, bytes, c);
    return c;
}

static void add_duration(struct cell *c, double seconds) {
    size_t i = 0;
    while (i < BOUNDS && seconds > bounds[i])
        i++;
    c->buckets[i]++;
    c->seconds += seconds;
    c->with_duration++;
}

/* The last place is for all that found none. */
static void add_error(struct toc_spans *s, struct cell *c, struct toc_sv type) {
    struct toc_sv kept = intern(s, LABEL_ERROR_TYPE, type);
    size_t i = 0;
    while (i < c->error_count && !toc_sv_eq(c->errors[i].type, kept))
        i++;
    if (i == ERRORS_MAX) {
        s->stats.overflowed++;
        i = ERRORS_MAX - 1;
    } else if (i == c->error_count) {
        bool is_last = i == ERRORS_MAX - 1;
        c->errors[c->error_count++] =
            (struct error_count){is_last ? TOC_SV("_overflow_") : kept, 0, false};
    }
    c->errors[i].count++;
}

static void add_tokens(double tokens, double *sum, bool *has) {
    if (!(tokens >= 0) || tokens > 1e12)
        return;
    *sum += tokens;
    *has = true;
}

static void count_span(void *ctx, const struct otlp_span *span) {
    struct toc_spans *s = ctx;
    s->stats.spans++;
    s->stats.contents += span->content_count;
    s->stats.content_bytes += span->content_bytes;
    if (!span->is_generative) {
        s->stats.others++;
        return;
    }
    struct toc_sv model = span->request_model.n ? span->request_model : span->response_model;
    const struct toc_sv values[CELL_LABELS] = {
        [LABEL_SERVICE] = intern(s, LABEL_SERVICE, span->service),
        [LABEL_PROVIDER] = intern(s, LABEL_PROVIDER, span->provider),
        [LABEL_MODEL] = intern(s, LABEL_MODEL, model),
        [LABEL_OPERATION] = intern(s, LABEL_OPERATION, span->operation),
    };
    struct cell *c = cell_get(s, values);
    if (!c) {
        s->stats.dropped++;
        return;
    }
    c->is_changed = true;
    c->requests++;
    s->stats.counted++;
    if (span->end_ns >= span->start_ns && span->start_ns)
        add_duration(c, (double)(span->end_ns - span->start_ns) / 1e9);
    else
        s->stats.bad_times++;
    if (span->is_error || span->error_type.n)
        add_error(s, c, span->error_type);
    add_tokens(span->input_tokens, &c->input_tokens, &c->has_input);
    add_tokens(span->output_tokens, &c->output_tokens, &c->has_output);
}

static void pass_over(void *ctx, const struct otlp_span *span) {
    (void)ctx;
    (void)span;
}

static int64_t now_ms(const struct toc_spans *s) {
    return toc_clock_now(s->o.clock).ms;
}

int toc_spans_receive(struct toc_spans *s, enum toc_otlp_encoding encoding, struct toc_sv body,
                      struct toc_err *err) {
    /* All of it or nothing is counted. */
    int rc = encoding == TOC_OTLP_JSON ? 0 : otlp_spans_proto(body, pass_over, NULL, err);
    toc_mutex_lock(&s->mutex);
    s->stats.requests[encoding]++;
    if (!rc)
        rc = encoding == TOC_OTLP_JSON ? otlp_spans_json(body, count_span, s, err)
                                       : otlp_spans_proto(body, count_span, s, err);
    s->stats.failed_requests += rc != 0;
    bool is_due = now_ms(s) - s->flushed_ms >= FLUSH_MS;
    toc_mutex_unlock(&s->mutex);
    if (!rc && is_due)
        toc_spans_flush(s);
    return rc;
}

/* --- writing --- */

struct writing {
    struct toc_arena arena;
    struct {
        TOC_VEC_FIELDS(struct toc_point)
    } points;
    int64_t t_ms;
    const struct cell *cell;
};

/* One sample, and for a series that is new a zero before it, so that increase() sees its start. */
static void put(struct writing *w, const char *metric, const char *name, struct toc_sv value,
                bool is_announced, double v) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(metric));
    for (int i = 0; i < CELL_LABELS; i++)
        toc_labels_builder_set(&b, toc_sv_cstr(label_names[i]), w->cell->values[i]);
    if (name)
        toc_labels_builder_set(&b, toc_sv_cstr(name), value);
    struct toc_labels labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &w->arena);
    toc_labels_builder_fini(&b);
    if (!labels.items)
        return;
    if (!is_announced)
        TOC_VEC_PUSH(&w->points, toc_float_point(labels, w->t_ms - 1, 0));
    TOC_VEC_PUSH(&w->points, toc_float_point(labels, w->t_ms, v));
}

static void put_duration(struct writing *w) {
    const struct cell *c = w->cell;
    uint64_t below = 0;
    char text[32];
    for (size_t i = 0; i <= BOUNDS; i++) {
        below += c->buckets[i];
        if (i < BOUNDS)
            snprintf(text, sizeof text, "%g", bounds[i]);
        put(w, "gen_ai_span_duration_seconds_bucket", "le",
            i < BOUNDS ? toc_sv_cstr(text) : TOC_SV("+Inf"), c->is_announced, (double)below);
    }
    put(w, "gen_ai_span_duration_seconds_sum", NULL, TOC_SV_NULL, c->is_announced, c->seconds);
    put(w, "gen_ai_span_duration_seconds_count", NULL, TOC_SV_NULL, c->is_announced,
        (double)c->with_duration);
}

static void put_tokens(struct writing *w, const char *direction, double tokens, bool has,
                       bool *is_announced) {
    if (!has)
        return;
    put(w, "gen_ai_span_tokens_total", "direction", toc_sv_cstr(direction), *is_announced, tokens);
    *is_announced = true;
}

static void put_cell(struct writing *w, struct cell *c) {
    w->cell = c;
    put(w, "gen_ai_span_requests_total", NULL, TOC_SV_NULL, c->is_announced, (double)c->requests);
    put_duration(w);
    for (size_t i = 0; i < c->error_count; i++) {
        put(w, "gen_ai_span_errors_total", "error_type", c->errors[i].type,
            c->errors[i].is_announced, (double)c->errors[i].count);
        c->errors[i].is_announced = true;
    }
    put_tokens(w, "input", c->input_tokens, c->has_input, &c->is_input_announced);
    put_tokens(w, "output", c->output_tokens, c->has_output, &c->is_output_announced);
    c->is_changed = false;
    c->is_announced = true;
}

/* X(metric, type, help) */
#define METRICS(X)                                                                               \
    X("gen_ai_span_requests_total", TOC_METRIC_COUNTER, "Operations of models, from spans.")     \
    X("gen_ai_span_errors_total", TOC_METRIC_COUNTER, "Of them with an error, by its type.")     \
    X("gen_ai_span_duration_seconds", TOC_METRIC_HISTOGRAM, "Duration of operations of models.") \
    X("gen_ai_span_tokens_total", TOC_METRIC_COUNTER, "Tokens read and written by models.")

static void describe(struct toc_sink *sink) {
    if (!sink->metadata)
        return;
#define X(metric, type, help) sink->metadata(sink, TOC_SV(metric), type, TOC_SV(help), TOC_SV_NULL);
    METRICS(X)
#undef X
}

/* Points of all that changed; false when somebody else is at it or there are none. */
static bool gather(struct toc_spans *s, struct writing *w) {
    toc_mutex_lock(&s->mutex);
    bool is_free = !s->is_flushing;
    if (is_free) {
        w->t_ms = TOC_MAX(now_ms(s), s->flushed_ms + 2); /* and a zero may come before it */
        for (size_t i = 0; i < s->cells.count; i++)
            if (s->cells.items[i]->is_changed)
                put_cell(w, s->cells.items[i]);
        s->is_flushing = w->points.count > 0;
        s->flushed_ms = w->points.count ? w->t_ms : s->flushed_ms;
    }
    toc_mutex_unlock(&s->mutex);
    return is_free && w->points.count > 0;
}

/* What was not written is written with what comes next: the numbers are sums. */
static void note_written(struct toc_spans *s, int rc) {
    toc_mutex_lock(&s->mutex);
    s->is_flushing = false;
    s->stats.failed_writes += rc != 0;
    for (size_t i = 0; rc && i < s->cells.count; i++)
        s->cells.items[i]->is_changed = true;
    toc_mutex_unlock(&s->mutex);
}

void toc_spans_flush(struct toc_spans *s) {
    struct writing w = {0};
    toc_arena_init(&w.arena, (size_t)64 << 20);
    if (gather(s, &w)) {
        struct toc_write_result result = {0};
        struct toc_err err = {0};
        describe(s->o.sink);
        note_written(s, s->o.sink->write(s->o.sink, w.points.items, w.points.count, &result, &err));
    }
    TOC_VEC_FINI(&w.points);
    toc_arena_fini(&w.arena);
}

void toc_spans_stats(struct toc_spans *s, struct toc_spans_stats *out) {
    toc_mutex_lock(&s->mutex);
    *out = s->stats;
    toc_mutex_unlock(&s->mutex);
}
