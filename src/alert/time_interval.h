/*
 * Time intervals of Alertmanager: named lists of specs by which routes are muted or active. Local
 * time comes from an offset function, so that this folder needs no zone files and no clock.
 */
#ifndef TOC_ALERT_TIME_INTERVAL_H
#define TOC_ALERT_TIME_INTERVAL_H

#include "base/arena.h"
#include "base/error.h"
#include "base/time.h"
#include "codec/yaml.h"

/* Minutes east of UTC in `location` at `at`; false when the zone is unknown. "UTC" is never asked.
 */
struct toc_zone_source {
    bool (*offset)(void *ctx, struct toc_sv location, struct toc_ts at, int *out_minutes);
    void *ctx;
};

struct toc_int_range {
    int first, last; /* inclusive; for times: minutes of the day, last exclusive */
};

struct toc_int_ranges {
    struct toc_int_range *items; /* arena */
    size_t count;                /* 0 = any */
};

/* The lists are ANDed, the entries of a list ORed. */
struct toc_time_spec {
    struct toc_int_ranges times, weekdays, days_of_month, months, years;
    struct toc_sv location; /* "UTC" by default */
};

struct toc_time_interval {
    struct toc_sv name;
    struct toc_time_spec *specs; /* arena; ORed */
    size_t count;
};

/* Reads the list under the key time_intervals of one named interval. */
int toc_time_specs_read(const struct toc_yaml *list, const struct toc_zone_source *zones,
                        struct toc_arena *a, struct toc_time_interval *out,
                        struct toc_err *err) TOC_MUST_CHECK;
bool toc_time_interval_contains(const struct toc_time_interval *t,
                                const struct toc_zone_source *zones, struct toc_ts at);

#endif
