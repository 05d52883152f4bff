#include "collect/job_watch.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "codec/json_writer.h"
#include "collect/emitter.h"
#include "collect/job_links_priv.h"

enum {
    /* Lines of a life that came so long after the job's end belong to the next life. */
    NEXT_LIFE_MS = 5000,
    REASON_MAX = 200,
    SIGNAL_BASE = 128
};

static const struct {
    const char *label, *noun;
} schedulers[] = {
#define X(name, label, noun) {label, noun},
    TOC_SCHEDULER_TABLE(X)
#undef X
};

const char *toc_scheduler_text(enum toc_scheduler s) {
    return s < TOC_SCHEDULER_COUNT ? schedulers[s].label : "?";
}

/* A job as its run was told last. Texts are its own, for the case that it vanishes. */
struct known {
    struct toc_sv key;       /* owned: "SOURCE ID" */
    struct toc_job job;      /* texts owned */
    char reason[REASON_MAX]; /* of job.end */
    unsigned source;
    uint64_t list; /* that named it last */
    bool is_end_told, is_held;
};

struct toc_job_watch {
    struct toc_run_receiver *runs;
    struct toc_sink *sink;
    struct toc_emitter emitter;
    struct toc_map by_key; /* → struct known */
    struct {
        TOC_VEC_FIELDS(struct known *)
    } items;
    uint64_t list;
    struct { /* read by any thread */
#define X(member, what) atomic_ullong member;
        TOC_JOB_WATCH_COUNTERS(X)
#undef X
    } counters;
};

struct toc_job_watch *toc_job_watch_new(struct toc_run_receiver *runs, struct toc_sink *sink) {
    struct toc_job_watch *w = TOC_NEW(struct toc_job_watch);
    w->runs = runs;
    w->sink = sink;
    toc_emitter_init(&w->emitter, TOC_LABELS_EMPTY);
    return w;
}

static void drop_text(struct toc_sv *text) {
    toc_free((void *)(uintptr_t)text->p);
    *text = TOC_SV_NULL;
}

static void forget(struct toc_job_watch *w, size_t i) {
    struct known *k = w->items.items[i];
    toc_map_remove(&w->by_key, k->key);
    TOC_VEC_REMOVE(&w->items, i);
    drop_text(&k->key);
    drop_text(&k->job.id);
    drop_text(&k->job.uid);
    drop_text(&k->job.name);
    drop_text(&k->job.nodes);
    toc_free(k);
}

void toc_job_watch_free(struct toc_job_watch **pw) {
    struct toc_job_watch *w = pw ? *pw : NULL;
    if (!w)
        return;
    while (w->items.count)
        forget(w, w->items.count - 1);
    TOC_VEC_FINI(&w->items);
    toc_map_fini(&w->by_key);
    toc_emitter_fini(&w->emitter);
    toc_free(w);
    *pw = NULL;
}

/* ------------------------------------------------------------------------------------------------
 * telling runs */

static const char *const sentences[] = {
    [TOC_JOB_COMPLETED] = "has completed",
    [TOC_JOB_RUNNING] = "goes on",
    [TOC_JOB_PENDING] = "waits",
    [TOC_JOB_SUSPENDED] = "is suspended",
    [TOC_JOB_CANCELLED] = "was cancelled",
    [TOC_JOB_FAILED] = "failed",
    [TOC_JOB_PREEMPTED] = "was preempted",
    [TOC_JOB_TIMED_OUT] = "reached its time limit",
    [TOC_JOB_OUT_OF_MEMORY] = "ran out of memory and was killed",
    [TOC_JOB_NODE_FAILED] = "lost its node",
    [TOC_JOB_EVICTED] = "was evicted",
    [TOC_JOB_REQUEUED] = "was put back into the queue",
    [TOC_JOB_VANISHED] = "is not listed any more; how it ended is not known",
};
_Static_assert(TOC_ARRAY_LEN(sentences) == TOC_JOB_STATE_COUNT, "a sentence for each state");

