/*
 * A synchronous job under virtual time: ranks with clocks of their own compute, meet in a
 * collective, report, evaluate and save. One of them stalls at a random moment: is the run called
 * hung in time, and the right rank named? And is a healthy job left alone?
 */
#include "sim.h"

#include "diagnose/rank_model.h"

enum { RANKS_MAX = 64, TICK_MS = 50 };

static uint64_t g_seed = 1;

enum work { WORK_STEP, WORK_EVALUATION, WORK_CHECKPOINT };

struct worker {
    int64_t busy_until_ms, next_beat_ms, skew_ms;
    bool is_waiting, is_in_phase;
    double collectives, slow, data_share, own_s; /* slow: of its own work; 0 counts as 1 */
};

struct gang {
    struct sim *s;
    struct worker w[RANKS_MAX];
    int ranks;
    double step_s, evaluation_s, checkpoint_s, beat_s, spread;
    int evaluate_every, save_every;
    bool is_evaluation_by_one; /* rank 0 evaluates while the others wait for it */
    enum work work;
    int64_t step, work_since_ms;
    int stalled; /* -1: nobody */
    bool is_frozen, is_saving_broken;
};

static struct sim_series *rank_series(struct gang *g, const char *name, int rank) {
    char text[16];
    snprintf(text, sizeof text, "%d", rank);
    return sim_series_get(g->s, name, "run", "r", rank ? "rank" : "", rank ? text : "");
}

/* Two lines in one millisecond: the receiver moves the later one on. */
static void tell(struct gang *g, int rank, const char *name, double v) {
    struct sim_series *x = rank_series(g, name, rank);
    int64_t t_ms = g->s->now_ms + g->w[rank].skew_ms;
    if (x->t.count && x->t.items[x->t.count - 1] == t_ms)
        t_ms++;
    sim_add(x, t_ms, v);
}

/* What each line says, and what the receiver makes of it. */
static void report(struct gang *g, int rank) {
    struct worker *w = &g->w[rank];
    double phase = !w->is_in_phase ? 0 : g->work == WORK_EVALUATION ? 1 : 2;
    tell(g, rank, "train_step", (double)g->step);
    tell(g, rank, "train_collectives_total", w->collectives);
    tell(g, rank, "train_run_state", phase > 0 ? 2 : 1);
    tell(g, rank, "train_run_phase", phase);
    w->next_beat_ms = g->s->now_ms + (int64_t)(g->beat_s * 1000);
}

static double work_seconds(struct gang *g) {
    double usual = g->work == WORK_EVALUATION   ? g->evaluation_s
                   : g->work == WORK_CHECKPOINT ? g->checkpoint_s
                                                : g->step_s;
    return usual * exp(g->spread * toc_rng_normal(&g->s->rng));
}

static void begin(struct gang *g, enum work work) {
    g->work = work;
    g->work_since_ms = g->s->now_ms;
    for (int i = 0; i < g->ranks; i++) {
        struct worker *w = &g->w[i];
        bool takes_part =
            work == WORK_STEP || i == 0 || (work == WORK_EVALUATION && !g->is_evaluation_by_one);
        bool was_in_phase = w->is_in_phase;
        w->is_waiting = false;
        w->is_in_phase = work != WORK_STEP && takes_part;
        w->own_s = takes_part ? work_seconds(g) : 0;
        if (work == WORK_STEP && w->slow > 0)
            w->own_s *= w->slow;
        w->busy_until_ms = g->s->now_ms + (int64_t)(w->own_s * 1000);
        if (w->is_in_phase || was_in_phase)
            report(g, i);
    }
}

