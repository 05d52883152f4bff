#include "collect/process_watch.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "collect/procfile.h"
#include "sys/process.h"

enum { DEFAULT_MAX = 1024 };

struct watched {
    struct toc_sv run; /* owned */
    int64_t rank, pid;
    int fd;           /* holds the process; -1: the kernel cannot, its start time must do */
    uint64_t started; /* field 22 of its stat, in ticks; 0 = it was not there when first seen */
    char events[512]; /* memory.events of its control group, "" = none */
    char job[64];     /* as its control group names it, "" = none */
    double oom_kills; /* of that group at the last poll */
    uint64_t poll;    /* that saw it last among the ranks */
    bool is_ended, is_told;
};

struct toc_process_watch {
    struct toc_process_watch_options o;
    struct toc_procfs fs;
    struct {
        TOC_VEC_FIELDS(struct watched *)
    } items;
    struct toc_map by_key; /* "rank run" */
    uint64_t poll;
    double oom_kills; /* of the whole machine at the last poll */
    struct {          /* read by any thread */
#define X(member, what) atomic_ullong member;
        TOC_PROCESS_WATCH_COUNTERS(X)
#undef X
    } counters;
};

struct toc_process_watch *toc_process_watch_new(const struct toc_process_watch_options *o) {
    struct toc_process_watch *w = TOC_NEW(struct toc_process_watch);
    w->o = *o;
    w->o.max = o->max ? o->max : DEFAULT_MAX;
    toc_procfs_init(&w->fs, o->vfs ? o->vfs : toc_vfs_system(), o->root ? o->root : "");
    return w;
}

static void make_key(struct toc_sv run, int64_t rank, char out[160]) {
    snprintf(out, 160, "%lld %.*s", (long long)rank, TOC_SV_ARG(run));
}

static void forget(struct toc_process_watch *w, size_t i) {
    struct watched *p = w->items.items[i];
    char key[160];
    make_key(p->run, p->rank, key);
    toc_map_remove(&w->by_key, toc_sv_cstr(key));
    TOC_VEC_REMOVE(&w->items, i);
    toc_process_release(&p->fd);
    toc_free((void *)(uintptr_t)p->run.p);
    toc_free(p);
}

void toc_process_watch_free(struct toc_process_watch **w) {
    if (!w || !*w)
        return;
    while ((*w)->items.count)
        forget(*w, (*w)->items.count - 1);
    TOC_VEC_FINI(&(*w)->items);
    toc_map_fini(&(*w)->by_key);
    toc_procfs_fini(&(*w)->fs);
    toc_free(*w);
    *w = NULL;
}

/* --------------------------------------------------------------------------- what /proc knows */

/* Start time of a process in ticks since boot; 0 when it is not there, or ended and not reaped. */
static uint64_t start_time(struct toc_process_watch *w, int64_t pid) {
    enum { STATE = 3, START = 22 };
    char path[64];
    struct toc_sv text, word;
    uint64_t ticks = 0;
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (toc_procfs_read_once(&w->fs, path, &text) != 0)
        return 0;
    size_t end = text.n; /* the name in brackets may hold anything, brackets as well */
    while (end > 0 && text.p[end - 1] != ')')
        end--;
    text = toc_sv_sub(text, end, text.n - end);
    for (int field = STATE; field <= START && toc_text_word(&text, &word); field++) {
        if (field == STATE && (toc_sv_eq_cstr(word, "Z") || toc_sv_eq_cstr(word, "X")))
            return 0;
        if (field == START && toc_parse_u64(word, &ticks) != 0)
            return 0;
    }
    return ticks;
}

static double counter_in(struct toc_process_watch *w, const char *path) {
    struct toc_sv text, line, key;
    double value = 0;
    if (!path[0] || toc_procfs_read_once(&w->fs, path, &text) != 0)
        return 0;
    while (toc_text_line(&text, &line))
        if (toc_text_word(&line, &key) && toc_sv_eq_cstr(key, "oom_kill") &&
            toc_text_number(&line, &value))
            return value;
    return 0;
}

