/* What a back-test works on: the history of a data directory, rules, routing, known incidents.
 * Everything here tells its errors on standard error and returns exit codes. */
#ifndef TOC_APP_BACKTEST_INPUT_H
#define TOC_APP_BACKTEST_INPUT_H

#include "alert/config.h"
#include "app/config.h"
#include "app/options.h"
#include "metricdb/metricdb.h"
#include "replay/replay_labels.h"
#include "rules/rule_file.h"

/* Opens DIR's series for reading; out_stats tells what time they cover. */
int toc_backtest_open(const char *command, const char *dir, struct toc_metricdb **out,
                      struct toc_metricdb_stats *out_stats);

/* RFC 3339, seconds since the epoch, or a duration: that long before `end_ms`. */
int toc_backtest_time(const char *command, const char *option, const char *text, int64_t end_ms,
                      int64_t *out_ms);

struct toc_backtest_rules {
    struct toc_rule_file **items;
    size_t count;
};
/* Files and patterns. */
int toc_backtest_load_rules(const char *command, const struct toc_option_list *patterns,
                            unsigned features, struct toc_backtest_rules *out);
void toc_backtest_rules_fini(struct toc_backtest_rules *r);

/* Alertmanager's file, or, with NULL, what a daemon without one has. */
int toc_backtest_load_routing(const char *command, const char *path, struct toc_alert_config **out);

/* A CSV file, or "incidents": those of the data directory that a person judged true. */
int toc_backtest_load_known(const char *command, const char *source, const char *dir,
                            struct toc_known_incidents *out);

#endif
