/* Models of training curves: their parts against naive ones, what must be told and what not, and
 * that a stored state goes on alike. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/rng.h"
#include "detect/block_course.h"
#include "detect/broken_line.h"
#include "detect/loss_curve.h"
#include "detect/pace_curve.h"
#include "detect/training.h"

enum { RUNS = 100, ROWS = 2000 };
static const double BAR = 6; /* one alert in a million values */

/* ---- parts ---- */

/* Solves the 3 x 3 system a x = b by elimination with pivots. */
static void solve(double a[3][4]) {
    for (int c = 0; c < 3; c++) {
        int p = c;
        for (int r = c; r < 3; r++)
            p = fabs(a[r][c]) > fabs(a[p][c]) ? r : p;
        for (int k = 0; k < 4; k++) {
            double t = a[c][k];
            a[c][k] = a[p][k];
            a[p][k] = t;
        }
        for (int r = 0; r < 3; r++)
            for (int k = 3; r != c && k >= c; k--)
                a[r][k] -= a[r][c] / a[c][c] * a[c][k];
    }
}

static void a_broken_line_is_that_of_the_normal_equations(void **state) {
    (void)state;
    struct toc_rng r;
    toc_rng_seed(&r, 3);
    for (int run = 0; run < 500; run++) {
        double x[40], y[40], a[3][4] = {{0}};
        size_t n = 5 + toc_rng_below(&r, 35), k = 1 + toc_rng_below(&r, n - 2);
        for (size_t i = 0; i < n; i++) {
            x[i] = (i ? x[i - 1] : toc_rng_normal(&r)) + 0.1 + toc_rng_unit(&r);
            y[i] = 2 - x[i] + toc_rng_normal(&r);
        }
        for (size_t i = 0; i < n; i++) {
            const double f[4] = {1, x[i], fmax(0, x[i] - (x[k - 1] + x[k]) / 2), y[i]};
            for (int p = 0; p < 3; p++)
                for (int q = 0; q < 4; q++)
                    a[p][q] += f[p] * f[q];
        }
        solve(a);
        struct toc_broken_line b;
        assert_true(toc_broken_line_fit(x, y, n, k, 0, &b));
        assert_true(fabs(b.slope - a[1][3] / a[1][1]) < 1e-6 * (1 + fabs(b.slope)));
        assert_true(fabs(b.change - a[2][3] / a[2][2]) < 1e-6 * (1 + fabs(b.change)));
    }
}

/* The change of a line that does not break, over its error: within 3 almost always, and not much
 * smaller than 1 either. */
static void the_error_of_a_break_is_honest(void **state) {
    (void)state;
    struct toc_rng r;
    double squares = 0;
    int beyond = 0;
    toc_rng_seed(&r, 4);
    for (int run = 0; run < 2000; run++) {
        double x[48], y[48];
        for (int i = 0; i < 48; i++) {
            x[i] = i;
            y[i] = 0.1 * i + toc_rng_normal(&r);
        }
        struct toc_broken_line b;
        assert_true(toc_broken_line_fit(x, y, 48, 30, 0, &b));
        squares += b.change * b.change / b.error / b.error;
        beyond += fabs(b.change) > 3 * b.error;
    }
    assert_true(squares / 2000 > 0.8 && squares / 2000 < 1.2);
    assert_true(beyond < 20);
}

static void a_surprise_of_students_t_bounds_its_tail(void **state) {
    (void)state;
    static const double degrees[] = {4, 10, 30, 200};
    for (size_t d = 0; d < TOC_ARRAY_LEN(degrees); d++)
        for (double t = 1; t < 8; t += 0.5) {
            double v = degrees[d], tail = 0, h = 1e-3;
            double log_c = lgamma((v + 1) / 2) - lgamma(v / 2) - 0.5 * log(v * M_PI);
            for (double s = t + h / 2; s < t + 400; s += h) {
                double f = exp(log_c - (v + 1) / 2 * log1p(s * s / v));
                tail += f * h;
                h = fmin(h * 1.001, 0.1);
            }
            double exact = -log10(tail), bound = toc_student_surprise(t, v);
            if (bound > exact + 0.02 || bound < exact - 0.45)
                fail_msg("t %g, %g degrees: %g, is %g", t, v, bound, exact);
        }
}

