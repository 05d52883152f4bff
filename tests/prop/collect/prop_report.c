/*
 * Reports of feeds put as values give the receiver the points and the refusals that their text
 * gives: of fields known and not, tags, layers, restarts, times that lie in the future, and more
 * fields of one's own than a run may have.
 *
 *   prop_report [--seed FIRST] [--ops RUNS]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/rng.h"
#include "collect/report_field_priv.h"
#include "collect/run_receiver.h"

enum { REPORTS = 60, NAMES = 90, LAYERS = 4, STATS = 3, BATCH = 16 };
static const struct toc_ts NOW = {1700000000000};

/* What came out, as text. */
struct outcome {
    struct toc_sink sink;
    struct toc_run_receiver *receiver;
    struct toc_buf points;
    uint64_t refused;
};

static int note_points(struct toc_sink *sink, const struct toc_point *points, size_t count,
                       struct toc_write_result *out, struct toc_err *err) {
    struct outcome *o = (struct outcome *)sink;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        toc_labels_format(points[i].labels, &o->points);
        toc_buf_printf(&o->points, " %lld %.17g\n", (long long)points[i].t_ms, points[i].value);
    }
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

static void outcome_init(struct outcome *o) {
    *o = (struct outcome){.sink = {.write = note_points}};
    o->receiver = toc_run_receiver_new(
        &(struct toc_run_receiver_options){.sink = &o->sink, .max_scalar_tags = 20});
}

static void outcome_fini(struct outcome *o) {
    toc_run_receiver_free(&o->receiver);
    toc_buf_fini(&o->points);
}

struct maker {
    struct toc_rng rng;
    struct toc_report_fields fields;
    struct toc_report_field *values[NAMES], *tags[NAMES], *stats[LAYERS][STATS];
    struct toc_report_value numbers[64];
    struct toc_report_layer layers[LAYERS];
    int64_t t_ms, step;
};

static void make_fields(struct maker *m) {
    static const char *const known[] = {"loss",  "train_loss", "learning_rate", "lr", "grad_norm",
                                        "epoch", "val_loss",   "run_state",     "mfu"};
    static const char *const stats[] = {"grad_norm", "param_std", "own"};
    char name[32];
    for (size_t i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "own %zu", i);
        m->values[i] = toc_report_field_value(
            &m->fields, toc_sv_cstr(i < TOC_ARRAY_LEN(known) ? known[i] : name));
        m->tags[i] = toc_report_field_scalar(&m->fields, toc_sv_cstr(name));
    }
    for (size_t i = 0; i < LAYERS; i++)
        for (size_t k = 0; k < STATS; k++)
            m->stats[i][k] = toc_report_field_stat(&m->fields, toc_sv_cstr(stats[k]));
}

static double some_number(struct toc_rng *rng) {
    switch (toc_rng_below(rng, 12)) {
    case 0:
        return NAN;
    case 1:
        return toc_rng_below(rng, 2) ? INFINITY : -INFINITY;
    default:
        return ((double)toc_rng_below(rng, 2000001) - 1000000) / 997;
    }
}

/* Names in a row, so that none comes twice; mostly the known ones. */
static size_t some_values(struct maker *m, struct toc_report_field **names,
                          struct toc_report_value *out) {
    size_t count = toc_rng_below(&m->rng, 6);
    size_t from = toc_rng_below(&m->rng, 3) ? 0 : toc_rng_below(&m->rng, NAMES - count);
    for (size_t i = 0; i < count; i++)
        out[i] = (struct toc_report_value){names[from + i], some_number(&m->rng)};
    return count;
}