/* Everybody has entered the collective: it is done. */
static void finish_work(struct gang *g) {
    if (g->work != WORK_STEP) {
        begin(g, WORK_STEP);
        return;
    }
    g->step++;
    for (int i = 0; i < g->ranks; i++) {
        double step_s = (double)(g->s->now_ms - g->work_since_ms) / 1000;
        double share = 0.05 + g->w[i].data_share;
        report(g, i);
        tell(g, i, "train_step_seconds", step_s);
        tell(g, i, "train_collective_seconds", TOC_MAX(step_s - g->w[i].own_s, 0.0));
        tell(g, i, "train_data_seconds", share * g->w[i].own_s);
    }
    if (g->step % g->save_every == 0 && !g->is_saving_broken)
        tell(g, 0, "train_last_checkpoint_timestamp_seconds", (double)g->s->now_ms / 1000);
    if (g->step % g->evaluate_every == 0)
        begin(g, WORK_EVALUATION);
    else if (g->step % g->save_every == 0)
        begin(g, WORK_CHECKPOINT);
    else
        begin(g, WORK_STEP);
}

static void live(struct gang *g) {
    int waiting = 0;
    for (int i = 0; i < g->ranks; i++) {
        struct worker *w = &g->w[i];
        bool is_stalled = i == g->stalled;
        if (!w->is_waiting && !is_stalled && g->s->now_ms >= w->busy_until_ms) {
            w->is_waiting = true;
            w->collectives++;
        }
        waiting += w->is_waiting;
        if (g->s->now_ms >= w->next_beat_ms && !(is_stalled && g->is_frozen))
            report(g, i);
    }
    if (waiting == g->ranks)
        finish_work(g);
}

static void gang_run(struct gang *g, double seconds) {
    int64_t end_ms = g->s->now_ms + (int64_t)(seconds * 1000);
    while (g->s->now_ms < end_ms) {
        g->s->now_ms += TICK_MS;
        live(g);
        if (g->s->now_ms >= g->s->next_tick_ms)
            sim_tick(g->s);
    }
}

static void put_info(struct gang *g, int rank) {
    char text[16], host[16], pid[16];
    snprintf(text, sizeof text, "%d", rank);
    snprintf(pid, sizeof pid, "%d", 4711 + rank);
    snprintf(host, sizeof host, "node-%d", rank / 8);
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, TOC_SV("train_rank_info"));
    toc_labels_builder_set(&b, TOC_SV("run"), TOC_SV("r"));
    toc_labels_builder_set(&b, TOC_SV("host"), toc_sv_cstr(host));
    toc_labels_builder_set(&b, TOC_SV("pid"), toc_sv_cstr(pid));
    if (rank)
        toc_labels_builder_set(&b, TOC_SV("rank"), toc_sv_cstr(text));
    struct sim_series *x = TOC_NEW(struct sim_series);
    x->labels = toc_labels_dup(toc_labels_builder_finish(&b));
    toc_labels_builder_fini(&b);
    TOC_VEC_PUSH(&g->s->series, x);
    sim_add(x, g->s->now_ms + g->w[rank].skew_ms, 1);
}

static void gang_init(struct gang *g, uint64_t seed, int ranks, double step_s) {
    struct sim *s = TOC_NEW(struct sim);
    sim_init(s, seed);
    *g = (struct gang){.s = s,
                       .ranks = ranks,
                       .step_s = step_s,
                       .evaluation_s = 8,
                       .checkpoint_s = 4,
                       .beat_s = 5,
                       .spread = 0.1,
                       .evaluate_every = 40,
                       .save_every = 27,
                       .stalled = -1};
    for (int i = 0; i < ranks; i++) {
        g->w[i].skew_ms = (int64_t)(toc_rng_normal(&s->rng) * 20000); /* tens of seconds */
        put_info(g, i);
    }
    begin(g, WORK_STEP);
}

static void gang_fini(struct gang *g) {
    sim_fini(g->s);
    toc_free(g->s);
}

static void expect_quiet(const struct gang *g, uint64_t seed) {
    for (size_t i = 0; i < g->s->told_count; i++)
        print_message(
            "seed %llu: %s at %+.0f s: %s\n", (unsigned long long)seed, g->s->told[i].kind,
            (double)(g->s->told[i].opened_ms - g->s->started_ms) / 1000, g->s->told[i].title);
    assert_int_equal(g->s->told_count, 0);
}