static void a_course_holds_the_means_of_equal_blocks(void **state) {
    (void)state;
    struct toc_rng r;
    struct toc_block_course c = {0};
    static double all[5000];
    toc_rng_seed(&r, 5);
    for (uint32_t n = 0; n < TOC_ARRAY_LEN(all); n++) {
        all[n] = toc_rng_normal(&r);
        bool is_new = toc_block_course_add(&c, 4, all[n]);
        if (n % 700 == 699) {
            toc_block_course_shift(&c, 0.5);
            for (uint32_t i = 0; i <= n; i++)
                all[i] += 0.5;
        }
        assert_true(!is_new || c.filled == 0);
        assert_int_equal(c.count * c.width + c.filled, n + 1);
        assert_true(n < 300 || c.count >= TOC_COURSE_BLOCKS / 2);
        for (uint32_t i = 0; i < c.count; i++) {
            double sum = 0;
            for (uint32_t k = 0; k < c.width; k++)
                sum += all[i * c.width + k];
            assert_true(fabs(c.means[i] - sum / c.width) < 1e-9);
        }
    }
}

/* ---- losses ---- */

struct told {
    int row; /* of the first alert from the fault on; -1: none */
    int before, all;
    enum toc_curve_event event;
};

typedef double loss_at(struct toc_rng *r, int row, double healthy);

/* Falls as a power law with noise of 3 %, now and then an odd batch (up to +60 %). */
static struct told run_loss(uint64_t seed, int fault_row, loss_at *fault) {
    struct toc_loss_curve c = {0};
    struct told t = {.row = -1};
    struct toc_rng r;
    bool was_above = false;
    int last_odd = -1;
    toc_rng_seed(&r, seed);
    for (int i = 0; i < ROWS; i++) {
        bool is_odd = toc_rng_below(&r, 500) == 0 && i > last_odd + 1; /* two would be a spike */
        double odd = is_odd ? 0.6 * toc_rng_unit(&r) : 0;
        last_odd = is_odd ? i : last_odd;
        double trend = 2.8 + 8 * pow(i + 5, -0.5);
        double v = trend * exp(0.03 * toc_rng_normal(&r) + odd);
        if (fault && i >= fault_row)
            v = fault(&r, i - fault_row, v);
        struct toc_curve_verdict d = toc_loss_curve_step(&c, v, BAR);
        bool is_above = d.surprise > BAR;
        assert_false(isnan(d.surprise));
        t.all += is_above && !was_above;
        t.before += is_above && i < fault_row;
        if (is_above && i >= fault_row && t.row < 0) {
            t.row = i - fault_row;
            t.event = d.event;
        }
        was_above = is_above;
    }
    return t;
}

static int found_of(loss_at *fault, int at, int within, enum toc_curve_event event) {
    int found = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct told t = run_loss(seed, at, fault);
        found += t.row >= 0 && t.row <= within && t.event == event;
    }
    return found;
}

static void a_healthy_loss_is_not_told(void **state) {
    (void)state;
    int alerts = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        alerts += run_loss(seed, ROWS, NULL).all;
    assert_true(alerts <= 2); /* in 200,000 values: this curve becomes flat, too */
}

static double spike(struct toc_rng *r, int row, double v) {
    (void)r;
    return row < 3 ? v * 1.6 : v;
}
static double divergence(struct toc_rng *r, int row, double v) {
    (void)r;
    return v + 0.01 * row;
}
static double odd_batch(struct toc_rng *r, int row, double v) {
    (void)r;
    return row == 0 ? v * 2 : v;
}
static double tripled(struct toc_rng *r, int row, double v) {
    (void)r;
    return row == 0 ? v * 4 : v;
}
static double not_a_number(struct toc_rng *r, int row, double v) {
    (void)r;
    return row == 5 ? (double)NAN : v;
}
static double standstill(struct toc_rng *r, int row, double v) {
    (void)r, (void)row, (void)v;
    return 3.25;
}

static void a_spike_of_several_values_is_told_and_an_odd_batch_is_not(void **state) {
    (void)state;
    assert_true(found_of(spike, 1000, 2, TOC_CURVE_SPIKE) >= 97);
    assert_true(found_of(odd_batch, 1000, 2, TOC_CURVE_SPIKE) <= 2);
    assert_true(found_of(tripled, 1000, 0, TOC_CURVE_SPIKE) >= 97);
}

