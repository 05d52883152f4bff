#include "remote/otlp_translate.h"

#include <math.h>

#include "base/num.h"
#include "codec/text.h"
#include "model/sample.h"
#include "remote/otlp_distribution.h"

enum {
    CLASSIC_BUCKETS_MAX = 4096,
    TARGET_INFO_MAX = 64, /* samples of one resource; the newest */
};

#define NO_LABEL ((struct toc_label){TOC_SV_NULL, TOC_SV_NULL})

static int64_t ms_of(int64_t ns) {
    return ns / 1000000;
}

static bool is_stale(const struct otlp_point *p) {
    return p->flags & OTLP_FLAG_NO_RECORDED_VALUE;
}

/* A NaN other than the staleness marker has one form. */
static double value_of(const struct otlp_point *p, double v) {
    if (is_stale(p))
        return toc_stale_nan();
    return isnan(v) ? toc_f64_from_bits(TOC_NORMAL_NAN_BITS) : v;
}

static void refuse(struct otlp_translation *t, enum toc_otlp_refusal reason) {
    otlp_batch_refuse(&t->batch, reason, t->metric->name);
}

/* --- exemplars --- */

static size_t characters(struct toc_sv s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* The filtered attributes are left out when they do not fit into what an exemplar may hold. */
static struct toc_labels exemplar_labels(struct otlp_translation *t,
                                         const struct otlp_exemplar *e) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    size_t length = 0;
    for (size_t i = 0; i < e->attributes.count; i++)
        length += characters(e->attributes.items[i].key) + characters(e->attributes.items[i].value);
    length += e->trace_id.n ? 8 + e->trace_id.n : 0; /* "trace_id" and "span_id" count, too */
    length += e->span_id.n ? 7 + e->span_id.n : 0;
    for (size_t i = 0; length <= TOC_EXEMPLAR_LABEL_CHARACTERS_MAX && i < e->attributes.count;
         i++) {
        const struct otlp_attribute *a = &e->attributes.items[i];
        struct toc_sv name = toc_otlp_label_name(&t->options->naming, a->key, &t->batch.arena);
        if (name.n && toc_sv_is_utf8(name) && toc_sv_is_utf8(a->value))
            toc_labels_builder_set(&b, name, a->value);
    }
    toc_labels_builder_set(&b, TOC_SV("trace_id"), e->trace_id);
    toc_labels_builder_set(&b, TOC_SV("span_id"), e->span_id);
    struct toc_labels labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &t->batch.arena);
    toc_labels_builder_fini(&b);
    return labels;
}

/* Those of a point by time: an exemplar that is older than the last of its series is refused. */
static void sort_exemplars(struct otlp_point *p) {
    for (size_t i = 1; i < p->exemplar_count; i++)
        for (size_t k = i; k && i < 1024 && p->exemplars[k - 1].time_ns > p->exemplars[k].time_ns;
             k--) {
            struct otlp_exemplar x = p->exemplars[k];
            p->exemplars[k] = p->exemplars[k - 1];
            p->exemplars[k - 1] = x;
        }
}

/* The exemplars whose value lies in (above, up_to] belong to the series. */
static void add_exemplars(struct otlp_translation *t, const struct otlp_point *p, uint32_t number,
                          double above, double up_to) {
    struct toc_labels series = TOC_LABELS_EMPTY;
    for (size_t i = 0; i < p->exemplar_count; i++) {
        const struct otlp_exemplar *e = &p->exemplars[i];
        if (!(e->value <= up_to) || (e->value <= above && above != -INFINITY))
            continue;
        if (!series.count)
            series = otlp_series_labels(&t->series, otlp_series_context(&t->series), p, number,
                                        &t->batch.arena);
        struct toc_exemplar x = {exemplar_labels(t, e), ms_of(e->time_ns), e->value};
        otlp_batch_add_exemplar(&t->batch, series, &x);
    }
}

/* --- series --- */

static struct toc_hash128 key_of(const struct otlp_translation *t, const struct otlp_point *p,
                                 uint32_t number) {
    return otlp_series_key(t->point_key, p, number);
}

static void add_sample(struct otlp_translation *t, const struct otlp_point *p, uint32_t number,
                       double v) {
    otlp_batch_add(&t->batch, p, key_of(t, p, number), number, value_of(p, v), NULL);
}

static void add_number(struct otlp_translation *t, const struct otlp_point *p) {
    add_sample(t, p, OTLP_SERIES_SELF, p->value);
    add_exemplars(t, p, OTLP_SERIES_SELF, -INFINITY, INFINITY);
}