/* The digits after "/job_" of Slurm's paths, "" when it is none of them. */
static struct toc_sv slurm_job_in(struct toc_sv path) {
    size_t slurm = toc_sv_find(path, TOC_SV("slurm")), at = toc_sv_find(path, TOC_SV("/job_"));
    if (slurm == SIZE_MAX || at == SIZE_MAX || at < slurm)
        return TOC_SV_NULL;
    struct toc_sv id = toc_sv_sub(path, at + 5, path.n);
    size_t n = 0;
    while (n < id.n && n < 20 && id.p[n] >= '0' && id.p[n] <= '9')
        n++;
    return toc_sv_sub(id, 0, n);
}

enum { POD_UID_CHARS = 36 };

static bool is_pod_uid(struct toc_sv s) {
    for (size_t i = 0; i < POD_UID_CHARS; i++) {
        char c = i < s.n ? s.p[i] : ' ';
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (is_dash ? c != '-' && c != '_' : !is_hex)
            return false;
    }
    return true;
}

/* The pod's UID in "…kubepods…podUID…"; systemd writes its dashes as underscores. */
static struct toc_sv pod_in(struct toc_sv path) {
    size_t from = toc_sv_find(path, TOC_SV("kubepods"));
    for (size_t i = from; from != SIZE_MAX && i + 3 + POD_UID_CHARS <= path.n; i++) {
        struct toc_sv rest = toc_sv_sub(path, i, path.n);
        if (toc_sv_starts_with(rest, TOC_SV("pod")) && is_pod_uid(toc_sv_sub(rest, 3, rest.n)))
            return toc_sv_sub(rest, 3, POD_UID_CHARS);
    }
    return TOC_SV_NULL;
}

/* Which job put the process into its control group? */
static void find_job(struct watched *p, struct toc_sv path) {
    struct toc_sv slurm = slurm_job_in(path), pod = pod_in(path);
    if (slurm.n)
        (void)snprintf(p->job, sizeof p->job, "slurm/%.*s", TOC_SV_ARG(slurm));
    else if (pod.n)
        (void)snprintf(p->job, sizeof p->job, "kubernetes/%.*s", TOC_SV_ARG(pod));
    for (char *c = p->job; *c; c++)
        *c = (char)(*c == '_' ? '-' : *c);
}

/* Version 2 of control groups: the line "0::/path". Jobs are named in those of version 1, too. */
static void find_group(struct toc_process_watch *w, struct watched *p) {
    char path[64];
    struct toc_sv text, line;
    snprintf(path, sizeof path, "/proc/%lld/cgroup", (long long)p->pid);
    if (toc_procfs_read_once(&w->fs, path, &text) != 0)
        return;
    while (toc_text_line(&text, &line)) {
        if (!p->job[0])
            find_job(p, line);
        if (toc_sv_starts_with(line, TOC_SV("0::/")) && line.n > 4 &&
            line.n < sizeof p->events - 64)
            snprintf(p->events, sizeof p->events, "/sys/fs/cgroup%.*s/memory.events",
                     (int)(line.n - 3), line.p + 3);
    }
    p->oom_kills = counter_in(w, p->events);
}

/* -------------------------------------------------------------------------- who is to be watched
 */

static void watch(struct toc_process_watch *w, const struct toc_run_place *place, const char *key) {
    struct watched *p = TOC_NEW(struct watched);
    *p = (struct watched){.run = toc_sv_make(toc_sv_dup_cstr(place->run), place->run.n),
                          .rank = place->rank,
                          .pid = place->pid,
                          .fd = -1,
                          .poll = w->poll};
    if (toc_process_hold(p->pid, &p->fd) < 0)
        p->fd = -1;
    p->started = start_time(w, p->pid);
    /* One that we never saw alive may live where we cannot see it (a container's own numbers). */
    p->is_told = p->started == 0;
    find_group(w, p);
    TOC_VEC_PUSH(&w->items, p);
    toc_map_put(&w->by_key, toc_sv_cstr(key), p);
}

static void drop(struct toc_process_watch *w, const struct watched *p) {
    for (size_t i = 0; i < w->items.count; i++)
        if (w->items.items[i] == p) {
            forget(w, i);
            return;
        }
}

