#include "app/backtest_report.h"

#include <math.h>
#include <stdio.h>

#include "app/table.h"
#include "base/time.h"

enum { SHOWN_MAX = 20 };

static void add_count(struct toc_table *t, uint64_t n) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    toc_table_add(t, toc_sv_cstr(text));
}

static void add_minutes(struct toc_table *t, int64_t ms) {
    char text[32];
    snprintf(text, sizeof text, "%.1f", (double)ms / 60000);
    toc_table_add(t, toc_sv_cstr(text));
}

static void add_precision(struct toc_table *t, const struct toc_score_counts *c) {
    char text[64];
    if (isnan(c->precision))
        snprintf(text, sizeof text, "-");
    else
        snprintf(text, sizeof text, "%.2f (%.2f-%.2f)", c->precision, c->precision_low,
                 c->precision_high);
    toc_table_add(t, toc_sv_cstr(text));
}

static void add_seconds(struct toc_table *t, double s) {
    struct toc_buf b = TOC_BUF_INIT;
    if (isnan(s)) {
        toc_buf_append_char(&b, '-');
    } else {
        toc_duration_format_human(llround(fabs(s) * 1000), &b);
        toc_buf_append_cstr(&b, s < 0 ? " after" : " before");
    }
    toc_table_add(t, toc_buf_sv(&b));
    toc_buf_fini(&b);
}

/* ---------------------------------------------------------------------------------------- totals
 */

enum row_form { ROW_COUNT, ROW_MINUTES };

static void add_row(struct toc_table *t, const char *what, const struct toc_replay_side *sides,
                    size_t count, size_t offset, enum row_form form) {
    toc_table_add(t, toc_sv_cstr(what));
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)&sides[i].score->all + offset;
        if (form == ROW_COUNT)
            add_count(t, *(const uint64_t *)(const void *)at);
        else
            add_minutes(t, *(const int64_t *)(const void *)at);
    }
}

static void add_known_rows(struct toc_table *t, const struct toc_replay_side *sides, size_t count) {
    add_row(t, "true alerts", sides, count, offsetof(struct toc_score_counts, true_alerts),
            ROW_COUNT);
    add_row(t, "false alerts", sides, count, offsetof(struct toc_score_counts, false_alerts),
            ROW_COUNT);
    toc_table_add(t, TOC_SV("precision (95 %)"));
    for (size_t i = 0; i < count; i++)
        add_precision(t, &sides[i].score->all);
    toc_table_add(t, TOC_SV("known incidents found"));
    for (size_t i = 0; i < count; i++)
        add_count(t, sides[i].score->found);
    toc_table_add(t, TOC_SV("known incidents missed"));
    for (size_t i = 0; i < count; i++)
        add_count(t, sides[i].score->missed);
    toc_table_add(t, TOC_SV("told, median"));
    for (size_t i = 0; i < count; i++)
        add_seconds(t, sides[i].score->lead_median_s);
}

static void print_totals(const struct toc_replay_side *sides, size_t count) {
    static const struct {
        const char *what;
        size_t offset;
    } rows[] = {{"pages", offsetof(struct toc_score_counts, pages)},
                {"pages at night", offsetof(struct toc_score_counts, night_pages)},
                {"reminders", offsetof(struct toc_score_counts, reminders)},
                {"alerts", offsetof(struct toc_score_counts, alerts)},
                {"alerts told", offsetof(struct toc_score_counts, told)},
                {"flaps", offsetof(struct toc_score_counts, flaps)}};
    const char *titles[3] = {"", sides[0].name, count > 1 ? sides[1].name : NULL};
    struct toc_table t;
    toc_table_init(&t, titles, count + 1);
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++)
        add_row(&t, rows[i].what, sides, count, rows[i].offset, ROW_COUNT);
    toc_table_add(&t, TOC_SV("incidents"));
    for (size_t i = 0; i < count; i++)
        add_count(&t, sides[i].score->incidents);
    add_row(&t, "minutes firing", sides, count, offsetof(struct toc_score_counts, firing_ms),
            ROW_MINUTES);
    if (sides[0].score->has_known)
        add_known_rows(&t, sides, count);
    toc_table_print(&t, TOC_OUTPUT_TABLE);
    toc_table_fini(&t);
}

/* ----------------------------------------------------------------------------------------- rules
 */

static bool did_something(const struct toc_score_rule *r) {
    return r->counts.alerts || r->counts.pages || r->rule->failures;
}

