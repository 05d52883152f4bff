/*
 * Jobs of Slurm from `squeue --states=all --json`. Versions differ: a state is a text (21.08) or a
 * list with flags (23.02); a number stands alone or as {"set", "infinite", "number"}; an exit code
 * is the status of wait(2) (before 23.02), or an object with return code and signal.
 *
 * A job that was preempted or lost its node and is started again goes back to PENDING with its
 * number of restarts raised; how its last life ended is then told by preempt_time and failed_node.
 */
#include <stdio.h>

#include "codec/json.h"
#include "collect/job.h"

enum { STATUS_SIGNAL_MASK = 0x7f, STATUS_CODE_SHIFT = 8, STATUS_MAX = 0xffff };

static struct toc_sv text_of(const struct toc_json *j, const char *key) {
    const struct toc_json *member = toc_json_get(j, key);
    return member && member->type == TOC_JSON_STRING ? member->string : TOC_SV_NULL;
}

/* False when it is absent, not set or infinite. */
static bool number_of(const struct toc_json *j, int64_t *out) {
    if (j && j->type == TOC_JSON_OBJECT) {
        const struct toc_json *is_set = toc_json_get(j, "set");
        const struct toc_json *is_infinite = toc_json_get(j, "infinite");
        if ((is_set && is_set->type == TOC_JSON_BOOL && !is_set->boolean) ||
            (is_infinite && is_infinite->type == TOC_JSON_BOOL && is_infinite->boolean))
            return false;
        j = toc_json_get(j, "number");
    }
    if (!j || j->type != TOC_JSON_INT)
        return false;
    *out = j->integer;
    return true;
}

/* Seconds since 1970 as milliseconds; 0 when there is no such time. */
static int64_t time_of(const struct toc_json *job, const char *key) {
    enum { YEAR_9999_S_SHIFT = 38 };
    int64_t s = 0;
    if (!number_of(toc_json_get(job, key), &s) || s <= 0 || s >> YEAR_9999_S_SHIFT)
        return 0;
    return s * 1000;
}

static const struct {
    const char *slurm;
    enum toc_job_state state;
} states[] = {
    {"PENDING", TOC_JOB_PENDING},      {"CONFIGURING", TOC_JOB_PENDING},
    {"RUNNING", TOC_JOB_RUNNING},      {"SUSPENDED", TOC_JOB_SUSPENDED},
    {"COMPLETED", TOC_JOB_COMPLETED},  {"CANCELLED", TOC_JOB_CANCELLED},
    {"FAILED", TOC_JOB_FAILED},        {"BOOT_FAIL", TOC_JOB_NODE_FAILED},
    {"LAUNCH_FAILED", TOC_JOB_FAILED}, {"NODE_FAIL", TOC_JOB_NODE_FAILED},
    {"PREEMPTED", TOC_JOB_PREEMPTED},  {"TIMEOUT", TOC_JOB_TIMED_OUT},
    {"DEADLINE", TOC_JOB_TIMED_OUT},   {"OUT_OF_MEMORY", TOC_JOB_OUT_OF_MEMORY},
    {"STOPPED", TOC_JOB_SUSPENDED},
};

static enum toc_job_state state_named(const struct toc_json *j) {
    for (size_t i = 0; j && j->type == TOC_JSON_STRING && i < TOC_ARRAY_LEN(states); i++)
        if (toc_sv_eq_cstr(j->string, states[i].slurm))
            return states[i].state;
    return TOC_JOB_STATE_COUNT;
}

/* A list holds one base state and flags (COMPLETING, REQUEUED …); a flag alone keeps the job
 * running: it holds its nodes. */
static enum toc_job_state state_of(const struct toc_json *j) {
    bool is_list = j && j->type == TOC_JSON_ARRAY;
    enum toc_job_state found = is_list ? TOC_JOB_STATE_COUNT : state_named(j);
    for (size_t i = 0; is_list && i < j->count && found == TOC_JOB_STATE_COUNT; i++)
        found = state_named(&j->items[i]);
    return found == TOC_JOB_STATE_COUNT ? TOC_JOB_RUNNING : found;
}

static void read_exit(const struct toc_json *j, struct toc_job_end *out) {
    int64_t status = 0;
    if (j && j->type == TOC_JSON_OBJECT && toc_json_get(j, "return_code")) {
        const struct toc_json *signal = toc_json_get(j, "signal");
        const struct toc_json *id = toc_json_get(signal, "id");
        out->has_exit = number_of(toc_json_get(j, "return_code"), &out->exit_code);
        out->has_exit |= number_of(id ? id : toc_json_get(signal, "signal_id"), &out->signal);
    } else if (number_of(j, &status) && status >= 0 && status <= STATUS_MAX) {
        out->has_exit = true;
        out->exit_code = status >> STATUS_CODE_SHIFT;
        out->signal = status & STATUS_SIGNAL_MASK;
    }
}

