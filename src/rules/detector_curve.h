/* The methods loss_curve and pace_curve: models of training curves on one series each. */
#ifndef TOC_RULES_DETECTOR_CURVE_H
#define TOC_RULES_DETECTOR_CURVE_H

#include "rules/detector_priv.h"

struct detector_curve;

static inline bool toc_detector_is_curve(enum toc_detector_method m) {
    return m == TOC_DETECTOR_LOSS_CURVE || m == TOC_DETECTOR_PACE_CURVE;
}

struct detector_curve *toc_detector_curve_new(void);
void toc_detector_curve_free(struct detector_curve **s);
size_t toc_detector_curve_bytes(void);
/* A value that repeats is the same report seen again: it is not learnt twice. */
void toc_detector_curve_judge(const struct detector_config *c, struct detector_curve *s,
                              double value, struct judgement *out);

void toc_detector_curve_encode(const struct detector_config *c, const struct detector_curve *s,
                               struct toc_buf *out);
int toc_detector_curve_decode(const struct detector_config *c, struct toc_reader *r,
                              struct detector_curve *out) TOC_MUST_CHECK;

#endif
