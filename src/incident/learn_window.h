/*
 * What learning looks at, from stored series: the detector's expression and its score around an
 * alert, the same times a day and a week before, and a week at a thousand points. Around the alert
 * a row is one judgement of the detector: its score, and the value as of the same time. So it does
 * not matter when a rule or this was evaluated: late rows are those of an evaluation in time. The
 * series is the one whose labels agree with the alert's; of several the one with the highest score
 * now.
 */
#ifndef TOC_INCIDENT_LEARN_WINDOW_H
#define TOC_INCIDENT_LEARN_WINDOW_H

#include "incident/learn.h"
#include "model/querier.h"

struct toc_learn_detector {
    struct toc_sv name;
    struct toc_sv expr;  /* of its one feature; empty: of several, the score stands for the value */
    int64_t interval_ms; /* of its evaluations */
    double threshold;    /* of its score; NaN: unknown */
};

struct toc_learn_windows;
struct toc_learn_windows *toc_learn_windows_new(struct toc_querier *q);
void toc_learn_windows_free(struct toc_learn_windows **w);
/* What is known of detectors now; copied. Any thread. */
void toc_learn_windows_set(struct toc_learn_windows *w, const struct toc_learn_detector *list,
                           size_t count);
struct toc_learn_source *toc_learn_windows_source(struct toc_learn_windows *w);

#endif
