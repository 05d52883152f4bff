/*
 * What the translation of a message produces, on its way into the store: samples with their labels
 * and the data point they came from, exemplars. Written in pieces so that a message of any size
 * needs little memory.
 */
#ifndef TOC_REMOTE_OTLP_BATCH_H
#define TOC_REMOTE_OTLP_BATCH_H

#include "base/arena.h"
#include "base/vec.h"
#include "metricdb/exemplar.h"
#include "remote/label_cache.h"
#include "remote/otlp.h"
#include "remote/otlp_series.h"

enum {
    OTLP_PIECE_SAMPLES = 16384,
    OTLP_TEXT_LINES_MAX = 10, /* refusals told one by one */
};

/* A sample's companion: whose it is. */
struct otlp_origin {
    const struct otlp_point *point; /* NULL: none, and labels is set (target_info) */
    struct toc_labels labels;
    struct toc_hash128 key;   /* of the series */
    uint32_t context, number; /* see otlp_series.h */
    uint32_t place;           /* of the point in the piece */
};

struct otlp_batch {
    struct toc_metricdb *db;
    struct toc_otlp_outcome *out;
    struct toc_label_cache *cache;
    struct otlp_series *series; /* tells labels */
    struct toc_arena arena;     /* labels and histograms of a piece */
    size_t told;                /* lines of out->text */
    bool tells_start;           /* the series to be added may have a start timestamp */
    int64_t start_ms;           /* it, or 0 */
    struct toc_starts starts;
    struct {
        TOC_VEC_FIELDS(struct toc_metricdb_sample)
    } samples;
    struct {
        TOC_VEC_FIELDS(struct otlp_origin)
    } origins; /* one for each sample */
    struct {
        TOC_VEC_FIELDS(struct otlp_batch_exemplar {
            struct toc_labels series;
            struct toc_exemplar exemplar;
        })
    } exemplars;
    struct {
        TOC_VEC_FIELDS(bool)
    } is_rejected; /* data points of the piece */
};

void otlp_batch_init(struct otlp_batch *b, struct toc_metricdb *db, struct toc_label_cache *cache,
                     struct otlp_series *series, struct toc_otlp_outcome *out);
void otlp_batch_fini(struct otlp_batch *b);

/* A data point begins: the samples that follow are its own. */
void otlp_batch_begin_point(struct otlp_batch *b);
/* Series `number` of the point; the histogram, in the batch's arena, belongs to the batch. */
void otlp_batch_add(struct otlp_batch *b, const struct otlp_point *p, struct toc_hash128 key,
                    uint32_t number, double value, const struct toc_histogram *histogram);
/* The same for a sample without a data point. */
void otlp_batch_add_extra(struct otlp_batch *b, struct toc_labels labels, int64_t t_ms,
                          double value);
void otlp_batch_add_exemplar(struct otlp_batch *b, struct toc_labels series,
                             const struct toc_exemplar *exemplar);
/* The data point begun last is refused for a reason of ours. */
void otlp_batch_refuse(struct otlp_batch *b, enum toc_otlp_refusal reason, struct toc_sv metric);

static inline bool otlp_batch_is_full(const struct otlp_batch *b) {
    return b->samples.count >= OTLP_PIECE_SAMPLES || b->arena.used_bytes > (size_t)16 << 20;
}
/* Writes what was gathered and empties the batch. */
int otlp_batch_write(struct otlp_batch *b, struct toc_err *err) TOC_MUST_CHECK;

#endif
