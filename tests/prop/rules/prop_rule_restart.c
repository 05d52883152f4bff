/*
 * A process that dies at any moment and comes back, beside one that never died, on the same random
 * rules and data: after every tick both have the same alerts (labels, annotations, state, times,
 * values), and in the end the same stored series, stale markers included, and the same set of
 * notifications.
 *
 * Two kinds of death: between evaluations, coming back after up to four minutes (the other process
 * is stalled meanwhile); and inside an evaluation, after any number of its effects (a write, a
 * notification, a commit), coming back at once.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "promql/memory_querier.h"
#include "rules/rules.h"
#include "sim/memory_store.h"

enum { TICK_MS = 5000, INSTANCES = 3, METRICS = 2, TICKS_MAX = 140, RULES_MAX = 8 };
#define T0_MS INT64_C(1767571200000)

/* One process: its storage outlives it. */
struct life {
    struct toc_memory_querier db;
    struct memory_blobs disk;
    struct toc_sink sink;
    struct toc_alert_sink alerts;
    struct toc_blob_store store;
    struct toc_rules *m;
    struct toc_map journal; /* distinct notifications */
    int64_t effects_left;   /* negative: immortal; 0: dead */
    bool has_died;
};

struct schedule {
    uint64_t seed;
    struct toc_rng rng;
    struct toc_buf yaml;
    struct life straight, broken;
    int64_t now_ms;
    double level[METRICS][INSTANCES];
    size_t deaths, deaths_inside, kept_alerts;
};

static void die(const struct schedule *s, const char *what, const char *a, const char *b) {
    printf(
        "seed %llu at %+lld ms: %s differ\n--- uninterrupted\n%s--- restarted\n%s--- rules\n%.*s\n",
        (unsigned long long)s->seed, (long long)(s->now_ms - T0_MS), what, a, b, (int)s->yaml.n,
        s->yaml.p);
    exit(1);
}

/* ---------------------------------------------------------------------------------------- effects
 */

static bool may_act(struct life *l) {
    if (l->effects_left == 0) {
        l->has_died = true;
        return false;
    }
    l->effects_left -= l->effects_left > 0;
    return true;
}

static struct toc_memory_series *find_series(struct life *l, struct toc_labels labels) {
    for (size_t i = 0; i < l->db.count; i++)
        if (toc_labels_eq(l->db.items[i].labels, labels))
            return &l->db.items[i];
    return NULL;
}

/* A second sample of the same time is a duplicate, as in the real store. */
static int write_points(struct toc_sink *sink, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    struct life *l = TOC_CONTAINER_OF(sink, struct life, sink);
    (void)err;
    *out = (struct toc_write_result){0};
    if (!may_act(l))
        return TOC_EIO;
    for (size_t i = 0; i < count; i++) {
        const struct toc_memory_series *s = find_series(l, points[i].labels);
        if (s && s->t_ms.count && s->t_ms.items[s->t_ms.count - 1] >= points[i].t_ms)
            continue;
        toc_memory_querier_add(&l->db, points[i].labels, points[i].t_ms, points[i].value);
        out->accepted++;
    }
    return 0;
}

static void on_alerts(struct toc_alert_sink *sink, const struct toc_alert *alerts, size_t count,
                      struct toc_ts now) {
    struct life *l = TOC_CONTAINER_OF(sink, struct life, alerts);
    struct toc_buf line = TOC_BUF_INIT;
    if (!may_act(l))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct toc_alert *a = &alerts[i];
        toc_buf_reset(&line);
        toc_buf_printf(&line, "%lld %lld..%lld %.17g ", (long long)now.ms,
                       (long long)a->starts_at.ms, (long long)a->ends_at.ms, a->value);
        toc_labels_format(a->labels, &line);
        toc_labels_format(a->annotations, &line);
        toc_map_put(&l->journal, toc_buf_sv(&line), l);
    }
    toc_buf_fini(&line);
}

