/*
 * Kinds that show in the course of a run: plateau, slow_convergence, oscillation, overfit. All are
 * hints (info), and a run that has learned what it can is none of them: where earlier runs of the
 * same recipe are known, those decide; without them only what no converging run shows counts.
 * Here is what their judges share.
 */
#ifndef TOC_DIAGNOSE_HINT_PRIV_H
#define TOC_DIAGNOSE_HINT_PRIV_H

#include "diagnose/doctor_priv.h"

/* Where the run is now, beside the earlier runs. */
struct toc_beside {
    double loss, lower, upper, line;
    bool is_known, is_behind;
};
struct toc_beside toc_hint_beside(struct toc_run_model *m);
/* For a tenth of its course, and for some reports: not a dent. */
bool toc_hint_is_behind(struct toc_run_model *m, const struct toc_beside *b);
void toc_hint_fill_behind(struct toc_run_model *m, struct toc_case *c, enum toc_kind kind,
                          const struct toc_beside *b);

double toc_hint_start_loss(const struct toc_course *c);
/* Did the loss hardly move over the last half, after it had fallen before? */
bool toc_hint_is_flat(const struct toc_course *c);
void toc_hint_add_loss(const struct toc_run_model *m, struct toc_case *c, double value,
                       double threshold, double lower, double upper);
/* Judges of the course look again only when it has a new point. */
bool toc_hint_is_news(struct toc_run_model *m, enum toc_case_id id);
/* Of a run that is not running. */
enum toc_verdict toc_hint_idle(const struct toc_run_model *m);
/* What a broken run shows in its course is a consequence. */
bool toc_hint_is_broken(const struct toc_run_model *m);

#endif
