/* Accepted thresholds with a budget are looked at again: do they still keep it? */
#ifndef TOC_APP_THRESHOLD_WATCH_H
#define TOC_APP_THRESHOLD_WATCH_H

#include "model/blob_store.h"
#include "replay/threshold_review.h"

struct toc_threshold_watch {
    struct toc_blob_store *blobs;
    struct toc_trial_options trial; /* routing is filled in by each look */
    int64_t every_ms;               /* negative: never */
    int64_t next_ms;
};

/* At most one review per call, the one whose look is longest ago. `routing` is the Alertmanager
 * configuration in force. 0, or why a look failed (it is tried again at the next turn). */
int toc_threshold_watch_step(struct toc_threshold_watch *w, struct toc_sv routing,
                             struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

#endif
