/* Detectors from configuration to written series, under virtual time. */
#include "detector_world.h"

#define ROBUST  \
    NO_BUILTINS \
    "- {name: load, expr: load, method: robust_z, window: 10m, interval: 10s, threshold: 6}\n"
#define FOREST                                                                                  \
    NO_BUILTINS                                                                                 \
    "- {name: pair, method: isolation_forest, features: {cpu: cpu, mem: mem}, interval: 10s,\n" \
    "   history: 1h, train_interval: 10m, threshold: 0.65, min_points: 50, seed: 3}\n"

static void set(struct world *w, const char *yaml) {
    struct toc_err err = {0};
    if (world_set(w, yaml, &err) < 0)
        fail_msg("%d:%d %s", err.line, err.column, err.message);
}

static void feed_load(struct world *w, int seconds) {
    for (int i = 0; i < seconds / 10; i++) {
        w->now_ms += 10000;
        put(w, "load", "instance=a", 50 + toc_rng_normal(&w->rng));
        catch_up(w);
    }
}

static void feed_pair(struct world *w, int seconds, const char *labels) {
    for (int i = 0; i < seconds / 10; i++) {
        double x = toc_rng_normal(&w->rng);
        w->now_ms += 10000;
        put(w, "cpu", labels, 0.4 + 0.05 * x);
        put(w, "mem", labels, 0.6 + 0.02 * toc_rng_normal(&w->rng));
        catch_up(w);
    }
}

static void robust_z_marks_the_spike_only(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, ROBUST);
    feed_load(&w, 1200);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=load,instance=a") == 0);
    assert_true(last_out(&w, "tocsin_anomaly_rate", "detector=load,instance=a") == 0);
    double lower = last_out(&w, "tocsin_expected_lower", "detector=load,instance=a");
    double upper = last_out(&w, "tocsin_expected_upper", "detector=load,instance=a");
    assert_true(lower > 40 && lower < 47 && upper > 53 && upper < 60);
    assert_string_equal(view_of(&w, "load").state, "ready");
    w.now_ms += 10000;
    put(&w, "load", "instance=a", 90);
    catch_up(&w);
    w.now_ms += 9999; /* the slot behind the spike, wherever the grid lies */
    catch_up(&w);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=load,instance=a") == 1);
    assert_true(last_out(&w, "tocsin_anomaly_score", "detector=load,instance=a") > 6);
    assert_true(last_out(&w, "tocsin_anomaly_rate", "detector=load,instance=a") > 0);
    struct seek v = view_of(&w, "load");
    assert_true(v.view.last_score > 6);
    assert_int_equal(v.view.anomalies, 1);
    w.now_ms += 1;
    feed_load(&w, 60);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=load,instance=a") == 0);
    world_fini(&w);
}

static void direction_decides_which_side_counts(void **state) {
    (void)state;
    static const char *const directions[] = {"both", "up", "down"};
    for (int i = 0; i < 3; i++) {
        struct world w;
        char yaml[800];
        world_init(&w);
        snprintf(yaml, sizeof yaml,
                 NO_BUILTINS
                 "- {name: load, expr: load, window: 10m, interval: 10s, direction: %s}\n",
                 directions[i]);
        set(&w, yaml);
        feed_load(&w, 900);
        w.now_ms += 1;
        put(&w, "load", "instance=a", 10);
        w.now_ms += 10000;
        catch_up(&w);
        double is_anomaly = last_out(&w, "tocsin_anomaly", "detector=load,instance=a");
        assert_true(is_anomaly == (i == 1 ? 0 : 1));
        world_fini(&w);
    }
}

static void stored_history_is_used_at_once(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, NO_BUILTINS);
    feed_load(&w, 1800);
    assert_int_equal(w.out.count, 0);
    set(&w, ROBUST);
    w.now_ms += 10000;
    catch_up(&w);
    assert_int_equal(out_series(&w, "tocsin_anomaly", "detector=load,instance=a")->values.count, 1);
    struct seek v = view_of(&w, "load");
    assert_int_equal(v.view.model_version, 1);
    assert_true(v.view.training_points >= 59 && v.view.training_points <= 60);
    world_fini(&w);
}