static struct toc_run_report some_report(struct maker *m) {
    static const char *const names[LAYERS] = {"emb", "a.w", "b.w", "head"};
    struct toc_run_report r = {.is_partial = toc_rng_below(&m->rng, 2), .values = m->numbers};
    m->t_ms += 1 + (int64_t)toc_rng_below(&m->rng, 3000);
    m->step += (int64_t)toc_rng_below(&m->rng, 3);
    r.t.ms = toc_rng_below(&m->rng, 40) ? m->t_ms : NOW.ms + 7200000 + m->t_ms % 1000;
    r.has_step = toc_rng_below(&m->rng, 4);
    r.step = toc_rng_below(&m->rng, 50) ? m->step : INT64_C(1) << 60;
    r.value_count = some_values(m, m->values, m->numbers);
    if (!toc_rng_below(&m->rng, 20)) {
        r = (struct toc_run_report){.t = r.t, .is_partial = true, .is_restart = true};
        r.message = TOC_SV("step went back from 9 to 3");
        return r;
    }
    r.scalars = m->numbers + r.value_count;
    r.scalar_count =
        toc_rng_below(&m->rng, 2) ? some_values(m, m->tags, m->numbers + r.value_count) : 0;
    r.layers = m->layers;
    r.layer_count = toc_rng_below(&m->rng, 3) ? 0 : 1 + toc_rng_below(&m->rng, LAYERS);
    struct toc_report_value *at = m->numbers + r.value_count + r.scalar_count;
    for (size_t i = 0; i < r.layer_count; i++) {
        m->layers[i] = (struct toc_report_layer){toc_sv_cstr(names[i]), at, STATS};
        for (size_t k = 0; k < STATS; k++)
            *at++ = (struct toc_report_value){m->stats[i][k], some_number(&m->rng)};
    }
    return r;
}

static void count_refused(void *ctx, const char *why) {
    struct outcome *o = ctx;
    (void)why;
    o->refused++;
}

static int put_values(struct outcome *o, struct toc_report_batch *batch) {
    struct toc_run_reports reports = {TOC_SV("r"), batch, count_refused, o};
    return toc_run_receiver_put_reports(o->receiver, &reports, NOW, NULL);
}

static int put_lines(struct outcome *o, struct toc_sv lines) {
    struct toc_run_body body = {.run = TOC_SV("r"), .bytes = lines, .is_file = true};
    return toc_run_receiver_put(o->receiver, &body, NOW, NULL);
}

/* All lines together, else each of them. */
static int put_text(struct outcome *o, struct toc_sv lines) {
    struct toc_sv line;
    int rc = put_lines(o, lines);
    if (rc != TOC_EPARSE)
        return rc;
    while (lines.n && toc_sv_split(&lines, '\n', &line)) {
        rc = line.n ? put_lines(o, line) : 0;
        if (rc && rc != TOC_EPARSE)
            return rc;
        o->refused += rc == TOC_EPARSE;
    }
    return 0;
}

static uint64_t check_run(uint64_t seed) {
    struct maker m = {.t_ms = NOW.ms - 86400000};
    struct outcome by_value, by_text;
    struct toc_report_batch batch = {0};
    struct toc_buf lines = TOC_BUF_INIT;
    int rc = 0;
    outcome_init(&by_value);
    outcome_init(&by_text);
    toc_rng_seed(&m.rng, seed);
    make_fields(&m);
    for (size_t i = 1; !rc && i <= REPORTS; i++) {
        struct toc_run_report r = some_report(&m);
        toc_report_batch_add(&batch, &r);
        toc_run_report_write(&r, &lines);
        toc_buf_append_char(&lines, '\n');
        if (i % BATCH && i < REPORTS)
            continue;
        rc = put_values(&by_value, &batch);
        rc = rc ? rc : put_text(&by_text, toc_buf_sv(&lines));
        toc_report_batch_reset(&batch);
        toc_buf_reset(&lines);
    }
    if (rc || by_value.refused != by_text.refused ||
        !toc_sv_eq(toc_buf_sv(&by_value.points), toc_buf_sv(&by_text.points))) {
        fprintf(stderr, "--seed %llu: %d, refused %llu and %llu; values gave\n%s\ntext gave\n%s\n",
                (unsigned long long)seed, rc, (unsigned long long)by_value.refused,
                (unsigned long long)by_text.refused, toc_buf_cstr(&by_value.points),
                toc_buf_cstr(&by_text.points));
        exit(1);
    }
    uint64_t refused = by_value.refused;
    outcome_fini(&by_value);
    outcome_fini(&by_text);
    toc_report_batch_fini(&batch);
    toc_report_fields_fini(&m.fields);
    toc_buf_fini(&lines);
    return refused;
}

int main(int argc, char **argv) {
    uint64_t first = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--ops", 500), refused = 0;
    for (uint64_t seed = first; seed < first + count; seed++)
        refused += check_run(seed);
    printf("%llu of %llu reports were refused, alike\n", (unsigned long long)refused,
           (unsigned long long)count * REPORTS);
    return refused ? 0 : 1;
}
