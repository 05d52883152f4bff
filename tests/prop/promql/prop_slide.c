/*
 * Every function that slides gives what it gives for each window alone: the same bits, sums and
 * means up to the last ones.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/sample.h"
#include "promql/function_priv.h"

enum { SAMPLES_MAX = 80, STEPS_MAX = 40 };

static const char *const g_names[] = {"rate",
                                      "increase",
                                      "delta",
                                      "irate",
                                      "idelta",
                                      "resets",
                                      "changes",
                                      "sum_over_time",
                                      "avg_over_time",
                                      "min_over_time",
                                      "max_over_time",
                                      "last_over_time",
                                      "count_over_time",
                                      "present_over_time"};

struct world {
    struct toc_rng rng;
    int64_t t_ms[SAMPLES_MAX];
    double v[SAMPLES_MAX], scratch[SAMPLES_MAX + 1];
    uint32_t first[STEPS_MAX], end[STEPS_MAX];
    struct toc_slide slide;
    uint64_t round, compared;
};

static uint64_t pick(struct world *w, uint64_t n) {
    return toc_rng_below(&w->rng, n);
}

static double odd_value(struct world *w) {
    static const double values[] = {0,      -0.0,   1e308,    -1e308,   1e100,
                                    -1e100, 1e-300, INFINITY, -INFINITY};
    if (pick(w, 10) == 0)
        return toc_f64_from_bits(TOC_NORMAL_NAN_BITS);
    return values[pick(w, sizeof values / sizeof *values)];
}

static void random_samples(struct world *w) {
    uint64_t odd_percent = pick(w, 4) * 7;
    bool is_counter = pick(w, 2) == 0;
    int64_t t = 1000;
    double v = 0;
    w->slide.count = 1 + pick(w, SAMPLES_MAX);
    for (size_t i = 0; i < w->slide.count; i++) {
        t += 1 + (int64_t)pick(w, 30000);
        v = is_counter && pick(w, 12) ? v + (double)pick(w, 100) / 7
                                      : toc_rng_normal(&w->rng) * 1e3;
        w->t_ms[i] = t;
        w->v[i] = pick(w, 100) < odd_percent ? odd_value(w) : v;
    }
}

static void random_windows(struct world *w) {
    struct toc_slide *s = &w->slide;
    int64_t range_ms = 1 + (int64_t)pick(w, 300000);
    s->step_ms = 1 + (int64_t)pick(w, 90000);
    s->step_count = 1 + pick(w, STEPS_MAX);
    s->end_ms = (int64_t)pick(w, 600000) - 100000;
    s->start_ms = s->end_ms - range_ms;
    size_t first = 0, end = 0;
    for (size_t i = 0; i < s->step_count; i++) {
        int64_t shift = (int64_t)i * s->step_ms;
        while (end < s->count && s->t_ms[end] <= s->end_ms + shift)
            end++;
        while (first < end && s->t_ms[first] <= s->start_ms + shift)
            first++;
        w->first[i] = (uint32_t)first;
        w->end[i] = (uint32_t)end;
    }
}

static bool is_same(const char *name, double a, double b) {
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b) && toc_is_stale_nan(a) == toc_is_stale_nan(b);
    if (a == b)
        return true;
    bool is_sum = strcmp(name, "sum_over_time") == 0 || strcmp(name, "avg_over_time") == 0;
    return is_sum && fabs(a - b) <= fmax(fabs(a), fabs(b)) * 0x1p-50;
}

static void compare(struct world *w, const char *name) {
    const struct toc_function *f = toc_function_find(toc_sv_cstr(name));
    if (!f || !f->slide || !f->window) {
        fprintf(stderr, "%s does not slide\n", name);
        abort();
    }
    double out[STEPS_MAX];
    for (size_t i = 0; i < w->slide.step_count; i++)
        out[i] = toc_stale_nan();
    f->slide(&w->slide, out);
    for (size_t i = 0; i < w->slide.step_count; i++) {
        size_t first = w->first[i];
        int64_t shift = (int64_t)i * w->slide.step_ms;
        struct toc_window window = {.t_ms = w->t_ms + first,
                                    .v = w->v + first,
                                    .count = w->end[i] - first,
                                    .start_ms = w->slide.start_ms + shift,
                                    .end_ms = w->slide.end_ms + shift};
        struct toc_window_result r = {0};
        double wanted = window.count && f->window(&window, &r) == 1 ? r.value : toc_stale_nan();
        if (!is_same(name, out[i], wanted)) {
            fprintf(stderr, "round %llu, %s, step %zu: slides to %.17g, alone %.17g\n",
                    (unsigned long long)w->round, name, i, out[i], wanted);
            abort();
        }
        w->compared++;
    }
}

int main(int argc, char **argv) {
    uint64_t seed = 1, ops = 2000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 10);
    }
    static struct world w;
    toc_rng_seed(&w.rng, seed);
    w.slide = (struct toc_slide){
        .t_ms = w.t_ms, .v = w.v, .first = w.first, .end = w.end, .scratch = w.scratch};
    printf("seed %llu\n", (unsigned long long)seed);
    for (; w.round < ops; w.round++) {
        random_samples(&w);
        random_windows(&w);
        for (size_t i = 0; i < sizeof g_names / sizeof *g_names; i++)
            compare(&w, g_names[i]);
    }
    printf("%llu windows compared\n", (unsigned long long)w.compared);
    return w.compared ? 0 : 1;
}
