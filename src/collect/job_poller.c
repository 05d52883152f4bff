#include "collect/job_poller.h"

#include <string.h>

#include "base/alloc.h"
#include "collect/job_pods_priv.h"
#include "sys/log.h"
#include "sys/process.h"
#include "sys/thread.h"

enum {
    DEFAULT_TIMEOUT_MS = 10000,
    OUTPUT_BYTES_MAX = 256 << 20,
    ARENA_BYTES = 1 << 30,
};

/* ------------------------------------------------------------------------------------------------
 * configuration */

static int read_slurm(const struct toc_yaml *n, const struct toc_config_reader *r,
                      struct toc_job_source *out) {
    static const char *const keys[] = {"squeue", "timeout", NULL};
    const struct toc_yaml *squeue = toc_yaml_get(n, "squeue"),
                          *timeout = toc_yaml_get(n, "timeout");
    *out = (struct toc_job_source){.scheduler = TOC_SCHEDULER_SLURM,
                                   .where = TOC_SV("jobs of Slurm"),
                                   .squeue = TOC_SV("squeue"),
                                   .timeout_ms = DEFAULT_TIMEOUT_MS};
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "squeue and timeout", r->err);
    if (rc == 0)
        rc = toc_yaml_check_keys(n, keys, r->err);
    if (rc == 0 && !toc_yaml_is_null(squeue))
        rc = toc_yaml_string(squeue, &out->squeue, r->err);
    if (rc == 0 && !toc_yaml_is_null(timeout))
        rc = toc_yaml_duration(timeout, &out->timeout_ms, r->err);
    if (rc == 0 && (!out->squeue.n || memchr(out->squeue.p, 0, out->squeue.n)))
        rc = toc_err_at(r->err, TOC_EINVAL, squeue->line, squeue->column,
                        "the name of a program is empty");
    if (rc == 0 && out->timeout_ms <= 0)
        rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column, "timeout must be longer than 0");
    if (rc == 0 && toc_sv_find_char(out->squeue, '/') != SIZE_MAX)
        out->squeue = toc_config_path(r, out->squeue);
    return rc;
}

static int read_kubernetes(const struct toc_yaml *n, const struct toc_config_reader *r,
                           struct toc_job_source *out) {
    *out = (struct toc_job_source){.scheduler = TOC_SCHEDULER_KUBERNETES};
    int rc = toc_config_expect(n, TOC_YAML_MAPPING, "keys of kubernetes_sd_configs", r->err);
    return rc ? rc : toc_kube_pods_read(n, r, &out->kubernetes, &out->where);
}

static int read_list(const struct toc_yaml *list, const struct toc_config_reader *r,
                     int (*read)(const struct toc_yaml *, const struct toc_config_reader *,
                                 struct toc_job_source *),
                     struct toc_job_poller_options *out) {
    if (toc_yaml_is_null(list))
        return 0;
    int rc = toc_config_expect(list, TOC_YAML_SEQUENCE, "a list", r->err);
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        if (out->count == TOC_JOB_SOURCES_MAX)
            return toc_err_at(r->err, TOC_ELIMIT, list->line, list->column,
                              "job_state asks at most %d schedulers", TOC_JOB_SOURCES_MAX);
        rc = read(&list->items[i], r, &out->sources[out->count]);
        out->count += rc == 0;
    }
    return rc;
}

int toc_job_sources_read(const struct toc_yaml *slurm, const struct toc_yaml *kubernetes,
                         const struct toc_config_reader *r, struct toc_job_poller_options *out) {
    out->count = 0;
    int rc = read_list(slurm, r, read_slurm, out);
    return rc ? rc : read_list(kubernetes, r, read_kubernetes, out);
}

/* ------------------------------------------------------------------------------------------------
 * the thread */

struct toc_job_poller {
    struct toc_job_poller_options o;
    struct toc_sink *sink;
    struct toc_clock *clock;
    struct toc_event stopping;
    struct toc_thread thread;
    struct toc_job_watch *watch;
    struct toc_http_client *client;
    char said[TOC_JOB_SOURCES_MAX][sizeof((struct toc_err){0}.message)]; /* last failure */
};

static bool is_stopping(void *ctx) {
    return toc_event_is_set(&((struct toc_job_poller *)ctx)->stopping);
}