static void on_place(void *ctx, const struct toc_run_place *place) {
    struct toc_process_watch *w = ctx;
    char key[160];
    if (!toc_sv_eq_cstr(place->host, w->o.host) || place->pid <= 0 || place->is_over)
        return;
    make_key(place->run, place->rank, key);
    struct watched *p = toc_map_get(&w->by_key, toc_sv_cstr(key));
    if (p && p->pid != place->pid) {
        drop(w, p);
        p = NULL;
    }
    if (p)
        p->poll = w->poll;
    else if (w->items.count < w->o.max)
        watch(w, place, key);
    else
        w->counters.over_limit++;
}

/* ------------------------------------------------------------------------------- telling the end
 */

static bool has_ended(struct toc_process_watch *w, const struct watched *p) {
    if (p->fd >= 0)
        return toc_process_held_has_ended(p->fd);
    return start_time(w, p->pid) != p->started;
}

/* Did the kernel kill something for memory, there or then? */
static void say_memory(const struct watched *p, double group_now, double machine_before,
                       double machine_now, char *out, size_t size) {
    const char *whose = NULL;
    if (group_now > p->oom_kills)
        whose = "its control group";
    else if (machine_now > machine_before && machine_before > 0)
        whose = "the machine";
    if (whose)
        snprintf(out, size, "; out of memory: the kernel killed a process (oom_kill of %s rose)",
                 whose);
}

static int tell(struct toc_process_watch *w, struct watched *p, double machine_now,
                struct toc_ts now, struct toc_err *err) {
    char how[TOC_ENDING_TEXT_MAX] = "disappeared without goodbye", memory[120] = "", line[400];
    struct toc_ending e = p->fd >= 0 ? toc_process_held_ending(p->fd) : (struct toc_ending){0};
    bool is_good = e.is_known && (e.signal ? e.signal == TOC_SIGNAL_INTERRUPT : e.code == 0);
    if (e.is_known)
        toc_ending_text(e, how);
    if (!e.is_known || e.signal == TOC_SIGNAL_KILL)
        say_memory(p, counter_in(w, p->events), w->oom_kills, machine_now, memory, sizeof memory);
    int n = snprintf(line, sizeof line,
                     "{\"rank\":%lld,\"event\":\"exit\",\"state\":\"%s\","
                     "\"message\":\"%s (process %lld)%s\"}",
                     (long long)p->rank, is_good ? "finished" : "failed", how, (long long)p->pid,
                     memory);
    struct toc_run_body body = {.run = p->run, .bytes = toc_sv_make(line, (size_t)n)};
    int rc = toc_run_receiver_put(w->o.receiver, &body, now, err);
    if (rc == 0) {
        p->is_told = true;
        w->counters.ended++;
    }
    return rc;
}

int toc_process_watch_poll(struct toc_process_watch *w, struct toc_ts now, struct toc_err *err) {
    int rc = 0;
    w->poll++;
    toc_run_receiver_each_place(w->o.receiver, on_place, w);
    double machine = w->items.count ? counter_in(w, "/proc/vmstat") : 0;
    for (size_t i = w->items.count; i-- > 0;) {
        struct watched *p = w->items.items[i];
        if (p->poll != w->poll) { /* its run has ended, moved or was forgotten */
            forget(w, i);
            continue;
        }
        if (p->job[0]) { /* the receiver could not be called while the process was found */
            toc_run_receiver_note_job(w->o.receiver, p->run, p->rank, toc_sv_cstr(p->job));
            p->job[0] = '\0';
        }
        if (p->is_told)
            continue;
        if (p->is_ended)
            rc = tell(w, p, machine, now, err);
        else if (has_ended(w, p))
            p->is_ended = true;
        else
            p->oom_kills = counter_in(w, p->events);
        if (rc)
            break;
    }
    bool is_waiting = false; /* the counter before the end is what its end is compared with */
    for (size_t i = 0; i < w->items.count; i++)
        is_waiting |= w->items.items[i]->is_ended && !w->items.items[i]->is_told;
    if (!is_waiting)
        w->oom_kills = machine;
    w->counters.watched = w->items.count;
    return rc;
}

struct toc_process_watch_counters toc_process_watch_counters(const struct toc_process_watch *w) {
    return (struct toc_process_watch_counters){
#define X(member, what) .member = atomic_load(&w->counters.member),
        TOC_PROCESS_WATCH_COUNTERS(X)
#undef X
    };
}
