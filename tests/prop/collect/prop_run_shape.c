/*
 * Lines of the run protocol read by the shapes of lines before them give what the parser gives:
 * lines of a few programs in turn, with values of every kind, and damaged now and then.
 *
 *   prop_run_shape [--seed FIRST] [--ops PROGRAMS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/buf.h"
#include "base/rng.h"
#include "collect/run_shape_priv.h"

enum { FIELDS_MAX = 12, FORMS = 3, LINES = 60 };

static const char *const g_names[] = {
    "t",         "step",       "loss",       "train_loss",  "lr",      "learning_rate",
    "grad_norm", "state",      "session",    "seq",         "event",   "message",
    "mine",      "train_mine", "epoch",      "rank",        "partial", "iteration",
    "run_state", "time",       "na\\u006de", "h\xc3\xb6he", "",        "dropped"};

static const char *some_value(struct toc_rng *rng, char room[40]) {
    static const char *const values[] = {"null",
                                         "true",
                                         "false",
                                         "\"NaN\"",
                                         "NaN",
                                         "Infinity",
                                         "-Infinity",
                                         "\"text\"",
                                         "\"a\\nb\"",
                                         "\"+Inf\"",
                                         "\"running\"",
                                         "\"start\"",
                                         "1e400",
                                         "01",
                                         "[1]",
                                         "{}",
                                         "18446744073709551615",
                                         "\"\xc3\xbc\"",
                                         "-",
                                         "\"1.5\""};
    switch (toc_rng_below(rng, 30)) {
    case 0:
        return values[toc_rng_below(rng, TOC_ARRAY_LEN(values))];
    case 1:
    case 2:
    case 3:
        snprintf(room, 40, "%llu", (unsigned long long)toc_rng_below(rng, 2000000000));
        return room;
    default:
        snprintf(room, 40, "%.*g", (int)(1 + toc_rng_below(rng, 17)),
                 ((double)toc_rng_below(rng, 2000001) - 1000000) / 997);
        return room;
    }
}

/* What a program writes again and again: names, and blanks. */
struct form {
    size_t count, names[FIELDS_MAX];
    enum { PLAIN, LAYERS, SCALARS, LABELS } part;
    size_t part_count;
    bool has_blanks;
};

static void make_form(struct toc_rng *rng, struct form *f) {
    f->count = 1 + toc_rng_below(rng, FIELDS_MAX);
    for (size_t i = 0; i < f->count; i++) /* seldom one twice */
        f->names[i] = toc_rng_below(rng, 20)
                          ? (i * 7 + toc_rng_below(rng, 7)) % TOC_ARRAY_LEN(g_names)
                          : toc_rng_below(rng, TOC_ARRAY_LEN(g_names));
    f->part = toc_rng_below(rng, 4);
    f->part_count = toc_rng_below(rng, 4);
    f->has_blanks = toc_rng_below(rng, 2);
}

static void write_part(struct toc_rng *rng, const struct form *f, struct toc_buf *out) {
    static const char *const names[] = {"", "layers", "scalars", "labels"};
    static const char *const stats[] = {"grad_norm", "param_std", "mine", "nonfinite_ratio"};
    char room[40];
    toc_buf_printf(out, ",\"%s\":{", names[f->part]);
    for (size_t i = 0; i < f->part_count; i++) {
        toc_buf_printf(out, "%s\"x%zu\":", i ? ", " : "", i);
        if (f->part == LABELS)
            toc_buf_printf(out, "\"v%d\"", (int)toc_rng_below(rng, 3));
        else if (f->part == SCALARS)
            toc_buf_append_cstr(out, some_value(rng, room));
        for (size_t k = 0; f->part == LAYERS && k < TOC_ARRAY_LEN(stats); k++)
            toc_buf_printf(out, "%s\"%s\":%s%s", k ? "," : "{", stats[k], some_value(rng, room),
                           k + 1 < TOC_ARRAY_LEN(stats) ? "" : "}");
    }
    toc_buf_append_char(out, '}');
}

static void write_line(struct toc_rng *rng, const struct form *f, struct toc_buf *out) {
    char room[40];
    toc_buf_reset(out);
    toc_buf_append_char(out, '{');
    for (size_t i = 0; i < f->count; i++)
        toc_buf_printf(out, "%s\"%s\":%s%s", i ? f->has_blanks ? ", " : "," : "",
                       g_names[f->names[i]], f->has_blanks ? " " : "", some_value(rng, room));
    if (f->part != PLAIN)
        write_part(rng, f, out);
    toc_buf_append_char(out, '}');
    if (!toc_rng_below(rng, 20))
        out->p[toc_rng_below(rng, out->n)] = (char)toc_rng_below(rng, 256);
    if (!toc_rng_below(rng, 20))
        out->n = toc_rng_below(rng, out->n + 1);
}