/* Evaluations of five minutes, by all ranks or by one, and slow checkpoints. */
static void healthy_jobs_are_left_alone(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct gang g;
        gang_init(&g, g_seed * 1000 + seed, seed % 4 == 0 ? 16 : 4, seed % 3 == 0 ? 4 : 0.5);
        g.evaluation_s = seed % 2 ? 300 : 20;
        g.checkpoint_s = seed % 5 == 0 ? 90 : 5;
        g.is_evaluation_by_one = seed % 3 == 1;
        g.beat_s = seed % 4 == 1 ? 1e6 : 5;
        gang_run(&g, 1800);
        expect_quiet(&g, seed);
        gang_fini(&g);
    }
}

/* Short and long evaluations take turns: the length of the short ones says little of the long. */
static void evaluations_of_two_lengths_are_healthy(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct gang g;
        gang_init(&g, g_seed * 1000 + 500 + seed, 4, 0.5);
        for (int round = 0; round < 12; round++) {
            g.evaluation_s = round % 4 == 3 ? 300 : 10;
            gang_run(&g, 90);
        }
        expect_quiet(&g, seed);
        gang_fini(&g);
    }
}

struct outcome {
    bool is_found, is_right;
    double after_s;
    enum work work;
    char title[256];
};

static struct outcome stall_one(uint64_t seed, int ranks, double step_s) {
    struct gang g;
    struct outcome o = {0};
    gang_init(&g, seed, ranks, step_s);
    gang_run(&g, 30 + 82 * step_s + 200 * toc_rng_unit(&g.s->rng)); /* two of each were seen */
    if (seed % 3) { /* a third of them in training, the others where it is harder */
        enum work want = seed % 3 == 1 ? WORK_EVALUATION : WORK_CHECKPOINT;
        for (int i = 0; i < 20000 && g.work != want; i++)
            gang_run(&g, 0.05);
        gang_run(&g, 1.5 * toc_rng_unit(&g.s->rng));
    }
    bool is_single_phase = g.work == WORK_CHECKPOINT; /* only rank 0 saves */
    g.stalled = is_single_phase ? 0 : (int)toc_rng_below(&g.s->rng, (uint64_t)ranks);
    g.is_frozen = toc_rng_unit(&g.s->rng) < 0.5;
    o.work = g.work;
    int64_t fault_ms = g.s->now_ms;
    size_t before = g.s->told_count;
    gang_run(&g, 200);
    char want[40];
    snprintf(want, sizeof want, "rank %d on node-%d", g.stalled, g.stalled / 8);
    for (size_t i = before; i < g.s->told_count; i++)
        if (strcmp(g.s->told[i].kind, "hang") == 0) {
            o.is_found = true;
            o.after_s = (double)(g.s->told[i].opened_ms - fault_ms) / 1000;
            o.is_right = strstr(g.s->told[i].title, want) != NULL;
            memcpy(o.title, g.s->told[i].title, sizeof o.title);
        }
    gang_fini(&g);
    return o;
}

static void stalls_are_found_and_the_rank_is_named(void **state) {
    enum { SEEDS = 60 };
    int found = 0, right = 0;
    double slowest_s = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        double step_s = seed % 4 == 0 ? 6 : seed % 4 == 1 ? 0.2 : 1.5;
        struct outcome o = stall_one(g_seed * 1000 + seed, seed % 5 == 0 ? 32 : 4, step_s);
        found += o.is_found;
        right += o.is_right;
        slowest_s = TOC_MAX(slowest_s, o.after_s);
        if (!o.is_found || !o.is_right || o.after_s > 64)
            print_message("seed %llu, work %d: found %d, right %d, %.0f s: %s\n",
                          (unsigned long long)seed, o.work, o.is_found, o.is_right, o.after_s,
                          o.title);
    }
    print_message("%d stalls: %d found, rank right in %d, slowest %.0f s\n", SEEDS, found, right,
                  slowest_s);
    assert_int_equal(found, SEEDS);
    assert_true(right * 10 >= SEEDS * 9);
    assert_true(slowest_s <= 64); /* 60 s, and ticks */
}