static void a_loss_that_rises_is_told(void **state) {
    (void)state;
    assert_true(found_of(divergence, 1000, 60, TOC_CURVE_RISE) >= 97);
}

static void nan_and_standstill_are_told_at_once(void **state) {
    (void)state;
    assert_int_equal(found_of(not_a_number, 40, 5, TOC_CURVE_NOT_A_NUMBER), RUNS);
    assert_true(found_of(standstill, 1000, 6, TOC_CURVE_STANDSTILL) >= 97);
}

/* Falls with the logarithm of the step, then stops: the noise goes on. */
static void a_plateau_is_told_where_the_fall_would_have_gone_on(void **state) {
    (void)state;
    for (int stops = 0; stops < 2; stops++) {
        int found = 0;
        for (uint64_t seed = 1; seed <= RUNS; seed++) {
            struct toc_loss_curve c = {0};
            struct toc_rng r;
            toc_rng_seed(&r, seed);
            bool is_told = false;
            for (int i = 0; i < ROWS; i++) {
                double x = log(20 + (stops ? TOC_MIN(i, ROWS / 2) : i));
                double v = exp(2.4 - 0.15 * x + 0.03 * toc_rng_normal(&r));
                struct toc_curve_verdict d = toc_loss_curve_step(&c, v, BAR);
                is_told = is_told || d.surprise > BAR;
            }
            found += is_told;
        }
        assert_true(stops ? found >= 97 : found <= 1);
    }
}

static void a_loss_that_is_not_positive_is_seen_as_it_is(void **state) {
    (void)state;
    int found = 0, early = 0;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct toc_loss_curve c = {0};
        struct toc_rng r;
        int told = -1;
        toc_rng_seed(&r, seed);
        for (int i = 0; i < ROWS; i++) {
            double v =
                -20 - 5 * log(1 + i) + toc_rng_normal(&r) + (i >= 1000 ? 0.3 * (i - 999) : 0);
            if (toc_loss_curve_step(&c, i == 0 ? 0.5 : v, BAR).surprise > BAR && told < 0)
                told = i;
        }
        early += told >= 0 && told < 1000;
        found += told >= 1000 && told < 1060;
    }
    assert_true(found >= 97 && early <= 1);
}

/* The trend is the least squares line whose weights fade by 1 - 1/memory per value, of values that
 * were clipped at three scales: again, from all values. */
static void the_trend_is_that_of_discounted_least_squares(void **state) {
    (void)state;
    struct toc_loss_curve c = {0};
    struct toc_rng r;
    static double x[600], y[600], weight[600];
    double expected = NAN, half = NAN;
    toc_rng_seed(&r, 9);
    for (int n = 0; n < 600; n++) {
        double v = 5 - 0.3 * log(n + 1) + 0.05 * toc_rng_normal(&r);
        double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
        for (int i = 0; i < n; i++) {
            sw += weight[i];
            sx += weight[i] * x[i];
            sy += weight[i] * y[i];
        }
        for (int i = 0; i < n; i++) {
            sxx += weight[i] * (x[i] - sx / sw) * (x[i] - sx / sw);
            sxy += weight[i] * (x[i] - sx / sw) * (y[i] - sy / sw);
        }
        x[n] = log(n + 20);
        y[n] = log(v);
        expected = sy / sw + sxy / sxx * (x[n] - sx / sw);
        struct toc_curve_verdict d = toc_loss_curve_step(&c, v, BAR);
        if (n >= 20) {
            assert_true(fabs(log(sqrt(d.lower * d.upper)) - expected) < 1e-6);
            half = log(d.upper / d.lower) / 2;
            y[n] = fmin(fmax(y[n], expected - half), expected + half);
        }
        double keep = 1 - 1 / (n < 20 ? 32 : fmax(32, n / 4.0));
        for (int i = 0; i < n; i++)
            weight[i] *= keep;
        weight[n] = 1;
    }
}

/* ---- step times ---- */

struct pace {
    double shift, drift;           /* from row 1000 on */
    double natural;                /* growth per row all along */
    int first_raise, second_raise; /* rows at which the work is raised; 0: never */
    bool tells_work;
};

