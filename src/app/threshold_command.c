#include "app/threshold_command.h"

#include <stdio.h>
#include <string.h>

#include "app/backtest_input.h"
#include "app/command.h"
#include "app/options.h"
#include "base/num.h"
#include "base/time.h"
#include "replay/threshold_suggest.h"
#include "sys/pool.h"
#include "sys/zone.h"

const char toc_threshold_usage[] =
    "usage: tocsin threshold suggest EXPR --budget N/PERIOD [--history D] [OPTIONS]\n"
    "\n"
    "Suggests a threshold for an expression from the history of a data directory, such that an\n"
    "alert comes about as often as the budget allows, and says what it would have done: learnt\n"
    "from the first two thirds of the history, tried on the last third. EXPR may hold a\n"
    "comparison (queue > 10): then its direction counts.\n"
    "\n"
    "  --budget N/PERIOD   such as 1/week, 2/day, 1/30d\n"
    "  --history D         how much of the newest history (default 30d)\n"
    "  --direction up|down which side is bad, when EXPR has no comparison (default up)\n"
    "  --for D             only this `for` (default: the one that fits of 0 to 30 minutes)\n"
    "  --static            one threshold for all hours and days\n"
    "  --labels FILE       known incidents, as tocsin backtest: left out of what is normal, and\n"
    "                      counted as found or missed\n"
    "  --interval D        of evaluation (default 1m)\n"
    "  --data DIR          data directory or snapshot (default ./tocsin-data)\n"
    "  --name NAME         of the rule (default Suggested)\n"
    "  --seed N            of the resampling (default 1); same seed, same answer\n"
    "  --threads N         (default: as many as processors)\n"
    "  -o, --output FORM   table or json (default table)\n"
    "\n"
    "Exit code: 0, 1 no suggestion can be made, 2 bad usage.\n";

struct request {
    const char *expr, *budget, *direction, *labels, *data, *name, *output;
    int64_t history_ms, for_ms, interval_ms, seed, threads;
    bool is_static, is_json;
    double budget_count;
    int64_t budget_period_ms; /* of one alert */
    bool is_down;
};

struct session {
    const struct request *r;
    struct toc_metricdb *db;
    struct toc_pool *pool;
    struct toc_known_incidents known;
    struct toc_suggest_request ask;
    struct toc_suggestion answer;
};

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin threshold: %s (see tocsin threshold --help)\n", text);
    return TOC_EXIT_USAGE;
}

static int failed(const struct toc_err *err) {
    fprintf(stderr, "tocsin threshold: %s\n", err->message);
    return TOC_EXIT_FAILED;
}

/* ---------------------------------------------------------------------------------------- usage */

static int64_t period_of(struct toc_sv text) {
    static const struct {
        const char *name;
        int64_t ms;
    } names[] = {{"hour", 3600000},
                 {"day", 86400000},
                 {"week", 7 * (int64_t)86400000},
                 {"month", 30 * (int64_t)86400000}};
    int64_t ms = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_cstr(text, names[i].name))
            return names[i].ms;
    return toc_duration_parse(text, &ms, NULL) == 0 ? ms : 0;
}

static int read_budget(struct request *r) {
    struct toc_sv rest = toc_sv_cstr(r->budget), count;
    if (!r->budget)
        return usage_error("--budget N/PERIOD is missing");
    (void)toc_sv_split(&rest, '/', &count);
    int64_t period_ms = period_of(rest);
    if (toc_parse_f64(count, &r->budget_count) < 0 || !(r->budget_count > 0) || period_ms <= 0 ||
        !((double)period_ms / r->budget_count >= 60000))
        return usage_error("--budget expects a number and a period such as 1/week, at most one "
                           "alert a minute");
    r->budget_period_ms = (int64_t)((double)period_ms / r->budget_count);
    return 0;
}

static int check(struct request *r) {
    r->is_down = strcmp(r->direction, "down") == 0;
    r->is_json = strcmp(r->output, "json") == 0;
    if (!r->is_down && strcmp(r->direction, "up") != 0)
        return usage_error("--direction expects up or down");
    if (!r->is_json && strcmp(r->output, "table") != 0)
        return usage_error("--output expects table or json");
    if (r->interval_ms <= 0 || r->history_ms < r->interval_ms)
        return usage_error("--history and --interval must be longer than 0");
    if (r->threads < 0 || r->threads > 64)
        return usage_error("--threads expects 1 to 64");
    return read_budget(r);
}

/* ---------------------------------------------------------------------------------------- input */

static int open_history(struct session *s) {
    const struct request *r = s->r;
    struct toc_metricdb_stats stats;
    struct toc_err err = {0};
    int rc = toc_backtest_open("threshold", r->data, &s->db, &stats);
    if (rc)
        return rc;
    if (stats.newest_ms < stats.oldest_ms) {
        (void)toc_errf(&err, TOC_ENODATA, "%s holds no samples", r->data);
        return failed(&err);
    }
    int64_t to_ms = stats.newest_ms + 1;
    s->ask =
        (struct toc_suggest_request){.querier = toc_metricdb_querier(s->db),
                                     .executor = toc_pool_executor(s->pool),
                                     .zones = {toc_zone_offset, NULL},
                                     .expr = toc_sv_cstr(r->expr),
                                     .name = toc_sv_cstr(r->name),
                                     .is_down = r->is_down,
                                     .is_static = r->is_static,
                                     .for_ms = r->for_ms,
                                     .from_ms = TOC_MAX(to_ms - r->history_ms, stats.oldest_ms),
                                     .to_ms = to_ms,
                                     .interval_ms = r->interval_ms,
                                     .budget_period_ms = r->budget_period_ms,
                                     .seed = (uint64_t)r->seed,
                                     .known = r->labels ? &s->known : NULL};
    return 0;
}

