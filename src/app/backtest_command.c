#include "app/backtest_command.h"

#include <stdio.h>
#include <string.h>

#include "app/backtest_input.h"
#include "app/backtest_remote.h"
#include "app/backtest_report.h"
#include "app/command.h"
#include "app/progress.h"
#include "app/test_command.h"
#include "replay/replay.h"
#include "sys/pool.h"
#include "sys/zone.h"

const char toc_backtest_usage[] =
    "usage: tocsin backtest --rules FILE… [--compare FILE…] --from T [--to T] [OPTIONS]\n"
    "\n"
    "Says what rules would have done to the history of a data directory: the rules, grouping and\n"
    "inhibition that run live, under a clock that jumps. The daemon must not have the directory\n"
    "open; a backup will do.\n"
    "\n"
    "  --rules FILE        rule files, patterns too; may be repeated\n"
    "  --compare FILE      other rules over the same history: totals side by side, alerts gained\n"
    "                      and lost; may be repeated\n"
    "  --from T, --to T    RFC 3339, seconds since the epoch, or a duration before the newest\n"
    "                      sample such as 30d (default of --to: the newest sample)\n"
    "  --data DIR          data directory or snapshot (default ./tocsin-data)\n"
    "  --labels FILE       known incidents: CSV with start, end, name and labels; or the word\n"
    "                      incidents: those of the data directory that were judged true\n"
    "  --alertmanager FILE routes and inhibition (default: as a daemon without such a file)\n"
    "  --interval D        of groups that name none (default 5s, as the daemon)\n"
    "  --query-offset D    of groups that name none (default 0s)\n"
    "  --night HH:MM-HH:MM what counts as night, in --zone (default 22:00-07:00)\n"
    "  --zone NAME         such as Europe/Berlin (default Local)\n"
    "  --early D, --late D an alert that long before or after a known incident is still of it\n"
    "                      (default 10m and 5m)\n"
    "  --flap D            an alert that returns within flaps (default 10m)\n"
    "  --server URL        ask a running daemon, with its routing and its time limit of a query;\n"
    "                      one file each, JSON only. --token-file FILE: the token\n"
    "  --features LIST     of PromQL, as tocsin test rules\n"
    "  --threads N         (default: as many as processors)\n"
    "  -o, --output FORM   table or json (default table)\n"
    "\n"
    "A page is a notification that calls somebody: the first of a group, or new alerts in it.\n"
    "Exit code: 0, 1 history or state cannot be read, 2 bad usage or rules.\n";

struct request {
    struct toc_option_list rules, compare;
    struct toc_client_options client; /* server NULL: the directory is read here */
    const char *from, *to, *data, *labels, *alertmanager, *night, *zone, *output, *features;
    int64_t interval_ms, query_offset_ms, early_ms, late_ms, flap_ms, threads;
    unsigned feature_bits;
    int night_from, night_to;
    bool is_json;
};

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin backtest: %s (see tocsin backtest --help)\n", text);
    return TOC_EXIT_USAGE;
}

static int read_night(struct request *r) {
    int a, b, c, d, end = 0;
    if (!r->night)
        return 0;
    if (sscanf(r->night, "%2d:%2d-%2d:%2d%n", &a, &b, &c, &d, &end) != 4 || r->night[end] ||
        a < 0 || a > 23 || b < 0 || b > 59 || c < 0 || c > 23 || d < 0 || d > 59 ||
        a * 60 + b == c * 60 + d)
        return usage_error("--night expects two times of the day such as 22:00-07:00");
    r->night_from = a * 60 + b;
    r->night_to = c * 60 + d;
    return 0;
}

static int check(struct request *r) {
    int minutes;
    if (!r->rules.count)
        return usage_error("--rules FILE is missing");
    if (!r->from)
        return usage_error("--from T is missing");
    if (strcmp(r->output, "table") != 0 && strcmp(r->output, "json") != 0)
        return usage_error("--output expects table or json");
    if (r->threads < 0 || r->threads > 64)
        return usage_error("--threads expects 1 to 64");
    if (r->interval_ms <= 0 || r->early_ms < 0 || r->late_ms < 0 || r->flap_ms < 0)
        return usage_error("durations must be longer than 0");
    if (!toc_zone_offset(NULL, toc_sv_cstr(r->zone), (struct toc_ts){0}, &minutes))
        return usage_error("--zone is not a time zone of this system");
    if (r->client.server && (r->rules.count > 1 || r->compare.count > 1))
        return usage_error("--server takes one file for --rules and one for --compare");
    r->is_json = strcmp(r->output, "json") == 0;
    int rc = read_night(r);
    return rc ? rc : toc_features_parse("backtest", r->features, &r->feature_bits);
}