static void forest_sees_a_strange_combination(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, FOREST);
    feed_pair(&w, 3600, "instance=a");
    struct seek v = view_of(&w, "pair");
    assert_string_equal(v.state, "ready");
    assert_true(v.view.model_version >= 5);
    assert_true(v.view.training_points >= 250);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=pair,instance=a") == 0);
    double lower = last_out(&w, "tocsin_expected_lower", "detector=pair,feature=cpu,instance=a");
    double upper = last_out(&w, "tocsin_expected_upper", "detector=pair,feature=cpu,instance=a");
    assert_true(lower > 0.2 && lower < 0.35 && upper > 0.45 && upper < 0.6);
    assert_true(
        !isnan(last_out(&w, "tocsin_expected_upper", "detector=pair,feature=mem,instance=a")));
    w.now_ms += 1;
    put(&w, "cpu", "instance=a", 0.99);
    put(&w, "mem", "instance=a", 0.95);
    w.now_ms += 10000;
    catch_up(&w);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=pair,instance=a") == 1);
    assert_true(last_out(&w, "tocsin_anomaly_score", "detector=pair,instance=a") > 0.65);
    world_fini(&w);
}

static void features_join_by_identical_labels(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, FOREST);
    for (int i = 0; i < 120; i++) {
        feed_pair(&w, 10, "instance=a");
        put(&w, "cpu", "instance=b", 0.5); /* no mem */
    }
    assert_non_null(out_series(&w, "tocsin_anomaly", "detector=pair,instance=a"));
    assert_null(out_series(&w, "tocsin_anomaly", "detector=pair,instance=b"));
    assert_true(toc_detectors_stats(w.detectors).values_skipped > 0);
    world_fini(&w);
}

static void normalisation_makes_instances_comparable(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, NO_BUILTINS
        "- {name: pair, method: isolation_forest, features: {cpu: cpu, mem: mem}, interval: 10s,\n"
        "   history: 30m, train_interval: 10m, threshold: 0.7, min_points: 50, normalise: "
        "robust}\n");
    for (int i = 0; i < 240; i++) {
        w.now_ms += 10000;
        for (int k = 0; k < 2; k++) {
            const char *labels = k ? "instance=big" : "instance=small";
            double unit = k ? 1000 : 1;
            put(&w, "cpu", labels, unit * (5 + toc_rng_normal(&w.rng)));
            put(&w, "mem", labels, unit * (9 + toc_rng_normal(&w.rng)));
        }
        catch_up(&w);
    }
    double upper = last_out(&w, "tocsin_expected_upper", "detector=pair,feature=cpu,instance=big");
    assert_true(upper > 6000 && upper < 10000);
    upper = last_out(&w, "tocsin_expected_upper", "detector=pair,feature=cpu,instance=small");
    assert_true(upper > 6 && upper < 10);
    w.now_ms += 1;
    put(&w, "cpu", "instance=small", 5000); /* usual for the big one only */
    put(&w, "mem", "instance=small", 9000);
    w.now_ms += 10000;
    catch_up(&w);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=pair,instance=small") == 1);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=pair,instance=big") == 0);
    world_fini(&w);
}

static const char *const PAIR_A = "detector=pair,instance=a";

static void odd_pair(struct world *w) {
    w->now_ms += 1;
    put(w, "cpu", "instance=a", 0.99);
    put(w, "mem", "instance=a", 0.95);
    w->now_ms += 10000;
    catch_up(w);
}

static int pair_verdict(struct world *w, bool is_true, int64_t at_ms) {
    struct toc_label l[] = {{TOC_SV("detector"), TOC_SV("pair")},
                            {TOC_SV("instance"), TOC_SV("a")},
                            {TOC_SV("severity"), TOC_SV("warning")}};
    return toc_detectors_verdict(w->detectors, TOC_SV("pair"), (struct toc_labels){l, 3}, is_true,
                                 (struct toc_ts){at_ms}, NULL);
}

static double score_of(struct world *w, bool is_weighted) {
    return last_out(w, is_weighted ? "tocsin_anomaly_score_feedback" : "tocsin_anomaly_score",
                    PAIR_A);
}