static int commit(struct toc_blob_store *s, const struct toc_blob_change *changes, size_t count,
                  struct toc_err *err) {
    struct life *l = TOC_CONTAINER_OF(s, struct life, store);
    if (!may_act(l))
        return TOC_EIO;
    return l->disk.base.apply(&l->disk.base, changes, count, err);
}
static int get_blob(struct toc_blob_store *s, const char *ns, struct toc_sv key,
                    struct toc_buf *out, struct toc_err *err) {
    struct life *l = TOC_CONTAINER_OF(s, struct life, store);
    return l->disk.base.get(&l->disk.base, ns, key, out, err);
}
static int each_blob(struct toc_blob_store *s, const char *ns, toc_on_blob *fn, void *ctx,
                     struct toc_err *err) {
    struct life *l = TOC_CONTAINER_OF(s, struct life, store);
    return l->disk.base.each(&l->disk.base, ns, fn, ctx, err);
}

static void boot(struct schedule *s, struct life *l) {
    struct toc_rules_options o = {.querier = &l->db.querier,
                                  .sink = &l->sink,
                                  .alerts = &l->alerts,
                                  .store = &l->store,
                                  .default_interval_ms = 15000};
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    if (toc_rule_file_parse(TOC_SV("r.yml"), toc_buf_sv(&s->yaml), false, &f, &err))
        die(s, err.message, "", "");
    l->effects_left = -1;
    l->has_died = false;
    l->m = toc_rules_new(&o);
    toc_rules_set_files(l->m, &f, 1, (struct toc_ts){s->now_ms});
}

static void life_init(struct schedule *s, struct life *l) {
    l->sink = (struct toc_sink){.write = write_points};
    l->alerts = (struct toc_alert_sink){on_alerts};
    l->store = (struct toc_blob_store){.get = get_blob, .each = each_blob, .apply = commit};
    toc_memory_querier_init(&l->db);
    memory_blobs_init(&l->disk);
    boot(s, l);
}

static void life_fini(struct life *l) {
    toc_rules_free(&l->m);
    toc_memory_querier_fini(&l->db);
    memory_blobs_fini(&l->disk);
    toc_map_fini(&l->journal);
}

/* ------------------------------------------------------------------------------ rules and data */

static uint64_t below(struct schedule *s, uint64_t n) {
    return toc_rng_below(&s->rng, n);
}

/* A rule that reads what it, or a later rule of its group, writes is the one thing that a death
 * between write and commit can show: such rules are not made. */
static bool is_defined(const struct schedule *s, const char *expr) {
    struct toc_sv yaml = toc_buf_sv(&s->yaml);
    if (!strncmp(expr, "rec", 3))
        return toc_sv_find(yaml, TOC_SV("record: rec\n")) != SIZE_MAX;
    return strncmp(expr, "ALERTS", 6) != 0 || toc_sv_find(yaml, TOC_SV("alert: A0\n")) != SIZE_MAX;
}

static void random_rule(struct schedule *s, size_t n) {
    static const char *const exprs[] = {"m0 > 0.5",
                                        "m1 > 0.5",
                                        "m0 > m1",
                                        "m0 > 0.7",
                                        "rate(m1[1m]) > 0",
                                        "sum by (inst) (m0 + m1) > 1",
                                        "rec > 1",
                                        "absent(m0) or m1 > 0.9",
                                        "max_over_time(m0[40s]) > 0.6",
                                        "ALERTS{alertname=\"A0\",alertstate=\"firing\"}"};
    static const char *const durations[] = {"0s", "5s", "10s", "20s", "45s", "2m"};
    struct toc_buf *y = &s->yaml;
    const char *expr = exprs[below(s, TOC_ARRAY_LEN(exprs))];
    if (!is_defined(s, expr))
        expr = exprs[0];
    if (below(s, 5) == 0) {
        /* Two rules that record one name cannot be told apart after a restart: one name each. */
        bool is_first = toc_sv_find(toc_buf_sv(y), TOC_SV("record: rec\n")) == SIZE_MAX;
        if (is_first)
            toc_buf_printf(y, "  - record: rec\n    expr: m0 + m1\n");
        else
            toc_buf_printf(y, "  - record: rec%zu\n    expr: m0 + rec\n", n);
        return;
    }
    toc_buf_printf(y, "  - alert: A%zu\n    expr: '%s'\n", n, expr);
    toc_buf_printf(y, "    for: %s\n", durations[below(s, TOC_ARRAY_LEN(durations))]);
    if (below(s, 2))
        toc_buf_printf(y, "    keep_firing_for: %s\n",
                       durations[below(s, TOC_ARRAY_LEN(durations))]);
    if (strstr(expr, "> 0.") && !strstr(expr, " or ") && below(s, 3) == 0)
        toc_buf_printf(y, "    recover: 0.3\n");
    else if (below(s, 6) == 0)
        toc_buf_printf(y, "    recover: m1 < 0.4\n");
    if (below(s, 4) == 0)
        toc_buf_printf(y, "    confirm: m%llu > 0.2\n", (unsigned long long)below(s, METRICS));
    toc_buf_printf(y, "    labels: {severity: s%llu, of: 'x{{ $labels.inst }}'}\n",
                   (unsigned long long)below(s, 3));
    toc_buf_printf(y, "    annotations: {summary: '{{ $labels.inst }} is {{ $value }}', n: '{{ "
                      "query \"count(m0)\" | len }}'}\n");
}

