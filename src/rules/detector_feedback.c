/*
 * Verdicts on what a forest said: rows that people judged are kept (namespace "detector.feedback",
 * key NAME) and replayed on every new forest, so that the weights of its edges (online mirror
 * descent, detect/iforest_feedback.h) outlive a training:
 *
 *     "TDF1" u64 hash of what a model depends on · varint features · varint rows × {labels,
 *     features × f64 before normalisation, u8 verdict} · u32 CRC-32C of everything before
 *
 * Scores and anomalies stay what they are; the weighted score is one more series.
 */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "detect/iforest_feedback.h"
#include "rules/detector_priv.h"

enum { ROWS_MAX = 500 }; /* the newest ones */
static const char NAMESPACE[] = "detector.feedback", MAGIC[4] = {'T', 'D', 'F', '1'};

struct feedback_row {
    struct toc_labels labels; /* owned */
    double values[TOC_DETECTOR_FEATURES_MAX];
    bool is_true;
};

struct detector_feedback {
    TOC_VEC(struct feedback_row) rows;
    struct toc_iforest_feedback *weights; /* of the forest in force; NULL without one */
};

static void drop_first(struct detector_feedback *f) {
    toc_labels_free(&f->rows.items[0].labels);
    TOC_VEC_REMOVE(&f->rows, 0);
}

void toc_detector_feedback_free(struct detector *x) {
    if (!x->feedback)
        return;
    for (size_t i = 0; i < x->feedback->rows.count; i++)
        toc_labels_free(&x->feedback->rows.items[i].labels);
    TOC_VEC_FINI(&x->feedback->rows);
    toc_iforest_feedback_free(&x->feedback->weights);
    toc_free(x->feedback);
    x->feedback = NULL;
}

/* --- weights --- */

/* As the forest sees the row; false when the series' scale is not known. */
static bool normalise(const struct detector *x, const struct feedback_row *r, double *out) {
    const struct detector_config *c = &x->config;
    struct toc_buf key = TOC_BUF_INIT;
    bool needs_norms = c->preprocess.normalise != TOC_NORMALISE_NONE;
    toc_labels_encode(r->labels, &key);
    const struct detector_series *s = toc_map_get(&x->series, toc_buf_sv(&key));
    bool is_known = !needs_norms || (s && s->has_norms);
    for (size_t f = 0; is_known && f < c->feature_count; f++)
        out[f] = needs_norms ? toc_normalise_apply(&s->norms[f], r->values[f]) : r->values[f];
    toc_buf_fini(&key);
    return is_known;
}

static void teach(struct detector *x, const struct feedback_row *r) {
    double row[TOC_DETECTOR_FEATURES_MAX];
    const struct detector_config *c = &x->config;
    double offset = isnan(c->threshold) ? toc_iforest_info(x->forest).offset : -c->threshold;
    if (normalise(x, r, row))
        toc_iforest_feedback_learn(x->feedback->weights, row, r->is_true, offset);
}

void toc_detector_feedback_replay(struct toc_detectors *d, struct detector *x) {
    if (!x->feedback)
        return;
    toc_iforest_feedback_free(&x->feedback->weights);
    if (!x->forest)
        return;
    if (toc_iforest_feedback_new(x->forest, &x->feedback->weights, NULL) < 0) {
        d->stats.training_failures++;
        return;
    }
    for (size_t i = 0; i < x->feedback->rows.count; i++)
        teach(x, &x->feedback->rows.items[i]);
}

double toc_detector_feedback_score(const struct detector *x, const double *row) {
    if (!x->feedback || !x->feedback->weights)
        return NAN;
    return -toc_iforest_feedback_score(x->feedback->weights, row).weighted;
}

/* --- the store --- */

static void encode(const struct detector *x, struct toc_buf *out) {
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_u64(out, x->config.model_hash);
    toc_buf_append_varint(out, x->config.feature_count);
    toc_buf_append_varint(out, x->feedback->rows.count);
    for (size_t i = 0; i < x->feedback->rows.count; i++) {
        const struct feedback_row *r = &x->feedback->rows.items[i];
        toc_labels_encode(r->labels, out);
        for (size_t f = 0; f < x->config.feature_count; f++)
            toc_buf_append_f64(out, r->values[f]);
        toc_buf_append_u8(out, r->is_true);
    }
    if (!toc_buf_error(out))
        toc_buf_append_u32(out, toc_crc32c(0, out->p, out->n));
}

static int save(struct toc_detectors *d, const struct detector *x, struct toc_err *err) {
    struct toc_blob_store *store = d->options.store;
    struct toc_buf bytes = TOC_BUF_INIT;
    if (!store)
        return 0;
    encode(x, &bytes);
    int rc = toc_buf_error(&bytes);
    if (rc == 0)
        rc = store->put(store, NAMESPACE, x->config.name, toc_buf_sv(&bytes), err);
    d->stats.store_failures += rc < 0;
    toc_buf_fini(&bytes);
    return rc;
}

static int decode_row(struct toc_reader *r, const struct detector *x, struct detector_feedback *f) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_labels labels;
    struct feedback_row row = {0};
    int rc = toc_labels_decode(r, &arena, &labels);
    for (size_t i = 0; rc == 0 && i < x->config.feature_count; i++) {
        row.values[i] = toc_read_f64(r);
        rc = isfinite(row.values[i]) ? r->error : TOC_ECORRUPT;
    }
    uint8_t verdict = toc_read_u8(r);
    if (rc == 0 && (r->error || verdict > 1))
        rc = TOC_ECORRUPT;
    if (rc == 0) {
        row.is_true = verdict == 1;
        row.labels = toc_labels_dup(labels);
        TOC_VEC_PUSH(&f->rows, row);
    }
    toc_arena_fini(&arena);
    return rc;
}