/* "preempted: Slurm job 17 (llm) on g[1-2] was preempted (signal 15): QOS" */
static void say(enum toc_scheduler s, const struct toc_job *job, const struct toc_job_end *end,
                struct toc_buf *out) {
    toc_buf_printf(out, "%s: %s %.*s", toc_job_state_text(end->state), schedulers[s].noun,
                   TOC_SV_ARG(job->id));
    if (job->name.n && !toc_sv_ends_with(job->id, job->name))
        toc_buf_printf(out, " (%.*s)", TOC_SV_ARG(toc_sv_sub(job->name, 0, 80)));
    if (job->nodes.n)
        toc_buf_printf(out, " on %.*s", TOC_SV_ARG(toc_sv_sub(job->nodes, 0, 80)));
    toc_buf_printf(out, " %s", sentences[end->state]);
    if (end->has_exit && end->signal)
        toc_buf_printf(out, " (signal %lld)", (long long)end->signal);
    else if (end->has_exit && end->exit_code)
        toc_buf_printf(out, " (exit code %lld)", (long long)end->exit_code);
    if (end->reason.n)
        toc_buf_printf(out, ": %.*s", TOC_SV_ARG(toc_sv_sub(end->reason, 0, REASON_MAX - 1)));
}

/* What the run's state becomes; NULL: it stays. A cancelled job ended because somebody wanted it
 * to. What a run said of its own end stays, and a next life is not ended by the one before. */
static const char *state_after(const struct toc_job_link *link, const struct toc_job_end *end) {
    bool is_next_life = end->at_ms && link->last_line_ms > end->at_ms + NEXT_LIFE_MS;
    if (link->state == TOC_RUN_FINISHED || link->state == TOC_RUN_FAILED || is_next_life ||
        end->state == TOC_JOB_VANISHED)
        return NULL;
    if (end->state == TOC_JOB_SUSPENDED)
        return "paused";
    if (end->state == TOC_JOB_RUNNING)
        return "running";
    return toc_job_state_is_bad(end->state) ? "failed" : "finished";
}

/* A state that is told must be newer than the run's last line, whatever the clocks say. */
static int64_t time_of(const struct toc_job_link *link, const struct toc_job_end *end,
                       const char *state, struct toc_ts now) {
    int64_t t_ms = end->at_ms && end->at_ms < now.ms ? end->at_ms : now.ms;
    return state ? TOC_MAX(t_ms, link->last_line_ms + 1) : t_ms;
}

static int tell_run(struct toc_job_watch *w, const struct toc_job_link *link, struct toc_sv message,
                    const struct toc_job_end *end, struct toc_ts now, struct toc_err *err) {
    struct toc_buf line = TOC_BUF_INIT;
    struct toc_json_writer j;
    const char *state = state_after(link, end);
    toc_json_writer_init(&j, &line);
    toc_json_begin_object(&j);
    toc_json_kv_double(&j, "t", (double)time_of(link, end, state, now) / 1000);
    toc_json_kv_int(&j, "rank", link->rank);
    toc_json_kv_cstr(&j, "event", "job");
    if (state)
        toc_json_kv_cstr(&j, "state", state);
    toc_json_kv_string(&j, "message", message);
    toc_json_end_object(&j);
    struct toc_run_body body = {.run = link->run, .bytes = toc_buf_sv(&line)};
    int rc = toc_run_receiver_put(w->runs, &body, now, err);
    w->counters.events += rc == 0;
    toc_buf_fini(&line);
    return rc;
}

struct taking {
    struct toc_job_watch *w;
    enum toc_scheduler scheduler;
    unsigned source;
    const struct toc_job_links *links;
    struct toc_ts now;
    struct toc_err *err;
};