static void print_rules(const struct toc_replay_side *side) {
    static const char *const titles[] = {"rule",    "pages", "night", "alerts",    "flaps",
                                         "minutes", "true",  "false", "precision", "failures"};
    struct toc_table t;
    size_t quiet = 0;
    toc_table_init(&t, titles, TOC_ARRAY_LEN(titles));
    for (size_t i = 0; i < side->score->rules.count; i++) {
        const struct toc_score_rule *r = &side->score->rules.items[i];
        quiet += !did_something(r);
        if (!did_something(r))
            continue;
        toc_table_add(&t, r->rule->name);
        add_count(&t, r->counts.pages);
        add_count(&t, r->counts.night_pages);
        add_count(&t, r->counts.alerts);
        add_count(&t, r->counts.flaps);
        add_minutes(&t, r->counts.firing_ms);
        add_count(&t, r->counts.true_alerts);
        add_count(&t, r->counts.false_alerts);
        add_precision(&t, &r->counts);
        add_count(&t, r->rule->failures);
    }
    printf("\n%s\n", side->name);
    if (t.cells.count)
        toc_table_print(&t, TOC_OUTPUT_TABLE);
    if (quiet)
        printf("%zu rules did nothing\n", quiet);
    toc_table_fini(&t);
}

static void print_errors(const struct toc_replay_side *side) {
    for (size_t i = 0; i < side->record->rules.count; i++) {
        const struct toc_replay_rule *r = &side->record->rules.items[i];
        if (r->failures && r->last_error.n)
            fprintf(stderr, "%s: rule %.*s failed %llu times, last: %.*s\n", side->name,
                    TOC_SV_ARG(r->name), (unsigned long long)r->failures,
                    TOC_SV_ARG(r->last_error));
    }
    if (side->record->is_thinned)
        fprintf(stderr,
                "%s: raw samples of a part of the range are gone; the last ones of their "
                "roll-ups stood in for them\n",
                side->name);
    if (side->record->alerts_dropped)
        fprintf(stderr, "%s: %zu alerts were over the limit of the alert manager\n", side->name,
                side->record->alerts_dropped);
}

static void print_alerts(const char *what, const struct toc_replay_alert *const *items,
                         size_t count) {
    printf("\n%zu alerts %s\n", count, what);
    for (size_t i = 0; i < count && i < SHOWN_MAX; i++) {
        struct toc_buf line = TOC_BUF_INIT;
        toc_ts_format_rfc3339((struct toc_ts){items[i]->fired_ms}, &line);
        toc_buf_append_cstr(&line, "  ");
        toc_labels_format(items[i]->labels, &line);
        printf("  %s\n", toc_buf_cstr(&line));
        toc_buf_fini(&line);
    }
    if (count > SHOWN_MAX)
        printf("  and %zu more (--output json has them)\n", count - SHOWN_MAX);
}

static void print_causes(const struct toc_causes *c) {
    static const char *const titles[] = {"false alerts of", "all",       "data",     "season",
                                         "model",           "threshold", "precision"};
    struct toc_table t;
    toc_table_init(&t, titles, TOC_ARRAY_LEN(titles));
    for (size_t i = 0; i < c->count; i++) {
        const struct toc_rule_causes *r = &c->items[i];
        toc_table_add(&t, r->rule->rule->name);
        add_count(&t, r->rule->counts.false_alerts);
        for (int k = 0; k < TOC_FALSE_CAUSE_COUNT; k++)
            add_count(&t, r->counts[k]);
        if (r->is_poor)
            toc_table_add(&t, TOC_SV("poor"));
        else
            add_precision(&t, &r->rule->counts);
    }
    printf("\n");
    toc_table_print(&t, TOC_OUTPUT_TABLE);
    toc_table_fini(&t);
}

void toc_backtest_print(const struct toc_replay_side *sides, size_t count,
                        const struct toc_replay_difference *difference) {
    print_totals(sides, count);
    for (size_t i = 0; i < count; i++) {
        print_rules(&sides[i]);
        print_errors(&sides[i]);
        if (sides[i].causes && sides[i].causes->count)
            print_causes(sides[i].causes);
    }
    if (!difference)
        return;
    print_alerts("gained", difference->gained.items, difference->gained.count);
    print_alerts("lost", difference->lost.items, difference->lost.count);
}

void toc_backtest_print_json(const struct toc_replay_side *sides, size_t count,
                             const struct toc_replay_difference *difference) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &out);
    toc_replay_json(&w, sides, count, difference);
    toc_buf_append_char(&out, '\n');
    fwrite(out.p, 1, out.n, stdout);
    toc_buf_fini(&out);
}