static int ask_slurm(struct toc_job_poller *s, const struct toc_job_source *source,
                     struct toc_arena *a, struct toc_jobs *out, struct toc_err *err) {
    const char *const argv[] = {source->squeue.p, "--states=all", "--json", NULL};
    const struct toc_program command = {.argv = argv,
                                        .timeout_ms = source->timeout_ms,
                                        .max_bytes = OUTPUT_BYTES_MAX,
                                        .is_cancelled = is_stopping,
                                        .cancel_ctx = s};
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_process_capture(&command, &text, err);
    if (rc == 0) {
        rc = toc_jobs_of_slurm(toc_buf_sv(&text), a, out, err);
        if (rc)
            toc_err_prefix(err, "%s: ", argv[0]);
    }
    toc_buf_fini(&text);
    return rc;
}

static int ask(struct toc_job_poller *s, const struct toc_job_source *source, struct toc_arena *a,
               struct toc_jobs *out, struct toc_err *err) {
    if (source->scheduler == TOC_SCHEDULER_SLURM)
        return ask_slurm(s, source, a, out, err);
    const struct toc_kube_pods_call call = {source->kubernetes, s->client, is_stopping, s};
    return toc_kube_pods_get(&call, a, out, err);
}

/* A reason is said once, and again when it is another. */
static void complain(struct toc_job_poller *s, size_t i, const struct toc_err *err) {
    const struct toc_job_source *source = &s->o.sources[i];
    bool is_news = strcmp(s->said[i], err->message) != 0;
    if (is_news && err->code)
        toc_log(TOC_LOG_WARN, "job_state", "%.*s: %s", TOC_SV_ARG(source->where), err->message);
    else if (is_news)
        toc_log(TOC_LOG_INFO, "job_state", "%.*s: they are told again", TOC_SV_ARG(source->where));
    memcpy(s->said[i], err->message, sizeof s->said[i]);
}

static void ask_one(struct toc_job_poller *s, size_t i) {
    const struct toc_job_source *source = &s->o.sources[i];
    struct toc_jobs jobs = {0};
    struct toc_err err = {0}, down = {0};
    struct toc_arena a;
    toc_arena_init(&a, ARENA_BYTES);
    int rc = ask(s, source, &a, &jobs, &err);
    struct toc_ts now = toc_clock_now(s->clock);
    if (rc == 0)
        rc = toc_job_watch_take(s->watch, (unsigned)i, source->scheduler, &jobs, now, &err);
    else if (!is_stopping(s) &&
             toc_job_watch_fail(s->watch, (unsigned)i, source->scheduler, now, &down) < 0)
        toc_log(TOC_LOG_WARN, "job_state", "samples could not be stored: %s", down.message);
    if (rc == 0)
        toc_err_reset(&err);
    if (!is_stopping(s))
        complain(s, i, &err);
    TOC_VEC_FINI(&jobs);
    toc_arena_fini(&a);
}

static void run(void *ctx) {
    struct toc_job_poller *s = ctx;
    do
        for (size_t i = 0; i < s->o.count && !is_stopping(s); i++)
            ask_one(s, i);
    while (!toc_event_wait_ms(&s->stopping, s->o.interval_ms));
}

int toc_job_poller_start(const struct toc_job_poller_options *o, struct toc_run_receiver *runs,
                         struct toc_sink *sink, struct toc_clock *clock,
                         struct toc_job_poller **out, struct toc_err *err) {
    struct toc_job_poller *s = TOC_NEW(struct toc_job_poller);
    s->o = *o;
    s->sink = sink;
    s->clock = clock;
    toc_event_init(&s->stopping);
    s->watch = toc_job_watch_new(runs, sink);
    s->client = toc_http_client_new();
    int rc = toc_thread_start(&s->thread, "job-state", run, s);
    *out = s;
    return rc < 0 ? toc_errf(err, rc, "a thread could not be started: %s", toc_strerror(rc)) : 0;
}

void toc_job_poller_stop(struct toc_job_poller **ps) {
    struct toc_job_poller *s = ps ? *ps : NULL;
    if (!s)
        return;
    toc_event_set(&s->stopping);
    toc_thread_join(&s->thread);
    toc_event_fini(&s->stopping);
    toc_job_watch_free(&s->watch);
    toc_http_client_free(&s->client);
    toc_free(s);
    *ps = NULL;
}

struct toc_job_watch_counters toc_job_poller_counters(const struct toc_job_poller *s) {
    return s ? toc_job_watch_counters(s->watch) : (struct toc_job_watch_counters){0};
}
