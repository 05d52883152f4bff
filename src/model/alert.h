/* Alerts as they travel from rules, detectors and the doctor to routing, incidents and the API. */
#ifndef TOC_MODEL_ALERT_H
#define TOC_MODEL_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "model/finding.h"
#include "model/labels.h"

struct toc_alert {
    struct toc_labels labels; /* with alertname; identity = toc_labels_fingerprint(labels) */
    struct toc_labels annotations;
    struct toc_ts starts_at;
    struct toc_ts ends_at; /* firing while now < ends_at or ends_at.ms == 0 */
    struct toc_ts updated_at;
    struct toc_sv generator_url;
    double value;                      /* of the expression; NaN when it has none */
    const struct toc_finding *finding; /* NULL for a plain rule alert or one from outside */
};

static inline bool toc_alert_is_resolved(const struct toc_alert *a, struct toc_ts now) {
    return a->ends_at.ms != 0 && a->ends_at.ms <= now.ms;
}

/* Who takes alerts. Everything passed is borrowed for the call; the receiver copies what it keeps.
 */
struct toc_alert_sink {
    void (*put)(struct toc_alert_sink *s, const struct toc_alert *alerts, size_t count,
                struct toc_ts now);
};

#endif
