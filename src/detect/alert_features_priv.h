/* Shared by the files of alert_features.h. */
#ifndef TOC_DETECT_ALERT_FEATURES_PRIV_H
#define TOC_DETECT_ALERT_FEATURES_PRIV_H

#include "detect/alert_features.h"

/* alert_history.c: BEYOND to SUSTAINED, of the first `columns`; untouched where history is short.
 */
void toc_alert_history_features(const struct toc_alert_context *c, size_t columns, double *out);

#endif