static void verdicts_weigh_beside_the_forests_own_score(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, FOREST);
    feed_pair(&w, 3600, "instance=a");
    odd_pair(&w);
    double plain = score_of(&w, false);
    assert_true(plain > 0.65 && isnan(score_of(&w, true)));
    for (int i = 0; i < 5; i++)
        assert_int_equal(pair_verdict(&w, false, w.now_ms), 0);
    assert_int_equal(toc_detectors_stats(w.detectors).verdicts, 5);
    assert_int_equal(pair_verdict(&w, false, EPOCH_MS - 86400000), TOC_ENODATA);
    assert_int_equal(toc_detectors_verdict(w.detectors, TOC_SV("none"), TOC_LABELS_EMPTY, true,
                                           (struct toc_ts){w.now_ms}, NULL),
                     TOC_ENOENT);
    odd_pair(&w);
    assert_true(fabs(score_of(&w, false) - plain) < 0.05);
    assert_true(score_of(&w, true) < score_of(&w, false) - 0.05);
    int64_t version = view_of(&w, "pair").view.model_version;
    feed_pair(&w, 7200, "instance=a"); /* new forests: the verdicts are replayed */
    assert_true(view_of(&w, "pair").view.model_version > version);
    odd_pair(&w);
    assert_true(score_of(&w, true) < score_of(&w, false) - 0.05);
    toc_detectors_free(&w.detectors);
    world_start(&w, 0);
    set(&w, FOREST);
    odd_pair(&w);
    assert_true(score_of(&w, true) < score_of(&w, false) - 0.05);
    world_fini(&w);
}

static void any_stored_verdicts_are_survived(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, FOREST);
    feed_pair(&w, 3600, "instance=a");
    odd_pair(&w);
    assert_int_equal(pair_verdict(&w, true, w.now_ms), 0);
    struct blob *b = blob_find(&w.blobs, TOC_SV("pair"));
    assert_non_null(b);
    for (size_t i = 0; i < b->value.n; i += 5) {
        uint64_t failures = 0;
        b->value.p[i] ^= 0x41;
        toc_detectors_free(&w.detectors);
        world_start(&w, 0);
        set(&w, FOREST);
        failures = toc_detectors_stats(w.detectors).store_failures;
        assert_int_equal(failures, 1);
        b->value.p[i] ^= 0x41;
    }
    world_fini(&w);
}

static void restart_is_warm_and_five_versions_are_kept(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, FOREST);
    feed_pair(&w, 7200, "instance=a");
    struct seek before = view_of(&w, "pair");
    assert_true(before.view.model_version > 5);
    assert_int_equal(w.blobs.count, 5);
    toc_detectors_free(&w.detectors);
    toc_memory_querier_clear(&w.in); /* no history left: only the stored model can judge */
    world_start(&w, 0);
    set(&w, FOREST);
    w.now_ms += 1;
    put(&w, "cpu", "instance=a", 0.99);
    put(&w, "mem", "instance=a", 0.95);
    w.now_ms += 10000;
    catch_up(&w);
    struct seek after = view_of(&w, "pair");
    assert_int_equal(after.view.model_version, before.view.model_version);
    assert_true(after.view.trained_at.ms == before.view.trained_at.ms);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=pair,instance=a") == 1);
    assert_int_equal(toc_detectors_stats(w.detectors).store_failures, 0);
    world_fini(&w);
}

static void robust_windows_survive_without_history(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, ROBUST);
    feed_load(&w, 900);
    toc_detectors_free(&w.detectors);
    toc_memory_querier_clear(&w.in);
    world_start(&w, 0);
    set(&w, ROBUST);
    w.now_ms += 1;
    put(&w, "load", "instance=a", 90);
    w.now_ms += 10000;
    catch_up(&w);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=load,instance=a") == 1);
    world_fini(&w);
}