static void random_rules(struct schedule *s) {
    static const int intervals_s[] = {5, 10, 15, 30};
    size_t groups = 1 + below(s, 3), n = 0;
    toc_buf_printf(&s->yaml, "groups:\n");
    for (size_t g = 0; g < groups; g++) {
        toc_buf_printf(&s->yaml, "- name: g%zu\n  interval: %ds\n", g, intervals_s[below(s, 4)]);
        if (below(s, 4) == 0)
            toc_buf_printf(&s->yaml, "  query_offset: 10s\n");
        if (below(s, 8) == 0)
            toc_buf_printf(&s->yaml, "  limit: 2\n");
        toc_buf_printf(&s->yaml, "  rules:\n");
        for (size_t i = 1 + below(s, 3); i > 0; i--)
            random_rule(s, n++);
    }
}

static void put_both(struct schedule *s, size_t metric, size_t inst, double v) {
    const char name[] = {'m', (char)('0' + metric)}, host[] = {(char)('a' + inst)};
    struct toc_label l[] = {{TOC_METRIC_NAME, toc_sv_make(name, 2)},
                            {TOC_SV("inst"), toc_sv_make(host, 1)}};
    toc_memory_querier_add(&s->straight.db, (struct toc_labels){l, 2}, s->now_ms, v);
    toc_memory_querier_add(&s->broken.db, (struct toc_labels){l, 2}, s->now_ms, v);
}

/* A walk that stays where it is for a while; now and then a gap or an end. */
static void random_data(struct schedule *s) {
    for (size_t m = 0; m < METRICS; m++)
        for (size_t i = 0; i < INSTANCES; i++) {
            uint64_t dice = below(s, 20);
            if (dice < 3)
                s->level[m][i] = (double)below(s, 11) / 10;
            if (dice == 4)
                put_both(s, m, i, toc_stale_nan());
            else if (dice != 5)
                put_both(s, m, i, s->level[m][i]);
        }
}

/* ------------------------------------------------------------------------------------- comparing
 */

static void show_group(void *ctx, const struct toc_rule_group_view *g) {
    struct toc_buf *out = ctx;
    for (size_t i = 0; i < g->rule_count; i++)
        for (size_t k = 0; k < g->rules[i].alert_count; k++) {
            const struct toc_rule_alert_view *a = &g->rules[i].alerts[k];
            toc_buf_printf(out, "%.*s %s active %lld keep %lld held %lld value %.17g ",
                           TOC_SV_ARG(g->group->name), toc_rule_alert_state_text(a->state),
                           (long long)a->active_at.ms, (long long)a->keep_firing_since.ms,
                           (long long)a->held_since.ms, a->value);
            toc_labels_format(a->labels, out);
            toc_labels_format(a->annotations, out);
            toc_buf_append_char(out, '\n');
        }
}