static const struct sim_told *told(const struct gang *g, const char *kind) {
    for (size_t i = 0; i < g->s->told_count; i++)
        if (strcmp(g->s->told[i].kind, kind) == 0)
            return &g->s->told[i];
    return NULL;
}

static void put_gpu(struct gang *g, const char *name, double v) {
    struct sim_series *x = sim_series_get(g->s, name, "Hostname", "node-0", "gpu", "0");
    sim_add(x, g->s->now_ms, v);
}

/* Busy without work is the picture of a collective; idle is not. */
static void what_the_gpus_do_is_told(void **state) {
    static const struct {
        double util, tensor, dram;
        const char *cause; /* NULL: it says nothing */
    } cases[] = {
        {100, 0.001, 0.01, "spin in a collective"}, {0, 0, 0, "GPUs idle"}, {100, 0.4, 0.3, NULL}};
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct gang g;
        gang_init(&g, g_seed * 1000 + 903, 4, 0.5);
        gang_run(&g, 60);
        g.stalled = 2;
        for (int k = 0; k < 90; k++) {
            put_gpu(&g, "DCGM_FI_DEV_GPU_UTIL", cases[i].util);
            put_gpu(&g, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", cases[i].tensor);
            put_gpu(&g, "DCGM_FI_PROF_DRAM_ACTIVE", cases[i].dram);
            gang_run(&g, 1);
        }
        const struct sim_told *t = told(&g, "hang");
        assert_non_null(t);
        assert_int_equal(cases[i].cause != NULL,
                         strstr(t->second_cause, cases[i].cause ? cases[i].cause : "GPUs") != NULL);
        gang_fini(&g);
    }
}

static void put_ras(struct gang *g, int rank, double count) {
    char text[16], host[16], pid[16];
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    snprintf(text, sizeof text, "ras %d", rank);
    snprintf(host, sizeof host, "node-%d", rank / 8);
    snprintf(pid, sizeof pid, "%d", 4711 + rank);
    struct sim_series *x = toc_map_get(&g->s->by_key, toc_sv_cstr(text));
    if (!x) {
        toc_labels_builder_set(&b, TOC_METRIC_NAME, TOC_SV("nccl_ras_collectives_total"));
        toc_labels_builder_set(&b, TOC_SV("communicator"), TOC_SV("c"));
        toc_labels_builder_set(&b, TOC_SV("host"), toc_sv_cstr(host));
        toc_labels_builder_set(&b, TOC_SV("pid"), toc_sv_cstr(pid));
        x = TOC_NEW(struct sim_series);
        x->labels = toc_labels_dup(toc_labels_builder_finish(&b));
        toc_labels_builder_fini(&b);
        toc_map_put(&g->s->by_key, toc_sv_cstr(text), x);
        TOC_VEC_PUSH(&g->s->series, x);
    }
    sim_add(x, g->s->now_ms, count);
}

/* The job tells no counts of its own: what NCCL's service sees names the rank. */
static void nccl_ras_names_the_rank(void **state) {
    (void)state;
    struct gang g;
    gang_init(&g, g_seed * 1000 + 904, 4, 0.5);
    g.beat_s = 1e6;
    gang_run(&g, 60);
    g.stalled = 3;
    for (int k = 0; k < 6; k++) {
        gang_run(&g, 15);
        for (int rank = 0; rank < 4; rank++)
            put_ras(&g, rank, rank == 3 ? 99 : 100);
    }
    gang_run(&g, 5);
    const struct sim_told *t = told(&g, "hang");
    assert_non_null(t);
    assert_non_null(strstr(t->title, "rank 3 on node-0"));
    assert_non_null(strstr(t->cause, "NCCL RAS"));
    gang_fini(&g);
}

