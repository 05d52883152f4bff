/* What the gate's forecast is made from: alerts judged by classifiers that had not seen them. */
#ifndef TOC_DETECT_GATE_PRIV_H
#define TOC_DETECT_GATE_PRIV_H

#include "detect/gate.h"

enum { TOC_GATE_MOMENTS = 3, TOC_GATE_COMPARED = 4 };

/* One alert: the highest of its looks. */
struct toc_outcome {
    double p, score; /* score: NaN when it is not known */
    uint32_t series;
    bool is_true;
};
struct toc_outcomes {
    struct toc_outcome *items; /* owned */
    size_t count;
    size_t *by_p, *by_score; /* falling; owned, of what came only */
};

/* Cross-validation of the alerts up to an earlier moment, and the later ones by a classifier of all
 * before it. */
struct toc_gate_moment {
    struct toc_outcomes promised, came;
    double levels[TOC_GATE_COMPARED]; /* of `promised` */
    double own_level; /* at which as much was promised as today; 0: not more than is compared */
};

struct toc_gate_material {
    struct toc_outcomes all; /* cross-validation of today */
    struct toc_gate_moment moments[TOC_GATE_MOMENTS];
    size_t moment_count;
    uint32_t *series; /* the different ones; owned */
    size_t series_count, series_max;
};

/* `moments`: TOC_GATE_MOMENTS shares of the alerts; one with too few of a class on a side is left
 * out. Fini it in any case. */
int toc_gate_material_make(const struct toc_examples *e, const struct toc_gate_question *q,
                           const double *moments, double *out_p, struct toc_gate_material *out,
                           struct toc_err *err) TOC_MUST_CHECK;
void toc_gate_material_fini(struct toc_gate_material *g);

/* Precision at the recall `keep` on what came, the mean of the moments, with `weights` per series
 * (NULL: 1): by what was learnt and by the score. NaN without scores or moments. */
struct toc_gate_contest {
    double learnt, threshold;
};
struct toc_gate_contest toc_gate_contest(const struct toc_gate_material *g, double keep,
                                         const double *weights);

#endif