static struct told run_pace(uint64_t seed, const struct pace *p) {
    struct toc_pace_curve c = {0};
    struct told t = {.row = -1};
    struct toc_rng r;
    toc_rng_seed(&r, seed);
    for (int i = 0; i < ROWS; i++) {
        double work =
            1 + (p->first_raise && i >= p->first_raise) + (p->second_raise && i >= p->second_raise);
        double v = (0.1 + 0.4 * work) * (i % 2 ? 1.08 : 0.92) * exp(0.01 * toc_rng_normal(&r));
        v *= toc_rng_below(&r, 100) == 0 ? 3 : 1; /* a pause */
        v *= exp(p->natural * i);
        if (i >= 1000)
            v *= (1 + p->shift) * pow(1 + p->drift, i - 1000);
        if (p->tells_work && i > 0 && (i == p->first_raise || i == p->second_raise))
            toc_pace_curve_new_work(&c);
        struct toc_curve_verdict d = toc_pace_curve_step(&c, i < 5 ? 40 * v : v, BAR);
        bool is_above = d.surprise > BAR;
        t.all += is_above;
        t.before += is_above && i < 1000;
        if (is_above && i >= 1000 && t.row < 0) {
            t.row = i - 1000;
            t.event = d.event;
        }
    }
    return t;
}

struct sum {
    int found, delay, all, before;
};

static struct sum runs_of(const struct pace *p, enum toc_curve_event event) {
    struct sum s = {0};
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct told t = run_pace(seed, p);
        s.found += t.row >= 0 && t.event == event;
        s.delay += TOC_MAX(t.row, 0);
        s.all += t.all;
        s.before += t.before;
    }
    s.delay /= RUNS;
    return s;
}

static void a_step_time_longer_by_a_tenth_is_told_within_twenty_rows(void **state) {
    (void)state;
    for (double shift = 0.1; shift < 0.6; shift += 0.2) {
        struct sum s = runs_of(&(struct pace){.shift = shift}, TOC_CURVE_SLOWER);
        if (s.found < 97 || s.delay > 20 || s.before > 0)
            fail_msg("+%g: found %d after %d, %d before", shift, s.found, s.delay, s.before);
    }
}

static void a_healthy_pace_is_not_told(void **state) {
    (void)state;
    assert_true(runs_of(&(struct pace){0}, TOC_CURVE_SLOWER).all <= 1);
    assert_true(runs_of(&(struct pace){.natural = 1e-4}, TOC_CURVE_SLOWER).all <= 1);
    assert_true(runs_of(&(struct pace){.shift = -0.3}, TOC_CURVE_SLOWER).all <= 1);
}

static void a_drift_is_told_also_on_top_of_growth(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sum s = runs_of(&(struct pace){.drift = 2e-4, .natural = 1e-4 * i}, TOC_CURVE_DRIFT);
        if (s.found < 97 || s.before > 0 || s.delay > 500)
            fail_msg("found %d after %d, %d before", s.found, s.delay, s.before);
    }
}

static void a_ladder_of_batches_is_no_fault_but_what_leaves_it_is(void **state) {
    (void)state;
    const struct pace ladder = {.first_raise = 500, .second_raise = 1400};
    struct pace faulty = ladder, late = ladder;
    faulty.shift = 0.25;
    late.shift = 0.6; /* as a larger batch would be at first, but not the next step of the ladder */
    assert_true(runs_of(&ladder, TOC_CURVE_SLOWER).all <= 1);
    assert_true(runs_of(&faulty, TOC_CURVE_SLOWER).found >= 97);
    assert_true(runs_of(&late, TOC_CURVE_SLOWER).found >= 97);
}

static void where_the_work_is_known_every_other_rise_is_told(void **state) {
    (void)state;
    struct pace told = {.first_raise = 500, .second_raise = 1400, .tells_work = true};
    assert_true(runs_of(&told, TOC_CURVE_SLOWER).all <= 1);
    told.shift = 1;
    struct sum s = runs_of(&told, TOC_CURVE_SLOWER);
    assert_true(s.found >= 97 && s.before <= 1);
}

/* ---- state ---- */

