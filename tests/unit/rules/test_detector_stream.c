/* The methods that learn from every value, under virtual time: what they tell, and that an
 * interruption leaves no trace. */
#include "detector_world.h"

static void set(struct world *w, const char *yaml) {
    struct toc_err err = {0};
    if (world_set(w, yaml, &err) < 0)
        fail_msg("%s", err.message);
}

static void advance(struct world *w, int64_t ms) {
    w->now_ms += ms;
}

/* ---- what they tell ---- */

static double daily(struct world *w, int i) {
    return 100 + 40 * sin(2 * M_PI * i / 96) + toc_rng_normal(&w->rng);
}

static void holt_winters_knows_the_hour(const char *season) {
    struct world w;
    char yaml[1200];
    world_init(&w);
    snprintf(yaml, sizeof yaml,
             NO_BUILTINS "- {name: load, expr: 'last_over_time(load[15m])', method: holt_winters, "
                         "interval: 15m, window: 2d, "
                         "season: %s, min_points: 8}\n",
             season);
    for (int i = 0; i < 500; i++) { /* history before the start */
        put(&w, "load", "instance=a", daily(&w, i));
        advance(&w, 900000);
    }
    set(&w, yaml);
    int anomalies = 0;
    for (int i = 500; i < 596; i++) {
        put(&w, "load", "instance=a", daily(&w, i));
        advance(&w, 900000);
        catch_up(&w);
        anomalies += last_out(&w, "tocsin_anomaly", "detector=load,instance=a") == 1;
    }
    assert_true(view_of(&w, "load").view.series == 1);
    assert_int_equal(anomalies, 0);
    double lower = last_out(&w, "tocsin_expected_lower", "detector=load,instance=a");
    double upper = last_out(&w, "tocsin_expected_upper", "detector=load,instance=a");
    assert_true(upper - lower < 30 && lower < upper);
    /* Usual at noon, not at this hour. */
    put(&w, "load", "instance=a", 100 + 40 * sin(2 * M_PI * 596 / 96) + 30);
    advance(&w, 900000);
    catch_up(&w);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=load,instance=a") == 1);
    world_fini(&w);
}

static void holt_winters_with_a_given_season(void **state) {
    (void)state;
    holt_winters_knows_the_hour("1d");
}

static void holt_winters_finds_the_season(void **state) {
    (void)state;
    holt_winters_knows_the_hour("auto");
}

static void change_point_tells_a_longer_step(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, NO_BUILTINS
        "- {name: up, expr: step, method: change_point, interval: 5s, direction: up}\n"
        "- {name: down, expr: step, method: change_point, interval: 5s, direction: down}\n");
    int told_early = 0, first = -1;
    for (int i = 0; i < 700; i++) {
        put(&w, "step", "run=r", 0.5 * (i >= 600 ? 1.1 : 1) * exp(0.01 * toc_rng_normal(&w.rng)));
        advance(&w, 5000);
        catch_up(&w);
        bool is_told = last_out(&w, "tocsin_anomaly", "detector=up,run=r") == 1;
        told_early += is_told && i < 600;
        first = is_told && first < 0 ? i : first;
        assert_true(last_out(&w, "tocsin_anomaly", "detector=down,run=r") != 1);
    }
    assert_int_equal(told_early, 0);
    assert_in_range(first, 605, 625);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=up,run=r") == 0); /* the new level */
    world_fini(&w);
}

/* A loss that rises, steps longer by a tenth, throughput that fell by as much; a report seen twice
 * is one. */
