#include "sim.h"

static uint64_t g_seed = 7;

static int setup(void **state) {
    struct sim *s = TOC_NEW(struct sim);
    sim_init(s, g_seed);
    *state = s;
    return 0;
}

static int teardown(void **state) {
    struct sim *s = *state;
    sim_fini(s);
    toc_free(s);
    return 0;
}

static void expect_nothing(struct sim *s) {
    sim_print(s);
    assert_int_equal(s->told_count, 0);
}

/* Exactly one alert, of that kind, opened within `within_s` of the fault. */
static const struct sim_told *expect_one(struct sim *s, const char *kind, int64_t fault_ms,
                                         double within_s) {
    if (s->told_count != 1) {
        sim_print(s);
        fail_msg("%zu alerts instead of one %s", s->told_count, kind);
    }
    const struct sim_told *t = &s->told[0];
    assert_string_equal(t->kind, kind);
    if ((double)(t->opened_ms - fault_ms) > within_s * 1000)
        fail_msg("%s opened %.1f s after the fault", kind,
                 (double)(t->opened_ms - fault_ms) / 1000);
    assert_true(t->opened_ms >= fault_ms);
    assert_true(t->evidence > 0);
    return t;
}

static void expect_closed(struct sim *s, const char *kind) {
    const struct sim_told *t = sim_find(s, kind);
    assert_non_null(t);
    if (!t->closed_ms)
        fail_msg("%s is still open: %s", kind, t->title);
    if (s->told_count != 1)
        sim_print(s);
    assert_int_equal(s->told_count, 1);
}

static void nan_names_step_and_first_layer(void **state) {
    struct sim *s = *state;
    sim_event(s, TOC_RUN_EVENT_LAYERS, "");
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms, step = s->step + 1;
    s->is_nan = true;
    s->bad_layer = 2;
    sim_run(s, 10);
    const struct sim_told *t = expect_one(s, "non_finite", fault_ms, 3);
    assert_true(t->has_step);
    assert_int_equal(t->step, step);
    assert_string_equal(t->layer, "blocks.0.mlp");
    s->is_nan = false;
    s->bad_layer = -1;
    sim_run(s, 40);
    expect_closed(s, "non_finite");
}

static void nan_of_one_layer_in_all_gradients_names_that_layer(void **state) {
    struct sim *s = *state;
    sim_event(s, TOC_RUN_EVENT_LAYERS, "");
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->is_nan = s->are_all_gradients_bad = true;
    s->bad_layer = 2;
    sim_run(s, 10);
    const struct sim_told *t = expect_one(s, "non_finite", fault_ms, 3);
    assert_string_equal(t->layer, "blocks.0.mlp");
}

/* The first report is from after the step that spread it. */
static void nan_in_all_layers_names_the_one_with_the_fewest(void **state) {
    static const double shares[SIM_LAYERS] = {1, 0.0104, 0.0001, 0.0103, 1, 1};
    struct sim *s = *state;
    sim_event(s, TOC_RUN_EVENT_LAYERS, "");
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->is_nan = s->are_all_gradients_bad = true;
    s->bad_shares = shares;
    sim_run(s, 10);
    const struct sim_told *t = expect_one(s, "non_finite", fault_ms, 3);
    assert_string_equal(t->layer, "blocks.0.mlp");
}

static void put_sample(struct sim *s, const char *metric, const double values[SIM_LAYERS]) {
    for (int i = 0; i < SIM_LAYERS; i++)
        sim_put_layer(s, metric, sim_layers[i], values[i]);
}

/* One look brings two samples: the weights of the first, and activations of the second, when NaN
 * has reached everything. */
