#include "diagnose/failure.h"

#include "base/alloc.h"
#include "diagnose/failure_priv.h"

enum { FAILURE_ARENA_BYTES = 4 << 20 };
#define CHANGE_WINDOW_MS INT64_C(3600000)

/* --- making, freeing --- */

struct toc_failures *toc_failures_new(const struct toc_failures_options *o) {
    struct toc_failures *f = TOC_NEW(struct toc_failures);
    f->o = *o;
#define X(member, value, unit, meaning) \
    f->o.limits.member = f->o.limits.member ? f->o.limits.member : (value);
    TOC_FAILURE_LIMIT_TABLE(X)
#undef X
    return f;
}

static void failure_free(struct toc_failure *f) {
    for (size_t i = 0; i < f->echoes.count; i++) {
        toc_rank_set_fini(&f->echoes.items[i].ranks);
        toc_rank_set_fini(&f->echoes.items[i].hosts);
    }
    for (size_t i = 0; i < f->signs.count; i++)
        toc_free(f->signs.items[i]);
    TOC_VEC_FINI(&f->signs);
    TOC_VEC_FINI(&f->echoes);
    TOC_VEC_FINI(&f->jobs);
    TOC_VEC_FINI(&f->hosts);
    toc_map_fini(&f->host_index);
    toc_rank_set_fini(&f->ranks);
    toc_rank_set_fini(&f->stuck);
    toc_arena_fini(&f->arena);
    toc_free(f);
}

void toc_failures_free(struct toc_failures **fp) {
    if (!fp || !*fp)
        return;
    struct toc_failures *f = *fp;
    for (size_t i = 0; i < f->items.count; i++)
        failure_free(f->items.items[i]);
    for (size_t i = 0; i < f->jobs.count; i++)
        toc_failure_job_free(f->jobs.items[i]);
    for (size_t i = 0; i < TOC_FAILURE_CHANGES_KEPT; i++) {
        toc_free(f->changes[i].subject);
        toc_free(f->changes[i].text);
    }
    TOC_VEC_FINI(&f->items);
    TOC_VEC_FINI(&f->jobs);
    toc_free(f);
    *fp = NULL;
}

/* --- which failure a hit is of --- */

static bool is_near(const struct toc_failures *all, const struct toc_failure *f,
                    const struct toc_failure_hit *h) {
    const struct toc_failure_limits *l = &all->o.limits;
    int64_t began = h->at.ms - h->lasted_ms;
    /* An open failure keeps its echoes: a collective gives up ten minutes after its rank died. */
    bool is_echo = f->state == TOC_FAILURE_OPEN && !toc_failure_is_cause(h->signature);
    int64_t after = is_echo ? l->quiet_ms : l->window_ms + l->skew_ms;
    if (f->closed_at_ms && h->at.ms > f->closed_at_ms + l->skew_ms)
        return false;
    return began <= f->last_ms + after && h->at.ms >= f->began_ms - l->window_ms - l->skew_ms;
}

enum relation { BY_JOB, BY_HOST };

static bool is_of(const struct toc_failure *f, const struct toc_failure_hit *h, struct toc_sv job,
                  enum relation r) {
    bool has_no_name = !job.n && !h->host.n;
    if (r == BY_JOB)
        return job.n ? toc_failure_has_job(f, job)
                     : has_no_name && !f->jobs.count && !f->hosts.count;
    return h->host.n && toc_map_has(&f->host_index, h->host) && (!job.n || !f->jobs.count);
}

static struct toc_failure *find(const struct toc_failures *all, const struct toc_failure_hit *h,
                                struct toc_sv job, enum relation r) {
    for (size_t i = all->items.count; i-- > 0;) {
        struct toc_failure *f = all->items.items[i];
        if (f->state <= TOC_FAILURE_OPEN && is_of(f, h, job, r) && is_near(all, f, h))
            return f;
    }
    return NULL;
}

static struct toc_failure *start(struct toc_failures *all, const struct toc_failure_hit *h,
                                 struct toc_ts now) {
    if ((int64_t)all->items.count >= all->o.limits.failures_max) {
        all->counters.dropped_failures++;
        return NULL;
    }
    struct toc_failure *f = TOC_NEW(struct toc_failure);
    f->id = ++all->last_id;
    f->kind = TOC_KIND_COUNT;
    f->began_ms = h->at.ms - h->lasted_ms;
    f->last_ms = h->at.ms;
    f->arrived_ms = now.ms;
    toc_arena_init(&f->arena, FAILURE_ARENA_BYTES);
    TOC_VEC_PUSH(&all->items, f);
    return f;
}

/* --- intake --- */

