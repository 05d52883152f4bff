#include "app/demo_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/daemon.h"
#include "app/demo/service.h"
#include "app/demo/trainer.h"
#include "app/demo_story.h"
#include "app/options.h"
#include "sys/clock.h"
#include "sys/process.h"

enum {
    /* 10 steps a second: about a third of one core of the machine that the demo was made on. */
    STEP_MS = 100,
    MEMORY_LIMIT_MIB = 256,
    DEFAULT_AT_STEP = 150,
    SERVICE_PORT = 8000, /* vLLM's: found by discovery */
    RESTART_AFTER_MS = 8000,
};

const char toc_demo_usage[] =
    "usage: tocsin demo [--fault NAME] [--at STEP] [--seed N] [--fault-seconds S] [--once] [--data "
    "DIR]\n"
    "                   [--config FILE] [--listen HOST:PORT]\n"
    "\n"
    "The daemon beside a real small training run (a character-level transformer with "
    "backpropagation, reporting\n"
    "through the C SDK) and a small inference service (real requests, vLLM's metric names). On "
    "request something\n"
    "goes wrong, and what happens is told stage by stage.\n"
    "\n"
    "  --fault NAME         nan, lr_spike, vanishing, stall, slow_step, memory_leak, oom, "
    "latency,\n"
    "                       error_burst or none (default none)\n"
    "  --at STEP            when it happens (default 150, about 15 s after the start)\n"
    "  --seed N             of the weights, the text samples and the load (default 7)\n"
    "  --fault-seconds S    how long its cause lasts (default 25, stall 75)\n"
    "  --once               end when the fault's incident is closed; exit code 1 when it was not "
    "found\n"
    "  --duration S         end after S seconds; with --fault none the exit code is 1 when "
    "something paged\n"
    "  --data, --config, --listen   as for tocsin run (default data directory ./tocsin-demo)\n";

struct demo {
    struct toc_daemon_options daemon_options;
    const char *fault;
    int64_t at_step, seed, fault_s, duration_s;
    bool once;
    struct toc_daemon *daemon;
    struct toc_process trainer, service;
    int64_t trainer_ended_ms; /* 0: running */
};

static int64_t mono_ms(void) {
    return toc_clock_mono(toc_clock_system()).ns / 1000000;
}

static int start_trainer(struct demo *d, bool with_fault) {
    char seed[24], at[24], ms[24];
    bool is_train_fault = toc_demo_train_fault_parse(d->fault) > 0;
    snprintf(seed, sizeof seed, "%lld", (long long)d->seed);
    snprintf(at, sizeof at, "%lld", (long long)d->at_step);
    snprintf(ms, sizeof ms, "%lld", (long long)d->fault_s * 1000);
    const char *argv[] = {
        "tocsin", "demo-train", "--url",      toc_daemon_url(d->daemon),
        "--seed", seed,         "--fault",    is_train_fault && with_fault ? d->fault : "none",
        "--at",   at,           "--fault-ms", ms,
        NULL};
    return toc_process_spawn_self(argv, &d->trainer);
}

static int start_service(struct demo *d) {
    char seed[24], port[16], after[24], ms[24];
    bool is_serve_fault = toc_demo_serve_fault_parse(d->fault) > 0;
    snprintf(seed, sizeof seed, "%lld", (long long)d->seed);
    snprintf(port, sizeof port, "%d", SERVICE_PORT);
    snprintf(after, sizeof after, "%lld", (long long)d->at_step * STEP_MS);
    snprintf(ms, sizeof ms, "%lld", (long long)d->fault_s * 1000);
    const char *argv[] = {
        "tocsin",     "demo-serve", "--port",     port,
        "--seed",     seed,         "--fault",    is_serve_fault ? d->fault : "none",
        "--after-ms", after,        "--fault-ms", ms,
        NULL};
    return toc_process_spawn_self(argv, &d->service);
}

/* A trainer that died is started again after a while, as a job scheduler does; without the fault.
 */
static void look_after_trainer(struct demo *d) {
    int status = 0;
    if (d->trainer.pid && toc_process_poll(&d->trainer, &status)) {
        d->trainer_ended_ms = mono_ms();
        fprintf(stderr, "demo: the training process ended with exit code %d\n", status);
    }
    if (!d->trainer.pid && d->trainer_ended_ms &&
        mono_ms() - d->trainer_ended_ms > RESTART_AFTER_MS) {
        d->trainer_ended_ms = 0;
        fprintf(stderr, "demo: the training process is started again\n");
        if (start_trainer(d, false) < 0)
            fprintf(stderr, "demo: it could not be started\n");
    }
}

static void greet(const struct demo *d) {
    printf("Tocsin's demo: training run \"demo\" and inference service on port %d, watched at %s\n",
           SERVICE_PORT, toc_daemon_url(d->daemon));
    if (strcmp(d->fault, "none") != 0)
        printf("Fault %s at step %lld (about %lld s from now) for %lld s, seed %lld\n", d->fault,
               (long long)d->at_step, (long long)d->at_step * STEP_MS / 1000, (long long)d->fault_s,
               (long long)d->seed);
    fflush(stdout);
}

