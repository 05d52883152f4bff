/*
 * Log lines known by their shape give the row, the groups and the pairs that looking at them gives;
 * a feed that only counts finds as many reports as one that gives them, however the bytes are cut.
 *
 *   prop_run_log_shape [--seed FIRST] [--ops LOGS]
 */
#include <stdio.h>
#include <stdlib.h>

#include "../metricdb/args.h"
#include "base/buf.h"
#include "base/rng.h"
#include "collect/run_log_shape_priv.h"

enum { FORMS = 4, LINES = 80, T_MS = 1790000000000 };

static const char *const g_prefixes[] = {"", "", "2026-11-24 02:05:56,267 INFO ",
                                         "2026-13-24 02:05:56 ", "[rank0] 12:00:00 "};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The form with other digits, seldom another length, seldom damaged. */
static void write_line(struct toc_rng *rng, struct toc_sv form, struct toc_buf *out) {
    size_t from = out->n;
    for (size_t i = 0; i < form.n; i++) {
        char c = form.p[i];
        if (is_digit(c) && toc_rng_below(rng, 3))
            c = (char)('0' + toc_rng_below(rng, 10));
        toc_buf_append_char(out, c);
        if (is_digit(c) && !toc_rng_below(rng, 60))
            toc_buf_append_char(out, (char)('0' + toc_rng_below(rng, 10)));
    }
    if (out->n > from && !toc_rng_below(rng, 20))
        out->p[from + toc_rng_below(rng, out->n - from)] = (char)(' ' + toc_rng_below(rng, 95));
}

static void fail(uint64_t seed, struct toc_sv line, const char *what) {
    fprintf(stderr, "--seed %llu: %s: %.*s\n", (unsigned long long)seed, what, TOC_SV_ARG(line));
    exit(1);
}

struct pairs {
    struct toc_run_log_names *names;
    bool is_eval;
    struct toc_buf text;
};

static void note_meant(void *ctx, struct toc_run_log_meaning m, struct toc_sv number) {
    struct pairs *p = ctx;
    toc_buf_printf(&p->text, "%p %p %.*s;", (const void *)m.alias, (const void *)m.field,
                   TOC_SV_ARG(number));
}

static void note_pair(void *ctx, struct toc_sv name, struct toc_sv number) {
    struct pairs *p = ctx;
    note_meant(p, toc_run_log_name_get(p->names, name, p->is_eval), number);
}

static void check_pairs(uint64_t seed, const struct toc_run_log_matched *m, struct toc_sv line,
                        struct toc_run_log_names *names) {
    bool is_eval = m->row->kind == TOC_RUN_LOG_EVAL;
    struct pairs looked = {names, is_eval, TOC_BUF_INIT}, cut = {names, is_eval, TOC_BUF_INIT};
    for (int i = 1; i < m->row->group_count; i++) {
        if (m->row->groups[i].kind != TOC_RUN_LOG_GROUP_PAIRS)
            continue;
        toc_run_log_pairs(m->row->pairs, m->groups[i], note_pair, &looked);
        toc_run_log_cut_pairs(m->cuts, m->row->pairs, line, m->groups[i], names, is_eval,
                              note_meant, &cut);
    }
    if (!toc_sv_eq(toc_buf_sv(&looked.text), toc_buf_sv(&cut.text)))
        fail(seed, line, "other pairs");
    toc_buf_fini(&looked.text);
    toc_buf_fini(&cut.text);
}

static void check_line(uint64_t seed, const struct toc_run_log_table *t,
                       struct toc_run_log_shapes *shapes, struct toc_run_log_names *names,
                       struct toc_sv line) {
    struct toc_sv groups[TOC_RUN_LOG_GROUPS_MAX] = {TOC_SV_NULL};
    struct toc_run_log_matched m;
    struct toc_ts at;
    const struct toc_run_log_row *row = toc_run_log_match(t, line, groups);
    toc_run_log_shapes_match(shapes, t, line, &m);
    if (m.row != row)
        fail(seed, line, "another row");
    for (int i = 0; row && i < row->group_count; i++)
        if (m.groups[i].n != groups[i].n || m.groups[i].p != groups[i].p)
            fail(seed, line, "another group");
    if (m.row)
        check_pairs(seed, &m, line, names);
    if (!m.may_show_time && toc_run_log_time(line, 0, &at))
        fail(seed, line, "a time was passed over");
}

static void ignore(struct toc_report_taker *taker, const struct toc_run_report *report) {
    (void)taker, (void)report;
}