static void curves_of_a_training_are_told(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, NO_BUILTINS
        "- {name: loss, expr: loss, method: loss_curve, interval: 5s}\n"
        "- {name: pace, expr: step, method: pace_curve, interval: 5s}\n"
        "- {name: rate, expr: tokens, method: pace_curve, interval: 5s, direction: down}\n");
    int told_early = 0;
    bool is_told[3] = {false};
    for (int i = 0; i < 700; i++) {
        double slow = i >= 600 ? 1.1 : 1,
               loss = 2 + 6 / sqrt(i + 1) + (i >= 600 ? 0.02 * (i - 600) : 0);
        put(&w, "loss", "run=r", loss * exp(0.02 * toc_rng_normal(&w.rng)));
        put(&w, "step", "run=r", 0.5 * slow * exp(0.01 * toc_rng_normal(&w.rng)));
        put(&w, "tokens", "run=r", 1000 / slow * exp(0.01 * toc_rng_normal(&w.rng)));
        for (int again = 0; again < 2; again++) {
            advance(&w, 5000);
            catch_up(&w);
        }
        static const char *const outs[] = {"detector=loss,run=r", "detector=pace,run=r",
                                           "detector=rate,run=r"};
        for (int k = 0; k < 3; k++) {
            bool is_anomaly = last_out(&w, "tocsin_anomaly", outs[k]) == 1;
            told_early += is_anomaly && i < 600;
            is_told[k] = is_told[k] || is_anomaly;
        }
    }
    assert_int_equal(told_early, 0);
    assert_true(is_told[0] && is_told[1] && is_told[2]);
    assert_true(view_of(&w, "loss").view.state_bytes > 500);
    world_fini(&w);
}

/* Hours of history, then a giant: told by the budget's bar in its direction only. */
static void the_ensemble_tells_what_its_budget_allows(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    for (int i = 0; i < 1900; i++) {
        put(&w, "v", "i=a", 10 + sin(i / 20.0) + 0.3 * toc_rng_normal(&w.rng));
        advance(&w, 15000);
    }
    set(&w,
        NO_BUILTINS "- {name: up, expr: v, method: ensemble, budget: 1/day, direction: up}\n"
                    "- {name: down, expr: v, method: ensemble, budget: 1/day, direction: down}\n");
    int early = 0;
    bool is_told = false;
    for (int i = 1900; i < 2140; i++) {
        double giant = i >= 2130 ? 25 : 0;
        put(&w, "v", "i=a", 10 + sin(i / 20.0) + 0.3 * toc_rng_normal(&w.rng) + giant);
        advance(&w, 15000);
        catch_up(&w);
        bool is_up = last_out(&w, "tocsin_anomaly", "detector=up,i=a") == 1;
        early += is_up && i < 2130;
        is_told = is_told || (is_up && i >= 2130);
        assert_true(i < 2130 || last_out(&w, "tocsin_anomaly", "detector=down,i=a") == 0);
    }
    assert_true(early <= 4);
    assert_true(is_told);
    assert_true(view_of(&w, "up").view.state_bytes > 1000);
    world_fini(&w);
}

static void peers_name_one_of_its_stage(void **state) {
    (void)state;
    struct world w;
    char labels[64];
    world_init(&w);
    set(&w, NO_BUILTINS "- {name: slow, expr: busy, method: peers, by: [stage], interval: 5s, "
                        "direction: up}\n");
    for (int i = 0; i < 60; i++) {
        for (int k = 0; k < 8; k++) { /* the last stage is longer by design */
            snprintf(labels, sizeof labels, "rank=%d,stage=%d", k, k / 4);
            double v = (k >= 4 ? 2 : 1) * (1 + 0.02 * toc_rng_normal(&w.rng));
            put(&w, "busy", labels, k == 5 && i >= 20 ? 1.5 * v : v);
        }
        advance(&w, 5000);
        catch_up(&w);
    }
    for (int k = 0; k < 8; k++) {
        snprintf(labels, sizeof labels, "detector=slow,rank=%d,stage=%d", k, k / 4);
        assert_true(last_out(&w, "tocsin_anomaly", labels) == (k == 5));
    }
    double upper = last_out(&w, "tocsin_expected_upper", "detector=slow,rank=5,stage=1");
    assert_true(upper > 2 && upper < 3);
    world_fini(&w);
}

