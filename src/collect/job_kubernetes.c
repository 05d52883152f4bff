/*
 * Pods of Kubernetes as jobs. A pod that restarts its containers keeps its name and phase; how the
 * life before ended stands in lastState. A pod that is taken away is deleted after its grace
 * period: why, its condition DisruptionTarget says before (Kubernetes 1.26 and later).
 */
#include "codec/json.h"
#include "collect/job.h"

static struct toc_sv text_of(const struct toc_json *j, const char *key) {
    const struct toc_json *member = toc_json_get(j, key);
    return member && member->type == TOC_JSON_STRING ? member->string : TOC_SV_NULL;
}

static const struct toc_json *list_of(const struct toc_json *j, const char *key) {
    static const struct toc_json none = {.type = TOC_JSON_ARRAY};
    const struct toc_json *member = toc_json_get(j, key);
    return member && member->type == TOC_JSON_ARRAY ? member : &none;
}

static bool integer_of(const struct toc_json *j, const char *key, int64_t *out) {
    const struct toc_json *member = toc_json_get(j, key);
    if (!member || member->type != TOC_JSON_INT)
        return false;
    *out = member->integer;
    return true;
}

static int64_t time_of(const struct toc_json *j, const char *key) {
    struct toc_err err = {0};
    struct toc_ts t = {0};
    struct toc_sv text = text_of(j, key);
    return text.n && toc_ts_parse_rfc3339(text, &t, &err) == 0 && t.ms > 0 ? t.ms : 0;
}

/* What a reason of a pod, of a container or of a disruption means. */
static const struct {
    const char *reason;
    enum toc_job_state state;
} reasons[] = {
    {"OOMKilled", TOC_JOB_OUT_OF_MEMORY},
    {"DeadlineExceeded", TOC_JOB_TIMED_OUT},
    {"Preempting", TOC_JOB_PREEMPTED},
    {"Preempted", TOC_JOB_PREEMPTED},
    {"PreemptionByScheduler", TOC_JOB_PREEMPTED},
    {"PreemptionByKubeScheduler", TOC_JOB_PREEMPTED},
    {"Evicted", TOC_JOB_EVICTED},
    {"EvictionByEvictionAPI", TOC_JOB_EVICTED},
    {"TerminationByKubelet", TOC_JOB_EVICTED},
    {"DeletionByTaintManager", TOC_JOB_NODE_FAILED},
    {"DeletionByPodGC", TOC_JOB_NODE_FAILED},
    {"NodeLost", TOC_JOB_NODE_FAILED},
    {"NodeShutdown", TOC_JOB_NODE_FAILED},
    {"Shutdown", TOC_JOB_NODE_FAILED},
    {"Terminated", TOC_JOB_NODE_FAILED},
};

static enum toc_job_state state_of_reason(struct toc_sv reason) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(reasons); i++)
        if (toc_sv_eq_cstr(reason, reasons[i].reason))
            return reasons[i].state;
    return TOC_JOB_STATE_COUNT;
}

/* The condition that says why the pod is taken away; NULL when there is none. */
static const struct toc_json *disruption_of(const struct toc_json *status) {
    const struct toc_json *conditions = list_of(status, "conditions");
    for (size_t i = 0; i < conditions->count; i++)
        if (toc_sv_eq_cstr(text_of(&conditions->items[i], "type"), "DisruptionTarget") &&
            toc_sv_eq_cstr(text_of(&conditions->items[i], "status"), "True"))
            return &conditions->items[i];
    return NULL;
}

/* The first container that ended badly, in `key` (state or lastState); NULL when none did. */
static const struct toc_json *bad_container(const struct toc_json *status, const char *key) {
    const struct toc_json *containers = list_of(status, "containerStatuses");
    for (size_t i = 0; i < containers->count; i++) {
        const struct toc_json *t =
            toc_json_get(toc_json_get(&containers->items[i], key), "terminated");
        int64_t code = 0;
        if (integer_of(t, "exitCode", &code) && code != 0)
            return t;
    }
    return NULL;
}

static void read_terminated(const struct toc_json *t, struct toc_job_end *out) {
    enum toc_job_state state = state_of_reason(text_of(t, "reason"));
    if (!t)
        return;
    out->state = state < TOC_JOB_STATE_COUNT ? state : TOC_JOB_FAILED;
    out->has_exit = integer_of(t, "exitCode", &out->exit_code);
    (void)integer_of(t, "signal", &out->signal);
    out->at_ms = time_of(t, "finishedAt");
    out->reason = text_of(t, "message");
    if (!out->reason.n)
        out->reason = text_of(t, "reason");
}

/* The word of the pod goes before that of its containers, and why it is taken away before both. */
static struct toc_job_end failed_end(const struct toc_json *status) {
    const struct toc_json *disruption = disruption_of(status);
    struct toc_job_end e = {.state = TOC_JOB_FAILED};
    read_terminated(bad_container(status, "state"), &e);
    enum toc_job_state by_pod = state_of_reason(text_of(status, "reason"));
    enum toc_job_state by_disruption = state_of_reason(text_of(disruption, "reason"));
    if (by_pod < TOC_JOB_STATE_COUNT) {
        e.state = by_pod;
        e.reason = text_of(status, "message");
    }
    if (by_disruption < TOC_JOB_STATE_COUNT) {
        e.state = by_disruption;
        e.reason = text_of(disruption, "message");
    }
    return e;
}

/* Of a pod that is being deleted: by a disruption, or by whoever owns it. It ends after its grace
 * period, when it is not listed any more. */
