/*
 * alertmanager.yml with upstream's keys (alertmanager 0.34) and texts, plus our receivers: routes,
 * receivers, inhibition, time intervals. Immutable after parsing. Receivers keep their YAML nodes:
 * the wiring builds the channels from them.
 */
#ifndef TOC_ALERT_CONFIG_H
#define TOC_ALERT_CONFIG_H

#include "alert/matcher_parse.h"
#include "alert/time_interval.h"
#include "base/arena.h"
#include "base/error.h"
#include "codec/yaml.h"

/* One entry of a `<name>_configs` list. */
struct toc_alert_integration {
    struct toc_sv type;          /* "email", "webhook", "sms", … */
    const struct toc_yaml *node; /* its mapping */
    bool sends_resolved;         /* send_resolved, with the default of its type */
};

struct toc_alert_receiver {
    struct toc_sv name;
    const struct toc_yaml *node;
    struct toc_alert_integration *integrations;
    size_t count;
    bool sends_resolved; /* any integration does, or there is none */
};

struct toc_alert_route {
    struct toc_sv receiver;
    struct toc_matcher_list matchers;
    struct toc_sv *group_by; /* inherited */
    size_t group_by_count;
    bool groups_by_all; /* '...' */
    bool is_continue;
    int64_t group_wait_ms, group_interval_ms, repeat_interval_ms;
    struct toc_sv *mute_intervals, *active_intervals;
    size_t mute_count, active_count;
    struct toc_sv key; /* matcher lists of the path joined by "/" */
    struct toc_sv id;  /* key, with the index of each child: equal siblings differ */
    const struct toc_alert_receiver *resolved_receiver;
    struct toc_alert_route *routes;
    size_t route_count;
};

struct toc_inhibit_rule {
    struct toc_sv name;
    struct toc_matcher_list source, target;
    struct toc_sv *equal;
    size_t equal_count;
};

struct toc_alert_config {
    struct toc_arena arena;
    int64_t resolve_timeout_ms;
    const struct toc_yaml *global; /* NULL when absent */
    struct toc_sv *templates;
    size_t template_count;
    struct toc_alert_route root;
    struct toc_alert_receiver *receivers;
    size_t receiver_count;
    struct toc_inhibit_rule *inhibit_rules;
    size_t inhibit_count;
    struct toc_time_interval *intervals;
    size_t interval_count;
};

/* Copies the text. Errors carry line and column; their texts are upstream's. `zones` may be NULL:
 * then only UTC is known. */
int toc_alert_config_parse(struct toc_sv text, const struct toc_zone_source *zones,
                           struct toc_alert_config **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_alert_config_free(struct toc_alert_config **c);
const struct toc_alert_receiver *toc_alert_config_receiver(const struct toc_alert_config *c,
                                                           struct toc_sv name);
const struct toc_time_interval *toc_alert_config_interval(const struct toc_alert_config *c,
                                                          struct toc_sv name);
/* Routes that an alert with these labels takes, in order; at most max. Returns their number. */
size_t toc_alert_config_match(const struct toc_alert_config *c, struct toc_labels labels,
                              const struct toc_alert_route **out, size_t max);

#endif