static void a_flat_line_is_told(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, NO_BUILTINS "- {name: flat, expr: sensor, method: flat_line, interval: 5s}\n");
    for (int i = 0; i < 300; i++) {
        put(&w, "sensor", "i=a", i < 250 ? toc_rng_normal(&w.rng) : 4);
        put(&w, "sensor", "i=b", 4); /* never changed */
        advance(&w, 5000);
        catch_up(&w);
        if (i == 249)
            assert_true(last_out(&w, "tocsin_anomaly", "detector=flat,i=a") == 0);
    }
    assert_true(last_out(&w, "tocsin_anomaly", "detector=flat,i=a") == 1);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=flat,i=b") != 1);
    assert_true(out_series(&w, "tocsin_expected_lower", "detector=flat,i=a") == NULL);
    world_fini(&w);
}

static void a_missing_series_is_told_until_it_is_forgotten(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, NO_BUILTINS
        "- {name: gone, expr: 'last_over_time(beat[10s])', method: missing, interval: 5s, "
        "window: 10m}\n");
    for (int i = 0; i < 400; i++) {
        put(&w, "beat", "i=b", 1);
        if (i < 200)
            put(&w, "beat", "i=a", 1);
        advance(&w, 5000);
        catch_up(&w);
        if (i == 199 || i == 240)
            assert_true(last_out(&w, "tocsin_anomaly", "detector=gone,i=a") == (i == 240));
    }
    assert_true(toc_is_stale_nan(last_out(&w, "tocsin_anomaly", "detector=gone,i=a")));
    assert_true(last_out(&w, "tocsin_anomaly", "detector=gone,i=b") == 0);
    world_fini(&w);
}

/* ---- an interruption leaves no trace ---- */

#define ALL                                                                                    \
    NO_BUILTINS                                                                                \
    "- {name: holt, expr: v, method: holt_winters, interval: 5s, season: 2m, window: 5m, "     \
    "beta: 0.01}\n"                                                                            \
    "- {name: auto, expr: v, method: holt_winters, interval: 5s, season: auto, window: 5m, "   \
    "history: 30m}\n"                                                                          \
    "- {name: change, expr: v, method: change_point, interval: 5s, window: 5m}\n"              \
    "- {name: loss, expr: v, method: loss_curve, interval: 5s, window: 5m}\n"                  \
    "- {name: pace, expr: v, method: pace_curve, interval: 5s, window: 5m}\n"                  \
    "- {name: peers, expr: v, method: peers, interval: 5s, window: 5m}\n"                      \
    "- {name: ens, expr: v, method: ensemble, interval: 5s, window: 5m, budget: 1/day}\n"      \
    "- {name: ens2, features: {a: v, b: v * v}, method: ensemble, interval: 5s, window: 5m}\n" \
    "- {name: flat, expr: v, method: flat_line, interval: 5s, window: 5m}\n"                   \
    "- {name: missing, expr: 'last_over_time(v[7s])', method: missing, interval: 5s, "         \
    "window: 5m}\n"                                                                            \
    "- {name: robust, expr: v, interval: 5s, window: 5m}\n"                                    \
    "- {name: forest, features: {a: v, b: v * 2}, method: isolation_forest, interval: 5s, "    \
    "min_points: 8}\n"

/* Six series with a season, a shift, spikes, flat stretches, gaps short and long. */
static void put_all(struct world *w, struct toc_rng *rng, int i) {
    char label[8];
    for (int k = 0; k < 6; k++) {
        double v = 10 + 3 * sin(2 * M_PI * i / 24) + toc_rng_normal(rng) + (i > 500 ? 6 : 0);
        bool is_gap = (k == 1 && i % 150 > 140) || (k == 2 && i > 300 && i < 420);
        v = k == 3 && i % 100 > 70 ? 5 : v;
        v = k == 4 && i % 77 == 0 ? 90 : v;
        v = k == 5 && i > 350 ? v * 2 : v;
        snprintf(label, sizeof label, "i=%d", k);
        if (!is_gap)
            put(w, "v", label, v);
    }
}