static void nan_is_told_by_the_earlier_of_two_samples_in_one_look(void **state) {
    static const double none[SIM_LAYERS] = {0}, one[SIM_LAYERS] = {0, 0, 0.0001, 0, 0, 0},
                        all[SIM_LAYERS] = {1, 1, 1, 1, 1, 1},
                        nan[SIM_LAYERS] = {NAN, NAN, NAN, NAN, NAN, NAN};
    struct sim *s = *state;
    put_sample(s, "train_layer_nonfinite_activation_ratio", none);
    sim_event(s, TOC_RUN_EVENT_LAYERS, "");
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->now_ms += 1;
    put_sample(s, "train_layer_grad_norm", nan);
    put_sample(s, "train_layer_nonfinite_ratio", one);
    s->now_ms += 400;
    put_sample(s, "train_layer_nonfinite_activation_ratio", all);
    put_sample(s, "train_layer_nonfinite_ratio", all);
    s->is_nan = s->are_all_gradients_bad = true;
    s->bad_shares = all;
    sim_run(s, 10);
    const struct sim_told *t = expect_one(s, "non_finite", fault_ms, 3);
    assert_string_equal(t->layer, "blocks.0.mlp");
}

/* A writer that holds reports back tells of both in one look. */
static void nan_that_comes_with_the_end_is_told(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms, step = s->step;
    for (int i = 1; i <= 5; i++) {
        s->now_ms++;
        sim_put(s, "train_step", (double)(step + i));
        sim_put(s, "train_loss", NAN);
    }
    s->is_silent = true;
    sim_state(s, 3);
    sim_run(s, 60);
    const struct sim_told *t = sim_find(s, "non_finite");
    assert_non_null(t);
    assert_true(t->opened_ms - fault_ms < 3000 && t->closed_ms);
    assert_int_equal(t->step, step + 1);
    assert_non_null(sim_find(s, "crash"));
    assert_int_equal(s->told_count, 2);
}

static void nan_of_a_run_that_was_over_is_history(void **state) {
    struct sim *s = *state;
    sim_put(s, "train_step", 7);
    sim_put(s, "train_loss", NAN);
    s->is_silent = true;
    sim_state(s, 0);
    sim_run(s, 60);
    expect_nothing(s);
}

static void single_overflow_of_mixed_precision_is_no_news(void **state) {
    struct sim *s = *state;
    sim_run(s, 20);
    for (int i = 0; i < 10; i++) {
        s->now_ms += 3;
        sim_put(s, "train_grad_norm", INFINITY);
        sim_run(s, 2);
    }
    expect_nothing(s);
}

static void a_loss_that_vanishes_is_non_finite(void **state) {
    struct sim *s = *state;
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->is_loss_hidden = true;
    sim_run(s, 20);
    expect_one(s, "non_finite", fault_ms, 15);
}

static void lr_spike_is_divergence_and_names_its_cause(void **state) {
    struct sim *s = *state;
    sim_run(s, 30);
    int64_t fault_ms = s->now_ms;
    s->lr_factor = 50;
    for (int i = 0; i < 10; i++) {
        s->loss_lift += 0.3;
        sim_run(s, 1);
    }
    sim_run(s, 5);
    const struct sim_told *t = expect_one(s, "divergence", fault_ms, 15);
    assert_non_null(strstr(t->cause, "learning rate jumped"));
    assert_true(t->confidence > 0.8);
    s->lr_factor = 1;
    for (int i = 0; i < 10; i++) {
        s->loss_lift -= 0.3;
        sim_run(s, 1);
    }
    sim_run(s, 40);
    expect_closed(s, "divergence");
}

static void a_short_rise_is_a_spike(void **state) {
    struct sim *s = *state;
    sim_run(s, 60);
    int64_t fault_ms = s->now_ms;
    s->loss_lift = 3;
    sim_run(s, 3);
    s->loss_lift = 0;
    sim_run(s, 10);
    expect_one(s, "loss_spike", fault_ms, 15);
    sim_run(s, 80);
    expect_closed(s, "loss_spike");
}

static void vanishing_gradients_name_the_first_layer(void **state) {
    struct sim *s = *state;
    sim_event(s, TOC_RUN_EVENT_LAYERS, "");
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->grad_cut = 1e-6;
    sim_run(s, 15);
    const struct sim_told *t = expect_one(s, "vanishing_gradient", fault_ms, 15);
    assert_string_equal(t->layer, "embed");
    s->grad_cut = 1;
    sim_run(s, 40);
    expect_closed(s, "vanishing_gradient");
}