/* Until a signal, the end of the story (--once) or the time is up. */
static int watch(struct demo *d) {
    struct toc_demo_story *story = toc_demo_story_new(toc_daemon_url(d->daemon));
    int64_t end = d->duration_s ? mono_ms() + d->duration_s * 1000 : INT64_MAX;
    while (mono_ms() < end && toc_signals_wait_ms(250) != 's') {
        look_after_trainer(d);
        toc_demo_story_poll(story);
        if (d->once && toc_demo_story_is_over(story))
            break;
    }
    size_t incidents = toc_demo_story_incident_count(story);
    bool wants_one = strcmp(d->fault, "none") != 0;
    printf("%zu incident%s in this run\n", incidents, incidents == 1 ? "" : "s");
    bool is_good =
        wants_one ? !d->once || toc_demo_story_is_over(story) : !d->duration_s || incidents == 0;
    toc_demo_story_free(&story);
    return is_good ? TOC_EXIT_OK : TOC_EXIT_FAILED;
}

static int run(struct demo *d) {
    struct toc_err err = {0};
    toc_signals_init();
    if (toc_daemon_start(&d->daemon_options, &d->daemon, &err) < 0) {
        fprintf(stderr, "tocsin: %s\n", err.message);
        return TOC_EXIT_FAILED;
    }
    greet(d);
    int rc = start_service(d);
    if (rc == 0)
        rc = start_trainer(d, true);
    if (rc < 0)
        fprintf(stderr, "tocsin: the demo's processes could not be started\n");
    int exit_code = rc < 0 ? TOC_EXIT_FAILED : watch(d);
    toc_process_stop(&d->trainer, 5000);
    toc_process_stop(&d->service, 5000);
    toc_daemon_stop(&d->daemon);
    return exit_code;
}

int toc_demo_command(int argc, char **argv) {
    struct demo d = {.daemon_options = {.data_dir = "./tocsin-demo"},
                     .fault = "none",
                     .at_step = DEFAULT_AT_STEP,
                     .seed = 7};
    const struct toc_option options[] = {
        {"fault", 'f', TOC_OPTION_STRING, &d.fault},
        {"at", 0, TOC_OPTION_INT, &d.at_step},
        {"seed", 0, TOC_OPTION_INT, &d.seed},
        {"fault-seconds", 0, TOC_OPTION_INT, &d.fault_s},
        {"duration", 0, TOC_OPTION_INT, &d.duration_s},
        {"once", 0, TOC_OPTION_FLAG, &d.once},
        {"data", 0, TOC_OPTION_STRING, &d.daemon_options.data_dir},
        {"config", 'c', TOC_OPTION_STRING, &d.daemon_options.config_path},
        {"listen", 'l', TOC_OPTION_STRING, &d.daemon_options.listen},
        {0},
    };
    int rc = toc_options_parse(argc, argv, options, toc_demo_usage, NULL);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (toc_demo_train_fault_parse(d.fault) < 0 && toc_demo_serve_fault_parse(d.fault) < 0) {
        fprintf(stderr, "tocsin demo: there is no fault \"%s\" (see tocsin demo --help)\n",
                d.fault);
        return TOC_EXIT_USAGE;
    }
    if (d.at_step < 1 || d.fault_s < 0 || d.duration_s < 0) {
        fprintf(stderr, "tocsin demo: --at, --fault-seconds and --duration must be positive\n");
        return TOC_EXIT_USAGE;
    }
    if (d.fault_s == 0)
        d.fault_s = strcmp(d.fault, "stall") == 0 ? 75 : 25;
    return run(&d);
}

int toc_demo_train_command(int argc, char **argv) {
    struct toc_demo_train_options o = {
        .run = "demo", .step_ms = STEP_MS, .memory_limit_bytes = (uint64_t)MEMORY_LIMIT_MIB << 20};
    const char *fault = "none";
    int64_t seed = 7;
    const struct toc_option options[] = {
        {"url", 0, TOC_OPTION_STRING, &o.url},        {"seed", 0, TOC_OPTION_INT, &seed},
        {"fault", 0, TOC_OPTION_STRING, &fault},      {"at", 0, TOC_OPTION_INT, &o.fault_at_step},
        {"fault-ms", 0, TOC_OPTION_INT, &o.fault_ms}, {"steps", 0, TOC_OPTION_INT, &o.max_steps},
        {"run", 0, TOC_OPTION_STRING, &o.run},        {0},
    };
    int rc = toc_options_parse(argc, argv, options,
                               "usage: tocsin demo-train (started by tocsin demo)\n", NULL);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    o.seed = (uint64_t)seed;
    o.fault = (enum toc_demo_train_fault)toc_demo_train_fault_parse(fault);
    return toc_demo_train_main(&o);
}

int toc_demo_serve_command(int argc, char **argv) {
    struct toc_demo_serve_options o = {.requests_per_s = 6};
    const char *fault = "none";
    int64_t seed = 7, port = 0;
    const struct toc_option options[] = {
        {"port", 0, TOC_OPTION_INT, &port},
        {"seed", 0, TOC_OPTION_INT, &seed},
        {"fault", 0, TOC_OPTION_STRING, &fault},
        {"after-ms", 0, TOC_OPTION_INT, &o.fault_after_ms},
        {"fault-ms", 0, TOC_OPTION_INT, &o.fault_ms},
        {0},
    };
    int rc = toc_options_parse(argc, argv, options,
                               "usage: tocsin demo-serve (started by tocsin demo)\n", NULL);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    o.seed = (uint64_t)seed;
    o.port = (uint16_t)port;
    o.fault = (enum toc_demo_serve_fault)toc_demo_serve_fault_parse(fault);
    return toc_demo_serve_main(&o);
}