/* Outputs of both from `from_ms` on, equal to the bit; the rates of robust and forest begin anew.
 */
static void compare(struct world *a, struct world *b, int64_t from_ms) {
    size_t compared = 0;
    for (size_t i = 0; i < a->out.count; i++) {
        const struct toc_memory_series *x = &a->out.items[i], *y = NULL;
        struct toc_sv detector = toc_labels_get(x->labels, TOC_SV("detector"));
        bool is_stream =
            !toc_sv_eq(detector, TOC_SV("robust")) && !toc_sv_eq(detector, TOC_SV("forest"));
        if (!is_stream &&
            toc_sv_eq(toc_labels_get(x->labels, TOC_METRIC_NAME), TOC_SV("tocsin_anomaly_rate")))
            continue;
        for (size_t k = 0; k < b->out.count && !y; k++)
            y = toc_labels_eq(b->out.items[k].labels, x->labels) ? &b->out.items[k] : NULL;
        size_t p = 0, q = 0;
        while (p < x->values.count && x->t_ms.items[p] < from_ms)
            p++;
        while (y && q < y->values.count && y->t_ms.items[q] < from_ms)
            q++;
        size_t left = x->values.count - p, other = y ? y->values.count - q : 0;
        if (left != other)
            fail_msg("%zu values, after the interruption %zu", left, other);
        for (; p < x->values.count; p++, q++, compared++) {
            if (x->t_ms.items[p] != y->t_ms.items[q] ||
                memcmp(&x->values.items[p], &y->values.items[q], sizeof(double)) != 0) {
                struct toc_buf text = TOC_BUF_INIT;
                toc_labels_format(x->labels, &text);
                fail_msg("%s at +%lld s: %.17g, after the interruption %.17g", toc_buf_cstr(&text),
                         (long long)(x->t_ms.items[p] - EPOCH_MS) / 1000, x->values.items[p],
                         y->values.items[q]);
            }
        }
    }
    assert_true(compared > 1000);
}

static void scores_after_a_kill_equal_those_without(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct world a, b;
        struct toc_rng rng, cut;
        world_init(&a);
        world_init(&b);
        toc_rng_seed(&cut, seed);
        int kill = 200 + (int)toc_rng_below(&cut, 400), down = (int)toc_rng_below(&cut, 60);
        set(&a, ALL);
        set(&b, ALL);
        toc_rng_seed(&rng, seed);
        for (int i = 0; i < 800; i++) {
            struct toc_rng same = rng;
            put_all(&a, &rng, i);
            put_all(&b, &same, i);
            advance(&a, 5000);
            advance(&b, 5000);
            catch_up(&a);
            if (i == kill) { /* what was not stored is lost */
                toc_detectors_free(&b.detectors);
                b.now_ms = a.now_ms;
            }
            if (i == kill + down) {
                world_start(&b, 0);
                set(&b, ALL);
            }
            if (b.detectors)
                catch_up(&b);
        }
        int64_t from_ms = EPOCH_MS + (int64_t)(kill + down + 3) * 5000;
        compare(&a, &b, from_ms);
        assert_int_equal(toc_detectors_stats(b.detectors).store_failures, 0);
        world_fini(&a);
        world_fini(&b);
    }
}

/* Late calls step through the slots that they missed. */
static void late_calls_learn_every_slot(void **state) {
    (void)state;
    struct world a, b;
    struct toc_rng rng;
    world_init(&a);
    world_init(&b);
    set(&a, ALL);
    set(&b, ALL);
    toc_rng_seed(&rng, 1);
    for (int i = 0; i < 700; i++) {
        struct toc_rng same = rng;
        put_all(&a, &rng, i);
        put_all(&b, &same, i);
        advance(&a, 5000);
        advance(&b, 5000);
        catch_up(&a);
        if (i < 300 || i > 400)
            toc_detectors_run_due(b.detectors, (struct toc_ts){b.now_ms});
    }
    double x = last_out(&a, "tocsin_anomaly_score", "detector=holt,i=0");
    double y = last_out(&b, "tocsin_anomaly_score", "detector=holt,i=0");
    assert_true(x == y && x > 0);
    assert_true(toc_detectors_stats(b.detectors).slots_replayed > 400);
    world_fini(&a);
    world_fini(&b);
}

