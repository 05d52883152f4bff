#include "incident/alert_observer.h"

#include "base/alloc.h"

static void on_change(struct toc_alert_observer *o, enum toc_alert_event event,
                      const struct toc_alert_view *v, struct toc_ts now) {
    (void)now;
    struct toc_incident_observer *a = (struct toc_incident_observer *)o;
    enum toc_intake_change change = TOC_INTAKE_FIRING;
    if (event == TOC_ALERT_RESOLVED)
        change = TOC_INTAKE_RESOLVED;
    else if (event == TOC_ALERT_SUPPRESSED ||
             (event == TOC_ALERT_UPDATED && toc_alert_view_is_suppressed(v)))
        change = TOC_INTAKE_SUPPRESSED;
    /* The watchdog always fires: it says that the chain works and is nobody's incident. */
    if (toc_sv_eq(toc_labels_get(v->alert->labels, TOC_SV("kind")), TOC_SV("self_watchdog")))
        return;
    struct toc_alert alert = *v->alert;
    /* Until the manager tells its end an alert fires: it may be prolonged without a word. */
    if (change != TOC_INTAKE_RESOLVED)
        alert.ends_at.ms = 0;
    TOC_VEC_PUSH(&a->alerts, alert);
    TOC_VEC_PUSH(&a->changes, change);
}

static void settled(struct toc_alert_observer *o, struct toc_ts now) {
    struct toc_incident_observer *a = (struct toc_incident_observer *)o;
    if (a->alerts.count)
        toc_incident_intake(a->incidents, a->alerts.items, a->changes.items, a->alerts.count, now);
    TOC_VEC_FINI(&a->alerts);
    TOC_VEC_FINI(&a->changes);
}

void toc_incident_observer_init(struct toc_incident_observer *o, struct toc_incident_manager *m) {
    *o = (struct toc_incident_observer){.base = {on_change, settled}, .incidents = m};
}