static void add_classic(struct otlp_translation *t, const struct otlp_point *p) {
    const struct otlp_distribution *x = p->distribution;
    double total = 0, above = -INFINITY;
    uint32_t bucket = OTLP_SERIES_PART;
    add_sample(t, p, OTLP_SERIES_COUNT, (double)x->count);
    if (x->has_sum || is_stale(p))
        add_sample(t, p, OTLP_SERIES_SUM, x->sum);
    for (size_t i = 0; i < x->bounds.count; i++, bucket++) {
        total += i < x->counts.count ? x->counts.items[i] : 0;
        add_sample(t, p, bucket, total);
        add_exemplars(t, p, bucket, above, x->bounds.items[i]);
        above = x->bounds.items[i];
    }
    add_sample(t, p, bucket, (double)x->count);
    add_exemplars(t, p, bucket, above, INFINITY);
}

static void add_native(struct otlp_translation *t, const struct otlp_point *p,
                       struct toc_histogram *h) {
    if (!h)
        return; /* the arena is full, which the write tells */
    if (isnan(h->sum))
        h->sum = toc_f64_from_bits(TOC_NORMAL_NAN_BITS);
    if (is_stale(p))
        h->sum = toc_stale_nan();
    otlp_batch_add(&t->batch, p, key_of(t, p, OTLP_SERIES_SELF), OTLP_SERIES_SELF, 0, h);
    add_exemplars(t, p, OTLP_SERIES_SELF, -INFINITY, INFINITY);
}

static void add_summary(struct otlp_translation *t, const struct otlp_point *p) {
    const struct otlp_distribution *x = p->distribution;
    add_sample(t, p, OTLP_SERIES_COUNT, (double)x->count);
    add_sample(t, p, OTLP_SERIES_SUM, x->sum);
    t->batch.tells_start = false; /* quantiles count nothing */
    for (size_t i = 0; i < x->quantile_count; i++)
        add_sample(t, p, OTLP_SERIES_PART + (uint32_t)i, x->quantiles[i].value);
}

/* --- points --- */

static struct toc_hash128 delta_key(const struct otlp_translation *t) {
    const struct otlp_label_list *l = &t->series.labels.point;
    struct toc_hash128 h =
        toc_hash128(t->series.name.p, t->series.name.n, (uint64_t)t->metric->kind);
    for (size_t i = 0; i < l->count; i++) {
        struct toc_hash128 parts[3] = {h, toc_hash128(l->items[i].name.p, l->items[i].name.n, 1),
                                       toc_hash128(l->items[i].value.p, l->items[i].value.n, 2)};
        h = toc_hash128(parts, sizeof parts, 3);
    }
    return h;
}

/* A delta becomes the sum so far. False: refused. */
static bool accumulate(struct otlp_translation *t, struct otlp_point *p) {
    if (!t->has_begun_delta)
        otlp_delta_begin(t->delta, &t->delta_limits, t->now);
    t->has_begun_delta = true;
    switch (otlp_delta_add(t->delta, delta_key(t), t->metric->kind, p)) {
    case OTLP_DELTA_ADDED:
        return true;
    case OTLP_DELTA_OUT_OF_ORDER:
        refuse(t, TOC_OTLP_REFUSED_DELTA_ORDER);
        return false;
    case OTLP_DELTA_FULL:
        refuse(t, TOC_OTLP_REFUSED_DELTA_FULL);
        return false;
    default:
        refuse(t, TOC_OTLP_REFUSED_BUCKETS);
        return false;
    }
}

static bool has_good_data(const struct otlp_translation *t, const struct otlp_point *p,
                          enum toc_otlp_refusal *out_reason) {
    const struct otlp_distribution *x = p->distribution;
    enum otlp_kind kind = t->metric->kind;
    *out_reason = TOC_OTLP_REFUSED_BUCKETS;
    if (kind == OTLP_HISTOGRAM)
        return otlp_explicit_is_valid(x) &&
               (t->options->makes_custom_buckets || x->bounds.count <= CLASSIC_BUCKETS_MAX);
    if (kind == OTLP_EXPONENTIAL)
        return is_stale(p) || otlp_exponential_is_valid(x);
    if (kind == OTLP_SUMMARY)
        return x->quantile_count <= CLASSIC_BUCKETS_MAX;
    *out_reason = TOC_OTLP_REFUSED_NO_VALUE;
    return p->has_value || is_stale(p);
}