static bool are_values_same(const struct toc_run_value *a, const struct toc_run_value *b,
                            size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!toc_sv_eq(a[i].metric, b[i].metric) || memcmp(&a[i].value, &b[i].value, 8) != 0 ||
            a[i].kind != b[i].kind || a[i].latest != b[i].latest ||
            a[i].is_unknown != b[i].is_unknown)
            return false;
    return true;
}

static bool is_same(const struct toc_run_line *a, const struct toc_run_line *b) {
    bool is = a->number == b->number && toc_sv_eq(a->run, b->run) &&
              toc_sv_eq(a->session, b->session) && toc_sv_eq(a->message, b->message) &&
              a->has_t == b->has_t && a->has_seq == b->has_seq && a->has_step == b->has_step &&
              a->has_rank == b->has_rank && a->has_state == b->has_state &&
              a->has_event == b->has_event && a->has_dropped == b->has_dropped &&
              a->has_loss == b->has_loss && a->t_ms == b->t_ms && a->seq == b->seq &&
              a->step == b->step && a->rank == b->rank && a->dropped == b->dropped &&
              a->state == b->state && a->event == b->event && a->value_count == b->value_count &&
              a->layer_count == b->layer_count && a->label_count == b->label_count &&
              a->scalar_count == b->scalar_count && a->is_partial == b->is_partial &&
              a->ignored_fields == b->ignored_fields &&
              are_values_same(a->values, b->values, a->value_count);
    for (size_t i = 0; is && i < a->layer_count; i++)
        is = toc_sv_eq(a->layers[i].name, b->layers[i].name) &&
             a->layers[i].count == b->layers[i].count &&
             are_values_same(a->layers[i].stats, b->layers[i].stats, a->layers[i].count);
    for (size_t i = 0; is && i < a->scalar_count; i++)
        is = toc_sv_eq(a->scalars[i].tag, b->scalars[i].tag) &&
             memcmp(&a->scalars[i].value, &b->scalars[i].value, 8) == 0;
    for (size_t i = 0; is && i < a->label_count; i++)
        is = toc_sv_eq(a->labels[i].name, b->labels[i].name) &&
             toc_sv_eq(a->labels[i].value, b->labels[i].value);
    return is;
}

static size_t check(uint64_t seed, struct toc_run_shapes *shapes, struct toc_sv text, int number) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_err why = {0}, plain_why = {0};
    struct toc_run_decoder plain = {&arena, &plain_why, true, TOC_SV("r"), NULL};
    struct toc_run_decoder shaped = {&arena, &why, true, TOC_SV("r"), shapes};
    struct toc_run_line a, b, c;
    bool is_known = toc_run_shapes_read(shapes, &shaped, text, number, &c);
    int wanted = toc_run_line_json(&plain, text, number, &a);
    int rc = toc_run_line_json(&shaped, text, number, &b);
    if (rc != wanted || strcmp(why.message, plain_why.message) != 0 || (is_known && rc) ||
        (!rc && !is_same(&a, &b)) || (is_known && !is_same(&a, &c))) {
        fprintf(stderr, "--seed %llu, line %d: %.*s\nby shape: %d %s\nby parser: %d %s\n",
                (unsigned long long)seed, number, TOC_SV_ARG(text), rc, why.message, wanted,
                plain_why.message);
        exit(1);
    }
    toc_arena_fini(&arena);
    return is_known;
}

int main(int argc, char **argv) {
    uint64_t first = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--ops", 500);
    size_t known = 0;
    struct toc_buf line = TOC_BUF_INIT;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct toc_run_shapes *shapes = toc_run_shapes_new();
        struct toc_rng rng;
        struct form forms[FORMS];
        toc_rng_seed(&rng, seed);
        for (size_t i = 0; i < FORMS; i++)
            make_form(&rng, &forms[i]);
        for (int i = 0; i < LINES; i++) {
            write_line(&rng, &forms[toc_rng_below(&rng, FORMS)], &line);
            known += check(seed, shapes, toc_buf_sv(&line), i + 1);
        }
        toc_run_shapes_free(&shapes);
    }
    toc_buf_fini(&line);
    printf("%zu of %llu lines were read by their shape\n", known,
           (unsigned long long)count * LINES);
    return known > count * LINES / 20 ? 0 : 1;
}
