/*
 * False alarms rule by rule: how many incidents a rule was the root of, what people said of them
 * with the uncertainty of the share (Wilson 1927, 95 %), and what the false alarms of detectors
 * have in common.
 */
#ifndef TOC_INCIDENT_LEARN_REPORT_H
#define TOC_INCIDENT_LEARN_REPORT_H

#include "incident/learn.h"
#include "incident/manager.h"

/* X(enum, name, when): the first that fits. */
#define TOC_FALSE_ALARM_CAUSE_TABLE(X)                                                   \
    X(TOC_CAUSE_DATA_QUALITY, "data_quality",                                            \
      "less than 64 rows of history, or a baseline that hardly ever changes")            \
    X(TOC_CAUSE_SEASONALITY, "seasonality",                                              \
      "within a third of the reach the same value stood there a day or a week before")   \
    X(TOC_CAUSE_THRESHOLD, "threshold", "the score was at most 1.3 times the threshold") \
    X(TOC_CAUSE_MODEL, "model", "none of these: strange, but of no matter")
#define X(name, ...) name,
enum toc_false_alarm_cause { TOC_FALSE_ALARM_CAUSE_TABLE(X) TOC_FALSE_ALARM_CAUSE_COUNT };
#undef X

enum { TOC_LEARN_REPORT_INCIDENTS = 1000, TOC_LEARN_POOR_MIN = 10 };

/* Of features of the last look. */
enum toc_false_alarm_cause toc_false_alarm_cause(const float *look);

/* An array of rules, the worst first: those of the last 1000 incidents and of the remembered
 * alerts. `poor` is set where even the upper end of the share of true alarms is below one half,
 * from ten verdicts. */
int toc_learn_write_report(struct toc_learn *l, struct toc_incident_manager *m,
                           struct toc_json_writer *w, struct toc_err *err) TOC_MUST_CHECK;

#endif