static void corrupt_or_foreign_models_are_replaced(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, FOREST);
    feed_pair(&w, 3600, "instance=a");
    int64_t version = view_of(&w, "pair").view.model_version;
    for (size_t i = 0; i < w.blobs.count; i++)
        w.blobs.items[i].value.p[w.blobs.items[i].value.n / 2] ^= 1;
    toc_detectors_free(&w.detectors);
    world_start(&w, 0);
    set(&w, FOREST);
    assert_int_equal(toc_detectors_stats(w.detectors).store_failures, 1);
    feed_pair(&w, 20, "instance=a");
    assert_int_equal(view_of(&w, "pair").view.model_version, version + 1);
    assert_string_equal(view_of(&w, "pair").state, "ready");
    world_fini(&w);
}

static void any_stored_bytes_are_survived(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, FOREST);
    feed_pair(&w, 1200, "instance=a");
    struct toc_buf good = TOC_BUF_INIT;
    toc_buf_append_sv(&good, toc_buf_sv(&w.blobs.items[w.blobs.count - 1].value));
    for (int round = 0; round < 300; round++) {
        struct toc_buf *b = &w.blobs.items[w.blobs.count - 1].value;
        toc_buf_reset(b);
        toc_buf_append_sv(b, toc_buf_sv(&good));
        size_t n = (size_t)toc_rng_below(&w.rng, good.n + 1);
        if (round % 2)
            b->n = n;
        else if (n < good.n)
            b->p[n] ^= (char)(1 + toc_rng_below(&w.rng, 255));
        toc_detectors_free(&w.detectors);
        world_start(&w, 0);
        set(&w, FOREST);
    }
    toc_buf_fini(&good);
    world_fini(&w);
}

static void reload_keeps_what_did_not_change(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, ROBUST);
    feed_load(&w, 900);
    uint64_t trainings = toc_detectors_stats(w.detectors).trainings;
    set(&w, ROBUST "- {name: other, expr: other}\n");
    feed_load(&w, 20);
    assert_int_equal(toc_detectors_stats(w.detectors).trainings, trainings);
    assert_true(view_of(&w, "other").is_found);
    assert_string_equal(view_of(&w, "other").state, "learning");
    assert_true(w.blobs.count > 0);
    set(&w, NO_BUILTINS);
    assert_true(toc_is_stale_nan(last_out(&w, "tocsin_anomaly", "detector=load,instance=a")));
    assert_int_equal(w.blobs.count, 0);
    assert_true(toc_detectors_next_due(w.detectors) == INT64_MAX);
    struct toc_err err = {0};
    set(&w, ROBUST);
    assert_true(world_set(&w, "- {name: x, expr: 'sum('}\n", &err) < 0);
    assert_true(view_of(&w, "load").is_found);
    world_fini(&w);
}

static void vanished_series_end(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, ROBUST);
    feed_load(&w, 900);
    w.now_ms += 1;
    put(&w, "load", "instance=a", toc_stale_nan());
    w.now_ms += 10000;
    catch_up(&w);
    assert_true(toc_is_stale_nan(last_out(&w, "tocsin_anomaly_score", "detector=load,instance=a")));
    size_t written = out_series(&w, "tocsin_anomaly", "detector=load,instance=a")->values.count;
    w.now_ms += 700000;
    catch_up(&w);
    assert_int_equal(out_series(&w, "tocsin_anomaly", "detector=load,instance=a")->values.count,
                     written);
    assert_int_equal(toc_detectors_stats(w.detectors).series, 0); /* forgotten after its window */
    world_fini(&w);
}

static void series_over_the_limit_are_counted(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    toc_detectors_free(&w.detectors);
    world_start(&w, 3);
    set(&w, ROBUST);
    for (int i = 0; i < 60; i++) {
        w.now_ms += 10000;
        for (int k = 0; k < 5; k++) {
            char labels[30];
            snprintf(labels, sizeof labels, "instance=%d", k);
            put(&w, "load", labels, toc_rng_normal(&w.rng));
        }
        catch_up(&w);
    }
    struct toc_detectors_stats s = toc_detectors_stats(w.detectors);
    assert_int_equal(s.series, 3);
    assert_true(s.series_dropped > 0);
    assert_int_equal(w.out.count, 15);
    world_fini(&w);
}