static bool on_progress(void *ctx, int64_t done_ms, int64_t total_ms) {
    struct toc_progress *p = ctx;
    char detail[48];
    snprintf(detail, sizeof detail, "%.1f of %.1f days", (double)done_ms / 86400000,
             (double)total_ms / 86400000);
    toc_progress_at(p, (uint64_t)done_ms, detail);
    return true;
}

/* Everything that a run needs but the rules. */
struct session {
    const struct request *r;
    struct toc_metricdb *db;
    struct toc_pool *pool;
    struct toc_known_incidents known;
    int64_t from_ms, to_ms;
};

static int run_side(struct session *s, const struct toc_option_list *patterns, const char *name,
                    struct toc_replay_record *record, struct toc_score *score) {
    const struct request *r = s->r;
    struct toc_backtest_rules rules;
    struct toc_alert_config *routing = NULL;
    struct toc_progress progress;
    struct toc_err err = {0};
    const struct toc_replay_options o = {.history = toc_metricdb_querier(s->db),
                                         .from_ms = s->from_ms,
                                         .to_ms = s->to_ms,
                                         .executor = toc_pool_executor(s->pool),
                                         .features = r->feature_bits,
                                         .default_interval_ms = r->interval_ms,
                                         .default_query_offset_ms = r->query_offset_ms,
                                         .zones = {toc_zone_offset, NULL},
                                         .on_progress = on_progress,
                                         .ctx = &progress};
    const struct toc_score_options scoring = {.known = r->labels ? &s->known : NULL,
                                              .early_ms = r->early_ms,
                                              .late_ms = r->late_ms,
                                              .flap_ms = r->flap_ms,
                                              .night_from_minute = r->night_from,
                                              .night_to_minute = r->night_to,
                                              .zones = {toc_zone_offset, NULL},
                                              .zone = toc_sv_cstr(r->zone)};
    int rc = toc_backtest_load_routing("backtest", r->alertmanager, &routing);
    if (rc == 0 && (rc = toc_backtest_load_rules("backtest", patterns, r->feature_bits, &rules)))
        toc_alert_config_free(&routing);
    if (rc)
        return rc;
    toc_progress_begin(&progress, name, (uint64_t)(s->to_ms - s->from_ms));
    rc = toc_replay_run(&o, rules.items, rules.count, routing, record, &err);
    toc_progress_end(&progress);
    rules.count = 0; /* taken */
    toc_backtest_rules_fini(&rules);
    if (rc)
        fprintf(stderr, "tocsin backtest: %s\n", err.message);
    else
        toc_replay_score(record, &scoring, score);
    return rc ? TOC_EXIT_USAGE : 0;
}

static void print(const struct session *s, const struct toc_replay_record *records,
                  const struct toc_score *scores) {
    const struct request *r = s->r;
    bool compares = r->compare.count > 0;
    struct toc_replay_difference difference = {0};
    struct toc_causes causes[2] = {0};
    for (size_t i = 0; r->labels && i < (compares ? 2 : 1); i++)
        toc_replay_causes(&records[i], &scores[i], toc_metricdb_querier(s->db), r->interval_ms,
                          &causes[i]);
    const struct toc_replay_side sides[2] = {
        {compares ? "before" : "rules", &records[0], &scores[0], r->labels ? &causes[0] : NULL},
        {"after", &records[1], &scores[1], r->labels ? &causes[1] : NULL}};
    if (compares)
        toc_replay_compare(&records[0], &records[1], r->interval_ms, &difference);
    (r->is_json ? toc_backtest_print_json : toc_backtest_print)(sides, compares ? 2 : 1,
                                                                compares ? &difference : NULL);
    toc_replay_difference_fini(&difference);
    toc_causes_fini(&causes[0]);
    toc_causes_fini(&causes[1]);
}

static int run(struct session *s) {
    const struct request *r = s->r;
    struct toc_replay_record records[2];
    struct toc_score scores[2] = {0};
    for (size_t i = 0; i < 2; i++)
        toc_replay_record_init(&records[i]);
    int rc =
        run_side(s, &r->rules, r->compare.count ? "before" : "back-test", &records[0], &scores[0]);
    if (rc == 0 && r->compare.count)
        rc = run_side(s, &r->compare, "after", &records[1], &scores[1]);
    if (rc == 0)
        print(s, records, scores);
    for (size_t i = 0; i < 2; i++) {
        toc_score_fini(&scores[i]);
        toc_replay_record_fini(&records[i]);
    }
    return rc;
}

