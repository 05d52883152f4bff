/*
 * One message on its way into the store. The two parsers fill a batch: for each series its key, its
 * bytes and its samples; the batch finds references, writes, and tells what was refused. Work
 * spaces are kept, so that a sender that repeats itself costs no allocation.
 */
#ifndef TOC_REMOTE_WRITE_BATCH_PRIV_H
#define TOC_REMOTE_WRITE_BATCH_PRIV_H

#include <math.h>

#include "base/arena.h"
#include "base/vec.h"
#include "metricdb/start_sample.h"
#include "model/sample.h"
#include "remote/label_cache.h"
#include "remote/remote_write.h"

enum {
    TOC_REMOTE_LABELS_MAX = 256,           /* of a series, before the store has its say */
    TOC_REMOTE_SERIES_MAX = 1 << 20,       /* of a message */
    TOC_REMOTE_FUTURE_MS = 10 * 60 * 1000, /* samples beyond it are out of bounds */
    TOC_REMOTE_ARENA_BYTES = 64 << 20,     /* of histograms */
    TOC_REMOTE_TEXT_LINES_MAX = 10,        /* refusals told one by one */
};

struct write_series {
    struct toc_hash128 key;
    struct toc_sv raw; /* how the message names it */
    uint32_t first_sample, sample_count;
};

struct write_ahead {
    struct toc_hash128 key;
    struct toc_sv raw, rest; /* the labels and what follows */
};

struct write_exemplar {
    struct toc_sv body;
    uint32_t series;
};

struct write_batch {
    struct write_batch *next_idle;
    struct toc_metricdb *db;
    struct toc_label_cache *cache;
    enum toc_remote_message message;
    bool is_echo;
    bool has_histograms;
    bool takes_starts;  /* of the message at hand */
    bool wants_starts;  /* of the series at hand */
    int64_t created_ms; /* of the series at hand; 0: it tells none */
    int64_t latest_ms;
    const uint8_t *message_end; /* 1.0: bytes before it may be read */
    struct toc_remote_outcome *out;
    int parse_error; /* of the labels read last: the message is broken */
    size_t told;     /* lines of out->text */
    struct {
        TOC_VEC_FIELDS(struct write_series)
    } series;
    struct {
        TOC_VEC_FIELDS(struct toc_metricdb_sample)
    } samples;
    struct toc_starts starts; /* 2.0 */
    /* 1.0: series that are looked up together */
    struct write_ahead ahead[TOC_LABEL_CACHE_BATCH];
    size_t ahead_count;
    struct {
        TOC_VEC_FIELDS(struct write_exemplar)
    } exemplars;
    struct {
        TOC_VEC_FIELDS(struct toc_label)
    } labels;
    struct {
        TOC_VEC_FIELDS(struct toc_sv)
    } symbols; /* 2.0 */
    struct {
        TOC_VEC_FIELDS(struct toc_hash128)
    } symbol_hashes;
    struct toc_buf gathered; /* label bytes that stood apart */
    struct toc_arena arena;
};

/* Begins a series: finds its reference by key and raw, or refuses it (with a reason, counted with
 * its samples). Returns the reference, 0 when it is refused. */
uint64_t toc_write_begin_series(struct write_batch *b, struct toc_hash128 key, struct toc_sv raw);
/* The same when the cache was asked already; known_ref 0: it does not know the key. */
uint64_t toc_write_begin_known(struct write_batch *b, struct toc_hash128 key, struct toc_sv raw,
                               uint64_t known_ref);
/* Counts `count` samples of a series as refused and tells why, with its labels. */
void toc_write_refuse(struct write_batch *b, enum toc_reject_reason reason, struct toc_sv raw,
                      size_t count);
/* Samples of the series begun last. */
static inline void toc_write_add(struct write_batch *b, uint64_t ref, int64_t t_ms, double value,
                                 const struct toc_histogram *histogram) {
    struct write_series *s = &b->series.items[b->series.count - 1];
    if (t_ms > b->latest_ms) {
        toc_write_refuse(b, TOC_REJECT_TOO_FAR_IN_FUTURE, s->raw, 1);
        return;
    }
    TOC_VEC_RESERVE(&b->samples, b->samples.count + 1);
    struct toc_metricdb_sample *x = &b->samples.items[b->samples.count++];
    *x = (struct toc_metricdb_sample){ref, t_ms, value, histogram, 0};
    s->sample_count++;
}
/* A NaN other than the staleness marker has one form. */
static inline void toc_write_add_float(struct write_batch *b, uint64_t ref, int64_t t_ms,
                                       double value) {
    if (isnan(value) && !toc_is_stale_nan(value))
        value = toc_f64_from_bits(TOC_NORMAL_NAN_BITS);
    toc_write_add(b, ref, t_ms, value, NULL);
}
int toc_write_add_sample(struct write_batch *b, uint64_t ref, struct toc_sv body) TOC_MUST_CHECK;
int toc_write_add_histogram(struct write_batch *b, uint64_t ref, struct toc_sv body) TOC_MUST_CHECK;
/* Tells of a series in words; counted as invalid. */
void toc_write_refuse_text(struct write_batch *b, struct toc_sv raw, size_t count,
                           const char *text);
/* Writes what the batch holds. */
int toc_write_commit(struct write_batch *b, struct toc_err *err) TOC_MUST_CHECK;

/* Labels of a series or an exemplar into b->labels, as they come. TOC_EPARSE, TOC_EINVAL (a
 * reference outside the symbols), TOC_ELIMIT. */
int toc_write_labels_1(struct write_batch *b, struct toc_sv raw) TOC_MUST_CHECK;
int toc_write_labels_2(struct write_batch *b, struct toc_sv raw) TOC_MUST_CHECK;
/* The same as a label set: sorted, without empty values. NULL, or what is wrong with them. Borrowed
 * until the next call. */
const char *toc_write_label_set(struct write_batch *b, struct toc_sv raw, struct toc_labels *out);

int toc_write_parse_1(struct write_batch *b, struct toc_sv body) TOC_MUST_CHECK;
int toc_write_parse_2(struct write_batch *b, struct toc_sv body) TOC_MUST_CHECK;
/* Labels of an exemplar into b->labels; its value and time. */
int toc_write_exemplar(struct write_batch *b, struct toc_sv body, double *out_value,
                       int64_t *out_t_ms) TOC_MUST_CHECK;
enum toc_metric_type toc_write_metric_type(uint64_t v);

#endif