static double odd_value(struct toc_rng *r, int i) {
    uint64_t k = toc_rng_below(r, 300);
    double v = 3 / sqrt(i + 1) + 1 + 0.05 * toc_rng_normal(r);
    return k == 0 ? (double)NAN : k == 1 ? 1e140 : k == 2 ? 0 : k == 3 ? -1e-140 : v;
}

static bool are_same(const struct toc_curve_verdict *a, const struct toc_curve_verdict *b) {
    bool is_band = (isnan(a->lower) && isnan(b->lower)) || a->lower == b->lower;
    return is_band && a->surprise == b->surprise && a->event == b->event && a->note == b->note;
}

static void a_stored_loss_goes_on_alike(void **state) {
    (void)state;
    struct toc_loss_curve a = {0}, b = {0};
    struct toc_rng r;
    toc_rng_seed(&r, 11);
    for (int i = 0; i < 3000; i++) {
        double v = odd_value(&r, i);
        struct toc_curve_verdict x = toc_loss_curve_step(&a, v, BAR);
        struct toc_curve_verdict y = toc_loss_curve_step(&b, v, BAR);
        assert_true(are_same(&x, &y) && !isnan(x.surprise));
        if (i % 7)
            continue;
        struct toc_buf bytes = TOC_BUF_INIT;
        toc_loss_curve_encode(&b, &bytes);
        for (size_t cut = 0; i < 70 && cut < bytes.n; cut++) {
            struct toc_reader part = toc_reader_make(toc_sv_make(bytes.p, cut));
            assert_true(toc_loss_curve_decode(&part, &b) < 0);
        }
        struct toc_reader reader = toc_reader_make(toc_buf_sv(&bytes));
        b = (struct toc_loss_curve){0};
        assert_int_equal(toc_loss_curve_decode(&reader, &b), 0);
        toc_buf_fini(&bytes);
    }
}

static void a_stored_pace_goes_on_alike(void **state) {
    (void)state;
    struct toc_pace_curve a = {0}, b = {0};
    struct toc_rng r;
    toc_rng_seed(&r, 12);
    for (int i = 0; i < 4000; i++) {
        double v = odd_value(&r, i) * (i % 900 > 450 ? 1.8 : 1);
        struct toc_curve_verdict x = toc_pace_curve_step(&a, v, BAR);
        struct toc_curve_verdict y = toc_pace_curve_step(&b, v, BAR);
        assert_true(are_same(&x, &y) && !isnan(x.surprise));
        if (i % 2000 == 1700) {
            toc_pace_curve_new_work(&a);
            toc_pace_curve_new_work(&b);
        }
        if (i % 7)
            continue;
        struct toc_buf bytes = TOC_BUF_INIT;
        toc_pace_curve_encode(&b, &bytes);
        for (size_t cut = 0; i < 280 && cut < bytes.n; cut++) {
            struct toc_reader part = toc_reader_make(toc_sv_make(bytes.p, cut));
            assert_true(toc_pace_curve_decode(&part, &b) < 0);
        }
        struct toc_reader reader = toc_reader_make(toc_buf_sv(&bytes));
        b = (struct toc_pace_curve){0};
        assert_int_equal(toc_pace_curve_decode(&reader, &b), 0);
        toc_buf_fini(&bytes);
    }
}

/* ---- files ---- */

static void columns_are_known_by_their_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum toc_training_role role;
    } names[] = {
        {"train_loss", TOC_TRAINING_LOSS},
        {"Loss", TOC_TRAINING_LOSS},
        {"eval/loss", TOC_TRAINING_LOSS},
        {"lm loss value", TOC_TRAINING_LOSS},
        {"lm loss validation", TOC_TRAINING_LOSS},
        {"train/Step-Time", TOC_TRAINING_STEP_TIME},
        {"train_step_seconds", TOC_TRAINING_STEP_TIME},
        {"tokens_per_second", TOC_TRAINING_THROUGHPUT},
        {"global_batch_size", TOC_TRAINING_WORK},
        {"step", TOC_TRAINING_COUNTER},
        {"global_step", TOC_TRAINING_COUNTER},
        {"packet_loss", TOC_TRAINING_OTHER},
        {"profit_and_loss", TOC_TRAINING_OTHER},
        {"loss_scale", TOC_TRAINING_OTHER},
        {"value", TOC_TRAINING_OTHER},
        {"m00", TOC_TRAINING_OTHER},
        {"grad_norm", TOC_TRAINING_OTHER},
        {"", TOC_TRAINING_OTHER},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_training_role_of(toc_sv_cstr(names[i].name)) != names[i].role)
            fail_msg("%s", names[i].name);
}