static void silence_is_a_hang(void **state) {
    struct sim *s = *state;
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    sim_run(s, 60);
    const struct sim_told *t = expect_one(s, "hang", fault_ms, 30);
    assert_true(t->has_step);
    assert_int_equal(t->step, s->step);
    s->is_silent = false;
    sim_run(s, 30);
    expect_closed(s, "hang");
}

/* A file that just stops, as an event file does: its job has ended or hangs. */
static void the_end_of_a_run_that_tells_no_state_is_no_critical_hang(void **state) {
    struct sim *s = *state;
    sim_put(s, "train_run_tells_state", 0);
    sim_run(s, 60);
    int64_t end_ms = s->now_ms;
    s->is_silent = true;
    sim_run(s, 120);
    const struct sim_told *t = expect_one(s, "hang", end_ms, 70);
    assert_true(t->opened_ms >= end_ms + 60000);
    assert_string_equal(t->severity, "warning");
    assert_non_null(strstr(t->title, "has ended or hangs"));
}

/* Steps reach us a minute and more at a time, now and then with a little more soon after. */
static void a_writer_that_holds_back_does_not_hang(void **state) {
    struct sim *s = *state;
    sim_add(sim_series_get(s, "train_rank_info", "run", "r", "pid", "17"), s->now_ms, 1);
    s->step_s = 2;
    sim_put(s, "train_run_tells_state", 0);
    for (int i = 0; i < 8; i++) {
        s->holds_back_ms = s->now_ms;
        sim_run(s, 90);
        s->holds_back_ms = 0;
        sim_run(s, i % 2 ? 1 : 5);
    }
    expect_nothing(s);
    int64_t end_ms = s->now_ms;
    s->is_silent = true;
    sim_run(s, 300);
    (void)expect_one(s, "hang", end_ms, 220);
}

static void a_run_whose_process_is_known_hangs_although_it_tells_no_state(void **state) {
    struct sim *s = *state;
    sim_put(s, "train_run_tells_state", 0);
    sim_add(sim_series_get(s, "train_rank_info", "run", "r", "pid", "17"), s->now_ms, 1);
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    sim_run(s, 60);
    assert_string_equal(expect_one(s, "hang", fault_ms, 30)->severity, "critical");
}

static void reports_without_steps_are_a_hang_too(void **state) {
    struct sim *s = *state;
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    for (int i = 0; i < 40; i++) {
        sim_state(s, 1);
        sim_put(s, "train_step", (double)s->step);
        sim_put(s, "train_memory_bytes", s->memory);
        sim_run(s, 1);
    }
    const struct sim_told *t = expect_one(s, "hang", fault_ms, 30);
    assert_non_null(strstr(t->cause, "loop waits"));
}

static void a_slow_run_gets_its_minute(void **state) {
    struct sim *s = *state;
    s->step_s = 4;
    sim_run(s, 300);
    const struct sim_series *steps = sim_series_get(s, "train_step", "run", "r", "", "");
    int64_t last_ms = steps->t.items[steps->t.count - 1];
    s->is_silent = true;
    sim_run(s, 120);
    const struct sim_told *t = expect_one(s, "hang", last_ms, 110);
    assert_true(t->opened_ms >= last_ms + 60000);
}

static void evaluation_and_pauses_are_no_hang(void **state) {
    struct sim *s = *state;
    sim_run(s, 20);
    s->is_paused = true;
    for (int i = 0; i < 300; i++) {
        sim_state(s, 2);
        sim_run(s, 1);
    }
    s->is_paused = false;
    sim_state(s, 1);
    sim_run(s, 30);
    s->is_silent = true;
    sim_state(s, 0);
    sim_run(s, 600);
    expect_nothing(s);
}

static void a_sleeping_machine_hangs_nobody(void **state) {
    struct sim *s = *state;
    sim_run(s, 20);
    s->now_ms += 3600 * 1000; /* the lid was closed */
    s->next_tick_ms = s->now_ms + 10;
    s->next_step_ms = s->now_ms + 200;
    sim_run(s, 30);
    expect_nothing(s);
}