static void compare_alerts(struct schedule *s) {
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    toc_rules_each_group(s->straight.m, show_group, &a);
    toc_rules_each_group(s->broken.m, show_group, &b);
    if (!toc_sv_eq(toc_buf_sv(&a), toc_buf_sv(&b)))
        die(s, "alerts", toc_buf_cstr(&a), toc_buf_cstr(&b));
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

static void show_series(const struct toc_memory_series *x, struct toc_buf *out) {
    toc_labels_format(x->labels, out);
    for (size_t i = 0; i < x->values.count; i++)
        toc_buf_printf(out, " %g@%lld",
                       toc_is_stale_nan(x->values.items[i]) ? -99 : x->values.items[i],
                       (long long)(x->t_ms.items[i] - T0_MS) / 1000);
    toc_buf_append_char(out, '\n');
}

static void compare_series(struct schedule *s) {
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    if (s->straight.db.count != s->broken.db.count)
        die(s, "numbers of series", "", "");
    for (size_t i = 0; i < s->straight.db.count; i++) {
        const struct toc_memory_series *x = &s->straight.db.items[i];
        const struct toc_memory_series *y = find_series(&s->broken, x->labels);
        toc_buf_reset(&a);
        toc_buf_reset(&b);
        show_series(x, &a);
        if (y)
            show_series(y, &b);
        if (!toc_sv_eq(toc_buf_sv(&a), toc_buf_sv(&b)))
            die(s, "stored series", toc_buf_cstr(&a), toc_buf_cstr(&b));
    }
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

static void compare_journals(struct schedule *s) {
    const struct toc_map_entry *e;
    char n[2][64];
    for (size_t at = 0; (e = toc_map_next(&s->straight.journal, &at));) {
        struct toc_buf line = TOC_BUF_INIT;
        toc_buf_append_sv(&line, e->key);
        if (!toc_map_has(&s->broken.journal, e->key))
            die(s, "notifications", toc_buf_cstr(&line), "(missing)");
        toc_buf_fini(&line);
    }
    (void)snprintf(n[0], sizeof n[0], "%zu\n", s->straight.journal.count);
    (void)snprintf(n[1], sizeof n[1], "%zu\n", s->broken.journal.count);
    if (s->straight.journal.count != s->broken.journal.count)
        die(s, "numbers of notifications", n[0], n[1]);
}

/* --------------------------------------------------------------------------------------- running
 */

static void restart(struct schedule *s) {
    toc_rules_free(&s->broken.m);
    boot(s, &s->broken);
    s->deaths++;
    compare_alerts(s);
}

/* Evaluates in both, perhaps with a death on the way in one. */
static void evaluate(struct schedule *s) {
    struct toc_ts now = {s->now_ms};
    toc_rules_evaluate_due(s->straight.m, now);
    if (below(s, 6) == 0)
        s->broken.effects_left = (int64_t)below(s, 6);
    toc_rules_evaluate_due(s->broken.m, now);
    if (s->broken.has_died) {
        toc_rules_free(&s->broken.m);
        boot(s, &s->broken);
        toc_rules_evaluate_due(s->broken.m, now);
        s->deaths_inside++;
    }
    s->broken.effects_left = -1;
    compare_alerts(s);
}

static void count_alert(void *ctx, const struct toc_rule_group_view *g) {
    for (size_t i = 0; i < g->rule_count; i++)
        *(size_t *)ctx += g->rules[i].alert_count;
}

static void run(struct schedule *s) {
    size_t down = 0;
    for (size_t tick = 0; tick < TICKS_MAX; tick++) {
        random_data(s);
        if (down && --down == 0)
            restart(s);
        if (!down)
            evaluate(s);
        if (!down && below(s, 8) == 0) {
            toc_rules_each_group(s->broken.m, count_alert, &s->kept_alerts);
            down = below(s, 4) ? below(s, 4) : below(s, 48);
            if (!down)
                restart(s);
        }
        s->now_ms += TICK_MS;
    }
    if (down)
        restart(s);
    compare_series(s);
    compare_journals(s);
}

int main(int argc, char **argv) {
    uint64_t seed = 1, count = 500, deaths = 0, inside = 0, alerts = 0, told = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--seed"))
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--count"))
            count = strtoull(argv[i + 1], NULL, 10);
    }
    printf("seed %llu, %llu schedules\n", (unsigned long long)seed, (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        static struct schedule s;
        s = (struct schedule){.seed = seed + i, .now_ms = T0_MS};
        toc_rng_seed(&s.rng, s.seed);
        random_rules(&s);
        life_init(&s, &s.straight);
        life_init(&s, &s.broken);
        run(&s);
        deaths += s.deaths;
        inside += s.deaths_inside;
        alerts += s.kept_alerts;
        told += s.straight.journal.count;
        life_fini(&s.straight);
        life_fini(&s.broken);
        toc_buf_fini(&s.yaml);
    }
    printf("%llu deaths between and %llu inside of evaluations, %llu alerts alive at them, %llu "
           "notifications\n",
           (unsigned long long)deaths, (unsigned long long)inside, (unsigned long long)alerts,
           (unsigned long long)told);
    return deaths && inside && alerts && told ? 0 : 1;
}
