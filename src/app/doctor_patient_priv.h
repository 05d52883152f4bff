/* Inside of a patient: when its clock ticks, and what counts as a surprise. */
#ifndef TOC_APP_DOCTOR_PATIENT_PRIV_H
#define TOC_APP_DOCTOR_PATIENT_PRIV_H

#include "app/doctor_patient.h"

enum {
    TOC_PATIENT_DENSE_START_MS = 60 * 1000, /* ticks each second: at the start of the data, */
    TOC_PATIENT_DENSE_MS = 30 * 1000,       /* after a surprise or an event, */
    TOC_PATIENT_DENSE_OPEN_MS = 120 * 1000, /* and after an alert opened or ended */
    TOC_PATIENT_SPARSE_MS = 30 * 1000,      /* longest pause while data comes; */
    TOC_PATIENT_SPARSE_SHARE = 40,          /* after a long calm this part of it, */
    TOC_PATIENT_SPARSE_MAX_MS = 120 * 1000, /* but no longer than that */
    TOC_PATIENT_SPARSE_STEPS = 256,         /* and most steps: the doctor keeps the last 512 */
    TOC_PATIENT_EVENTS_QUEUED_MAX = 10000,
};

/* Does the value leave what the series showed before, or the step come late? Then the seconds that
 * follow are judged one by one. */
bool toc_patient_is_surprised(struct toc_patient_series *s, int64_t t_ms, double value);

/* Moves the clock and judges. */
int toc_patient_tick(struct toc_patient *p, int64_t now_ms, struct toc_err *err) TOC_MUST_CHECK;
/* Ticks through a time without data, closer at its start. */
int toc_patient_silence(struct toc_patient *p, int64_t to_ms, struct toc_err *err) TOC_MUST_CHECK;

#endif
