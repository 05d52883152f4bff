/* The alert manager's observer that hands alerts on to the incident manager, those of a step
 * together: an incident with many of them is stored once. */
#ifndef TOC_INCIDENT_ALERT_OBSERVER_H
#define TOC_INCIDENT_ALERT_OBSERVER_H

#include "alert/alert_manager.h"
#include "base/vec.h"
#include "incident/manager.h"

struct toc_incident_observer {
    struct toc_alert_observer base;
    struct toc_incident_manager *incidents; /* borrowed */
    struct {
        TOC_VEC_FIELDS(struct toc_alert)
    } alerts; /* of this step; they are the alert manager's */
    struct {
        TOC_VEC_FIELDS(enum toc_intake_change)
    } changes; /* one for one */
};

void toc_incident_observer_init(struct toc_incident_observer *o, struct toc_incident_manager *m);

#endif