static void throughput_alone_is_not_that_of_a_training(void **state) {
    (void)state;
    const struct toc_sv server[] = {TOC_SV("tokens_per_second"), TOC_SV("queue")};
    const struct toc_sv training[] = {TOC_SV("tokens_per_second"), TOC_SV("step")};
    enum toc_training_role roles[2];
    assert_false(toc_training_roles(server, 2, roles));
    assert_int_equal(roles[0], TOC_TRAINING_OTHER);
    assert_true(toc_training_roles(training, 2, roles));
}

static void a_file_is_judged_with_one_budget(void **state) {
    (void)state;
    static const enum toc_training_role roles[] = {TOC_TRAINING_COUNTER, TOC_TRAINING_LOSS,
                                                   TOC_TRAINING_THROUGHPUT, TOC_TRAINING_WORK};
    const struct toc_training_options o = {4, roles, 604800, 0};
    struct toc_training *t;
    struct toc_rng r;
    int told = -1;
    toc_rng_seed(&r, 13);
    assert_int_equal(toc_training_new(&o, &t, NULL), 0);
    for (int i = 0; i < 1200; i++) {
        const double row[] = {i, 3 - 0.1 * log(i + 1) + 0.03 * toc_rng_normal(&r),
                              1000 * exp(0.01 * toc_rng_normal(&r)) * (i >= 900 ? 0.8 : 1), 64};
        struct toc_training_result s = toc_training_step(t, i * 0.5, row);
        assert_true(s.score >= 0 && s.score < 1);
        if (i > 1)
            assert_true(fabs(s.bar - log10(604800 / 0.5)) < 1e-9);
        assert_true(i >= 900 || !s.is_alert);
        if (s.is_alert && told < 0) {
            told = i;
            assert_int_equal(s.event, TOC_CURVE_SLOWER);
            assert_int_equal(s.column, 2);
        }
    }
    assert_in_range(told, 900, 925);
    toc_training_free(&t);
    static const enum toc_training_role none[] = {TOC_TRAINING_COUNTER, TOC_TRAINING_OTHER};
    assert_int_equal(toc_training_new(&(struct toc_training_options){2, none, 1, 0}, &t, NULL),
                     TOC_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_line_is_that_of_the_normal_equations),
        cmocka_unit_test(the_error_of_a_break_is_honest),
        cmocka_unit_test(a_surprise_of_students_t_bounds_its_tail),
        cmocka_unit_test(a_course_holds_the_means_of_equal_blocks),
        cmocka_unit_test(a_healthy_loss_is_not_told),
        cmocka_unit_test(a_spike_of_several_values_is_told_and_an_odd_batch_is_not),
        cmocka_unit_test(a_loss_that_rises_is_told),
        cmocka_unit_test(nan_and_standstill_are_told_at_once),
        cmocka_unit_test(a_plateau_is_told_where_the_fall_would_have_gone_on),
        cmocka_unit_test(a_loss_that_is_not_positive_is_seen_as_it_is),
        cmocka_unit_test(the_trend_is_that_of_discounted_least_squares),
        cmocka_unit_test(a_step_time_longer_by_a_tenth_is_told_within_twenty_rows),
        cmocka_unit_test(a_healthy_pace_is_not_told),
        cmocka_unit_test(a_drift_is_told_also_on_top_of_growth),
        cmocka_unit_test(a_ladder_of_batches_is_no_fault_but_what_leaves_it_is),
        cmocka_unit_test(where_the_work_is_known_every_other_rise_is_told),
        cmocka_unit_test(a_stored_loss_goes_on_alike),
        cmocka_unit_test(a_stored_pace_goes_on_alike),
        cmocka_unit_test(columns_are_known_by_their_names),
        cmocka_unit_test(throughput_alone_is_not_that_of_a_training),
        cmocka_unit_test(a_file_is_judged_with_one_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