static int read_range(struct session *s, const struct toc_metricdb_stats *stats) {
    const struct request *r = s->r;
    int rc = 0;
    if (stats->newest_ms < stats->oldest_ms) {
        fprintf(stderr, "tocsin backtest: %s holds no samples\n", r->data);
        return TOC_EXIT_FAILED;
    }
    s->to_ms = stats->newest_ms + 1;
    if (r->to)
        rc = toc_backtest_time("backtest", "to", r->to, stats->newest_ms + 1, &s->to_ms);
    if (rc == 0)
        rc = toc_backtest_time("backtest", "from", r->from, stats->newest_ms + 1, &s->from_ms);
    if (rc == 0 && s->from_ms < stats->oldest_ms)
        fprintf(stderr, "tocsin backtest: the oldest sample is later than --from; before it rules "
                        "see nothing\n");
    return rc;
}

static int ask(struct request *r) {
    const struct toc_backtest_question q = {.rules = r->rules.items[0],
                                            .compare =
                                                r->compare.count ? r->compare.items[0] : NULL,
                                            .from = r->from,
                                            .to = r->to,
                                            .labels = r->labels,
                                            .zone = r->zone,
                                            .interval_ms = r->interval_ms};
    r->client.data_dir = r->data;
    return toc_backtest_ask(&r->client, &q);
}

int toc_backtest_command(int argc, char **argv) {
    struct request r = {.data = "./tocsin-data",
                        .output = "table",
                        .zone = "Local",
                        .features = "default",
                        .interval_ms = 5000};
    const struct toc_option options[] = {
        {"rules", 0, TOC_OPTION_LIST, &r.rules},
        {"compare", 0, TOC_OPTION_LIST, &r.compare},
        {"from", 0, TOC_OPTION_STRING, &r.from},
        {"to", 0, TOC_OPTION_STRING, &r.to},
        {"data", 0, TOC_OPTION_STRING, &r.data},
        {"labels", 0, TOC_OPTION_STRING, &r.labels},
        {"server", 's', TOC_OPTION_STRING, &r.client.server},
        {"token-file", 0, TOC_OPTION_STRING, &r.client.token_file},
        {"alertmanager", 0, TOC_OPTION_STRING, &r.alertmanager},
        {"interval", 0, TOC_OPTION_DURATION, &r.interval_ms},
        {"query-offset", 0, TOC_OPTION_DURATION, &r.query_offset_ms},
        {"night", 0, TOC_OPTION_STRING, &r.night},
        {"zone", 0, TOC_OPTION_STRING, &r.zone},
        {"early", 0, TOC_OPTION_DURATION, &r.early_ms},
        {"late", 0, TOC_OPTION_DURATION, &r.late_ms},
        {"flap", 0, TOC_OPTION_DURATION, &r.flap_ms},
        {"features", 0, TOC_OPTION_STRING, &r.features},
        {"threads", 0, TOC_OPTION_INT, &r.threads},
        {"output", 'o', TOC_OPTION_STRING, &r.output},
        {0},
    };
    struct session s = {.r = &r};
    struct toc_metricdb_stats stats;
    struct toc_err err = {0};
    int count, rc = toc_options_parse(argc, argv, options, toc_backtest_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count)
        return usage_error("unexpected argument");
    rc = check(&r);
    if (rc == 0 && r.client.server)
        return ask(&r);
    if (rc == 0 && r.labels)
        rc = toc_backtest_load_known("backtest", r.labels, r.data, &s.known);
    if (rc == 0)
        rc = toc_backtest_open("backtest", r.data, &s.db, &stats);
    if (rc == 0)
        rc = read_range(&s, &stats);
    if (rc == 0 && toc_pool_new((size_t)r.threads, &s.pool, &err) < 0) {
        fprintf(stderr, "tocsin backtest: %s\n", err.message);
        rc = TOC_EXIT_FAILED;
    }
    if (rc == 0)
        rc = run(&s);
    toc_pool_free(&s.pool);
    toc_metricdb_close(&s.db);
    toc_known_incidents_fini(&s.known);
    return rc;
}
