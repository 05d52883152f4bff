/*
 * A row of CSV read by its columns gives what its cells give when each is set by the name of its
 * field: numbers of every form, words, blanks and nothing, names that mean one series.
 *
 *   prop_run_csv [--seed FIRST] [--ops TABLES]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/rng.h"
#include "collect/run_line_priv.h"

enum { COLUMNS_MAX = 10, ROWS = 40 };

static const char *const g_names[] = {
    "t",     "step",    "loss",      "train_loss", "lr",      "learning_rate", "grad_norm",
    "state", "session", "seq",       "event",      "message", "mine",          "train_mine",
    "epoch", "rank",    "iteration", "run_state",  "time",    "step_seconds",  "dropped"};

static const char *const g_words[] = {
    "",   " ",       "nan",  "NaN", "inf", "-Inf",  "0x10", " 1 ", "1e5", "-0",
    "+3", "running", "text", ".5",  "5.",  "1e400", "01",   "1e",  "-",   "18446744073709551615"};

static struct toc_sv some_cell(struct toc_rng *rng, char room[40]) {
    if (!toc_rng_below(rng, 12))
        return toc_sv_cstr(g_words[toc_rng_below(rng, TOC_ARRAY_LEN(g_words))]);
    if (!toc_rng_below(rng, 3))
        snprintf(room, 40, "%llu", (unsigned long long)toc_rng_below(rng, 2000000000));
    else
        snprintf(room, 40, "%.*g", (int)(1 + toc_rng_below(rng, 17)),
                 ((double)toc_rng_below(rng, 2000001) - 1000000) / 997);
    return toc_sv_cstr(room);
}

static int read_plainly(const struct toc_run_decoder *d, const struct toc_sv *names,
                        const struct toc_sv *cells, size_t count, struct toc_run_line *out) {
    int rc = toc_run_line_init(d, 2, count, 0, out);
    for (size_t i = 0; !rc && i < count; i++) {
        struct toc_run_raw raw = {.type = TOC_RUN_RAW_TEXT, .text = cells[i], .is_csv = true};
        if (toc_sv_trim(cells[i]).n)
            rc = toc_run_set_field(d, out, names[i], &raw);
    }
    return rc;
}

static bool is_same(const struct toc_run_line *a, const struct toc_run_line *b) {
    bool is = a->has_t == b->has_t && a->t_ms == b->t_ms && a->has_step == b->has_step &&
              a->step == b->step && a->has_seq == b->has_seq && a->seq == b->seq &&
              a->has_rank == b->has_rank && a->rank == b->rank && a->has_loss == b->has_loss &&
              a->has_state == b->has_state && a->state == b->state &&
              a->has_event == b->has_event && a->event == b->event && a->dropped == b->dropped &&
              toc_sv_eq(a->session, b->session) && toc_sv_eq(a->message, b->message) &&
              a->ignored_fields == b->ignored_fields && a->value_count == b->value_count;
    for (size_t i = 0; is && i < a->value_count; i++) {
        const struct toc_run_value *x = &a->values[i], *y = &b->values[i];
        is = toc_sv_eq(x->metric, y->metric) && memcmp(&x->value, &y->value, 8) == 0 &&
             x->kind == y->kind && x->latest == y->latest && x->is_unknown == y->is_unknown;
    }
    return is;
}

static bool check_row(uint64_t seed, struct toc_rng *rng, const struct toc_run_columns *columns,
                      const struct toc_sv *names, size_t count) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_err why = {0}, plain_why = {0};
    struct toc_run_decoder d = {&arena, &why, true, TOC_SV("r"), NULL}, plain = d;
    struct toc_run_line a, b;
    struct toc_sv cells[COLUMNS_MAX];
    char rooms[COLUMNS_MAX][40];
    plain.err = &plain_why;
    for (size_t i = 0; i < count; i++)
        cells[i] = some_cell(rng, rooms[i]);
    int rc = toc_run_line_csv(&d, columns, cells, count, 2, &a);
    int wanted = read_plainly(&plain, names, cells, count, &b);
    if (rc != wanted || strcmp(why.message, plain_why.message) != 0 || (!rc && !is_same(&a, &b))) {
        fprintf(stderr, "--seed %llu: by columns %d %s, by names %d %s\n", (unsigned long long)seed,
                rc, why.message, wanted, plain_why.message);
        for (size_t i = 0; i < count; i++)
            fprintf(stderr, "  %.*s=%.*s\n", TOC_SV_ARG(names[i]), TOC_SV_ARG(cells[i]));
        exit(1);
    }
    toc_arena_fini(&arena);
    return !rc;
}

/* Names that differ. */
static size_t some_names(struct toc_rng *rng, struct toc_sv *out) {
    size_t count = 1 + toc_rng_below(rng, COLUMNS_MAX), at = toc_rng_below(rng, 100);
    for (size_t i = 0; i < count; i++, at += 2)
        out[i] = toc_sv_cstr(g_names[at % TOC_ARRAY_LEN(g_names)]);
    return count;
}

int main(int argc, char **argv) {
    uint64_t first = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--ops", 500), read = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct toc_arena arena = TOC_ARENA_INIT;
        struct toc_err err = {0};
        struct toc_run_decoder d = {&arena, &err, true, TOC_SV("r"), NULL};
        struct toc_run_columns *columns = NULL;
        struct toc_sv names[COLUMNS_MAX];
        struct toc_rng rng;
        toc_rng_seed(&rng, seed);
        size_t n = some_names(&rng, names);
        if (toc_run_columns_parse(&d, names, n, 1, &columns)) {
            fprintf(stderr, "--seed %llu: %s\n", (unsigned long long)seed, err.message);
            return 1;
        }
        for (int i = 0; i < ROWS; i++)
            read += check_row(seed, &rng, columns, names, n);
        toc_arena_fini(&arena);
    }
    printf("%llu of %llu rows were read\n", (unsigned long long)read,
           (unsigned long long)count * ROWS);
    return read > count * ROWS / 10 ? 0 : 1;
}