/* Much history of many series is read in pieces: no call steps through more than its share. */
static void long_history_is_read_in_pieces(void **state) {
    (void)state;
    struct world w;
    char label[16];
    world_init(&w);
    for (int i = 0; i < 700; i++) {
        for (int k = 0; k < 600; k++) {
            snprintf(label, sizeof label, "i=%d", k);
            put(&w, "v", label, k + toc_rng_normal(&w.rng));
        }
        advance(&w, 15000);
    }
    set(&w, NO_BUILTINS "- {name: h, expr: v, method: holt_winters, interval: 15s, window: 90m}\n");
    int calls = 0;
    while (view_of(&w, "h").view.series == 0 && calls < 100) {
        uint64_t before = toc_detectors_stats(w.detectors).slots_replayed;
        advance(&w, 15000);
        toc_detectors_run_due(w.detectors, (struct toc_ts){w.now_ms});
        assert_true(toc_detectors_stats(w.detectors).slots_replayed - before <= 2000);
        calls++;
        if (calls == 1)
            assert_true(strstr(view_of(&w, "h").error, "reading history") != NULL ||
                        view_of(&w, "h").view.series > 0);
    }
    assert_in_range(calls, 1, 20);
    assert_int_equal(view_of(&w, "h").view.series, 600);
    assert_true(view_of(&w, "h").view.state_bytes > 600 * 100);
    assert_true(view_of(&w, "h").view.state_bytes < 600 * 2000);
    world_fini(&w);
}

static void any_stored_bytes_are_survived(void **state) {
    (void)state;
    struct world w;
    struct toc_rng rng;
    world_init(&w);
    set(&w, ALL);
    toc_rng_seed(&rng, 1);
    for (int i = 0; i < 300; i++) {
        put_all(&w, &rng, i);
        advance(&w, 5000);
        catch_up(&w);
    }
    for (int n = 0; n < 600; n++) {
        struct toc_buf *b = &w.blobs.items[toc_rng_below(&w.rng, w.blobs.count)].value;
        struct toc_buf good = TOC_BUF_INIT;
        toc_buf_append_sv(&good, toc_buf_sv(b));
        if (n % 3)
            b->p[toc_rng_below(&w.rng, b->n)] ^= (char)(1 + toc_rng_below(&w.rng, 255));
        else
            b->n = (size_t)toc_rng_below(&w.rng, b->n);
        toc_detectors_free(&w.detectors);
        world_start(&w, 0);
        set(&w, ALL);
        toc_buf_reset(b);
        toc_buf_append_sv(b, toc_buf_sv(&good));
        toc_buf_fini(&good);
        if (n % 50)
            continue;
        advance(&w, 5000); /* whatever was taken over can be run */
        catch_up(&w);
    }
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holt_winters_with_a_given_season),
        cmocka_unit_test(holt_winters_finds_the_season),
        cmocka_unit_test(change_point_tells_a_longer_step),
        cmocka_unit_test(curves_of_a_training_are_told),
        cmocka_unit_test(the_ensemble_tells_what_its_budget_allows),
        cmocka_unit_test(peers_name_one_of_its_stage),
        cmocka_unit_test(a_flat_line_is_told),
        cmocka_unit_test(a_missing_series_is_told_until_it_is_forgotten),
        cmocka_unit_test(scores_after_a_kill_equal_those_without),
        cmocka_unit_test(late_calls_learn_every_slot),
        cmocka_unit_test(long_history_is_read_in_pieces),
        cmocka_unit_test(any_stored_bytes_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