static void slow_steps_are_a_throughput_drop(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->slow = 5;
    sim_run(s, 20);
    expect_one(s, "throughput_drop", fault_ms, 15);
    s->slow = 1;
    sim_run(s, 60);
    expect_closed(s, "throughput_drop");
}

/* Steps 1.9 times as long, as steady as before: a larger batch. With the usual noise: slow. */
static void a_larger_batch_is_not_slow(void **state) {
    for (int is_noisy = 0; is_noisy < 2; is_noisy++) {
        struct sim *s = TOC_NEW(struct sim);
        (void)state;
        sim_init(s, g_seed);
        s->is_steady = !is_noisy;
        sim_run(s, 200);
        s->slow = 1.9;
        sim_run(s, 200);
        assert_int_equal(sim_find(s, "throughput_drop") != NULL, is_noisy);
        sim_fini(s);
        toc_free(s);
    }
}

static void slow_steps_on_a_busy_machine_are_no_surprise(void **state) {
    struct sim *s = *state;
    s->has_pressure = true;
    sim_run(s, 30);
    s->slow = 4;
    s->pressure = 0.8;
    sim_run(s, 60);
    s->slow = 1;
    s->pressure = 0;
    sim_run(s, 30);
    expect_nothing(s);
}

static void what_was_busy_before_explains_nothing(void **state) {
    struct sim *s = *state;
    s->has_pressure = true;
    s->pressure = 0.8;
    sim_run(s, 60);
    int64_t fault_ms = s->now_ms;
    s->slow = 5;
    sim_run(s, 20);
    expect_one(s, "throughput_drop", fault_ms, 15);
}

/* Five times as slow, four fifths of the time spent waiting for a CPU: nobody's fault but the
 * machine's. */
static void steps_that_wait_for_a_cpu_are_contention(void **state) {
    struct sim *s = *state;
    s->tells_waits = true;
    sim_run(s, 30);
    int64_t fault_ms = s->now_ms;
    s->slow = 5;
    s->cpu_wait = 0.78;
    sim_run(s, 25);
    const struct sim_told *t = expect_one(s, "cpu_contention", fault_ms, 16);
    assert_non_null(strstr(t->title, "the host is contended"));
    s->slow = 1;
    s->cpu_wait = 0;
    sim_run(s, 60);
    expect_closed(s, "cpu_contention");
}

/* The machine is somewhat busy, but that explains a small part of the slowness only. */
static void waits_that_explain_little_do_not_excuse_the_job(void **state) {
    struct sim *s = *state;
    s->tells_waits = s->has_pressure = true;
    sim_run(s, 30);
    int64_t fault_ms = s->now_ms;
    s->slow = 5;
    s->cpu_wait = 0.2;
    s->pressure = 0.9; /* others wait */
    sim_run(s, 25);
    expect_one(s, "throughput_drop", fault_ms, 15);
}

/* A job that always shared its CPUs and becomes slow for another reason. */
static void waits_as_usual_explain_nothing(void **state) {
    struct sim *s = *state;
    s->tells_waits = true;
    s->cpu_wait = 0.4;
    sim_run(s, 60);
    int64_t fault_ms = s->now_ms;
    s->slow = 5;
    sim_run(s, 25);
    expect_one(s, "throughput_drop", fault_ms, 15);
}

static void a_leak_is_predicted(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->leak_per_s = 3e6;
    sim_run(s, 20);
    const struct sim_told *t = expect_one(s, "memory_growth", fault_ms, 15);
    assert_non_null(strstr(t->title, "out of memory in about"));
    s->leak_per_s = 0;
    s->memory = 70e6;
    sim_run(s, 60);
    expect_closed(s, "memory_growth");
}