static struct toc_job_end coming_end(const struct toc_json *metadata,
                                     const struct toc_json *status) {
    const struct toc_json *disruption = disruption_of(status);
    enum toc_job_state by = state_of_reason(text_of(disruption, "reason"));
    struct toc_job_end e = {.state = TOC_JOB_STATE_COUNT};
    if (by < TOC_JOB_STATE_COUNT) {
        e.state = by;
        e.reason = text_of(disruption, "message");
    } else if (toc_json_get(metadata, "deletionTimestamp")) {
        e.state = TOC_JOB_CANCELLED;
    }
    return e;
}

static void read_containers(const struct toc_json *status, struct toc_job *out) {
    const struct toc_json *containers = list_of(status, "containerStatuses");
    for (size_t i = 0; i < containers->count; i++) {
        const struct toc_json *c = &containers->items[i], *state = toc_json_get(c, "state");
        const struct toc_json *waiting = toc_json_get(state, "waiting");
        int64_t restarts = 0;
        if (integer_of(c, "restartCount", &restarts) && restarts > 0 && restarts < INT32_MAX)
            out->restarts += restarts;
        if (!out->reason.n)
            out->reason = text_of(waiting, "reason");
        if (!out->started_ms)
            out->started_ms = time_of(toc_json_get(state, "running"), "startedAt");
    }
    if (out->restarts)
        read_terminated(bad_container(status, "lastState"), &out->last);
}

/* Why a pod has no node yet. */
static struct toc_sv unscheduled_reason(const struct toc_json *status) {
    const struct toc_json *conditions = list_of(status, "conditions");
    for (size_t i = 0; i < conditions->count; i++)
        if (toc_sv_eq_cstr(text_of(&conditions->items[i], "type"), "PodScheduled") &&
            toc_sv_eq_cstr(text_of(&conditions->items[i], "status"), "False"))
            return text_of(&conditions->items[i], "reason");
    return TOC_SV_NULL;
}

static void read_state(const struct toc_json *metadata, const struct toc_json *status,
                       struct toc_job *out) {
    struct toc_sv phase = text_of(status, "phase");
    if (toc_sv_eq_cstr(phase, "Succeeded")) {
        out->state = TOC_JOB_COMPLETED;
        out->end = (struct toc_job_end){.state = TOC_JOB_COMPLETED, .has_exit = true};
    } else if (toc_sv_eq_cstr(phase, "Failed")) {
        out->end = failed_end(status);
        out->state = out->end.state;
    } else {
        bool is_running = toc_sv_eq_cstr(phase, "Running") || toc_sv_eq_cstr(phase, "Unknown");
        out->state = is_running ? TOC_JOB_RUNNING : TOC_JOB_PENDING;
        out->end = coming_end(metadata, status);
        if (!is_running && !out->reason.n)
            out->reason = unscheduled_reason(status);
    }
}

/* The job it belongs to, by the labels of the Job controller and of the usual operators. */
static struct toc_sv owner_of(const struct toc_json *metadata) {
    static const char *const names[] = {"batch.kubernetes.io/job-name", "job-name",
                                        "training.kubeflow.org/job-name",
                                        "jobset.sigs.k8s.io/jobset-name"};
    const struct toc_json *labels = toc_json_get(metadata, "labels");
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++) {
        struct toc_sv name = text_of(labels, names[i]);
        if (name.n)
            return name;
    }
    return text_of(metadata, "name");
}

static bool read_pod(const struct toc_json *pod, struct toc_arena *a, struct toc_job *out) {
    const struct toc_json *metadata = toc_json_get(pod, "metadata");
    const struct toc_json *status = toc_json_get(pod, "status");
    struct toc_sv name = text_of(metadata, "name"), ns = text_of(metadata, "namespace");
    struct toc_buf id = TOC_BUF_INIT;
    if (!name.n || !ns.n)
        return false;
    toc_buf_printf(&id, "%.*s/%.*s", TOC_SV_ARG(ns), TOC_SV_ARG(name));
    *out = (struct toc_job){.id = toc_arena_dup_sv(a, toc_buf_sv(&id)),
                            .uid = text_of(metadata, "uid"),
                            .name = owner_of(metadata),
                            .place = ns,
                            .nodes = text_of(toc_json_get(pod, "spec"), "nodeName"),
                            .end = {.state = TOC_JOB_STATE_COUNT},
                            .last = {.state = TOC_JOB_STATE_COUNT}};
    toc_buf_fini(&id);
    read_containers(status, out);
    read_state(metadata, status, out);
    int64_t limit_s = 0, started_ms = time_of(status, "startTime");
    if (!toc_job_state_is_over(out->state) && started_ms &&
        integer_of(toc_json_get(pod, "spec"), "activeDeadlineSeconds", &limit_s) && limit_s > 0 &&
        limit_s < INT32_MAX)
        out->deadline_ms = started_ms + limit_s * 1000;
    return true;
}

int toc_jobs_of_kubernetes(struct toc_sv page, struct toc_arena *a, struct toc_jobs *out,
                           struct toc_buf *out_continue, struct toc_err *err) {
    const struct toc_json *root = NULL;
    toc_buf_reset(out_continue);
    int rc = toc_json_parse(page, a, &root, err);
    if (rc)
        return rc;
    const struct toc_json *items = toc_json_get(root, "items");
    if (!items || items->type != TOC_JSON_ARRAY)
        return toc_errf(err, TOC_EPARSE, "the answer is no list of pods");
    for (size_t i = 0; i < items->count; i++) {
        struct toc_job job;
        if (out->count >= TOC_JOBS_MAX || !read_pod(&items->items[i], a, &job))
            out->left_out++;
        else
            TOC_VEC_PUSH(out, job);
    }
    toc_buf_append_sv(out_continue, text_of(toc_json_get(root, "metadata"), "continue"));
    return a->overflowed ? toc_errf(err, TOC_ELIMIT, "the list of pods needs too much memory") : 0;
}