/* 0, or why nothing of it is used. */
static int decode(struct toc_sv bytes, const struct detector *x, struct detector_feedback *f) {
    if (bytes.n < sizeof MAGIC + 12 || memcmp(bytes.p, MAGIC, sizeof MAGIC) != 0)
        return TOC_ECORRUPT;
    struct toc_reader tail = toc_reader_make(toc_sv_sub(bytes, bytes.n - 4, 4));
    if (toc_read_u32(&tail) != toc_crc32c(0, bytes.p, bytes.n - 4))
        return TOC_ECORRUPT;
    struct toc_reader r =
        toc_reader_make(toc_sv_sub(bytes, sizeof MAGIC, bytes.n - sizeof MAGIC - 4));
    uint64_t hash = toc_read_u64(&r), features = toc_read_varint(&r), rows = toc_read_varint(&r);
    if (!r.error && (hash != x->config.model_hash || features != x->config.feature_count))
        return TOC_ENOENT; /* of other expressions: those verdicts say nothing here */
    int rc = r.error || rows > ROWS_MAX ? TOC_ECORRUPT : 0;
    for (uint64_t i = 0; rc == 0 && i < rows; i++)
        rc = decode_row(&r, x, f);
    return rc == 0 && toc_reader_left(&r) ? TOC_ECORRUPT : rc;
}

void toc_detector_feedback_load(struct toc_detectors *d, struct detector *x) {
    struct toc_blob_store *store = d->options.store;
    struct toc_buf bytes = TOC_BUF_INIT;
    if (!store || x->config.method != TOC_DETECTOR_FOREST)
        return;
    int rc = store->get(store, NAMESPACE, x->config.name, &bytes, NULL);
    if (rc == 0) {
        x->feedback = TOC_NEW(struct detector_feedback);
        rc = decode(toc_buf_sv(&bytes), x, x->feedback);
    }
    if (rc < 0)
        toc_detector_feedback_free(x);
    d->stats.store_failures += rc < 0 && rc != TOC_ENOENT;
    toc_detector_feedback_replay(d, x);
    toc_buf_fini(&bytes);
}

/* --- verdicts --- */

static bool agree(struct toc_labels series, struct toc_labels alert) {
    for (size_t i = 0; i < series.count; i++)
        if (toc_labels_has(alert, series.items[i].name) &&
            !toc_sv_eq(series.items[i].value, toc_labels_get(alert, series.items[i].name)))
            return false;
    return true;
}

static bool is_complete(const double *row, size_t features) {
    for (size_t f = 0; f < features; f++)
        if (!isfinite(row[f]))
            return false;
    return true;
}

/* What the detector's expressions gave at that time for a series that agrees with the alert. */
static int find_row(struct toc_detectors *d, const struct detector *x, struct toc_labels alert,
                    struct toc_ts at, struct feedback_row *out, struct toc_err *err) {
    struct detector_grid g;
    int rc = toc_detector_query(d, &x->config, at.ms, at.ms, x->config.interval_ms, &g, err);
    const struct detector_row_set *found = NULL;
    for (size_t i = 0; rc == 0 && !found && i < g.series.count; i++)
        if (agree(g.series.items[i].labels, alert) &&
            is_complete(g.series.items[i].cells, g.features))
            found = &g.series.items[i];
    if (rc == 0 && !found)
        rc = toc_errf(err, TOC_ENODATA, "detector %.*s has no values of that time any more",
                      TOC_SV_ARG(x->config.name));
    if (rc == 0) {
        memcpy(out->values, found->cells, g.features * sizeof *out->values);
        out->labels = toc_labels_dup(found->labels);
    }
    toc_detector_grid_fini(&g);
    return rc;
}

static int take_verdict(struct toc_detectors *d, struct detector *x, struct toc_labels alert,
                        bool is_true, struct toc_ts at, struct toc_err *err) {
    struct feedback_row row = {.is_true = is_true};
    if (x->config.method != TOC_DETECTOR_FOREST)
        return TOC_EUNSUPPORTED; /* no sentence: nothing is wrong */
    int rc = find_row(d, x, alert, at, &row, err);
    if (rc < 0)
        return rc;
    if (!x->feedback)
        x->feedback = TOC_NEW(struct detector_feedback);
    if (x->feedback->rows.count == ROWS_MAX)
        drop_first(x->feedback);
    TOC_VEC_PUSH(&x->feedback->rows, row);
    d->stats.verdicts++;
    if (x->feedback->weights)
        teach(x, &row);
    else
        toc_detector_feedback_replay(d, x);
    return save(d, x, err);
}

int toc_detectors_verdict(struct toc_detectors *d, struct toc_sv name, struct toc_labels alert,
                          bool is_true, struct toc_ts at, struct toc_err *err) {
    int rc = TOC_ENOENT;
    toc_mutex_lock(&d->mutex);
    for (size_t i = 0; rc == TOC_ENOENT && i < d->count; i++)
        if (toc_sv_eq(d->items[i]->config.name, name))
            rc = take_verdict(d, d->items[i], alert, is_true, at, err);
    toc_mutex_unlock(&d->mutex);
    return rc;
}
