/* The names that a custom template finds: Alertmanager's, and what a notification knows beyond
 * them. */
#include <math.h>

#include "notify/message.h"

static struct toc_template_value labels_value(struct toc_labels l, struct toc_arena *a) {
    struct toc_template_value *items = TOC_ARENA_NEW_ARRAY(a, struct toc_template_value, l.count);
    if (!items)
        return (struct toc_template_value){0};
    for (size_t i = 0; i < l.count; i++) {
        items[i] = toc_template_string(l.items[i].value);
        items[i].key = l.items[i].name;
    }
    return toc_template_map(items, l.count);
}

static struct toc_template_value number_value(double v) {
    if (isnan(v))
        return (struct toc_template_value){0};
    return toc_template_number(v);
}

static struct toc_template_value time_value(struct toc_ts t, struct toc_arena *a) {
    struct toc_buf b = TOC_BUF_INIT;
    if (!t.ms)
        return (struct toc_template_value){0};
    toc_ts_format_rfc3339(t, &b);
    struct toc_template_value v = toc_template_string(toc_arena_dup_sv(a, toc_buf_sv(&b)));
    toc_buf_fini(&b);
    return v;
}

static struct toc_template_value status_value(bool is_resolved) {
    return toc_template_string(is_resolved ? TOC_SV("resolved") : TOC_SV("firing"));
}

static struct toc_template_value alert_value(const struct toc_notification_alert *alert,
                                             struct toc_arena *a) {
    const struct toc_template_value members[] = {
        toc_template_named("Status", status_value(alert->is_resolved)),
        toc_template_named("Labels", labels_value(alert->labels, a)),
        toc_template_named("Annotations", labels_value(alert->annotations, a)),
        toc_template_named("StartsAt", time_value(alert->starts_at, a)),
        toc_template_named("EndsAt", time_value(alert->ends_at, a)),
        toc_template_named("GeneratorURL", toc_template_string(alert->generator_url)),
    };
    struct toc_template_value *copy = toc_arena_alloc(a, sizeof members);
    if (!copy)
        return (struct toc_template_value){0};
    memcpy(copy, members, sizeof members);
    return toc_template_map(copy, TOC_ARRAY_LEN(members));
}

/* .Alerts, .Alerts.Firing, .Alerts.Resolved. */
static struct toc_template_value alerts_value(const struct toc_notification *n,
                                              struct toc_arena *a) {
    struct toc_template_value *all =
        TOC_ARENA_NEW_ARRAY(a, struct toc_template_value, n->alert_count * 3 + 2);
    if (!all)
        return (struct toc_template_value){0};
    struct toc_template_value *groups = all + n->alert_count * 3;
    struct toc_template_value *of_state[2] = {all + n->alert_count, all + n->alert_count * 2};
    size_t counts[2] = {0, 0};
    for (size_t i = 0; i < n->alert_count; i++) {
        bool is_resolved = n->alerts[i].is_resolved;
        all[i] = alert_value(&n->alerts[i], a);
        of_state[is_resolved][counts[is_resolved]++] = all[i];
    }
    groups[0] = toc_template_named("Firing", toc_template_list(of_state[0], counts[0]));
    groups[1] = toc_template_named("Resolved", toc_template_list(of_state[1], counts[1]));
    struct toc_template_value list = toc_template_list(all, n->alert_count);
    list.members = groups;
    list.member_count = 2;
    return list;
}

static struct toc_template_value spark_value(const struct toc_notification *n,
                                             struct toc_arena *a) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_sparkline(n->spark, n->spark_count, &b);
    struct toc_template_value v = toc_template_string(toc_arena_dup_sv(a, toc_buf_sv(&b)));
    toc_buf_fini(&b);
    return v;
}

int toc_message_template_input(const struct toc_notification *n, struct toc_sv text,
                               struct toc_sv to, struct toc_arena *a,
                               struct toc_template_input *out) {
    const struct toc_template_value members[] = {
        toc_template_named("Receiver", toc_template_string(n->receiver)),
        toc_template_named("Status", status_value(n->is_resolved)),
        toc_template_named("Alerts", alerts_value(n, a)),
        toc_template_named("GroupLabels", labels_value(n->group_labels, a)),
        toc_template_named("CommonLabels", labels_value(n->common_labels, a)),
        toc_template_named("CommonAnnotations", labels_value(n->common_annotations, a)),
        toc_template_named("ExternalURL", toc_template_string(n->external_url)),
        toc_template_named("Key", toc_template_string(n->key)),
        toc_template_named("IncidentID", toc_template_string(n->incident_id)),
        toc_template_named("Severity",
                           toc_template_string(toc_sv_cstr(toc_severity_text(n->severity)))),
        toc_template_named("Title", toc_template_string(n->title)),
        toc_template_named("Summary", toc_template_string(n->summary)),
        toc_template_named("At", time_value(n->at, a)),
        toc_template_named("Since", time_value(n->since, a)),
        toc_template_named("Subject", labels_value(n->subject, a)),
        toc_template_named("Value", number_value(n->value)),
        toc_template_named("Threshold", number_value(n->threshold)),
        toc_template_named("ExpectedLower", number_value(n->expected_lower)),
        toc_template_named("ExpectedUpper", number_value(n->expected_upper)),
        toc_template_named("Unit", toc_template_string(n->unit)),
        toc_template_named("Sparkline", spark_value(n, a)),
        toc_template_named("Cause", toc_template_string(n->cause)),
        toc_template_named("Action", toc_template_string(n->action)),
        toc_template_named("RunbookURL", toc_template_string(n->runbook_url)),
        toc_template_named("IncidentURL", toc_template_string(n->incident_url)),
        toc_template_named("AckURL", toc_template_string(n->ack_url)),
        toc_template_named("Test", toc_template_bool(n->is_test)),
        toc_template_named("Text", toc_template_string(text)),
        toc_template_named("To", toc_template_string(to)),
    };
    struct toc_template_value *copy = toc_arena_alloc(a, sizeof members);
    if (!copy || a->overflowed)
        return TOC_ENOMEM;
    memcpy(copy, members, sizeof members);
    *out = (struct toc_template_input){.dot = toc_template_map(copy, TOC_ARRAY_LEN(members))};
    return 0;
}