static void late_calls_count_missed_slots(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, ROBUST);
    feed_load(&w, 600);
    uint64_t before = toc_detectors_stats(w.detectors).evaluations;
    w.now_ms += 100000;
    toc_detectors_run_due(w.detectors, (struct toc_ts){w.now_ms});
    struct toc_detectors_stats s = toc_detectors_stats(w.detectors);
    assert_int_equal(s.evaluations, before + 1);
    assert_in_range(s.missed, 8, 10);
    assert_true(toc_detectors_next_due(w.detectors) > w.now_ms);
    world_fini(&w);
}

static void denoising_hides_a_lone_spike(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w,
        NO_BUILTINS "- {name: load, expr: load, window: 10m, interval: 10s, denoise: median}\n");
    feed_load(&w, 900);
    w.now_ms += 10000;
    put(&w, "load", "instance=a", 90);
    catch_up(&w);
    feed_load(&w, 20);
    assert_true(last_out(&w, "tocsin_anomaly_rate", "detector=load,instance=a") == 0);
    for (int i = 0; i < 5; i++) {
        w.now_ms += 10000;
        put(&w, "load", "instance=a", 90);
        catch_up(&w);
    }
    assert_true(last_out(&w, "tocsin_anomaly", "detector=load,instance=a") == 1);
    world_fini(&w);
}

static void two_series_of_the_same_labels_are_an_error(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    set(&w, NO_BUILTINS "- {name: both, expr: '{__name__=~\"cpu|mem\"}', interval: 10s}\n");
    feed_pair(&w, 100, "instance=a");
    struct seek v = view_of(&w, "both");
    assert_string_equal(v.state, "failing");
    assert_non_null(strstr(v.error, "aggregate"));
    assert_true(toc_detectors_stats(w.detectors).evaluation_failures > 0);
    world_fini(&w);
}

static void builtins_rest_without_data_and_work_with_it(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    assert_int_equal(toc_detectors_check(NULL, NULL), 0);
    assert_int_equal(toc_detectors_set(w.detectors, NULL, (struct toc_ts){w.now_ms}, NULL), 0);
    w.now_ms += 60000;
    catch_up(&w);
    assert_int_equal(w.out.count, 0);
    assert_int_equal(toc_detectors_stats(w.detectors).detectors, 11);
    assert_int_equal(toc_detectors_stats(w.detectors).evaluation_failures, 0);
    double cpu = 0, network = 0;
    for (int i = 0; i < 1200; i++) {
        w.now_ms += 1000;
        cpu += 0.8 + 0.05 * toc_rng_normal(&w.rng);
        network += 1e5 * (1 + toc_rng_unit(&w.rng));
        put(&w, "node_cpu_seconds_total", "cpu=0,instance=h,job=node,mode=idle", cpu);
        put(&w, "node_memory_MemAvailable_bytes", "instance=h,job=node", 4e9 + 1e7 * (i % 10));
        put(&w, "node_memory_MemTotal_bytes", "instance=h,job=node", 8e9);
        put(&w, "node_network_receive_bytes_total", "device=eth0,instance=h,job=node", network);
        put(&w, "node_network_transmit_bytes_total", "device=eth0,instance=h,job=node",
            network / 2);
        put(&w, "train_loss", "run=r", 3 * exp(-i / 500.0) + 0.02 * toc_rng_normal(&w.rng));
        catch_up(&w);
    }
    assert_true(last_out(&w, "tocsin_anomaly", "detector=host,instance=h,job=node") == 0);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=train_loss,run=r") == 0);
    assert_true(view_of(&w, "host").view.is_builtin);
    w.now_ms += 1;
    put(&w, "train_loss", "run=r", 9);
    w.now_ms += 5000;
    catch_up(&w);
    assert_true(last_out(&w, "tocsin_anomaly", "detector=train_loss,run=r") == 1);
    world_fini(&w);
}