static struct toc_failure *place(struct toc_failures *all, const struct toc_failure_hit *h,
                                 struct toc_sv job, struct toc_ts now) {
    struct toc_failure *of_job = find(all, h, job, BY_JOB);
    struct toc_failure *of_host = find(all, h, job, BY_HOST);
    if (of_job && of_host && of_job != of_host)
        return toc_failure_merge(all, of_job, of_host, now);
    if (of_job || of_host)
        return of_job ? of_job : of_host;
    bool may_start =
        toc_failure_is_cause(h->signature) || h->signature->role == TOC_SIGNATURE_CASCADE;
    return may_start ? start(all, h, now) : NULL;
}

void toc_failures_put(struct toc_failures *f, const struct toc_failure_hit *hit,
                      struct toc_ts now) {
    f->counters.hits++;
    if (hit->signature->role == TOC_SIGNATURE_METRIC)
        return;
    if (hit->signature->role == TOC_SIGNATURE_ATTEMPT) {
        toc_failures_attempt(f, hit->job, hit->at, now);
        return;
    }
    struct toc_failure_judged j = toc_failure_judge_hit(f, hit);
    if (!j.rule) {
        f->counters.dropped_unknown++;
        return;
    }
    if (hit->job.n)
        toc_failures_learn(f, toc_failures_job_of(f, hit->job, now), hit->rank, hit->host);
    struct toc_sv job = hit->job.n ? hit->job : toc_failures_job_on_host(f, hit->host);
    if (j.rule->kind == TOC_KIND_COUNT)
        return; /* counted as a series by the caller, never part of a failure */
    struct toc_failure *into = place(f, hit, job, now);
    if (!into)
        return;
    toc_failure_add_job(into, job);
    toc_failure_add(f, into, hit, &j, now);
}

void toc_failures_attempt(struct toc_failures *f, struct toc_sv job, struct toc_ts at,
                          struct toc_ts now) {
    struct toc_failure_job *j = toc_failures_job_of(f, job, now);
    /* Every node's agent says it: one attempt. */
    if (j->attempt_ms && at.ms - j->attempt_ms <= f->o.limits.skew_ms)
        return;
    j->attempt_ms = at.ms;
    for (size_t i = 0; i < f->items.count; i++) {
        struct toc_failure *x = f->items.items[i];
        bool is_of_job = job.n ? toc_failure_has_job(x, job) : !x->jobs.count;
        if (!is_of_job || x->closed_at_ms || x->began_ms > at.ms)
            continue;
        x->closed_at_ms = at.ms;
        x->closed_ms = now.ms;
    }
}

void toc_failures_change(struct toc_failures *f, struct toc_sv subject, struct toc_ts at,
                         struct toc_sv text) {
    struct toc_failure_known_change *c = &f->changes[f->change_count++ % TOC_FAILURE_CHANGES_KEPT];
    toc_free(c->subject);
    toc_free(c->text);
    c->subject = toc_sv_dup_cstr(toc_sv_sub(subject, 0, TOC_FAILURE_NAME_BYTES_MAX));
    c->text = toc_sv_dup_cstr(toc_sv_sub(text, 0, (size_t)f->o.limits.text_bytes_max));
    c->at_ms = at.ms;
}

/* --- time --- */

static bool concerns(const struct toc_failure *f, const struct toc_failure_known_change *c) {
    struct toc_sv subject = toc_sv_cstr(c->subject);
    return !subject.n || toc_failure_has_job(f, subject) || toc_map_has(&f->host_index, subject);
}

/* What was changed in the hour before, latest first. */
static void find_changes(const struct toc_failures *all, struct toc_failure *f) {
    f->change_count = 0;
    size_t kept = TOC_MIN(all->change_count, (size_t)TOC_FAILURE_CHANGES_KEPT);
    for (size_t i = 0; i < kept && f->change_count < TOC_FAILURE_CHANGES_MAX; i++) {
        const struct toc_failure_known_change *c =
            &all->changes[(all->change_count - 1 - i) % TOC_FAILURE_CHANGES_KEPT];
        int64_t before = f->began_ms - c->at_ms;
        if (before < -all->o.limits.skew_ms || before > CHANGE_WINDOW_MS || !concerns(f, c))
            continue;
        f->changes[f->change_count++] = (struct toc_failure_change){
            c->at_ms, toc_arena_dup_sv(&f->arena, toc_sv_cstr(c->text))};
    }
}

static void tell(struct toc_failures *all, struct toc_failure *f, enum toc_failure_event event,
                 struct toc_ts now) {
    f->told_ms = now.ms;
    f->is_dirty = f->is_news = false;
    if (all->o.listener)
        all->o.listener->on_failure(all->o.listener, f, event, now);
}