/* What a native histogram is made of: of a point without a recorded value nothing but its scale. */
static struct otlp_distribution native_source(const struct otlp_point *p) {
    struct otlp_distribution x = *p->distribution;
    if (!is_stale(p))
        return x;
    int32_t scale = x.scale < TOC_HISTOGRAM_SCHEMA_MIN ? TOC_HISTOGRAM_SCHEMA_MIN : x.scale;
    return (struct otlp_distribution){
        .scale = scale > TOC_HISTOGRAM_SCHEMA_MAX ? TOC_HISTOGRAM_SCHEMA_MAX : scale,
        .bounds = x.bounds};
}

static void add_series(struct otlp_translation *t, const struct otlp_point *p) {
    struct otlp_distribution x = {0};
    if (p->distribution)
        x = native_source(p);
    switch (t->metric->kind) {
    case OTLP_HISTOGRAM:
        if (t->options->makes_custom_buckets)
            add_native(t, p, otlp_custom_histogram(&x, &t->batch.arena));
        else
            add_classic(t, p);
        break;
    case OTLP_EXPONENTIAL:
        add_native(t, p, otlp_exponential_histogram(&x, &t->batch.arena));
        break;
    case OTLP_SUMMARY:
        add_summary(t, p);
        break;
    default:
        add_number(t, p);
    }
}

static void note_time(struct otlp_translation *t, const struct otlp_point *p) {
    if (p->time_ns <= 0)
        return;
    if (t->max_ns < t->min_ns || p->time_ns > t->max_ns)
        t->max_ns = p->time_ns;
    if (p->time_ns < t->min_ns)
        t->min_ns = p->time_ns;
}

/* The series that every point of the kind has. */
static uint32_t first_series(const struct otlp_translation *t) {
    bool is_classic = t->metric->kind == OTLP_HISTOGRAM && !t->options->makes_custom_buckets;
    return is_classic || t->metric->kind == OTLP_SUMMARY ? OTLP_SERIES_COUNT : OTLP_SERIES_SELF;
}

/* Are the labels good? A series that is known has good ones, and they need not be made. */
static int check_labels(struct otlp_translation *t, const struct otlp_point *p, bool is_delta) {
    if (t->series.labels.is_resource_bad || t->series.labels.is_scope_bad)
        return TOC_EINVAL;
    if (p->attributes.count > OTLP_ATTRIBUTES_MAX)
        return TOC_ELIMIT;
    t->point_key = otlp_series_point_key(&t->series, p);
    if (!is_delta && toc_label_cache_get(t->batch.cache, key_of(t, p, first_series(t))).ref)
        return 0;
    return otlp_series_prepare(&t->series, otlp_series_context(&t->series), p);
}

/* When what the point counts began, for the series that it will have. */
static void tell_start(struct otlp_translation *t, const struct otlp_point *p) {
    const struct otlp_metric *m = t->metric;
    bool counts = m->kind == OTLP_SUM ? m->is_monotonic : m->kind != OTLP_GAUGE;
    t->batch.tells_start = counts && toc_metricdb_wants_starts(t->batch.db);
    t->batch.start_ms = is_stale(p) ? 0 : ms_of(p->start_ns);
}

static void count_odd_exemplars(struct otlp_translation *t, const struct otlp_point *p) {
    for (size_t i = 0; i < p->exemplar_count; i++)
        t->batch.out->rejected_exemplars += isnan(p->exemplars[i].value);
}

static void take_point(struct otlp_translation *t, struct otlp_point *p) {
    enum toc_otlp_refusal reason;
    bool is_delta = t->metric->temporality == OTLP_DELTA && !is_stale(p);
    otlp_batch_begin_point(&t->batch);
    note_time(t, p);
    if (!has_good_data(t, p, &reason)) {
        refuse(t, reason);
        return;
    }
    int rc = check_labels(t, p, is_delta);
    if (rc) {
        refuse(t, rc == TOC_ELIMIT ? TOC_OTLP_REFUSED_LABEL_COUNT : TOC_OTLP_REFUSED_LABELS);
        return;
    }
    if (is_delta && !accumulate(t, p))
        return;
    sort_exemplars(p);
    count_odd_exemplars(t, p);
    tell_start(t, p);
    add_series(t, p);
}

/* --- metrics --- */

static enum toc_metric_type type_of(const struct otlp_metric *m) {
    switch (m->kind) {
    case OTLP_SUM:
        return m->is_monotonic ? TOC_METRIC_COUNTER : TOC_METRIC_GAUGE;
    case OTLP_HISTOGRAM:
    case OTLP_EXPONENTIAL:
        return TOC_METRIC_HISTOGRAM;
    case OTLP_SUMMARY:
        return TOC_METRIC_SUMMARY;
    default:
        return TOC_METRIC_GAUGE;
    }
}

