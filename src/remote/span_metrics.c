#include "remote/span_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/vec.h"
#include "remote/otlp_span.h"
#include "sys/thread.h"

enum {
    MAX_VALUES = 100,
    MAX_CELLS = 2000,
    VALUE_BYTES = 128,
    FLUSH_MS = 1000,
    ERRORS_MAX = 16,
    EVALUATIONS_MAX = 16
};

/* Of gen_ai.client.operation.duration, in seconds. */
static const double bounds[] = {0.01, 0.02, 0.04, 0.08,  0.16,  0.32,  0.64,
                                1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
/* Of gen_ai.server.time_to_first_token, in seconds; the last two are of slow hosted models. */
static const double first_bounds[] = {0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                      0.25,  0.5,  0.75, 1,    2.5,  5,    10};
enum { BOUNDS = TOC_ARRAY_LEN(bounds) };
_Static_assert(TOC_ARRAY_LEN(first_bounds) == BOUNDS, "both histograms have as many buckets");

/* X(enum, label) */
#define LABELS(X)                     \
    X(LABEL_SERVICE, "service")       \
    X(LABEL_PROVIDER, "provider")     \
    X(LABEL_MODEL, "model")           \
    X(LABEL_OPERATION, "operation")   \
    X(LABEL_ERROR_TYPE, "error_type") \
    X(LABEL_EVALUATION, "evaluation") \
    X(LABEL_RESULT, "result")

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

/* One evaluator's words of one label. */
struct evaluation_count {
    struct toc_sv name, result; /* interned */
    uint64_t count;
    double sum, mean; /* of the scores since the last writing; of those written last */
    uint64_t scored;
    int64_t mean_ms; /* when the mean was written, 0 = never */
    bool is_announced, is_mean_new;
};

struct histogram {
    uint64_t count, buckets[BOUNDS + 1];
    double sum;
    bool is_announced;
};

/* X(enum, direction): which tokens are counted. */
#define TOKENS(X)              \
    X(TOKENS_INPUT, "input")   \
    X(TOKENS_OUTPUT, "output") \
    X(TOKENS_CACHED, "input_cached")

enum tokens {
#define X(name, text) name,
    TOKENS(X)
#undef X
        TOKENS_COUNT
};

struct token_count {
    double sum;
    bool is_known, is_announced;
};

/* One combination of labels. */
struct cell {
    struct toc_sv values[CELL_LABELS]; /* interned */
    uint64_t requests;
    struct histogram duration, first_token;
    struct token_count tokens[TOKENS_COUNT];
    struct error_count errors[ERRORS_MAX];
    size_t error_count;
    struct evaluation_count evaluations[EVALUATIONS_MAX];
    size_t evaluation_count;
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

static void add_to(struct histogram *h, const double *limits, double seconds) {
    size_t i = 0;
    while (i < BOUNDS && seconds > limits[i])
        i++;
    h->buckets[i]++;
    h->sum += seconds;
    h->count++;
}

/* What an attribute says goes before the time of an event. Neither is believed outside of the
 * operation, with a second for clocks. */
static void add_first_token(struct toc_spans *s, struct cell *c, const struct otlp_span *span) {
    double length_s = span->end_ns >= span->start_ns && span->start_ns
                          ? (double)(span->end_ns - span->start_ns) / 1e9
                          : INFINITY;
    double first_s = span->first_token_s;
    if (isnan(first_s) && span->first_token_ns)
        first_s = span->start_ns && span->first_token_ns >= span->start_ns
                      ? (double)(span->first_token_ns - span->start_ns) / 1e9
                      : -1;
    if (isnan(first_s))
        return;
    if (first_s >= 0 && first_s <= length_s + 1 && first_s < 1e6)
        add_to(&c->first_token, first_bounds, first_s);
    else
        s->stats.bad_first_tokens++;
}

static struct evaluation_count *evaluation_get(struct toc_spans *s, struct cell *c,
                                               struct toc_sv name, struct toc_sv result) {
    for (size_t i = 0; i < c->evaluation_count; i++)
        if (toc_sv_eq(c->evaluations[i].name, name) && toc_sv_eq(c->evaluations[i].result, result))
            return &c->evaluations[i];
    if (c->evaluation_count == EVALUATIONS_MAX) {
        s->stats.overflowed++;
        return NULL;
    }
    struct evaluation_count *e = &c->evaluations[c->evaluation_count++];
    *e = (struct evaluation_count){.name = name, .result = result};
    return e;
}

static void add_evaluations(struct toc_spans *s, struct cell *c, const struct otlp_span *span) {
    for (size_t i = 0; i < span->evaluation_count; i++) {
        const struct otlp_evaluation *told = &span->evaluations[i];
        struct toc_sv result = told->label.n ? intern(s, LABEL_RESULT, told->label) : TOC_SV_NULL;
        struct evaluation_count *e =
            evaluation_get(s, c, intern(s, LABEL_EVALUATION, told->name), result);
        if (!e)
            continue;
        e->count++;
        s->stats.evaluations++;
        if (!isfinite(told->score) || fabs(told->score) > 1e12)
            continue;
        e->sum += told->score;
        e->scored++;
    }
    c->is_changed |= span->evaluation_count > 0;
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

static void add_tokens(double tokens, struct token_count *to) {
    if (!(tokens >= 0) || tokens > 1e12)
        return;
    to->sum += tokens;
    to->is_known = true;
}

static void add_operation(struct toc_spans *s, struct cell *c, const struct otlp_span *span) {
    c->is_changed = true;
    c->requests++;
    if (span->end_ns >= span->start_ns && span->start_ns)
        add_to(&c->duration, bounds, (double)(span->end_ns - span->start_ns) / 1e9);
    else
        s->stats.bad_times++;
    if (span->is_error || span->error_type.n)
        add_error(s, c, span->error_type);
    add_first_token(s, c, span);
    add_tokens(span->input_tokens, &c->tokens[TOKENS_INPUT]);
    add_tokens(span->output_tokens, &c->tokens[TOKENS_OUTPUT]);
    add_tokens(span->cached_tokens, &c->tokens[TOKENS_CACHED]);
}

static void count_span(void *ctx, const struct otlp_span *span) {
    struct toc_spans *s = ctx;
    s->stats.spans++;
    s->stats.contents += span->content_count;
    s->stats.content_bytes += span->content_bytes;
    s->stats.evaluations_left_out += span->evaluations_left_out;
    if (!span->is_generative) {
        s->stats.others++;
        if (!span->evaluation_count)
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
        s->stats.dropped += span->is_generative;
        s->stats.evaluations_left_out += span->evaluation_count;
        return;
    }
    if (span->is_generative) {
        s->stats.counted++;
        add_operation(s, c, span);
    }
    add_evaluations(s, c, span);
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
static void put_two(struct writing *w, const char *metric, const struct toc_label more[2],
                    bool is_announced, double v) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(metric));
    for (int i = 0; i < CELL_LABELS; i++)
        toc_labels_builder_set(&b, toc_sv_cstr(label_names[i]), w->cell->values[i]);
    for (int i = 0; i < 2; i++)
        if (more[i].value.n)
            toc_labels_builder_set(&b, more[i].name, more[i].value);
    struct toc_labels labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &w->arena);
    toc_labels_builder_fini(&b);
    if (!labels.items)
        return;
    if (!is_announced)
        TOC_VEC_PUSH(&w->points, toc_float_point(labels, w->t_ms - 1, 0));
    TOC_VEC_PUSH(&w->points, toc_float_point(labels, w->t_ms, v));
}

static void put(struct writing *w, const char *metric, const char *name, struct toc_sv value,
                bool is_announced, double v) {
    const struct toc_label more[2] = {{toc_sv_cstr(name ? name : ""), value}};
    put_two(w, metric, more, is_announced, v);
}

static void put_histogram(struct writing *w, const char *metric, const double *limits,
                          struct histogram *h) {
    uint64_t below = 0;
    char text[32], name[64];
    (void)snprintf(name, sizeof name, "%s_bucket", metric);
    for (size_t i = 0; i <= BOUNDS; i++) {
        below += h->buckets[i];
        if (i < BOUNDS)
            snprintf(text, sizeof text, "%g", limits[i]);
        put(w, name, "le", i < BOUNDS ? toc_sv_cstr(text) : TOC_SV("+Inf"), h->is_announced,
            (double)below);
    }
    (void)snprintf(name, sizeof name, "%s_sum", metric);
    put(w, name, NULL, TOC_SV_NULL, h->is_announced, h->sum);
    (void)snprintf(name, sizeof name, "%s_count", metric);
    put(w, name, NULL, TOC_SV_NULL, h->is_announced, (double)h->count);
    h->is_announced = true;
}

static void put_tokens(struct writing *w, struct cell *c) {
    static const char *const directions[] = {
#define X(name, text) text,
        TOKENS(X)
#undef X
    };
    for (int i = 0; i < TOKENS_COUNT; i++) {
        struct token_count *t = &c->tokens[i];
        if (!t->is_known)
            continue;
        put(w, "gen_ai_span_tokens_total", "direction", toc_sv_cstr(directions[i]), t->is_announced,
            t->sum);
        t->is_announced = true;
    }
}

/* How many words, and the mean of the scores that came since the last writing. */
static void put_evaluation(struct writing *w, struct evaluation_count *e) {
    const struct toc_label labels[2] = {{toc_sv_cstr(label_names[LABEL_EVALUATION]), e->name},
                                        {toc_sv_cstr(label_names[LABEL_RESULT]), e->result}};
    put_two(w, "gen_ai_span_evaluations_total", labels, e->is_announced, (double)e->count);
    e->is_announced = true;
    if (e->scored) {
        e->mean = e->sum / (double)e->scored;
        e->sum = 0;
        e->scored = 0;
        e->is_mean_new = true;
    }
    if (!e->is_mean_new)
        return;
    put_two(w, "gen_ai_span_evaluation_score", labels, true, e->mean);
    e->is_mean_new = false;
    e->mean_ms = w->t_ms;
}

static void put_cell(struct writing *w, struct cell *c) {
    w->cell = c;
    if (c->requests) {
        put(w, "gen_ai_span_requests_total", NULL, TOC_SV_NULL, c->is_announced,
            (double)c->requests);
        put_histogram(w, "gen_ai_span_duration_seconds", bounds, &c->duration);
        c->is_announced = true;
    }
    if (c->first_token.count)
        put_histogram(w, "gen_ai_span_time_to_first_token_seconds", first_bounds, &c->first_token);
    for (size_t i = 0; i < c->error_count; i++) {
        put(w, "gen_ai_span_errors_total", "error_type", c->errors[i].type,
            c->errors[i].is_announced, (double)c->errors[i].count);
        c->errors[i].is_announced = true;
    }
    put_tokens(w, c);
    for (size_t i = 0; i < c->evaluation_count; i++)
        put_evaluation(w, &c->evaluations[i]);
    c->is_changed = false;
}

/* X(metric, type, help) */
#define METRICS(X)                                                                               \
    X("gen_ai_span_requests_total", TOC_METRIC_COUNTER, "Operations of models, from spans.")     \
    X("gen_ai_span_errors_total", TOC_METRIC_COUNTER, "Of them with an error, by its type.")     \
    X("gen_ai_span_duration_seconds", TOC_METRIC_HISTOGRAM, "Duration of operations of models.") \
    X("gen_ai_span_time_to_first_token_seconds", TOC_METRIC_HISTOGRAM,                           \
      "From the start of an operation to its first token.")                                      \
    X("gen_ai_span_tokens_total", TOC_METRIC_COUNTER,                                            \
      "Tokens read and written by models; input_cached is a part of input.")                     \
    X("gen_ai_span_evaluations_total", TOC_METRIC_COUNTER, "Words of evaluators, by result.")    \
    X("gen_ai_span_evaluation_score", TOC_METRIC_GAUGE,                                          \
      "Mean of the scores that evaluators gave since the sample before.")

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
    for (size_t i = 0; rc && i < s->cells.count; i++) {
        struct cell *c = s->cells.items[i];
        c->is_changed = true;
        for (size_t k = 0; k < c->evaluation_count; k++)
            c->evaluations[k].is_mean_new |= c->evaluations[k].mean_ms == s->flushed_ms;
    }
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