/* Too slow to show within seconds: 0.02 % of the limit each second. */
static void a_slow_leak_is_predicted_as_well(void **state) {
    struct sim *s = *state;
    s->step_s = 1;
    sim_run(s, 900);
    expect_nothing(s);
    int64_t fault_ms = s->now_ms;
    s->leak_per_s = 51e3;
    sim_run(s, 1200);
    const struct sim_told *t = expect_one(s, "memory_growth", fault_ms, 1000);
    assert_non_null(strstr(t->title, "out of memory in about"));
    s->leak_per_s = 0;
    sim_run(s, 1500);
    expect_closed(s, "memory_growth");
}

static void a_step_up_in_memory_is_no_leak(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    s->memory += 60e6;
    sim_run(s, 60);
    expect_nothing(s);
}

static void oom_says_so_and_is_no_crash(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    sim_state(s, 3);
    sim_event(s, TOC_RUN_EVENT_ERROR, "CUDA out of memory. Tried to allocate 2.00 GiB");
    sim_run(s, 40);
    const struct sim_told *t = expect_one(s, "oom", fault_ms, 5);
    assert_int_equal(t->step, s->step);
    s->is_silent = false;
    sim_state(s, 1);
    sim_event(s, TOC_RUN_EVENT_START, "");
    sim_run(s, 40);
    expect_closed(s, "oom");
}

static void death_at_the_limit_is_oom_without_a_word(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->memory = 0.96 * s->limit;
    sim_run(s, 2);
    s->is_silent = true;
    sim_run(s, 60);
    expect_one(s, "oom", fault_ms, 40);
}

static void failure_is_a_crash_with_its_text(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    sim_state(s, 3);
    sim_event(s, TOC_RUN_EVENT_ERROR, "RuntimeError: shape mismatch");
    sim_run(s, 10);
    const struct sim_told *t = expect_one(s, "crash", fault_ms, 5);
    assert_non_null(strstr(t->cause, "error that the run reported"));
    sim_run(s, 4000); /* and it does not stay for ever */
    expect_closed(s, "crash");
}

/* What the scheduler says is the cause; the run's own last words are its effects. */
static void a_job_that_was_preempted_is_the_cause_of_the_crash(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    sim_state(s, 3);
    sim_event(s, TOC_RUN_EVENT_ERROR, "RuntimeError: connection closed by peer");
    sim_event(s, TOC_RUN_EVENT_JOB, "preempted: Slurm job 17 (llm) on g[1-2] was preempted");
    sim_run(s, 10);
    const struct sim_told *t = expect_one(s, "crash", fault_ms, 5);
    assert_non_null(strstr(t->title, "stopped at step"));
    assert_non_null(strstr(t->title, "Slurm job 17"));
    assert_non_null(strstr(t->cause, "took the job's place away"));
}

/* A node that died takes the run's words with it: no error, no exit, no state. */
static void a_lost_node_is_a_crash_and_no_hang(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    sim_run(s, 5);
    sim_event(s, TOC_RUN_EVENT_JOB, "node_failed: Slurm job 17 on g2 lost its node: g2");
    sim_run(s, 300);
    const struct sim_told *t = expect_one(s, "crash", fault_ms, 10);
    assert_non_null(strstr(t->cause, "lost a node"));
}

static void a_job_killed_for_memory_is_oom(void **state) {
    struct sim *s = *state;
    sim_run(s, 25);
    int64_t fault_ms = s->now_ms;
    s->is_silent = true;
    sim_event(s, TOC_RUN_EVENT_JOB, "out_of_memory: pod train/w-0 on n1 ran out of memory");
    sim_run(s, 30);
    const struct sim_told *t = expect_one(s, "oom", fault_ms, 5);
    assert_non_null(strstr(t->cause, "memory limit"));
}

/* Neither a word about an end that is history, nor one about an end that somebody wanted. */
static void other_words_about_the_job_end_nothing(void **state) {
    static const char *const words[] = {"cancelled: Slurm job 17 was cancelled", "running: goes on",
                                        "vanished: Slurm job 17 is not listed any more",
                                        "nonsense"};
    struct sim *s = *state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(words); i++) {
        sim_run(s, 20);
        sim_event(s, TOC_RUN_EVENT_JOB, words[i]);
    }
    sim_run(s, 20);
    struct toc_run_event e = {.kind = TOC_RUN_EVENT_JOB,
                              .run = TOC_SV("r"),
                              .t = {s->now_ms - 60000},
                              .state = TOC_RUN_RUNNING,
                              .message = TOC_SV("out_of_memory: of an earlier life")};
    struct toc_run_listener *l = toc_doctor_listener(s->doctor);
    l->on_event(l, &e);
    sim_run(s, 20);
    expect_nothing(s);
}

