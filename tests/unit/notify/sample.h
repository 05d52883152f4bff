/* One notification with everything in it, for the tests of this folder. */
#ifndef TOC_TESTS_NOTIFY_SAMPLE_H
#define TOC_TESTS_NOTIFY_SAMPLE_H

#include "notify/message.h"

static const struct toc_label sample_subject[] = {
    {{"rank", 4}, {"3", 1}},
    {{"run", 3}, {"demo", 4}},
};
static const struct toc_label sample_labels[] = {
    {{"alertname", 9}, {"NonFinite", 9}},
    {{"run", 3}, {"demo", 4}},
};
static const struct toc_label sample_annotations[] = {{{"summary", 7}, {"loss is <NaN>", 13}}};
static const struct toc_notification_alert sample_alerts[] = {
    {.labels = {sample_labels, 2},
     .annotations = {sample_annotations, 1},
     .starts_at = {1795526254250},
     .generator_url = {"http://t/graph?a=1&b=2", 22}},
    {.is_resolved = true,
     .labels = {sample_subject, 2},
     .starts_at = {1795526254250},
     .ends_at = {1795526300000}},
};
static const double sample_spark[] = {1, 2, 3, 4, 8};

static inline struct toc_notification sample_notification(void) {
    struct toc_notification n = toc_notification_empty();
    n.key = TOC_SV("inc-1:firing");
    n.incident_id = TOC_SV("inc-1");
    n.receiver = TOC_SV("team");
    n.severity = TOC_SEVERITY_CRITICAL;
    n.title = TOC_SV("Loss became NaN in run demo");
    n.summary = TOC_SV("Step 120: the loss is not a number.");
    n.at.ms = 1795526504250; /* 2026-11-24 13:21:44.250 UTC */
    n.since.ms = 1795526254250;
    n.subject = (struct toc_labels){sample_subject, 2};
    n.value = 12.5;
    n.threshold = 10;
    n.comparison = TOC_SV(">");
    n.expected_lower = 2;
    n.expected_upper = 4.5;
    n.unit = TOC_SV("s");
    n.spark = sample_spark;
    n.spark_count = 5;
    n.cause = TOC_SV("learning rate too high");
    n.action = TOC_SV("stop the run");
    n.runbook_url = TOC_SV("https://t/runbook");
    n.incident_url = TOC_SV("https://t/i/inc-1");
    n.ack_url = TOC_SV("https://t/ack?token=abc");
    n.ack_post_url = TOC_SV("https://t/acknowledge-link?token=abc");
    n.group_key = TOC_SV("{}:{run=\"demo\"}");
    n.external_url = TOC_SV("https://t");
    n.group_labels = (struct toc_labels){sample_labels, 1};
    n.common_labels = (struct toc_labels){sample_labels, 2};
    n.common_annotations = (struct toc_labels){sample_annotations, 1};
    n.alerts = sample_alerts;
    n.alert_count = 2;
    return n;
}

#endif