/* How the life before this one ended. The times of a requeued job are those of its next start, so
 * preempt_time (when the grace period before a preemption began) and failed_node are all that is
 * left of it; of when it ended, that was before the next start. */
static struct toc_job_end last_end(const struct toc_json *job, enum toc_job_state state) {
    struct toc_sv node = text_of(job, "failed_node");
    struct toc_job_end e = {.state = TOC_JOB_REQUEUED};
    e.at_ms = state == TOC_JOB_RUNNING ? time_of(job, "start_time") : 0;
    if (time_of(job, "preempt_time")) {
        e.state = TOC_JOB_PREEMPTED;
    } else if (node.n) {
        e.state = TOC_JOB_NODE_FAILED;
        e.reason = node;
    }
    return e;
}

static void read_end(const struct toc_json *job, struct toc_job *out) {
    struct toc_sv node = text_of(job, "failed_node"), why = text_of(job, "state_reason");
    out->end = (struct toc_job_end){.state = out->state, .at_ms = time_of(job, "end_time")};
    read_exit(toc_json_get(job, "exit_code"), &out->end);
    if (out->state == TOC_JOB_NODE_FAILED && node.n)
        out->end.reason = node;
    else if (!toc_sv_eq(why, TOC_SV("None")))
        out->end.reason = why;
}

static bool read_job(const struct toc_json *job, struct toc_arena *a, struct toc_job *out) {
    char text[24];
    int64_t id = 0;
    if (!number_of(toc_json_get(job, "job_id"), &id) || id <= 0)
        return false;
    snprintf(text, sizeof text, "%lld", (long long)id);
    *out = (struct toc_job){.id = toc_arena_dup_sv(a, toc_sv_cstr(text)),
                            .name = text_of(job, "name"),
                            .user = text_of(job, "user_name"),
                            .place = text_of(job, "partition"),
                            .nodes = text_of(job, "nodes"),
                            .state = state_of(toc_json_get(job, "job_state")),
                            .started_ms = time_of(job, "start_time"),
                            .end = {.state = TOC_JOB_STATE_COUNT},
                            .last = {.state = TOC_JOB_STATE_COUNT}};
    if (number_of(toc_json_get(job, "restart_cnt"), &out->restarts) && out->restarts > 0)
        out->last = last_end(job, out->state);
    out->restarts = TOC_MAX(out->restarts, (int64_t)0);
    if (toc_job_state_is_over(out->state))
        read_end(job, out);
    else if (out->state == TOC_JOB_PENDING)
        out->reason = text_of(job, "state_reason");
    /* Of a job that runs, end_time is when its time limit is reached. */
    if (out->state == TOC_JOB_RUNNING)
        out->deadline_ms = time_of(job, "end_time");
    return true;
}

/* The list `jobs`; a document without it says why under "errors". */
static int open_list(struct toc_sv text, struct toc_arena *a, const struct toc_json **out,
                     struct toc_err *err) {
    const struct toc_json *root = NULL;
    int rc = toc_json_parse(text, a, &root, err);
    if (rc)
        return rc;
    const struct toc_json *list = toc_json_get(root, "jobs"),
                          *errors = toc_json_get(root, "errors");
    bool is_list = list && list->type == TOC_JSON_ARRAY;
    if (errors && errors->type == TOC_JSON_ARRAY && errors->count && (!is_list || !list->count)) {
        struct toc_sv why = text_of(&errors->items[0], "description");
        why = why.n ? why : text_of(&errors->items[0], "error");
        return toc_errf(err, TOC_EUNAVAILABLE, "Slurm says: %.*s",
                        TOC_SV_ARG(toc_sv_sub(why, 0, 300)));
    }
    if (!is_list)
        return toc_errf(err, TOC_EPARSE,
                        "no list \"jobs\" in the answer: --json of Slurm 21.08 or newer is needed");
    *out = list;
    return 0;
}

int toc_jobs_of_slurm(struct toc_sv text, struct toc_arena *a, struct toc_jobs *out,
                      struct toc_err *err) {
    const struct toc_json *list = NULL;
    int rc = open_list(text, a, &list, err);
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        struct toc_job job;
        if (out->count >= TOC_JOBS_MAX || !read_job(&list->items[i], a, &job))
            out->left_out++;
        else
            TOC_VEC_PUSH(out, job);
    }
    if (rc == 0 && a->overflowed)
        rc = toc_errf(err, TOC_ELIMIT, "the list of Slurm needs too much memory");
    return rc;
}