static uint64_t reports_of(const struct toc_run_log_table *t, const struct toc_alias_table *aliases,
                           struct toc_rng *rng, struct toc_sv log, bool is_counting) {
    struct toc_report_taker taker = {.on_run = ignore};
    struct toc_run_log_feed *f = toc_run_log_feed_new(&(struct toc_run_log_feed_options){
        .table = t, .aliases = aliases, .taker = &taker, .is_counting = is_counting});
    while (log.n) {
        size_t n = 1 + toc_rng_below(rng, log.n);
        toc_run_log_feed_push(f, toc_sv_sub(log, 0, n), (struct toc_ts){T_MS});
        log = toc_sv_sub(log, n, SIZE_MAX);
    }
    toc_run_log_feed_flush(f, (struct toc_ts){T_MS});
    uint64_t reports = toc_run_log_feed_counters(f).reports;
    toc_run_log_feed_free(&f);
    return reports;
}

/* Lines of a few programs; without bars, whose count is given once a push. */
static uint64_t check_log(uint64_t seed, const struct toc_run_log_table *t,
                          const struct toc_alias_table *aliases) {
    struct toc_run_log_shapes *shapes = toc_run_log_shapes_new();
    struct toc_report_fields fields = {0};
    struct toc_run_log_names *names = toc_run_log_names_new(aliases, &fields);
    struct toc_buf forms[FORMS] = {0}, log = TOC_BUF_INIT;
    struct toc_rng rng;
    bool has_bar = false;
    toc_rng_seed(&rng, seed);
    for (size_t i = 0; i < FORMS; i++) {
        const struct toc_run_log_row *row = &t->rows[toc_rng_below(&rng, t->count)];
        has_bar |= row->kind == TOC_RUN_LOG_PROGRESS;
        toc_buf_append_cstr(&forms[i], g_prefixes[toc_rng_below(&rng, TOC_ARRAY_LEN(g_prefixes))]);
        toc_buf_append_sv(&forms[i], row->sample);
    }
    for (int i = 0; i < LINES; i++) {
        size_t from = log.n;
        write_line(&rng, toc_buf_sv(&forms[toc_rng_below(&rng, FORMS)]), &log);
        check_line(seed, t, shapes, names, toc_sv_sub(toc_buf_sv(&log), from, SIZE_MAX));
        toc_buf_append_char(&log, '\n');
    }
    uint64_t known = toc_run_log_shapes_known(shapes);
    if (!has_bar && reports_of(t, aliases, &rng, toc_buf_sv(&log), true) !=
                        reports_of(t, aliases, &rng, toc_buf_sv(&log), false))
        fail(seed, toc_buf_sv(&log), "other reports counted than given");
    for (size_t i = 0; i < FORMS; i++)
        toc_buf_fini(&forms[i]);
    toc_buf_fini(&log);
    toc_run_log_shapes_free(&shapes);
    toc_run_log_names_free(&names);
    toc_report_fields_fini(&fields);
    return known;
}

static const struct {
    const char *text;
    bool is_blind; /* takes any digit for any other */
} g_patterns[] = {
    {"\\biter (?P<step>[0-9]+): loss (?P<loss>[-+0-9.eE]+|[nN]a[nN])", true},
    {"a{2,8}[^0-9a]\\d\\[x", true},
    {"[]0-9]+", true},
    {"(?P<v2>x)", true},
    {"epoch 1", false},
    {"[1-9]", false},
    {"[0-8]", false},
    {"\\x41", false},
    {"[+-0-9]", false},
    {"[^][]0-9", false},
    {"{1", false},
    {"(2)", false},
    {"0-9", false},
    {"\\Q[0-9]\\E", false},
};

static void check_patterns(void) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_patterns); i++)
        if (toc_run_log_pattern_is_blind(toc_sv_cstr(g_patterns[i].text)) != g_patterns[i].is_blind)
            fail(0, toc_sv_cstr(g_patterns[i].text), "blind to digits, or not");
}

int main(int argc, char **argv) {
    uint64_t first = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--ops", 300), known = 0;
    struct toc_run_log_table *table = NULL;
    struct toc_alias_table *aliases = NULL;
    struct toc_err err = {0};
    if (toc_run_log_table_builtin(&table, &err) || toc_alias_table_builtin(&aliases, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    check_patterns();
    if (!table->is_blind)
        fail(0, TOC_SV("packs/log_metrics.tsv"), "a row tells digits apart");
    for (uint64_t seed = first; seed < first + count; seed++)
        known += check_log(seed, table, aliases);
    toc_run_log_table_free(&table);
    toc_alias_table_free(&aliases);
    printf("%llu of %llu lines were known by their shape\n", (unsigned long long)known,
           (unsigned long long)count * LINES);
    return known > count * LINES / 10 ? 0 : 1;
}
