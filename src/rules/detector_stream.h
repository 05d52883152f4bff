/*
 * Methods that learn from every value and judge it at once: the streaming ensemble, Holt-Winters,
 * change point, peers, flat line, missing data. Their state is a function of the values at the
 * slots so far. So a start without a state steps through the stored history, a start with one
 * through what came since it was kept, a late call through the slots it missed: all give the state
 * of a run without interruption, as far as the samples of a slot had come when it was judged.
 */
#ifndef TOC_RULES_DETECTOR_STREAM_H
#define TOC_RULES_DETECTOR_STREAM_H

#include "rules/detector_priv.h"

enum {
    TOC_DETECTOR_CATCH_UP_CELLS = 200000, /* values stepped through in one call */
    TOC_DETECTOR_SAVE_MS = 60000,         /* distance of kept states */
    TOC_DETECTOR_SEASONS_SOUGHT = 200,    /* series of a detector whose season is looked for */
};

static inline bool toc_detector_is_stream(const struct detector_config *c) {
    return c->method != TOC_DETECTOR_ROBUST_Z && c->method != TOC_DETECTOR_FOREST;
}

void toc_detector_stream_free(const struct detector_config *c, struct detector_series *s);
size_t toc_detector_stream_bytes(const struct detector_config *c, const struct detector_series *s);

/* Steps through stored slots up to the one before `at_ms`, at most as many as one call may. True
 * when it is there: `at_ms` is next. Errors are the query's. */
int toc_detector_catch_up(struct toc_detectors *d, struct detector *x, int64_t at_ms,
                          bool *out_is_there, struct toc_err *err) TOC_MUST_CHECK;
/* Judges the only step of the grid. on_judged is called per judged series. */
typedef void toc_on_judged(void *ctx, struct detector_series *s, const struct judgement *j);
void toc_detector_stream_judge(struct toc_detectors *d, struct detector *x,
                               const struct detector_grid *g, int64_t at_ms, toc_on_judged *fn,
                               void *ctx);

/* The part of a stored model behind its header. */
void toc_detector_stream_encode(const struct detector *x, struct toc_buf *out);
int toc_detector_stream_decode(struct toc_detectors *d, struct toc_reader *r,
                               struct detector *x) TOC_MUST_CHECK;

#endif