static void many_restarts_are_a_storm(void **state) {
    struct sim *s = *state;
    sim_run(s, 10);
    struct sim_series *x = sim_series_get(s, "train_restarts_total", "run", "r", "", "");
    for (int i = 1; i <= 4; i++) {
        sim_run(s, 20);
        s->next_layer_ms = INT64_MAX;
        sim_add(x, s->now_ms + 1, i);
    }
    int64_t fault_ms = s->now_ms;
    sim_run(s, 5);
    expect_one(s, "restart_storm", fault_ms, 5);
}

static void slow_requests_and_failing_ones(void **state) {
    struct sim *s = *state;
    s->is_silent = true;
    s->has_server = true;
    s->latency_s = 0.05;
    sim_run(s, 40);
    int64_t fault_ms = s->now_ms;
    s->latency_s = 0.6;
    sim_run(s, 15);
    expect_one(s, "latency_slo", fault_ms, 15);
    s->latency_s = 0.05;
    sim_run(s, 60);
    expect_closed(s, "latency_slo");
    s->told_count = 0;
    fault_ms = s->now_ms;
    s->error_share = 0.4;
    sim_run(s, 15);
    expect_one(s, "error_burst", fault_ms, 15);
    s->error_share = 0;
    sim_run(s, 60);
    expect_closed(s, "error_burst");
}

static void a_blind_doctor_says_nothing(void **state) {
    struct sim *s = *state;
    sim_run(s, 20);
    int64_t fault_ms = s->now_ms;
    s->is_nan = true;
    sim_run(s, 5);
    expect_one(s, "non_finite", fault_ms, 5);
    s->fail_with = TOC_EIO;
    s->is_nan = false;
    sim_run(s, 120);
    assert_false(s->told[0].closed_ms); /* unknown is not well */
    s->fail_with = 0;
    sim_run(s, 30);
    expect_closed(s, "non_finite");
}

static void an_adopted_alert_can_end(void **state) {
    struct sim *s = *state;
    struct toc_label labels[] = {{TOC_SV("alertname"), TOC_SV("divergence")},
                                 {TOC_SV("kind"), TOC_SV("divergence")},
                                 {TOC_SV("run"), TOC_SV("r")}};
    struct toc_alert alert = {.labels = {labels, 3}, .starts_at = {s->now_ms - 5000}};
    toc_doctor_adopt(s->doctor, &alert);
    assert_true(toc_doctor_is_open(s->doctor, TOC_SV("r"), TOC_KIND_DIVERGENCE));
    sim_take_alert(s, &alert, (struct toc_ts){s->now_ms});
    sim_run(s, 60);
    expect_closed(s, "divergence");
    assert_false(toc_doctor_is_open(s->doctor, TOC_SV("r"), TOC_KIND_DIVERGENCE));
}

static void old_stories_are_not_told_as_news(void **state) {
    struct sim *s = *state;
    s->next_tick_ms = INT64_MAX / 2;
    int64_t end = s->now_ms + 20000;
    while (s->now_ms < end) {
        s->now_ms = s->next_step_ms;
        s->hiccup = 1;
        sim_step(s);
    }
    sim_state(s, 1);
    s->is_silent = true;
    s->now_ms += 10 * 60 * 1000; /* the daemon starts ten minutes after the run went silent */
    s->next_tick_ms = s->now_ms + 10;
    sim_run(s, 300);
    expect_nothing(s);
}

