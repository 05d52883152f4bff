#include "app/threshold_command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/backtest_input.h"
#include "app/command.h"
#include "app/threshold_history.h"
#include "base/num.h"
#include "codec/json_writer.h"
#include "detect/threshold_budget.h"
#include "replay/replay.h"
#include "replay/replay_json.h"
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
    "  --static            one threshold for all hours\n"
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

enum { LABEL_MARGIN_MS = 600000, DIGITS = 4 };

struct request {
    const char *expr, *budget, *direction, *labels, *data, *name, *output;
    int64_t history_ms, for_ms, interval_ms, seed, threads;
    bool is_static, is_json;
    double budget_count;
    int64_t budget_period_ms; /* of one alert */
    enum toc_threshold_op op;
};

struct session {
    const struct request *r;
    struct toc_metricdb *db;
    struct toc_pool *pool;
    struct toc_known_incidents known;
    struct toc_promql_expr *left;
    struct toc_buf left_text;
    struct toc_threshold_history history;
    int64_t from_ms, split_ms, to_ms;
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
    bool is_down = strcmp(r->direction, "down") == 0;
    r->op = is_down ? TOC_THRESHOLD_LT : TOC_THRESHOLD_GT;
    r->is_json = strcmp(r->output, "json") == 0;
    if (!is_down && strcmp(r->direction, "up") != 0)
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

static int read_expr(struct session *s, struct request *r) {
    struct toc_promql_threshold t = {0};
    struct toc_promql_expr *whole = NULL;
    struct toc_err err = {0};
    if (toc_promql_parse(toc_sv_cstr(r->expr), &whole, &err) < 0) {
        fprintf(stderr, "tocsin threshold: %d:%d: %s\n", err.line, err.column, err.message);
        return TOC_EXIT_USAGE;
    }
    toc_promql_threshold(whole, &t);
    if (t.is_set && toc_threshold_op_parse(t.op, &r->op) == 0)
        toc_buf_append_sv(&s->left_text, toc_buf_sv(&t.left_text));
    else
        toc_promql_format(whole, false, &s->left_text);
    toc_buf_fini(&t.left_text);
    toc_promql_expr_free(&whole);
    int rc = toc_promql_parse(toc_buf_sv(&s->left_text), &s->left, &err);
    if (rc == 0 && toc_promql_expr_type(s->left) != TOC_PROMQL_VECTOR)
        rc = toc_errf(&err, TOC_ETYPE, "the expression must be an instant vector");
    return rc ? failed(&err) : 0;
}

static int read_history(struct session *s) {
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
    s->to_ms = stats.newest_ms + 1;
    s->from_ms = TOC_MAX(s->to_ms - r->history_ms, stats.oldest_ms);
    s->split_ms = s->from_ms + (s->to_ms - s->from_ms) / 3 * 2;
    rc = toc_threshold_history_read(toc_metricdb_querier(s->db), s->left, s->from_ms, s->to_ms,
                                    r->interval_ms, toc_pool_executor(s->pool), &s->history, &err);
    if (rc)
        return failed(&err);
    if (r->labels)
        toc_threshold_history_leave_out(&s->history, &s->known, LABEL_MARGIN_MS);
    return 0;
}

/* ----------------------------------------------------------------------------------- suggestion */

static int suggest(const struct session *s, int64_t end_ms, struct toc_budget_suggestion *out) {
    const struct request *r = s->r;
    struct toc_history *series = toc_threshold_history_until(&s->history, end_ms);
    const struct toc_budget_request q = {.op = r->op,
                                         .series = series,
                                         .series_count = s->history.count,
                                         .step_ms = r->interval_ms,
                                         .budget_period_ms = r->budget_period_ms,
                                         .fors_ms = r->for_ms >= 0 ? &r->for_ms : NULL,
                                         .for_count = 1,
                                         .allows_seasonal = !r->is_static,
                                         .seed = (uint64_t)r->seed};
    int rc = toc_budget_suggest(&q, out);
    struct toc_err err = {0};
    toc_free(series);
    return rc ? failed((toc_errf(&err, rc, "%s", toc_strerror(rc)), &err)) : 0;
}

/* Away from what is normal, to four digits. */
static void append_number(double v, bool is_upper, struct toc_buf *out) {
    double unit = v == 0 ? 1 : pow(10, floor(log10(fabs(v))) - (DIGITS - 1));
    double rounded = is_upper ? ceil(v / unit) * unit : floor(v / unit) * unit;
    toc_buf_printf(out, "%.*g", DIGITS + 1, rounded);
}

static void append_expr(const struct session *s, const struct toc_budget_suggestion *g,
                        struct toc_buf *out) {
    const char *op = toc_threshold_op_text(s->r->op);
    bool is_upper = s->r->op == TOC_THRESHOLD_GT || s->r->op == TOC_THRESHOLD_GE;
    toc_buf_printf(out, "%s(%.*s) %s ", g->is_seasonal ? "((" : "",
                   TOC_SV_ARG(toc_buf_sv(&s->left_text)), op);
    append_number(g->level.threshold, is_upper, out);
    if (!g->is_seasonal)
        return;
    struct toc_buf high = TOC_BUF_INIT;
    if (g->high_from_hour < g->high_to_hour)
        toc_buf_printf(&high, "(hour() >= %d < %d)", g->high_from_hour, g->high_to_hour);
    else
        toc_buf_printf(&high, "(hour() >= %d or hour() < %d)", g->high_from_hour, g->high_to_hour);
    toc_buf_printf(out, ") and on () %s) or (((%.*s) %s ", toc_buf_cstr(&high),
                   TOC_SV_ARG(toc_buf_sv(&s->left_text)), op);
    append_number(g->low_hours.threshold, is_upper, out);
    toc_buf_printf(out, ") unless on () %s)", toc_buf_cstr(&high));
    toc_buf_fini(&high);
}

static void append_rule(const struct session *s, const struct toc_budget_suggestion *g,
                        struct toc_buf *out) {
    struct toc_buf expr = TOC_BUF_INIT;
    append_expr(s, g, &expr);
    toc_buf_printf(out, "- alert: %s\n  expr: >-\n    %s\n", s->r->name, toc_buf_cstr(&expr));
    if (g->for_ms) {
        toc_buf_append_cstr(out, "  for: ");
        toc_duration_format(g->for_ms, out);
        toc_buf_append_char(out, '\n');
    }
    toc_buf_append_cstr(out, "  keep_firing_for: ");
    toc_duration_format(TOC_BUDGET_KEEP_MS, out);
    toc_buf_append_char(out, '\n');
    toc_buf_fini(&expr);
}

/* ------------------------------------------------------------------------------------ back-test */

struct trial {
    struct toc_replay_record record;
    struct toc_score score;
};

static int try_out(const struct session *s, struct toc_sv rule, int64_t from_ms, int64_t to_ms,
                   struct trial *out) {
    static const char routing[] = "route: {receiver: r, group_by: [alertname], group_wait: 0s, "
                                  "group_interval: 1m, repeat_interval: 8760h}\n"
                                  "receivers: [{name: r}]\n";
    struct toc_buf text = TOC_BUF_INIT, interval = TOC_BUF_INIT;
    struct toc_rule_file *f = NULL;
    struct toc_alert_config *config = NULL;
    struct toc_err err = {0};
    struct toc_sv line;
    toc_duration_format(s->r->interval_ms, &interval);
    toc_buf_printf(&text, "groups:\n- name: suggested\n  interval: %s\n  rules:\n",
                   toc_buf_cstr(&interval));
    while (rule.n && toc_sv_split(&rule, '\n', &line))
        toc_buf_printf(&text, "  %.*s\n", TOC_SV_ARG(line));
    const struct toc_replay_options o = {.history = toc_metricdb_querier(s->db),
                                         .from_ms = from_ms,
                                         .to_ms = to_ms,
                                         .executor = toc_pool_executor(s->pool),
                                         .zones = {toc_zone_offset, NULL}};
    const struct toc_score_options scoring = {.known = s->r->labels ? &s->known : NULL};
    int rc = toc_rule_file_parse(TOC_SV("suggested.yml"), toc_buf_sv(&text), false, &f, &err);
    if (rc == 0)
        rc = toc_alert_config_parse(toc_sv_cstr(routing), NULL, &config, &err);
    if (rc == 0)
        rc = toc_replay_run(&o, &f, 1, config, &out->record, &err);
    if (rc == 0)
        toc_replay_score(&out->record, &scoring, &out->score);
    toc_buf_fini(&text);
    toc_buf_fini(&interval);
    return rc ? failed(&err) : 0;
}

static void trial_fini(struct trial *t) {
    toc_score_fini(&t->score);
    toc_replay_record_fini(&t->record);
}

/* --------------------------------------------------------------------------------------- output */

struct answer {
    struct toc_budget_suggestion all, learnt; /* from everything; from the first two thirds */
    struct toc_buf rule;
    struct trial held_out, whole;
};

static double allowed(const struct session *s, int64_t from_ms, int64_t to_ms) {
    return (double)(to_ms - from_ms) / (double)s->r->budget_period_ms;
}

static void print_level(const char *what, const struct toc_budget_level *l) {
    printf("%-12s %.6g (95 %%: %.6g to %.6g, %zu peaks)\n", what, l->threshold, l->low, l->high,
           l->peaks);
}

static void print_trial(const char *what, const struct trial *t, double budget) {
    printf("%-12s %llu pages where the budget is %.1f, %llu alerts, %.1f minutes firing", what,
           (unsigned long long)t->score.all.pages, budget, (unsigned long long)t->score.all.alerts,
           (double)t->score.all.firing_ms / 60000);
    if (t->score.has_known)
        printf("; %llu of %zu known incidents found", (unsigned long long)t->score.found,
               t->score.known.count);
    printf("\n");
}

static void print_table(const struct session *s, const struct answer *a) {
    const struct toc_budget_suggestion *g = &a->all;
    char high[24];
    snprintf(high, sizeof high, "%02d-%02d h UTC", g->high_from_hour, g->high_to_hour);
    print_level(g->is_seasonal ? high : "threshold", &g->level);
    if (g->is_seasonal)
        print_level("other hours", &g->low_hours);
    printf("%-12s %s\n%-12s %lld\n", "because", g->reason, "seed", (long long)s->r->seed);
    if (a->learnt.is_available)
        print_trial("held out", &a->held_out, allowed(s, s->split_ms, s->to_ms));
    else
        printf("%-12s %s\n", "held out", a->learnt.reason);
    print_trial("all history", &a->whole, allowed(s, s->from_ms, s->to_ms));
    printf("\n%.*s", (int)a->rule.n, a->rule.p);
}

static void put_level(struct toc_json_writer *w, const char *key,
                      const struct toc_budget_level *l) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_double(w, "threshold", l->threshold);
    toc_json_kv_double(w, "low", l->low);
    toc_json_kv_double(w, "high", l->high);
    toc_json_kv_int(w, "peaks", (int64_t)l->peaks);
    toc_json_end_object(w);
}

