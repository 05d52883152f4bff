/* The series that detectors write. */
#include <math.h>

#include "model/sample.h"
#include "rules/detector_priv.h"

/* X(metric, help): the three that every judged series has, then the band per feature. */
#define SERIES_TABLE(X)                                                                            \
    X("tocsin_anomaly_score", "How strange the newest value is; the scale depends on the method.") \
    X("tocsin_anomaly", "1 when the score is over the detector's threshold, else 0.")              \
    X("tocsin_anomaly_rate", "Share of anomalies among the last 60 evaluations.")                  \
    X("tocsin_expected_lower", "Lower end of the band of normal values.")                          \
    X("tocsin_expected_upper", "Upper end of the band of normal values.")                          \
    X("tocsin_anomaly_score_feedback", "The forest's score after re-weighting by verdicts.")

enum { SCORE, ANOMALY, RATE, LOWER, UPPER, FEEDBACK };
enum { OUTPUT_BYTES_MAX = 64 << 20 };

#define X(metric, help) TOC_SV(metric),
static const struct toc_sv g_names[] = {SERIES_TABLE(X)};
#undef X
#define X(metric, help) help,
static const char *const g_helps[] = {SERIES_TABLE(X)};
#undef X

static void add(struct detector_output *o, const struct detector *x, struct toc_labels labels,
                struct toc_sv feature, int metric, struct toc_point p) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    if (o->arena.budget_bytes == 0)
        toc_arena_init(&o->arena, OUTPUT_BYTES_MAX);
    toc_labels_builder_add_all(&b, labels);
    struct toc_sv taken = toc_labels_get(labels, TOC_SV("detector"));
    if (taken.n)
        toc_labels_builder_set(&b, TOC_SV("exported_detector"), taken);
    toc_labels_builder_set(&b, TOC_SV("detector"), x->config.name);
    if (feature.n)
        toc_labels_builder_set(&b, TOC_SV("feature"), feature);
    toc_labels_builder_set(&b, TOC_METRIC_NAME, g_names[metric]);
    p.labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &o->arena);
    toc_labels_builder_fini(&b);
    if (!o->arena.overflowed)
        TOC_VEC_PUSH(&o->points, p);
}

static double rate_of(const struct detector_series *s) {
    uint64_t mask = ((uint64_t)1 << TOC_DETECTOR_RATE_SPAN) - 1;
    return (double)__builtin_popcountll(s->recent & mask) / (double)s->recent_count;
}

void toc_detector_output_add(struct detector_output *o, const struct detector *x,
                             const struct detector_series *s, const struct judgement *j,
                             int64_t at_ms) {
    struct toc_sv none = TOC_SV_NULL;
    if (x->feedback && !isnan(j->feedback_score))
        add(o, x, s->labels, none, FEEDBACK,
            (struct toc_point){.t_ms = at_ms, .value = j->feedback_score});
    add(o, x, s->labels, none, SCORE, (struct toc_point){.t_ms = at_ms, .value = j->score});
    add(o, x, s->labels, none, ANOMALY, (struct toc_point){.t_ms = at_ms, .value = j->is_anomaly});
    add(o, x, s->labels, none, RATE, (struct toc_point){.t_ms = at_ms, .value = rate_of(s)});
    for (size_t f = 0; f < x->config.feature_count && !isnan(j->lower[f]); f++) {
        struct toc_sv name = x->config.features[f].name;
        add(o, x, s->labels, name, LOWER, (struct toc_point){.t_ms = at_ms, .value = j->lower[f]});
        add(o, x, s->labels, name, UPPER, (struct toc_point){.t_ms = at_ms, .value = j->upper[f]});
    }
}

void toc_detector_output_end(struct detector_output *o, const struct detector *x,
                             const struct detector_series *s, int64_t at_ms) {
    struct toc_point stale = {.t_ms = at_ms, .value = toc_stale_nan()};
    if (x->feedback)
        add(o, x, s->labels, TOC_SV_NULL, FEEDBACK, stale);
    for (int metric = SCORE; metric <= RATE; metric++)
        add(o, x, s->labels, TOC_SV_NULL, metric, stale);
    bool has_band = x->config.method != TOC_DETECTOR_FLAT_LINE &&
                    x->config.method != TOC_DETECTOR_MISSING &&
                    (x->config.method != TOC_DETECTOR_ENSEMBLE || x->config.feature_count == 1);
    for (size_t f = 0; f < x->config.feature_count && has_band; f++) {
        add(o, x, s->labels, x->config.features[f].name, LOWER, stale);
        add(o, x, s->labels, x->config.features[f].name, UPPER, stale);
    }
}

static void describe_once(struct toc_detectors *d) {
    struct toc_sink *sink = d->options.sink;
    if (d->has_metadata || !sink->metadata)
        return;
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_names); i++)
        sink->metadata(sink, g_names[i], TOC_METRIC_GAUGE, toc_sv_cstr(g_helps[i]), TOC_SV_NULL);
    d->has_metadata = true;
}

int toc_detector_output_write(struct toc_detectors *d, struct detector_output *o,
                              struct toc_err *err) {
    struct toc_write_result r = {0};
    int rc = 0;
    if (o->points.count > 0) {
        describe_once(d);
        rc = d->options.sink->write(d->options.sink, o->points.items, o->points.count, &r, err);
        d->stats.samples_written += rc == 0 ? r.accepted : 0;
        d->stats.samples_rejected += rc == 0 ? o->points.count - r.accepted : o->points.count;
    }
    if (rc < 0)
        (void)toc_errf(err, rc, "writing the detector's series: %s", toc_strerror(rc));
    TOC_VEC_FINI(&o->points);
    toc_arena_fini(&o->arena);
    return rc;
}