static void a_rank_left_behind_is_named(void **state) {
    (void)state;
    struct gang g;
    gang_init(&g, g_seed * 1000 + 900, 4, 0.5);
    for (int i = 0; i < 4000; i++) { /* no collectives: ranks do not wait for each other */
        bool is_stuck = i > 2000;
        g.s->now_ms += 100;
        for (int r = 0; r < 4; r++) {
            static int64_t steps[4];
            steps[r] = i == 0 ? 0 : steps[r] + (i % 5 == 0 && !(is_stuck && r == 2));
            tell(&g, r, "train_step", (double)steps[r]);
            tell(&g, r, "train_run_state", 1);
            tell(&g, r, "train_run_phase", 0);
        }
        if (g.s->now_ms >= g.s->next_tick_ms)
            sim_tick(g.s);
    }
    assert_int_equal(g.s->told_count, 1);
    assert_string_equal(g.s->told[0].kind, "hang");
    assert_non_null(strstr(g.s->told[0].title, "rank 2 on node-0"));
    gang_fini(&g);
}

/* One rank becomes slower than its peers, in jobs of fast and slow steps; is it named, and is it
 * over when it is well again? */
static void stragglers_are_named(void **state) {
    enum { SEEDS = 20 };
    int right = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct gang g;
        double step_s = seed % 3 == 0 ? 5 : seed % 3 == 1 ? 0.3 : 1;
        gang_init(&g, g_seed * 1000 + 300 + seed, seed % 2 ? 8 : 4, step_s);
        gang_run(&g, 60 + 40 * step_s);
        int slow = (int)toc_rng_below(&g.s->rng, (uint64_t)g.ranks);
        g.w[slow].slow = 1.8;
        gang_run(&g, 60 + 30 * step_s);
        const struct sim_told *t = told(&g, "straggler");
        char want[40];
        snprintf(want, sizeof want, "rank %d on node-%d", slow, slow / 8);
        bool is_right = t && strstr(t->title, want);
        right += is_right;
        if (!is_right)
            print_message("seed %llu: %s\n", (unsigned long long)seed, t ? t->title : "nothing");
        g.w[slow].slow = 1;
        gang_run(&g, 100 + 60 * step_s);
        assert_true(!t || t->closed_ms);
        gang_fini(&g);
    }
    print_message("%d stragglers: rank right in %d\n", SEEDS, right);
    assert_true(right * 10 >= SEEDS * 9);
}

/* Stages of a pipeline need different times by design. */
static void uneven_from_the_start_is_no_straggler(void **state) {
    (void)state;
    struct gang g;
    gang_init(&g, g_seed * 1000 + 330, 4, 0.5);
    g.w[3].slow = 1.7;
    gang_run(&g, 300);
    expect_quiet(&g, 330);
    gang_fini(&g);
}

static void waiting_for_input_is_told_with_its_rank_and_instead_of_slowness(void **state) {
    (void)state;
    for (int one = 0; one < 2; one++) {
        struct gang g;
        gang_init(&g, g_seed * 1000 + 340, 4, 0.3);
        gang_run(&g, 120);
        for (int i = 0; i < 4; i++)
            if (!one || i == 1) {
                g.w[i].slow = 4;
                g.w[i].data_share = 0.7;
            }
        gang_run(&g, 100);
        const struct sim_told *t = told(&g, "data_starvation");
        assert_non_null(t);
        assert_int_equal(one, strstr(t->title, "rank 1 on node-0") != NULL);
        assert_null(told(&g, "throughput_drop"));
        for (int i = 0; i < 4; i++)
            g.w[i].slow = g.w[i].data_share = 0;
        gang_run(&g, 120);
        assert_true(t->closed_ms != 0);
        gang_fini(&g);
    }
}

static void a_checkpoint_that_does_not_come_is_overdue(void **state) {
    (void)state;
    for (int declared = 0; declared < 2; declared++) {
        struct gang g;
        gang_init(&g, g_seed * 1000 + 350, 4, 0.5);
        if (declared)
            tell(&g, 0, "train_checkpoint_interval_seconds", 40);
        gang_run(&g, 200);
        assert_null(told(&g, "checkpoint_overdue"));
        g.is_saving_broken = true;
        gang_run(&g, 200);
        const struct sim_told *t = told(&g, "checkpoint_overdue");
        assert_non_null(t);
        assert_non_null(strstr(t->title, declared ? "meant every 40 s" : "usual every"));
        g.is_saving_broken = false;
        gang_run(&g, 60);
        assert_true(t->closed_ms != 0);
        gang_fini(&g);
    }
}

