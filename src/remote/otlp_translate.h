/* From a decoded message to samples of the store. */
#ifndef TOC_REMOTE_OTLP_TRANSLATE_H
#define TOC_REMOTE_OTLP_TRANSLATE_H

#include "remote/otlp_batch.h"
#include "remote/otlp_delta.h"
#include "remote/otlp_message.h"

/* One message on its way; zero but for what the caller sets. */
struct otlp_translation {
    const struct toc_otlp_options *options;
    struct toc_sink *sink;
    struct otlp_delta *delta;
    struct otlp_delta_limits delta_limits;
    struct toc_mono now;
    struct otlp_batch batch;

    struct otlp_series series;

    bool has_begun_delta;
    int64_t min_ns, max_ns;           /* times of the resource's points; max < min: none */
    const struct otlp_metric *metric; /* under way */
    struct toc_hash128 point_key;     /* of the point under way */
};

/* Writes all of it. An error is the store's: nothing may be taken as stored. */
int otlp_translate(struct otlp_translation *t, const struct otlp_message *m,
                   struct toc_err *err) TOC_MUST_CHECK;

#endif