static void put_trial(struct toc_json_writer *w, const char *key, const struct trial *t,
                      double budget) {
    toc_json_key(w, key);
    toc_json_begin_object(w);
    toc_json_kv_time(w, "from", (struct toc_ts){t->record.from_ms});
    toc_json_kv_time(w, "to", (struct toc_ts){t->record.to_ms});
    toc_json_kv_double(w, "budget", budget);
    toc_json_key(w, "result");
    toc_replay_score_json(w, &t->record, &t->score);
    toc_json_end_object(w);
}

static void print_json(const struct session *s, const struct answer *a) {
    const struct toc_budget_suggestion *g = &a->all;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &out);
    toc_json_begin_object(&w);
    toc_json_kv_bool(&w, "available", g->is_available);
    toc_json_kv_cstr(&w, "reason", g->reason);
    toc_json_kv_int(&w, "seed", s->r->seed);
    toc_json_kv_int(&w, "samples", (int64_t)g->samples);
    toc_json_kv_double(&w, "history_s", (double)g->history_ms / 1000);
    if (g->is_available) {
        put_level(&w, "level", &g->level);
        toc_json_kv_double(&w, "for_s", (double)g->for_ms / 1000);
        toc_json_kv_bool(&w, "seasonal", g->is_seasonal);
        if (g->is_seasonal) {
            put_level(&w, "low_hours", &g->low_hours);
            toc_json_kv_int(&w, "high_from_hour", g->high_from_hour);
            toc_json_kv_int(&w, "high_to_hour", g->high_to_hour);
        }
        toc_json_kv_string(&w, "rule", toc_buf_sv(&a->rule));
        put_trial(&w, "whole", &a->whole, allowed(s, s->from_ms, s->to_ms));
    }
    if (g->is_available && a->learnt.is_available)
        put_trial(&w, "held_out", &a->held_out, allowed(s, s->split_ms, s->to_ms));
    toc_json_end_object(&w);
    printf("%.*s\n", (int)out.n, out.p);
    toc_buf_fini(&out);
}

