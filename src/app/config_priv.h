/* Sections of tocsin.yml that are read in files of their own. */
#ifndef TOC_APP_CONFIG_PRIV_H
#define TOC_APP_CONFIG_PRIV_H

#include "app/config.h"

/* `query`, `features` and `web`; any node may be NULL. */
int toc_config_query_read(const struct toc_yaml *query, const struct toc_yaml *features,
                          const struct toc_yaml *web, struct toc_config *c,
                          struct toc_err *err) TOC_MUST_CHECK;

/* `storage.retention_rules`; the node may be NULL. */
int toc_config_retention_rules_read(const struct toc_yaml *list, struct toc_config *c,
                                    struct toc_err *err) TOC_MUST_CHECK;
void toc_config_retention_rules_free(struct toc_config *c);

/* `otlp`, after `query`; the node may be NULL. */
int toc_config_otlp_read(const struct toc_yaml *otlp, struct toc_config *c,
                         struct toc_err *err) TOC_MUST_CHECK;

/* `influx`; the node may be NULL. */
int toc_config_influx_read(const struct toc_yaml *influx, struct toc_config *c,
                           struct toc_err *err) TOC_MUST_CHECK;

/* `statsd`; the node may be NULL. */
int toc_config_statsd_read(const struct toc_yaml *statsd, struct toc_config *c,
                           struct toc_err *err) TOC_MUST_CHECK;

/* `nccl_ras`; the node may be NULL. */
int toc_config_nccl_ras_read(const struct toc_yaml *node, struct toc_config *c,
                             struct toc_err *err) TOC_MUST_CHECK;
/* `job_state`; the node may be NULL. */
int toc_config_job_state_read(const struct toc_yaml *node, struct toc_config *c,
                              struct toc_err *err) TOC_MUST_CHECK;
/* `series_watch`; the node may be NULL. */
int toc_config_series_watch_read(const struct toc_yaml *node, struct toc_config *c,
                                 struct toc_err *err) TOC_MUST_CHECK;
/* `logs`; the node may be NULL. */
int toc_config_logs_read(const struct toc_yaml *logs, struct toc_config *c,
                         struct toc_err *err) TOC_MUST_CHECK;

/* What `global` says about rules; the node may be NULL. */
int toc_config_rules_global_read(const struct toc_yaml *global, struct toc_config *c,
                                 struct toc_err *err) TOC_MUST_CHECK;
/* Parses and keeps one rule file; `name` is what its problems and the API call it. */
int toc_config_add_rule_file(struct toc_config *c, const char *name, struct toc_sv text,
                             struct toc_err *err) TOC_MUST_CHECK;
int toc_config_add_builtin_packs(struct toc_config *c, struct toc_err *err) TOC_MUST_CHECK;

#endif