static void send_event(struct gang *g, enum toc_run_event_kind kind, const char *message) {
    struct toc_run_event e = {.kind = kind,
                              .run = TOC_SV("r"),
                              .t = {g->s->now_ms},
                              .has_step = true,
                              .step = g->step,
                              .message = toc_sv_cstr(message)};
    struct toc_run_listener *l = toc_doctor_listener(g->s->doctor);
    l->on_event(l, &e);
}

static void failures_of_writing_and_of_reading_are_told_apart(void **state) {
    static const struct {
        enum toc_run_event_kind kind;
        const char *message, *finding;
    } cases[] = {
        {TOC_RUN_EVENT_CHECKPOINT_FAILED, "/ckpt/9.pt: no space left on device",
         "checkpoint_overdue"},
        {TOC_RUN_EVENT_CHECKPOINT_FAILED, "loading /ckpt/9.pt: unexpected end",
         "checkpoint_corrupt"},
        {TOC_RUN_EVENT_ERROR,
         "Traceback\n  torch.load(path)\nRuntimeError: PytorchStreamReader failed reading zip "
         "archive: failed finding central directory",
         "checkpoint_corrupt"},
        {TOC_RUN_EVENT_ERROR, "ValueError: shapes differ", NULL},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct gang g;
        gang_init(&g, g_seed * 1000 + 360, 4, 0.5);
        gang_run(&g, 60);
        int64_t step = g.step;
        send_event(&g, cases[i].kind, cases[i].message);
        gang_run(&g, 3);
        if (cases[i].finding) {
            const struct sim_told *t = told(&g, cases[i].finding);
            assert_non_null(t);
            assert_int_equal(g.s->told_count, 1);
            if (strcmp(t->kind, "checkpoint_corrupt") == 0)
                assert_int_equal(t->step, step);
            gang_run(&g, 200); /* the next checkpoint is good */
            assert_true(t->closed_ms != 0);
        } else {
            expect_quiet(&g, 360);
        }
        gang_fini(&g);
    }
}

static void send_exit(struct gang *g, int rank, const char *message) {
    struct toc_run_event e = {.kind = TOC_RUN_EVENT_EXIT,
                              .run = TOC_SV("r"),
                              .rank = rank,
                              .t = {g->s->now_ms},
                              .has_step = true,
                              .step = g->step,
                              .state = TOC_RUN_FAILED,
                              .message = toc_sv_cstr(message)};
    struct toc_run_listener *l = toc_doctor_listener(g->s->doctor);
    l->on_event(l, &e);
    tell(g, rank, "train_run_state", 3);
}

/* One rank is killed, the others wait for it and give up a moment later. */
static void the_process_that_died_first_is_the_crash(void **state) {
    (void)state;
    struct gang g;
    gang_init(&g, g_seed * 1000 + 901, 4, 0.5);
    gang_run(&g, 60);
    int64_t fault_ms = g.s->now_ms;
    g.stalled = 2;
    g.is_frozen = true;
    gang_run(&g, 1);
    send_exit(&g, 1, "exit code 1 (process 17)"); /* a peer's complaint may come first */
    send_exit(&g, 2, "signal SIGKILL (process 18)");
    gang_run(&g, 120);
    assert_int_equal(g.s->told_count, 1); /* and no hang beside it */
    assert_string_equal(g.s->told[0].kind, "crash");
    assert_non_null(strstr(g.s->told[0].title, "rank 2 on node-0 died"));
    assert_non_null(strstr(g.s->told[0].title, "signal SIGKILL"));
    assert_true(g.s->told[0].opened_ms - fault_ms < 5000);
    g.stalled = -1; /* it is started again */
    struct toc_run_event start = {.kind = TOC_RUN_EVENT_START, .run = TOC_SV("r")};
    struct toc_run_listener *l = toc_doctor_listener(g.s->doctor);
    l->on_event(l, &start);
    gang_run(&g, 60);
    assert_true(g.s->told[0].closed_ms != 0);
    gang_fini(&g);
}

