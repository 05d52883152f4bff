/* Incidents of one offline judgement: a store in memory behind the manager that also runs live. */
#ifndef TOC_APP_DOCTOR_INCIDENTS_H
#define TOC_APP_DOCTOR_INCIDENTS_H

#include "base/vec.h"
#include "model/incident_store.h"

enum { TOC_DOCTOR_INCIDENTS_MAX = 1000 };

struct toc_doctor_incidents {
    struct toc_incident_store store;
    struct {
        TOC_VEC_FIELDS(struct toc_incident *)
    } items; /* in the order of detection; ids F-0001, F-0002, … */
};

void toc_doctor_incidents_init(struct toc_doctor_incidents *s);
void toc_doctor_incidents_fini(struct toc_doctor_incidents *s);

#endif