static void open_failure(struct toc_failures *all, struct toc_failure *f, struct toc_ts now) {
    toc_failure_judge(all, f);
    if (!f->root)
        return;
    find_changes(all, f);
    f->state = TOC_FAILURE_OPEN;
    f->opened_ms = now.ms;
    all->counters.opened++;
    tell(all, f, TOC_FAILURE_OPENED, now);
}

/* Somebody complained of what others did. A few warnings that open nothing are no failure. */
static bool has_echo(const struct toc_failure *f) {
    for (size_t i = 0; i < f->echoes.count; i++)
        if (f->echoes.items[i].signature->role == TOC_SIGNATURE_CASCADE)
            return true;
    return false;
}

static void end_failure(struct toc_failures *all, struct toc_failure *f, struct toc_ts now) {
    bool was_open = f->state == TOC_FAILURE_OPEN, is_unexplained = !was_open && has_echo(f);
    f->state = was_open ? TOC_FAILURE_ENDED : TOC_FAILURE_UNEXPLAINED;
    all->counters.ended += was_open;
    all->counters.unexplained += is_unexplained;
    if (was_open || (is_unexplained && all->o.keeps_unexplained))
        tell(all, f, TOC_FAILURE_OVER, now);
    f->state = TOC_FAILURE_ENDED;
}

static bool is_settled(const struct toc_failures *all, const struct toc_failure *f,
                       struct toc_ts now) {
    const struct toc_failure_limits *l = &all->o.limits;
    return (f->anchored_ms && now.ms - f->anchored_ms >= l->settle_ms) ||
           (f->either_ms && now.ms - f->either_ms >= l->either_settle_ms);
}

static void tick_gathering(struct toc_failures *all, struct toc_failure *f, struct toc_ts now) {
    if (is_settled(all, f, now))
        open_failure(all, f, now);
    else if (now.ms - f->arrived_ms > all->o.limits.window_ms && !f->anchored_ms && !f->either_ms)
        end_failure(all, f, now);
}

static void tick_open(struct toc_failures *all, struct toc_failure *f, struct toc_ts now) {
    const struct toc_failure_limits *l = &all->o.limits;
    if (f->is_dirty && now.ms - f->judged_ms >= 1000) {
        f->judged_ms = now.ms;
        toc_failure_judge(all, f);
    }
    bool is_over = now.ms - f->arrived_ms >= l->quiet_ms ||
                   (f->closed_ms && now.ms - f->closed_ms >= l->restart_hold_ms);
    if (is_over)
        end_failure(all, f, now);
    else if (f->is_news || (f->is_dirty && now.ms - f->told_ms >= l->refresh_ms))
        tell(all, f, TOC_FAILURE_CHANGED, now);
}

static void sweep(struct toc_failures *all) {
    size_t kept = 0;
    all->counters.open = all->counters.gathering = 0;
    for (size_t i = 0; i < all->items.count; i++) {
        struct toc_failure *f = all->items.items[i];
        if (f->state == TOC_FAILURE_ENDED) {
            failure_free(f);
            continue;
        }
        all->counters.open += f->state == TOC_FAILURE_OPEN;
        all->counters.gathering += f->state == TOC_FAILURE_GATHERING;
        all->items.items[kept++] = f;
    }
    all->items.count = kept;
}

void toc_failures_tick(struct toc_failures *f, struct toc_ts now) {
    for (size_t i = 0; i < f->items.count; i++) {
        struct toc_failure *x = f->items.items[i];
        if (x->state == TOC_FAILURE_GATHERING)
            tick_gathering(f, x, now);
        else if (x->state == TOC_FAILURE_OPEN)
            tick_open(f, x, now);
    }
    sweep(f);
}

void toc_failures_finish(struct toc_failures *f, struct toc_ts now) {
    for (size_t i = 0; i < f->items.count; i++) {
        struct toc_failure *x = f->items.items[i];
        if (x->state == TOC_FAILURE_GATHERING && (x->anchored_ms || x->either_ms))
            open_failure(f, x, now);
        if (x->state <= TOC_FAILURE_OPEN) {
            if (x->state == TOC_FAILURE_OPEN && x->is_dirty)
                toc_failure_judge(f, x);
            end_failure(f, x, now);
        }
    }
    sweep(f);
}

struct toc_failures_counters toc_failures_counters(const struct toc_failures *f) {
    return f->counters;
}

const char *toc_failure_state_name(enum toc_failure_state s) {
    static const char *const names[] = {"gathering", "open", "unexplained", "ended"};
    return names[s];
}
