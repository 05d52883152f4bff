/* The two kinds of streaming ensembles behind stream.h. */
#ifndef TOC_DETECT_STREAM_PRIV_H
#define TOC_DETECT_STREAM_PRIV_H

#include "detect/residual.h"
#include "detect/stream.h"
#include "detect/tail_sketch.h"
#include "detect/window_memory.h"

/* A score with its past. */
struct toc_scored {
    struct toc_tail_sketch tail;
};
/* The excess, or the surprise, of the score; then it is learnt. */
double toc_scored_excess(struct toc_scored *s, double score);
double toc_scored_surprise(struct toc_scored *s, double score);

struct toc_verdict {
    double rank;     /* ≥ 0, for the score */
    double surprise; /* ≥ 0 */
    float features[TOC_STREAM_FEATURES];
};

/* stream_metric.c: one column. */
struct toc_stream_metric;
int toc_stream_metric_new(size_t windows, struct toc_stream_metric **out, struct toc_err *err);
void toc_stream_metric_free(struct toc_stream_metric **m);
struct toc_verdict toc_stream_metric_step(struct toc_stream_metric *m, double seconds, double v);
size_t toc_stream_metric_bytes(const struct toc_stream_metric *m);

/* stream_entity.c: several columns. */
struct toc_stream_entity;
int toc_stream_entity_new(size_t columns, size_t windows, struct toc_stream_entity **out,
                          struct toc_err *err);
void toc_stream_entity_free(struct toc_stream_entity **m);
struct toc_verdict toc_stream_entity_step(struct toc_stream_entity *m, const double *values);
size_t toc_stream_entity_bytes(const struct toc_stream_entity *m);

#endif
