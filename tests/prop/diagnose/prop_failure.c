/*
 * One thing breaks in a job of 512 ranks, each writes 40 error lines, clocks differ and lines
 * arrive in any order: exactly one failure per job, and its root is what broke.
 *
 *   prop_failure [--seed FIRST] [--count SEEDS] [--skew MS] [--family N]
 *
 * Without --family each seed takes the next one in turn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../metricdb/args.h"
#include "diagnose/failure.h"
#include "diagnose/log_stream.h"
#include "storm.h"

struct tables {
    struct toc_signature_table *signatures;
    struct toc_failure_rules *rules;
    struct toc_xid_table *xids;
    struct toc_redactor *redactor;
    struct toc_log_places *places;
};

struct judge {
    struct toc_failure_listener listener;
    const struct storm *storm;
    struct toc_failures *failures;
    struct toc_ts now;
    size_t opened, right, changed, over, lines;
    bool is_named[STORM_JOBS_MAX];
    char wrong[600];
};

static int job_index(const struct toc_failure *f) {
    for (int j = 0; j < STORM_JOBS_MAX; j++)
        if (f->jobs.count == 1 && toc_sv_eq(f->jobs.items[0], storm_job(j)))
            return j;
    return -1;
}

static bool is_right(const struct storm *s, const struct toc_failure *f, int job) {
    const struct storm_truth *t = &s->truth[job];
    const struct toc_failure_sign *r = f->root;
    char room[16];
    bool is_kind = r && (f->kind == t->kind || f->kind == t->other_kind);
    bool is_signature =
        r && (!t->signature || toc_sv_eq_cstr(r->signature->id, t->signature) ||
              (t->other_signature && toc_sv_eq_cstr(r->signature->id, t->other_signature)));
    bool is_rank = t->is_suspect ? f->suspect_total == 1 && f->suspects[0] == t->rank
                                 : t->rank < 0 || (r && r->rank == t->rank);
    bool is_host = t->host < 0 || (r && toc_sv_eq(r->host, storm_host(t->host, room)));
    return is_kind && is_signature && is_rank && is_host;
}

static void on_failure(struct toc_failure_listener *l, const struct toc_failure *f,
                       enum toc_failure_event event, struct toc_ts now) {
    struct judge *j = (struct judge *)(void *)l;
    struct toc_arena a = TOC_ARENA_INIT;
    (void)now;
    j->opened += event == TOC_FAILURE_OPENED;
    j->changed += event == TOC_FAILURE_CHANGED;
    if (event == TOC_FAILURE_OVER) {
        int job = job_index(f);
        struct toc_finding finding = toc_failure_finding(f, &a);
        bool is_good = job >= 0 && job < j->storm->jobs && is_right(j->storm, f, job);
        j->over++;
        j->lines += f->lines;
        j->right += is_good && !j->is_named[job];
        if (job >= 0)
            j->is_named[job] = true;
        if (!is_good)
            snprintf(j->wrong, sizeof j->wrong, "%.*s | %.*s", TOC_SV_ARG(finding.title),
                     TOC_SV_ARG(finding.summary));
    }
    toc_arena_fini(&a);
}

static void on_hit(void *ctx, const struct toc_failure_hit *hit) {
    struct judge *j = ctx;
    toc_failures_put(j->failures, hit, j->now);
}

/* --------------------------------------------------------------------------------------- one storm
 */

struct streams {
    struct toc_log_stream ranks[STORM_RANKS], kernels[STORM_HOSTS];
    char hosts[STORM_HOSTS][16];
};

static void open_streams(struct streams *s, const struct tables *t, struct judge *j) {
    struct toc_log_stream_options o = {.table = t->signatures,
                                       .redactor = t->redactor,
                                       .places = t->places,
                                       .on_hit = on_hit,
                                       .ctx = j};
    for (int i = 0; i < STORM_RANKS; i++) {
        int host = i / STORM_PER_HOST;
        o.host = storm_host(host, s->hosts[host]);
        o.job = storm_job(j->storm->jobs == 2 && i >= STORM_RANKS / 2);
        o.rank = i, o.sources = TOC_LOG_JOB;
        toc_log_stream_init(&s->ranks[i], &o);
        toc_failures_member(j->failures, o.job, i, o.host, (struct toc_ts){j->storm->begin_ms});
    }
    for (int i = 0; i < STORM_HOSTS; i++) {
        o.host = storm_host(i, s->hosts[i]);
        o.job = TOC_SV_NULL, o.rank = -1, o.sources = TOC_LOG_KERNEL;
        toc_log_stream_init(&s->kernels[i], &o);
    }
}

