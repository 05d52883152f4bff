/* Shared by the files of the event decoder. */
#ifndef TOC_CODEC_TFEVENTS_PRIV_H
#define TOC_CODEC_TFEVENTS_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "codec/tfevents.h"

/* What wrote a tag, from the metadata of its first value. */
enum toc_tfevents_plugin {
    TOC_TFEVENTS_PLUGIN_UNKNOWN,
    TOC_TFEVENTS_PLUGIN_SCALARS,
    TOC_TFEVENTS_PLUGIN_HISTOGRAMS,
    TOC_TFEVENTS_PLUGIN_TEXT,
    TOC_TFEVENTS_PLUGIN_OTHER,
};

struct toc_tfevents {
    struct toc_tfevents_limits limits;
    struct toc_map plugins; /* tag → enum toc_tfevents_plugin */
    uint64_t to_skip;
    size_t wanted;
    size_t at; /* of the record at hand in the bytes of this call */
    struct {
        TOC_VEC_FIELDS(struct toc_tfevents_bucket)
    } buckets;    /* of the histogram at hand */
    bool is_lost; /* looking for the next record */
    struct toc_tfevents_counters counters;
};

/* The Event in one record. */
void toc_tfevents_event(struct toc_tfevents *d, struct toc_sv data, struct toc_tfevents_visitor *v);

/* A TensorProto: TOC_EPARSE when it is malformed, TOC_ETYPE when it holds something else. */
int toc_tfevents_tensor_scalar(struct toc_sv tensor, double *out) TOC_MUST_CHECK;
int toc_tfevents_tensor_histogram(struct toc_tfevents *d, struct toc_sv tensor,
                                  struct toc_tfevents_histogram *out) TOC_MUST_CHECK;
bool toc_tfevents_tensor_is_text(struct toc_sv tensor);
/* A HistogramProto. */
int toc_tfevents_histo(struct toc_tfevents *d, struct toc_sv histo,
                       struct toc_tfevents_histogram *out) TOC_MUST_CHECK;

#endif
