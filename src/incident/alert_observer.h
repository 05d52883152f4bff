/* The alert manager's observer that hands alerts on to the incident manager. */
#ifndef TOC_INCIDENT_ALERT_OBSERVER_H
#define TOC_INCIDENT_ALERT_OBSERVER_H

#include "alert/alert_manager.h"
#include "incident/manager.h"

struct toc_incident_observer {
    struct toc_alert_observer base;
    struct toc_incident_manager *incidents; /* borrowed */
};

void toc_incident_observer_init(struct toc_incident_observer *o, struct toc_incident_manager *m);

#endif