static void tell_metadata(struct otlp_translation *t) {
    const struct otlp_metric *m = t->metric;
    if (t->sink->metadata && toc_sv_is_utf8(m->description))
        t->sink->metadata(t->sink, t->series.name, type_of(m), m->description,
                          toc_otlp_unit_name(&t->options->naming, m->unit, t->series.arena));
}

static bool is_temporality_good(const struct otlp_metric *m) {
    return m->kind == OTLP_GAUGE || m->kind == OTLP_SUMMARY || m->temporality == OTLP_DELTA ||
           m->temporality == OTLP_CUMULATIVE;
}

static void refuse_all(struct otlp_translation *t, enum toc_otlp_refusal reason) {
    for (size_t i = 0; i < t->metric->count; i++) {
        otlp_batch_begin_point(&t->batch);
        refuse(t, reason);
    }
}

static int take_points(struct otlp_translation *t, struct toc_err *err) {
    const struct otlp_metric *m = t->metric;
    uint32_t context = otlp_series_context(&t->series);
    int rc = 0;
    for (size_t i = 0; i < m->count && !rc; i++) {
        otlp_series_go_to(&t->series, context);
        take_point(t, &m->points[i]);
        if (otlp_batch_is_full(&t->batch))
            rc = otlp_batch_write(&t->batch, err);
    }
    return rc;
}

static int take_metric(struct otlp_translation *t, const struct otlp_resource *r,
                       const struct otlp_scope *s, const struct otlp_metric *m,
                       struct toc_err *err) {
    t->metric = m;
    if (m->kind == OTLP_NONE) { /* a type of a later version, or nothing */
        otlp_batch_begin_point(&t->batch);
        refuse(t, TOC_OTLP_REFUSED_NO_DATA);
    } else if (!otlp_series_enter(&t->series, r, s, m)) {
        refuse_all(t, TOC_OTLP_REFUSED_NAME);
    } else if (!is_temporality_good(m)) {
        refuse_all(t, TOC_OTLP_REFUSED_TEMPORALITY);
    } else if (m->count) {
        tell_metadata(t);
        return take_points(t, err);
    }
    return 0;
}

/* --- resources --- */

static void add_target_info(struct otlp_translation *t, const struct otlp_resource *r) {
    int64_t lookback_ms = t->options->lookback_ms ? t->options->lookback_ms : 5 * 60 * 1000;
    int64_t step_ms = lookback_ms > 1 ? lookback_ms / 2 : 1;
    int64_t first_ms = ms_of(t->min_ns), last_ms = ms_of(t->max_ns);
    if (t->max_ns < t->min_ns || otlp_series_prepare_target(&t->series, r))
        return;
    if ((last_ms - first_ms) / step_ms > TARGET_INFO_MAX)
        first_ms = last_ms - TARGET_INFO_MAX * step_ms;
    struct toc_labels labels =
        otlp_labels_series(&t->series.labels, TOC_SV("target_info"), NO_LABEL, &t->batch.arena);
    if (!labels.count)
        return;
    for (int64_t at_ms = first_ms; at_ms < last_ms; at_ms += step_ms)
        otlp_batch_add_extra(&t->batch, labels, at_ms, 1);
    otlp_batch_add_extra(&t->batch, labels, last_ms, 1);
    if (t->sink->metadata)
        t->sink->metadata(t->sink, TOC_SV("target_info"), TOC_METRIC_GAUGE,
                          TOC_SV("Target metadata"), TOC_SV(""));
}

static int take_resource(struct otlp_translation *t, const struct otlp_resource *r,
                         struct toc_err *err) {
    int rc = 0;
    t->min_ns = INT64_MAX;
    t->max_ns = 0;
    for (size_t i = 0; i < r->count && !rc; i++) {
        const struct otlp_scope *s = &r->scopes[i];
        for (size_t k = 0; k < s->count && !rc; k++)
            rc = take_metric(t, r, s, &s->metrics[k], err);
    }
    if (!rc)
        add_target_info(t, r);
    return rc;
}

int otlp_translate(struct otlp_translation *t, const struct otlp_message *m, struct toc_err *err) {
    int rc = 0;
    for (size_t i = 0; i < m->count && !rc; i++)
        rc = take_resource(t, &m->resources[i], err);
    if (!rc && t->series.arena->overflowed)
        rc = toc_errf(err, TOC_ELIMIT, "the message needs too much memory");
    if (!rc)
        rc = otlp_batch_write(&t->batch, err);
    if (t->has_begun_delta)
        otlp_delta_end(t->delta, rc == 0);
    otlp_series_fini(&t->series);
    return rc;
}
