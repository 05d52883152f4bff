/*
 * What the logs beside a run show of failures, judged under the run's virtual clock: hits become
 * failures, failures become alerts, which the incidents of the run take in beside the doctor's. One
 * failure is one incident: what both see of it meets there.
 */
#ifndef TOC_APP_DOCTOR_FAILURES_H
#define TOC_APP_DOCTOR_FAILURES_H

#include "app/doctor_log_hits.h"
#include "model/alert.h"

struct toc_doctor_failures; /* opaque; one thread */

/* Tables of the hits and the sink are borrowed. `run` becomes the job of every hit. */
struct toc_doctor_failures *toc_doctor_failures_new(const struct toc_log_hits *tables,
                                                    struct toc_sv run, struct toc_alert_sink *sink);
void toc_doctor_failures_free(struct toc_doctor_failures **f);
/* In order of time; borrowed until the end. */
void toc_doctor_failures_add(struct toc_doctor_failures *f, const struct toc_failure_hit *hit);
/* Judges what was added up to now. */
void toc_doctor_failures_tick(struct toc_doctor_failures *f, struct toc_ts now);
/* Nothing more will come. */
void toc_doctor_failures_finish(struct toc_doctor_failures *f, struct toc_ts now);

#endif
