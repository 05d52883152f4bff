/* The section `series_watch`: the anomaly bit of every series. */
#include "app/config_priv.h"

struct section {
    bool is_enabled;
    int64_t interval_ms, report_interval_ms, max_series, max_cpu_percent;
};

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_series_watch[] = {
    {"enabled", TOC_SCHEMA_BOOL, AT(is_enabled), false, "true", 0, 0,
     "judge every active series and write an anomaly rate per instance"},
    {"interval", TOC_SCHEMA_DURATION, AT(interval_ms), false, "1s", 1000, 3600000,
     "how often the newest sample of every series is looked at"},
    {"report_interval", TOC_SCHEMA_DURATION, AT(report_interval_ms), false, "15s", 1000, 3600000,
     "how often rates are written"},
    {"max_series", TOC_SCHEMA_INT, AT(max_series), false, "200000", 1, 100000000,
     "series that are judged, 88 bytes each; the rest is counted"},
    {"max_cpu_percent", TOC_SCHEMA_INT, AT(max_cpu_percent), false, "5", 1, 100,
     "share of one core; looks become rarer rather than take more"},
    {0},
};
#undef AT

int toc_config_series_watch_read(const struct toc_yaml *node, struct toc_config *c,
                                 struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    struct section s = {0};
    int rc = toc_schema_read(node ? node : &empty, g_series_watch, &s, err);
    c->series_watch = (struct toc_config_series_watch){
        .is_enabled = s.is_enabled,
        .interval_ms = s.interval_ms,
        .report_ms = s.report_interval_ms,
        .max_series = (size_t)s.max_series,
        .max_cpu_ratio = (double)s.max_cpu_percent / 100,
    };
    return rc;
}