static void a_kill_for_memory_is_oom(void **state) {
    (void)state;
    struct gang g;
    gang_init(&g, g_seed * 1000 + 902, 4, 0.5);
    gang_run(&g, 60);
    g.stalled = 3;
    g.is_frozen = true;
    send_exit(&g, 0, "signal SIGABRT (process 17)");
    send_exit(&g, 3, "signal SIGKILL (process 18); out of memory: the kernel killed a process");
    gang_run(&g, 30);
    assert_int_equal(g.s->told_count, 1);
    assert_string_equal(g.s->told[0].kind, "oom");
    gang_fini(&g);
}

static void a_run_without_rank_0_is_judged_all_the_same(void **state) {
    (void)state;
    struct sim *s = TOC_NEW(struct sim);
    sim_init(s, g_seed);
    struct gang g = {.s = s, .ranks = 4};
    for (int i = 0; i < 1000; i++) {
        s->now_ms += 100;
        tell(&g, 3, "train_run_state", 1);
        if (i < 600)
            tell(&g, 3, "train_step", i);
        if (s->now_ms >= s->next_tick_ms)
            sim_tick(s);
    }
    assert_int_equal(s->told_count, 1);
    assert_string_equal(s->told[0].kind, "hang");
    assert_int_equal(s->told[0].step, 599);
    gang_fini(&g);
}

/* Twice as many ranks as there is room for: the rest is counted, memory is bounded. */
static void ranks_beyond_the_limit_are_counted(void **state) {
    (void)state;
    struct sim *s = TOC_NEW(struct sim);
    sim_init(s, g_seed);
    struct toc_ranks rs = {.limit = 40};
    struct toc_matcher metrics;
    assert_int_equal(toc_matcher_init(&metrics, TOC_MATCH_RE, TOC_METRIC_NAME,
                                      toc_sv_cstr(toc_ranks_pattern()), NULL),
                     0);
    struct gang g = {.s = s, .ranks = RANKS_MAX};
    for (int r = 0; r < RANKS_MAX; r++)
        tell(&g, r, "train_step", 5);
    struct toc_err err = {0};
    assert_int_equal(
        toc_ranks_read(&rs, &s->querier, &metrics, TOC_SV("r"), s->now_ms + 1000, &err), 0);
    assert_int_equal(rs.items.count, 40);
    assert_true(rs.refused >= 24);
    toc_ranks_fini(&rs);
    toc_matcher_fini(&metrics);
    gang_fini(&g);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "--seed") == 0)
        g_seed = strtoull(argv[2], NULL, 10);
    printf("seed %llu\n", (unsigned long long)g_seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy_jobs_are_left_alone),
        cmocka_unit_test(evaluations_of_two_lengths_are_healthy),
        cmocka_unit_test(stalls_are_found_and_the_rank_is_named),
        cmocka_unit_test(a_rank_left_behind_is_named),
        cmocka_unit_test(what_the_gpus_do_is_told),
        cmocka_unit_test(nccl_ras_names_the_rank),
        cmocka_unit_test(stragglers_are_named),
        cmocka_unit_test(uneven_from_the_start_is_no_straggler),
        cmocka_unit_test(waiting_for_input_is_told_with_its_rank_and_instead_of_slowness),
        cmocka_unit_test(a_checkpoint_that_does_not_come_is_overdue),
        cmocka_unit_test(failures_of_writing_and_of_reading_are_told_apart),
        cmocka_unit_test(the_process_that_died_first_is_the_crash),
        cmocka_unit_test(a_kill_for_memory_is_oom),
        cmocka_unit_test(a_run_without_rank_0_is_judged_all_the_same),
        cmocka_unit_test(ranks_beyond_the_limit_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
