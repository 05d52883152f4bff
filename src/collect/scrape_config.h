/*
 * scrape_configs as upstream writes them, read from YAML into an immutable, reference-counted set.
 * Every string is NUL-terminated and lives as long as the set.
 */
#ifndef TOC_COLLECT_SCRAPE_CONFIG_H
#define TOC_COLLECT_SCRAPE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "codec/yaml.h"
#include "collect/discovery_config.h"
#include "collect/http_settings.h"
#include "collect/relabel.h"
#include "collect/target_group.h"
#include "model/labels.h"

/* X(member, key, default, what it limits); 0 in a file means no limit. Also keys of `global`. */
#define TOC_SCRAPE_LIMIT_TABLE(X)                                                       \
    X(sample_limit, 100000, "samples of one scrape")                                    \
    X(label_limit, 64, "labels of one series")                                          \
    X(label_name_length_limit, 256, "bytes of a label name")                            \
    X(label_value_length_limit, 4096, "bytes of a label value")                         \
    X(target_limit, 10000, "targets of one job")                                        \
    X(keep_dropped_targets, 1000, "targets dropped by relabelling that are remembered") \
    X(body_size_limit, 32 << 20, "bytes of one answer, uncompressed")

struct toc_scrape_limits {
#define X(member, fallback, what) int64_t member;
    TOC_SCRAPE_LIMIT_TABLE(X)
#undef X
};

/* What scrape configs inherit. */
struct toc_scrape_global {
    int64_t interval_ms, timeout_ms;
    struct toc_scrape_limits limits;
    const char *base_dir; /* relative paths start here; NULL: the working directory */
};
struct toc_scrape_global toc_scrape_global_default(void);
/* Reads the keys of a `global` mapping that concern scraping and leaves the others alone; NULL is
 * accepted. */
int toc_scrape_global_read(const struct toc_yaml *global, struct toc_scrape_global *io,
                           struct toc_err *err) TOC_MUST_CHECK;

struct toc_scrape_file_sd {
    const struct toc_sv *files; /* paths; the last part may be a pattern */
    size_t file_count;
};

struct toc_scrape_param {
    struct toc_sv name;
    const struct toc_sv *values;
    size_t value_count;
};

/* X(enum, name in YAML, media type, takes an escaping parameter) */
#define TOC_SCRAPE_PROTOCOL_TABLE(X)                                                      \
    X(TOC_SCRAPE_OPENMETRICS_1, "OpenMetricsText1.0.0",                                   \
      "application/openmetrics-text;version=1.0.0", true)                                 \
    X(TOC_SCRAPE_OPENMETRICS_0, "OpenMetricsText0.0.1",                                   \
      "application/openmetrics-text;version=0.0.1", false)                                \
    X(TOC_SCRAPE_TEXT_1, "PrometheusText1.0.0", "text/plain;version=1.0.0", true)         \
    X(TOC_SCRAPE_TEXT_0, "PrometheusText0.0.4", "text/plain;version=0.0.4", false)        \
    X(TOC_SCRAPE_PROTO, "PrometheusProto",                                                \
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=" \
      "delimited",                                                                        \
      false)

enum toc_scrape_protocol {
#define X(name, text, media, escaping) name,
    TOC_SCRAPE_PROTOCOL_TABLE(X)
#undef X
        TOC_SCRAPE_PROTOCOL_COUNT
};

struct toc_scrape_config {
    struct toc_sv job_name;
    int64_t interval_ms, timeout_ms;
    struct toc_sv metrics_path, scheme;
    bool honor_labels, honor_timestamps, track_timestamps_staleness, enable_compression,
        extra_scrape_metrics, native_histograms, classic_histograms;
    const struct toc_scrape_param *params;
    size_t param_count;
    struct toc_scrape_limits limits;
    char accept[600];      /* header */
    int fallback_protocol; /* enum toc_scrape_protocol, -1 when none */

    struct toc_http_settings http;

    const struct toc_target_group *groups; /* static_configs */
    size_t group_count;
    const struct toc_scrape_file_sd *file_sds;
    size_t file_sd_count;
    const struct toc_discovery_config *discoveries;
    size_t discovery_count;
    struct toc_relabel relabel, metric_relabel;
    uint64_t series_digest; /* of what decides how samples become series */
};

/* As YAML, with the defaults in force; secrets read `<secret>`. */
void toc_scrape_config_format(const struct toc_scrape_config *c, struct toc_buf *out);

struct toc_scrape_set; /* opaque, immutable */

/* Reads a list of scrape configs (NULL: none). Errors carry line and column. The caller owns one
 * reference. */
int toc_scrape_set_read(const struct toc_yaml *scrape_configs,
                        const struct toc_scrape_global *global, struct toc_scrape_set **out,
                        struct toc_err *err) TOC_MUST_CHECK;
struct toc_scrape_set *toc_scrape_set_ref(struct toc_scrape_set *s);
/* NULL is accepted. */
void toc_scrape_set_unref(struct toc_scrape_set **s);
size_t toc_scrape_set_count(const struct toc_scrape_set *s);
const struct toc_scrape_config *toc_scrape_set_get(const struct toc_scrape_set *s, size_t i);

/* Reads a list of target groups (static_configs, a file of file_sd) into `a`; views borrowed from
 * `list` and `a`. */
int toc_scrape_groups_read(const struct toc_yaml *list, struct toc_arena *a,
                           const struct toc_target_group **out, size_t *out_count,
                           struct toc_err *err) TOC_MUST_CHECK;

#endif