/* --------------------------------------------------------------------------------------- output */

static void print_level(const char *what, const struct toc_budget_level *l) {
    printf("%-12s %.6g (95 %%: %.6g to %.6g, %zu peaks)\n", what, l->threshold, l->low, l->high,
           l->peaks);
}

static void print_trial(const char *what, const struct toc_suggest_trial *t) {
    printf("%-12s %llu pages where the budget is %.1f, %llu alerts, %.1f minutes firing", what,
           (unsigned long long)t->score.all.pages, t->allowed,
           (unsigned long long)t->score.all.alerts, (double)t->score.all.firing_ms / 60000);
    if (t->score.has_known)
        printf("; %llu of %zu known incidents found", (unsigned long long)t->score.found,
               t->score.known.count);
    printf("\n");
}

static void print_table(const struct session *s) {
    const struct toc_suggestion *a = &s->answer;
    const struct toc_budget_suggestion *g = &a->all;
    struct toc_buf hours = TOC_BUF_INIT;
    toc_suggestion_hours(g, &hours);
    print_level(g->is_seasonal ? toc_buf_cstr(&hours) : "threshold", &g->level);
    if (g->is_seasonal)
        print_level("else", &g->low_hours);
    printf("%-12s %s\n%-12s %lld\n", "because", g->reason, "seed", (long long)s->r->seed);
    if (a->learnt.is_available)
        print_trial("held out", &a->held_out);
    else
        printf("%-12s %s\n", "held out", a->learnt.reason);
    print_trial("all history", &a->whole);
    printf("\n%.*s", (int)a->rule.n, a->rule.p);
    toc_buf_fini(&hours);
}

static void print_json(const struct session *s) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &out);
    toc_suggestion_json(&w, &s->ask, &s->answer);
    printf("%.*s\n", (int)out.n, out.p);
    toc_buf_fini(&out);
}

static int run(struct session *s) {
    struct toc_err err = {0};
    int rc = toc_threshold_suggest(&s->ask, &s->answer, &err);
    if (rc == TOC_EPARSE) {
        fprintf(stderr, "tocsin threshold: %d:%d: %s\n", err.line, err.column, err.message);
        return TOC_EXIT_USAGE;
    }
    if (rc < 0)
        return failed(&err);
    bool is_available = s->answer.all.is_available;
    if (s->r->is_json)
        print_json(s);
    else if (is_available)
        print_table(s);
    else
        printf("no suggestion: %s\n", s->answer.all.reason);
    return is_available ? 0 : TOC_EXIT_FAILED;
}

static int suggest_command(int argc, char **argv) {
    struct request r = {.direction = "up",
                        .data = "./tocsin-data",
                        .name = "Suggested",
                        .output = "table",
                        .history_ms = 30 * (int64_t)86400000,
                        .for_ms = -1,
                        .interval_ms = 60000,
                        .seed = 1};
    const struct toc_option options[] = {
        {"budget", 0, TOC_OPTION_STRING, &r.budget},
        {"history", 0, TOC_OPTION_DURATION, &r.history_ms},
        {"direction", 0, TOC_OPTION_STRING, &r.direction},
        {"for", 0, TOC_OPTION_DURATION, &r.for_ms},
        {"static", 0, TOC_OPTION_FLAG, &r.is_static},
        {"labels", 0, TOC_OPTION_STRING, &r.labels},
        {"interval", 0, TOC_OPTION_DURATION, &r.interval_ms},
        {"data", 0, TOC_OPTION_STRING, &r.data},
        {"name", 0, TOC_OPTION_STRING, &r.name},
        {"seed", 0, TOC_OPTION_INT, &r.seed},
        {"threads", 0, TOC_OPTION_INT, &r.threads},
        {"output", 'o', TOC_OPTION_STRING, &r.output},
        {0},
    };
    struct session s = {.r = &r};
    struct toc_err err = {0};
    int count, rc = toc_options_parse(argc, argv, options, toc_threshold_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count != 1)
        return usage_error("suggest takes one expression");
    r.expr = argv[1];
    rc = check(&r);
    if (rc == 0 && r.labels)
        rc = toc_backtest_load_known("threshold", r.labels, r.data, &s.known);
    if (rc == 0 && toc_pool_new((size_t)r.threads, &s.pool, &err) < 0)
        rc = failed(&err);
    if (rc == 0)
        rc = open_history(&s);
    if (rc == 0)
        rc = run(&s);
    toc_suggestion_fini(&s.answer);
    toc_pool_free(&s.pool);
    toc_metricdb_close(&s.db);
    toc_known_incidents_fini(&s.known);
    return rc;
}

int toc_threshold_command(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "suggest") == 0)
        return suggest_command(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(toc_threshold_usage, stdout);
        return 0;
    }
    return usage_error("expected suggest EXPR");
}