/* Fifty runs of ten minutes with heavy hiccups: not one alert. */
static void healthy_runs_raise_nothing(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim *s = TOC_NEW(struct sim);
        sim_init(s, g_seed * 1000 + seed);
        s->has_server = seed % 5 == 0;
        s->has_pressure = seed % 2 == 0;
        s->latency_s = 0.03;
        s->step_s = seed % 3 == 0 ? 0.02 : seed % 3 == 1 ? 0.05 : 0.3;
        sim_event(s, TOC_RUN_EVENT_LAYERS, "");
        sim_run(s, 600);
        if (s->told_count) {
            sim_print(s);
            fail_msg("seed %llu: %zu alerts on a healthy run", (unsigned long long)seed,
                     s->told_count);
        }
        sim_fini(s);
        toc_free(s);
    }
}

/* Every fault on twenty seeds: found in time, one alert, closed afterwards. */
static void faults_are_found_on_many_seeds(void **state) {
    (void)state;
    void (*const faults[])(void **) = {
        nan_names_step_and_first_layer,           lr_spike_is_divergence_and_names_its_cause,
        vanishing_gradients_name_the_first_layer, silence_is_a_hang,
        slow_steps_are_a_throughput_drop,         a_leak_is_predicted,
        slow_requests_and_failing_ones,           a_short_rise_is_a_spike,
        steps_that_wait_for_a_cpu_are_contention,
    };
    uint64_t kept = g_seed;
    for (size_t f = 0; f < TOC_ARRAY_LEN(faults); f++)
        for (uint64_t seed = 1; seed <= 20; seed++) {
            void *one = NULL;
            g_seed = kept * 100 + seed;
            setup(&one);
            faults[f](&one);
            teardown(&one);
        }
    g_seed = kept;
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(nan_names_step_and_first_layer),
        T(nan_of_one_layer_in_all_gradients_names_that_layer),
        T(nan_in_all_layers_names_the_one_with_the_fewest),
        T(nan_is_told_by_the_earlier_of_two_samples_in_one_look),
        T(nan_that_comes_with_the_end_is_told),
        T(nan_of_a_run_that_was_over_is_history),
        T(single_overflow_of_mixed_precision_is_no_news),
        T(a_loss_that_vanishes_is_non_finite),
        T(lr_spike_is_divergence_and_names_its_cause),
        T(a_short_rise_is_a_spike),
        T(vanishing_gradients_name_the_first_layer),
        T(silence_is_a_hang),
        T(the_end_of_a_run_that_tells_no_state_is_no_critical_hang),
        T(a_writer_that_holds_back_does_not_hang),
        T(a_run_whose_process_is_known_hangs_although_it_tells_no_state),
        T(reports_without_steps_are_a_hang_too),
        T(a_slow_run_gets_its_minute),
        T(evaluation_and_pauses_are_no_hang),
        T(a_sleeping_machine_hangs_nobody),
        T(slow_steps_are_a_throughput_drop),
        T(slow_steps_on_a_busy_machine_are_no_surprise),
        cmocka_unit_test(a_larger_batch_is_not_slow),
        T(what_was_busy_before_explains_nothing),
        T(steps_that_wait_for_a_cpu_are_contention),
        T(waits_that_explain_little_do_not_excuse_the_job),
        T(waits_as_usual_explain_nothing),
        T(a_leak_is_predicted),
        T(a_slow_leak_is_predicted_as_well),
        T(a_step_up_in_memory_is_no_leak),
        T(oom_says_so_and_is_no_crash),
        T(death_at_the_limit_is_oom_without_a_word),
        T(a_job_that_was_preempted_is_the_cause_of_the_crash),
        T(a_lost_node_is_a_crash_and_no_hang),
        T(a_job_killed_for_memory_is_oom),
        T(other_words_about_the_job_end_nothing),
        T(failure_is_a_crash_with_its_text),
        T(many_restarts_are_a_storm),
        T(slow_requests_and_failing_ones),
        T(a_blind_doctor_says_nothing),
        T(an_adopted_alert_can_end),
        T(old_stories_are_not_told_as_news),
        cmocka_unit_test(healthy_runs_raise_nothing),
        cmocka_unit_test(faults_are_found_on_many_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