static void bad_configuration_says_where_and_why(void **state) {
    (void)state;
    static const struct {
        const char *yaml, *text;
        int line;
    } cases[] = {
        {"a: 1\n", "must be a list", 1},
        {"- {expr: up}\n", "\"name\" is missing", 1},
        {"- {name: a/b, expr: up}\n", "without \"/\"", 1},
        {"- {name: x}\n", "either expr or features", 1},
        {"- name: x\n  expr: 'sum('\n", "expression \"sum(\"", 2},
        {"- {name: x, expr: 'up[5m]'}\n", "instant vector", 1},
        {"- {name: x, expr: up, methid: robust_z}\n", "did you mean \"method\"", 1},
        {"- name: x\n  expr: up\n  method: magic\n", "robust_z, isolation_forest", 3},
        {"- {name: x, expr: up, window: 1h, interval: 1s}\n", "window / interval", 1},
        {"- {name: x, expr: up, threshold: -1}\n", "between 0 and 1000", 1},
        {"- {name: x, expr: up, seed: 4}\n", "no meaning for method robust_z", 1},
        {"- {name: x, expr: up, method: isolation_forest, direction: up}\n", "no meaning", 1},
        {"- {name: x, expr: up, method: isolation_forest, contamination: 0.7}\n", "(0, 0.5]", 1},
        {"- {name: x, method: isolation_forest, features: [up]}\n", "mapping of names", 1},
        {"- {name: x, expr: up}\n- {name: x, expr: up}\n", "two detectors", 2},
        {"- {name: x, expr: up, interval: 10ms}\n", "must be between", 1},
        {"- {name: x, expr: up, season: 1d}\n", "season has no meaning for method robust_z", 1},
        {"- {name: x, expr: up, method: change_point, threshold: 3}\n", "no meaning", 1},
        {"- {name: x, expr: up, method: flat_line, direction: up}\n", "no meaning", 1},
        {"- {name: x, expr: up, method: missing, denoise: ewma}\n", "no meaning", 1},
        {"- {name: x, expr: up, method: holt_winters, season: 30s}\n", "between 4 and", 1},
        {"- {name: x, expr: up, method: holt_winters, season: soon}\n", "duration", 1},
        {"- {name: x, expr: up, method: ensemble, budget: often}\n", "such as 1/week", 1},
        {"- {name: x, expr: up, method: ensemble, budget: 0/day}\n", "such as 1/week", 1},
        {"- {name: x, expr: up, budget: 1/day}\n", "no meaning", 1},
        {"- {name: x, expr: up, method: ensemble, budget: 1/day, threshold: 3}\n", "either", 1},
        {"- {name: x, expr: up, method: peers, by: stage}\n", "list of at most 8", 1},
    };
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_err err = {0};
        assert_true(world_set(&w, cases[i].yaml, &err) < 0);
        if (!strstr(err.message, cases[i].text) || err.line != cases[i].line)
            fail_msg("case %zu: line %d: %s", i, err.line, err.message);
    }
    world_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(robust_z_marks_the_spike_only),
        cmocka_unit_test(direction_decides_which_side_counts),
        cmocka_unit_test(stored_history_is_used_at_once),
        cmocka_unit_test(forest_sees_a_strange_combination),
        cmocka_unit_test(features_join_by_identical_labels),
        cmocka_unit_test(normalisation_makes_instances_comparable),
        cmocka_unit_test(verdicts_weigh_beside_the_forests_own_score),
        cmocka_unit_test(any_stored_verdicts_are_survived),
        cmocka_unit_test(restart_is_warm_and_five_versions_are_kept),
        cmocka_unit_test(robust_windows_survive_without_history),
        cmocka_unit_test(corrupt_or_foreign_models_are_replaced),
        cmocka_unit_test(any_stored_bytes_are_survived),
        cmocka_unit_test(reload_keeps_what_did_not_change),
        cmocka_unit_test(vanished_series_end),
        cmocka_unit_test(series_over_the_limit_are_counted),
        cmocka_unit_test(late_calls_count_missed_slots),
        cmocka_unit_test(denoising_hides_a_lone_spike),
        cmocka_unit_test(two_series_of_the_same_labels_are_an_error),
        cmocka_unit_test(builtins_rest_without_data_and_work_with_it),
        cmocka_unit_test(bad_configuration_says_where_and_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