static void close_streams(struct streams *s) {
    for (int i = 0; i < STORM_RANKS; i++)
        toc_log_stream_fini(&s->ranks[i]);
    for (int i = 0; i < STORM_HOSTS; i++)
        toc_log_stream_fini(&s->kernels[i]);
}

static void replay(struct judge *j, const struct tables *t) {
    static struct streams s;
    int64_t ticked_ms = j->storm->begin_ms;
    open_streams(&s, t, j);
    for (size_t i = 0; i < j->storm->lines.count; i++) {
        const struct storm_line *l = &j->storm->lines.items[i];
        for (; ticked_ms + 1000 <= l->arrives_ms; ticked_ms += 1000)
            toc_failures_tick(j->failures, (struct toc_ts){ticked_ms + 1000});
        struct toc_log_stream *to = l->rank < 0 ? &s.kernels[l->host] : &s.ranks[l->rank];
        j->now = (struct toc_ts){l->arrives_ms};
        toc_log_stream_feed(to, l->text, j->now, 0);
        toc_log_stream_feed(to, TOC_SV("\n"), j->now, 0);
    }
    for (int i = 0; i < 20 * 60; i++, ticked_ms += 1000)
        toc_failures_tick(j->failures, (struct toc_ts){ticked_ms});
    close_streams(&s);
}

/* True when there was exactly one failure per job; *out_right: and its root is right. */
static bool run(const struct tables *t, enum storm_family family, uint64_t seed, int64_t skew_ms,
                bool *out_right) {
    struct storm storm;
    struct judge j = {.listener = {on_failure}, .storm = &storm};
    storm_make(&storm, family, seed, skew_ms);
    j.failures = toc_failures_new(&(struct toc_failures_options){
        .rules = t->rules, .xids = t->xids, .listener = &j.listener});
    replay(&j, t);
    size_t jobs = (size_t)storm.jobs;
    bool is_one = j.opened == jobs && j.over == jobs;
    *out_right = is_one && j.right == jobs;
    if (!*out_right)
        printf("seed %llu, %s: %zu opened, %zu over, %zu right: %s\n", (unsigned long long)seed,
               storm_name(family), j.opened, j.over, j.right, j.wrong);
    toc_failures_free(&j.failures);
    storm_free(&storm);
    return is_one;
}

int main(int argc, char **argv) {
    uint64_t first = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--count", 24);
    uint64_t skew = args_number(argc, argv, "--skew", 2000);
    uint64_t only = args_number(argc, argv, "--family", STORM_FAMILIES);
    uint64_t one = 0, right = 0;
    struct tables t;
    struct toc_err err = {0};
    if (toc_signature_table_builtin(&t.signatures, &err) ||
        toc_failure_rules_builtin(&t.rules, &err) || toc_xid_table_builtin(&t.xids, &err) ||
        toc_redactor_builtin(&t.redactor, &err)) {
        printf("%s\n", err.message);
        return 1;
    }
    t.places = toc_log_places_new();
    for (uint64_t seed = first; seed < first + count; seed++) {
        bool is_right;
        uint64_t family = only < STORM_FAMILIES ? only : seed % STORM_FAMILIES;
        one += run(&t, (enum storm_family)family, seed, (int64_t)skew, &is_right);
        right += is_right;
    }
    printf("seeds %llu to %llu, clocks off by up to %llu ms: exactly one failure per job %llu of "
           "%llu, right root %llu\n",
           (unsigned long long)first, (unsigned long long)(first + count - 1),
           (unsigned long long)skew, (unsigned long long)one, (unsigned long long)count,
           (unsigned long long)right);
    toc_signature_table_free(&t.signatures);
    toc_failure_rules_free(&t.rules);
    toc_xid_table_free(&t.xids);
    toc_redactor_free(&t.redactor);
    toc_log_places_free(&t.places);
    return one == count && right * 100 >= count * 95 ? 0 : 1;
}