static int answer(const struct session *s, struct answer *a) {
    struct toc_buf learnt = TOC_BUF_INIT;
    int rc = suggest(s, s->to_ms, &a->all);
    if (rc == 0)
        rc = suggest(s, s->split_ms, &a->learnt);
    if (rc == 0 && a->all.is_available) {
        append_rule(s, &a->all, &a->rule);
        rc = try_out(s, toc_buf_sv(&a->rule), s->from_ms, s->to_ms, &a->whole);
    }
    if (rc == 0 && a->all.is_available && a->learnt.is_available) {
        append_rule(s, &a->learnt, &learnt);
        rc = try_out(s, toc_buf_sv(&learnt), s->split_ms, s->to_ms, &a->held_out);
    }
    toc_buf_fini(&learnt);
    return rc;
}

static int run(struct session *s) {
    struct answer a = {0};
    toc_replay_record_init(&a.held_out.record);
    toc_replay_record_init(&a.whole.record);
    int rc = answer(s, &a);
    if (rc == 0 && s->r->is_json)
        print_json(s, &a);
    else if (rc == 0 && a.all.is_available)
        print_table(s, &a);
    else if (rc == 0)
        printf("no suggestion: %s\n", a.all.reason);
    bool is_available = a.all.is_available;
    trial_fini(&a.held_out);
    trial_fini(&a.whole);
    toc_buf_fini(&a.rule);
    return rc ? rc : is_available ? 0 : TOC_EXIT_FAILED;
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
    if (rc == 0)
        rc = read_expr(&s, &r);
    if (rc == 0 && r.labels)
        rc = toc_backtest_load_known("threshold", r.labels, r.data, &s.known);
    if (rc == 0 && toc_pool_new((size_t)r.threads, &s.pool, &err) < 0)
        rc = failed(&err);
    if (rc == 0)
        rc = read_history(&s);
    if (rc == 0)
        rc = run(&s);
    toc_threshold_history_fini(&s.history);
    toc_pool_free(&s.pool);
    toc_metricdb_close(&s.db);
    toc_known_incidents_fini(&s.known);
    toc_promql_expr_free(&s.left);
    toc_buf_fini(&s.left_text);
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
