/* Collecting, as the daemon says it about itself: scrapes, sources of targets, runs. */
#include <stdio.h>

#include "app/daemon_priv.h"
#include "base/alloc.h"
#include "collect/discovery.h"

static void counter(toc_on_metric *fn, void *ctx, const char *name, const char *help, uint64_t v) {
    fn(ctx, name, "counter", help, NULL, NULL, (double)v);
}

static void discovery_metrics(struct toc_discovery *d, toc_on_metric *fn, void *ctx) {
    struct toc_discovery_counters c[TOC_DISCOVERY_MECHANISM_COUNT];
    for (int m = 0; m < TOC_DISCOVERY_MECHANISM_COUNT; m++)
        c[m] = toc_discovery_counters(d, (enum toc_discovery_mechanism)m);
#define X(member, name, type, help)                         \
    for (int m = 0; m < TOC_DISCOVERY_MECHANISM_COUNT; m++) \
        fn(ctx, name, type, help, "mechanism",              \
           toc_discovery_mechanism_text((enum toc_discovery_mechanism)m), (double)c[m].member);
    TOC_DISCOVERY_COUNTER_TABLE(X)
#undef X
}

static void missed_metrics(const struct toc_scraper_counters *s, toc_on_metric *fn, void *ctx) {
    const struct {
        const char *reason;
        uint64_t turns;
    } rows[] = {{"slow", s->missed_slow}, {"limit", s->missed_limit}, {"busy", s->missed_busy}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++)
        fn(ctx, "tocsin_scrapes_missed_total", "counter",
           "Turns of targets that passed without a scrape: the one before lasted longer than the "
           "interval (slow), too many requests were under way (limit), or the scraping thread was "
           "behind (busy).",
           "reason", rows[i].reason, (double)rows[i].turns);
}

static void reader_metrics(struct toc_daemon *d, toc_on_metric *fn, void *ctx) {
    struct toc_tensorboard_tail_counters t = toc_run_readers_tensorboard(d->readers);
    struct toc_run_log_tail_counters l = toc_run_readers_logs(d->readers);
#define X(member, end, help)                                                                   \
    fn(ctx, "tocsin_tensorboard_" #member end, end[0] ? "counter" : "gauge", help, NULL, NULL, \
       (double)t.member);
    TOC_TENSORBOARD_TAIL_COUNTER_TABLE(X)
#undef X
    struct toc_wandb_tail_counters w = toc_run_readers_wandb(d->readers);
#define X(member, end, help)                                                             \
    fn(ctx, "tocsin_wandb_" #member end, end[0] ? "counter" : "gauge", help, NULL, NULL, \
       (double)w.member);
    TOC_WANDB_TAIL_COUNTER_TABLE(X)
#undef X
#define X(member, end, help)                                                               \
    fn(ctx, "tocsin_run_log_" #member end, end[0] ? "counter" : "gauge", help, NULL, NULL, \
       (double)l.member);
    TOC_RUN_LOG_TAIL_COUNTER_TABLE(X)
#undef X
}

static void job_metrics(struct toc_daemon *d, toc_on_metric *fn, void *ctx) {
    struct toc_job_watch_counters j = toc_job_poller_counters(d->job_state);
    counter(fn, ctx, "tocsin_job_lists_total", "Lists of jobs that schedulers gave.", j.lists);
    counter(fn, ctx, "tocsin_job_lists_failed_total", "Attempts to get one that failed.",
            j.failures);
    counter(fn, ctx, "tocsin_jobs_left_out_total",
            "Jobs left out of a list: over the limit, or without an id.", j.left_out);
    counter(fn, ctx, "tocsin_job_events_total",
            "Ends, holds and continuations of jobs told to their runs.", j.events);
}

void toc_daemon_each_collect_metric(struct toc_daemon *d, toc_on_metric *fn, void *ctx) {
    struct toc_scraper_counters s = toc_scraper_counters(d->scraper);
    struct toc_run_counters r = toc_run_receiver_counters(d->runs);
    counter(fn, ctx, "tocsin_scrapes_total", "Scrapes made.", s.scrapes);
    counter(fn, ctx, "tocsin_scrapes_failed_total", "Scrapes that failed.", s.scrapes_failed);
    missed_metrics(&s, fn, ctx);
    counter(fn, ctx, "tocsin_targets_refused_total",
            "Targets refused: bad address, bad times, or over target_limit.", s.targets_refused);
    counter(fn, ctx, "tocsin_sd_file_errors_total", "Readings of discovery files that failed.",
            s.file_errors);
    discovery_metrics(toc_scraper_discovery(d->scraper), fn, ctx);
    counter(fn, ctx, "tocsin_run_lines_total", "Lines of training runs accepted.",
            r.lines_accepted);
    struct toc_process_watch_counters p = toc_process_watch_counters(d->processes);
    fn(ctx, "tocsin_watched_processes", "gauge", "Processes of training runs under watch.", NULL,
       NULL, (double)p.watched);
    counter(fn, ctx, "tocsin_watched_processes_ended_total",
            "Ends of processes told to their runs.", p.ended);
    counter(fn, ctx, "tocsin_watched_processes_refused_total",
            "Processes left alone for want of room.", p.over_limit);
    counter(fn, ctx, "tocsin_run_bodies_refused_total", "Bodies of training runs refused.",
            r.bodies_refused);
    counter(fn, ctx, "tocsin_run_scalars_dropped_total",
            "Scalars left out because their run has too many tags.", r.scalars_dropped);
    counter(fn, ctx, "tocsin_run_samples_rejected_total", "Samples of runs that the store refused.",
            r.samples_rejected);
    reader_metrics(d, fn, ctx);
    job_metrics(d, fn, ctx);
}

struct problem_sink {
    toc_on_problem *fn;
    void *ctx;
};

static void write_failing(void *ctx, const struct toc_discovery_source_info *i) {
    struct problem_sink *p = ctx;
    char text[TOC_ERR_MESSAGE_MAX + 200];
    if (!i->failing_since.ms)
        return;
    snprintf(text, sizeof text, "job %.*s: %s discovery fails, its %zu targets stay: %.*s",
             TOC_SV_ARG(toc_sv_sub(i->job, 0, 100)), i->mechanism, i->targets,
             TOC_SV_ARG(i->last_error));
    p->fn(p->ctx, "self_blind", text, i->failing_since);
}

void toc_daemon_each_collect_problem(struct toc_daemon *d, toc_on_problem *fn, void *ctx) {
    struct problem_sink p = {fn, ctx};
    if (d->scraper)
        toc_discovery_list(toc_scraper_discovery(d->scraper), write_failing, &p);
}