static int tell(const struct taking *t, const struct toc_job *job, const struct toc_job_end *end,
                bool is_first_sight) {
    struct toc_buf message = TOC_BUF_INIT;
    int rc = 0;
    say(t->scheduler, job, end, &message);
    for (const struct toc_job_link *l = toc_job_links_find(t->links, t->scheduler, job); l && !rc;
         l = l->next) {
        bool is_over = l->state == TOC_RUN_FINISHED || l->state == TOC_RUN_FAILED;
        /* Of what ended before we looked, only who still seems to run must hear. */
        if (!(is_over && is_first_sight))
            rc = tell_run(t->w, l, toc_buf_sv(&message), end, t->now, t->err);
    }
    toc_buf_fini(&message);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * from one list to the next */

static struct toc_sv own(struct toc_sv text) {
    return toc_sv_make(toc_sv_dup_cstr(text), text.n);
}

static struct known *known_of(const struct taking *t, const struct toc_job *job, bool *out_is_new) {
    struct toc_buf key = TOC_BUF_INIT;
    toc_buf_printf(&key, "%u %.*s %.*s", t->source, TOC_SV_ARG(job->id), TOC_SV_ARG(job->uid));
    struct known *k = toc_map_get(&t->w->by_key, toc_buf_sv(&key));
    *out_is_new = !k;
    if (!k) {
        k = TOC_NEW(struct known);
        k->key = own(toc_buf_sv(&key));
        k->source = t->source;
        k->job = (struct toc_job){.id = own(job->id),
                                  .uid = own(job->uid),
                                  .name = own(job->name),
                                  .state = job->state,
                                  .restarts = job->restarts};
        toc_map_put(&t->w->by_key, k->key, k);
        TOC_VEC_PUSH(&t->w->items, k);
    }
    toc_buf_fini(&key);
    return k;
}

static void keep(struct known *k, const struct toc_job *job) {
    if (job->nodes.n && !toc_sv_eq(job->nodes, k->job.nodes)) {
        drop_text(&k->job.nodes);
        k->job.nodes = own(job->nodes);
    }
    toc_sv_copy(toc_sv_sub(job->end.reason, 0, REASON_MAX - 1), k->reason, sizeof k->reason);
    k->job.state = job->state;
    k->job.restarts = job->restarts;
    k->job.end = job->end;
    k->job.end.reason = toc_sv_cstr(k->reason);
}

/* The life before, when another has begun since the last list; it has its nodes no more. */
static int tell_former_life(const struct taking *t, struct known *k, const struct toc_job *job) {
    struct toc_job_end end = job->last;
    if (job->restarts <= k->job.restarts)
        return 0;
    bool was_told = k->is_end_told;
    k->is_end_told = false;
    if (was_told || end.state == TOC_JOB_STATE_COUNT)
        return 0;
    struct toc_job former = *job;
    former.nodes = k->job.nodes;
    return tell(t, &former, &end, false);
}

static int tell_hold(const struct taking *t, struct known *k, const struct toc_job *job) {
    bool is_held = job->state == TOC_JOB_SUSPENDED;
    bool goes_on = k->is_held && job->state == TOC_JOB_RUNNING;
    if (is_held == k->is_held || (!is_held && !goes_on)) {
        k->is_held = is_held;
        return 0;
    }
    int rc = tell(t, job, &(struct toc_job_end){.state = job->state}, false);
    k->is_held = rc ? k->is_held : is_held;
    return rc;
}

static int take_job(const struct taking *t, const struct toc_job *job) {
    bool is_new = false;
    struct known *k = known_of(t, job, &is_new);
    k->list = t->w->list;
    int rc = tell_former_life(t, k, job);
    if (rc == 0)
        rc = tell_hold(t, k, job);
    if (rc == 0 && toc_job_state_is_over(job->state) && !k->is_end_told) {
        rc = tell(t, job, &job->end, is_new);
        k->is_end_told = rc == 0;
    }
    if (rc == 0)
        keep(k, job);
    return rc;
}

/* Jobs that are not listed any more: how the end that was coming, or nobody knows. */
static int take_vanished(const struct taking *t) {
    struct toc_job_watch *w = t->w;
    int rc = 0;
    for (size_t i = w->items.count; i-- > 0 && rc == 0;) {
        struct known *k = w->items.items[i];
        if (k->source != t->source || k->list == w->list)
            continue;
        bool was_alive = k->job.state == TOC_JOB_RUNNING || k->job.state == TOC_JOB_SUSPENDED;
        struct toc_job_end end = k->job.end;
        if (end.state == TOC_JOB_STATE_COUNT)
            end = (struct toc_job_end){.state = TOC_JOB_VANISHED};
        if (was_alive && !k->is_end_told)
            rc = tell(t, &k->job, &end, false);
        if (rc == 0)
            forget(w, i);
    }
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * series */

enum { JOB_LABELS = 7, INFO_LABELS = 9 };

static void put_job(const struct taking *t, const struct toc_job *job) {
    struct toc_emitter *e = &t->w->emitter;
    const struct toc_job_link *link = toc_job_links_find(t->links, t->scheduler, job);
    bool is_slurm = t->scheduler == TOC_SCHEDULER_SLURM;
    const struct toc_label l[INFO_LABELS] = {
        {TOC_SV("scheduler"), toc_sv_cstr(schedulers[t->scheduler].label)},
        {TOC_SV("job_id"), job->id},
        {TOC_SV("job_name"), job->name},
        {TOC_SV("user"), job->user},
        {TOC_SV("partition"), is_slurm ? job->place : TOC_SV_NULL},
        {TOC_SV("namespace"), is_slurm ? TOC_SV_NULL : job->place},
        {TOC_SV("run"), link ? link->run : TOC_SV_NULL},
        {TOC_SV("nodes"), job->nodes},
        {TOC_SV("reason"), toc_sv_sub(job->reason, 0, REASON_MAX)}};
    toc_emitter_put(e, "train_job_state", TOC_METRIC_GAUGE, l, JOB_LABELS,
                    toc_job_state_value(job->state));
    toc_emitter_put(e, "train_job_restarts_total", TOC_METRIC_COUNTER, l, JOB_LABELS,
                    (double)job->restarts);
    toc_emitter_put(e, "train_job_info", TOC_METRIC_GAUGE, l, INFO_LABELS, 1);
    const struct toc_job_end *end = toc_job_state_is_over(job->state) ? &job->end : &job->last;
    if (end->has_exit)
        toc_emitter_put(e, "train_job_exit_code", TOC_METRIC_GAUGE, l, JOB_LABELS,
                        (double)(end->signal ? SIGNAL_BASE + end->signal : end->exit_code));
    if (job->started_ms)
        toc_emitter_put(e, "train_job_start_timestamp_seconds", TOC_METRIC_GAUGE, l, JOB_LABELS,
                        (double)job->started_ms / 1000);
    if (job->deadline_ms)
        toc_emitter_put(e, "train_job_deadline_timestamp_seconds", TOC_METRIC_GAUGE, l, JOB_LABELS,
                        (double)job->deadline_ms / 1000);
}

/* Each source has two groups: whether it answers, and its jobs, which stay when it does not. */
static unsigned up_group(unsigned source) {
    return 2 * source;
}

static unsigned jobs_group(unsigned source) {
    return 2 * source + 1;
}

static void put_up(struct toc_job_watch *w, unsigned source, enum toc_scheduler s, bool is_up) {
    char number[12];
    snprintf(number, sizeof number, "%u", source);
    const struct toc_label l[] = {{TOC_SV("scheduler"), toc_sv_cstr(schedulers[s].label)},
                                  {TOC_SV("source"), toc_sv_cstr(number)}};
    toc_emitter_group(&w->emitter, up_group(source));
    toc_emitter_put(&w->emitter, "tocsin_job_source_up", TOC_METRIC_GAUGE, l, TOC_ARRAY_LEN(l),
                    is_up);
}

_Static_assert(2 * TOC_JOB_SOURCES_MAX <= TOC_EMITTER_GROUPS_MAX, "two groups for each source");

int toc_job_watch_take(struct toc_job_watch *w, unsigned source, enum toc_scheduler s,
                       const struct toc_jobs *jobs, struct toc_ts now, struct toc_err *err) {
    struct toc_job_links links;
    struct taking t = {w, s, source, &links, now, err};
    int rc = 0;
    w->list++;
    w->counters.lists++;
    w->counters.left_out += jobs->left_out;
    toc_job_links_init(&links, w->runs);
    toc_emitter_begin(&w->emitter, now);
    put_up(w, source, s, true);
    toc_emitter_group(&w->emitter, jobs_group(source));
    for (size_t i = 0; i < jobs->count; i++)
        put_job(&t, &jobs->items[i]);
    int written = toc_emitter_flush(&w->emitter, w->sink, err);
    for (size_t i = 0; i < jobs->count && rc == 0; i++)
        rc = take_job(&t, &jobs->items[i]);
    if (rc == 0)
        rc = take_vanished(&t);
    toc_job_links_fini(&links);
    return rc ? rc : written;
}

int toc_job_watch_fail(struct toc_job_watch *w, unsigned source, enum toc_scheduler s,
                       struct toc_ts now, struct toc_err *err) {
    w->counters.failures++;
    toc_emitter_begin(&w->emitter, now);
    put_up(w, source, s, false);
    return toc_emitter_flush(&w->emitter, w->sink, err);
}

struct toc_job_watch_counters toc_job_watch_counters(const struct toc_job_watch *w) {
    return (struct toc_job_watch_counters){
#define X(member, what) .member = atomic_load(&w->counters.member),
        TOC_JOB_WATCH_COUNTERS(X)
#undef X
    };
}
