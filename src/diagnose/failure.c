#include "diagnose/failure.h"

#include "base/alloc.h"
#include "base/num.h"
#include "diagnose/failure_priv.h"

enum { FAILURE_ARENA_BYTES = 4 << 20, JOB_ARENA_BYTES = 16 << 20, NAME_BYTES_MAX = 200 };
#define CHANGE_WINDOW_MS INT64_C(3600000)

/* ------------------------------------------------------------------------------------------ sets
 */

bool toc_rank_set_has(const struct toc_rank_set *s, int64_t n) {
    return n >= 0 && (uint64_t)n / 64 < s->word_count && s->words[n / 64] >> (n % 64) & 1;
}

bool toc_rank_set_add(struct toc_rank_set *s, int64_t n) {
    if (n < 0 || n >= TOC_RANK_SET_MAX || toc_rank_set_has(s, n))
        return false;
    size_t want = (size_t)n / 64 + 1;
    if (want > s->word_count) {
        s->words = toc_xrealloc(s->words, toc_vec_bytes(want, sizeof *s->words));
        memset(s->words + s->word_count, 0, (want - s->word_count) * sizeof *s->words);
        s->word_count = want;
    }
    s->words[n / 64] |= (uint64_t)1 << (n % 64);
    s->count++;
    return true;
}

void toc_rank_set_fini(struct toc_rank_set *s) {
    toc_free(s->words);
    *s = (struct toc_rank_set){0};
}

/* --------------------------------------------------------------------------------- making, freeing
 */

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

static void job_free(struct toc_failure_job *j) {
    TOC_VEC_FINI(&j->members);
    toc_map_fini(&j->hosts);
    toc_arena_fini(&j->arena);
    toc_free(j->name);
    toc_free(j);
}

void toc_failures_free(struct toc_failures **fp) {
    if (!fp || !*fp)
        return;
    struct toc_failures *f = *fp;
    for (size_t i = 0; i < f->items.count; i++)
        failure_free(f->items.items[i]);
    for (size_t i = 0; i < f->jobs.count; i++)
        job_free(f->jobs.items[i]);
    for (size_t i = 0; i < TOC_FAILURE_CHANGES_KEPT; i++) {
        toc_free(f->changes[i].subject);
        toc_free(f->changes[i].text);
    }
    TOC_VEC_FINI(&f->items);
    TOC_VEC_FINI(&f->jobs);
    toc_free(f);
    *fp = NULL;
}

/* ---------------------------------------------------------------------------------- jobs and hosts
 */

struct toc_failure_job *toc_failures_job(struct toc_failures *f, struct toc_sv name) {
    for (size_t i = 0; i < f->jobs.count; i++)
        if (toc_sv_eq_cstr(name, f->jobs.items[i]->name))
            return f->jobs.items[i];
    return NULL;
}

/* The one that was silent for longest makes room. */
static void forget_oldest_job(struct toc_failures *f) {
    size_t oldest = 0;
    for (size_t i = 1; i < f->jobs.count; i++)
        if (f->jobs.items[i]->seen_ms < f->jobs.items[oldest]->seen_ms)
            oldest = i;
    job_free(f->jobs.items[oldest]);
    TOC_VEC_REMOVE(&f->jobs, oldest);
    f->counters.dropped_jobs++;
}

static struct toc_failure_job *job_of(struct toc_failures *f, struct toc_sv name,
                                      struct toc_ts now) {
    struct toc_failure_job *j = toc_failures_job(f, name);
    if (!j) {
        if ((int64_t)f->jobs.count >= f->o.limits.jobs_max)
            forget_oldest_job(f);
        j = TOC_NEW(struct toc_failure_job);
        j->name = toc_sv_dup_cstr(toc_sv_sub(name, 0, NAME_BYTES_MAX));
        toc_arena_init(&j->arena, JOB_ARENA_BYTES);
        TOC_VEC_PUSH(&f->jobs, j);
    }
    j->seen_ms = TOC_MAX(j->seen_ms, now.ms);
    return j;
}

/* Place of the rank among the members, or where it belongs. */
static size_t member_place(const struct toc_failure_job *j, int64_t rank) {
    size_t low = 0, high = j->members.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->members.items[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct toc_sv host_of_job(struct toc_failures *f, struct toc_failure_job *j,
                                 struct toc_sv host) {
    struct toc_sv kept = toc_arena_dup_sv(&j->arena, toc_sv_sub(host, 0, NAME_BYTES_MAX));
    if ((int64_t)j->hosts.count >= f->o.limits.members_max || (host.n && !kept.n)) {
        f->counters.dropped_members++;
        return TOC_SV_NULL;
    }
    toc_map_put(&j->hosts, kept, j);
    return kept;
}

static void learn(struct toc_failures *f, struct toc_failure_job *j, int64_t rank,
                  struct toc_sv host) {
    struct toc_sv kept = host;
    if (host.n && !toc_map_has(&j->hosts, host))
        kept = host_of_job(f, j, host);
    if (rank < 0)
        return;
    size_t at = member_place(j, rank);
    bool is_there = at < j->members.count && j->members.items[at].rank == rank;
    if (is_there && (!host.n || toc_sv_eq(j->members.items[at].host, host)))
        return;
    if (!is_there && (int64_t)j->members.count >= f->o.limits.members_max) {
        f->counters.dropped_members++;
        return;
    }
    struct toc_failure_member m = {rank, toc_arena_dup_sv(&j->arena, kept)};
    if (is_there) {
        j->members.items[at] = m;
        return;
    }
    TOC_VEC_RESERVE(&j->members, j->members.count + 1);
    memmove(j->members.items + at + 1, j->members.items + at,
            (j->members.count - at) * sizeof *j->members.items);
    j->members.items[at] = m;
    j->members.count++;
}

void toc_failures_member(struct toc_failures *f, struct toc_sv job, int64_t rank,
                         struct toc_sv host, struct toc_ts now) {
    if (job.n)
        learn(f, job_of(f, job, now), rank, host);
}

/* The only job that is known to run on the host; "" for none or several. */
static struct toc_sv job_on_host(const struct toc_failures *f, struct toc_sv host) {
    const struct toc_failure_job *found = NULL;
    for (size_t i = 0; host.n && i < f->jobs.count; i++) {
        if (!toc_map_has(&f->jobs.items[i]->hosts, host))
            continue;
        if (found)
            return TOC_SV_NULL;
        found = f->jobs.items[i];
    }
    return found ? toc_sv_cstr(found->name) : TOC_SV_NULL;
}

/* --------------------------------------------------------------------------- which failure a hit
 * is of */

static bool has_job(const struct toc_failure *f, struct toc_sv job) {
    for (size_t i = 0; i < f->jobs.count; i++)
        if (toc_sv_eq(f->jobs.items[i], job))
            return true;
    return false;
}

static bool is_cause_role(const struct toc_signature *s) {
    return s->role == TOC_SIGNATURE_ROOT || s->role == TOC_SIGNATURE_EITHER ||
           s->role == TOC_SIGNATURE_CONFIRM || s->role == TOC_SIGNATURE_FALLBACK;
}

static bool is_near(const struct toc_failures *all, const struct toc_failure *f,
                    const struct toc_failure_hit *h) {
    const struct toc_failure_limits *l = &all->o.limits;
    int64_t began = h->at.ms - h->lasted_ms;
    /* An open failure keeps its echoes: a collective gives up ten minutes after its rank died. */
    bool is_echo = f->state == TOC_FAILURE_OPEN && !is_cause_role(h->signature);
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
        return job.n ? has_job(f, job) : has_no_name && !f->jobs.count && !f->hosts.count;
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

static void add_job(struct toc_failure *f, struct toc_sv job) {
    if (job.n && !has_job(f, job) && f->jobs.count < TOC_FAILURE_JOBS_PER_FAILURE)
        TOC_VEC_PUSH(&f->jobs, toc_arena_dup_sv(&f->arena, toc_sv_sub(job, 0, NAME_BYTES_MAX)));
}

/* Index of the host + 1; 0 when there is none or no room. */
static size_t add_host(struct toc_failures *all, struct toc_failure *f, struct toc_sv host) {
    host = toc_sv_sub(host, 0, NAME_BYTES_MAX);
    if (!host.n)
        return 0;
    size_t index = (size_t)(uintptr_t)toc_map_get(&f->host_index, host);
    if (index)
        return index;
    if ((int64_t)f->hosts.count >= all->o.limits.members_max) {
        all->counters.dropped_members++;
        return 0;
    }
    TOC_VEC_PUSH(&f->hosts, toc_arena_dup_sv(&f->arena, host));
    toc_map_put(&f->host_index, host, (void *)(uintptr_t)f->hosts.count);
    return f->hosts.count;
}

/* ---------------------------------------------------------------------------------- signs, echoes
 */

static enum toc_severity severity_of(const struct toc_signature *s, const struct toc_xid *xid,
                                     struct toc_sv word) {
    enum toc_signature_severity level = s->severity;
    if (level == TOC_SIGNATURE_BY_CODE)
        level = xid ? xid->severity : TOC_SIGNATURE_WARNING;
    if (level == TOC_SIGNATURE_BY_TEXT || level == TOC_SIGNATURE_BY_CODE)
        level = toc_sv_eq_cstr(word, "Fatal") ? TOC_SIGNATURE_CRITICAL : TOC_SIGNATURE_INFO;
    return level == TOC_SIGNATURE_INFO      ? TOC_SEVERITY_INFO
           : level == TOC_SIGNATURE_WARNING ? TOC_SEVERITY_WARNING
                                            : TOC_SEVERITY_CRITICAL;
}

/* What the tables say of a hit. */
struct judged {
    const struct toc_failure_rule *rule;
    const struct toc_xid *xid;
    enum toc_severity severity;
};

static struct judged judge_hit(const struct toc_failures *all, const struct toc_failure_hit *h) {
    struct judged j = {0};
    uint64_t code;
    if (toc_sv_starts_with(h->signature->id, TOC_SV("nv_xid")) &&
        toc_parse_u64(h->code, &code) == 0)
        j.xid = toc_xid_find(all->o.xids, code);
    j.rule = toc_failure_rules_find(all->o.rules, h->signature, h->code, j.xid);
    j.severity = severity_of(h->signature, j.xid, h->word);
    return j;
}

static struct toc_failure_echo *echo_of(struct toc_failure *f, const struct toc_failure_hit *h,
                                        const struct judged *j, size_t text_max) {
    for (size_t i = 0; i < f->echoes.count; i++)
        if (f->echoes.items[i].signature == h->signature)
            return &f->echoes.items[i];
    struct toc_failure_echo e = {
        .signature = h->signature,
        .rule = j->rule,
        .severity = j->severity,
        .first_ms = h->at.ms,
        .last_ms = h->at.ms,
        .text = toc_arena_dup_sv(&f->arena, toc_sv_sub(h->text, 0, text_max)),
    };
    TOC_VEC_PUSH(&f->echoes, e);
    return &f->echoes.items[f->echoes.count - 1];
}

static struct toc_failure_sign *find_sign(const struct toc_failure *f,
                                          const struct toc_failure_hit *h, const struct judged *j) {
    for (size_t i = 0; i < f->signs.count; i++) {
        struct toc_failure_sign *s = f->signs.items[i];
        if (s->signature == h->signature && s->rule == j->rule && s->rank == h->rank &&
            toc_sv_eq(s->host, h->host) && toc_sv_eq(s->device, h->device))
            return s;
    }
    return NULL;
}

/* Room for one more, taken from the latest when the list is full and this one is earlier. */
static struct toc_failure_sign *new_sign(struct toc_failures *all, struct toc_failure *f,
                                         int64_t at_ms) {
    if ((int64_t)f->signs.count < all->o.limits.signs_max) {
        struct toc_failure_sign *s = TOC_NEW(struct toc_failure_sign);
        TOC_VEC_PUSH(&f->signs, s);
        return s;
    }
    struct toc_failure_sign *latest = f->signs.items[0];
    for (size_t i = 1; i < f->signs.count; i++)
        if (f->signs.items[i]->first_ms > latest->first_ms)
            latest = f->signs.items[i];
    f->signs_dropped++;
    all->counters.dropped_signs++;
    return latest->first_ms > at_ms && latest != f->root ? latest : NULL;
}

static void fill_sign(struct toc_failures *all, struct toc_failure *f, struct toc_failure_sign *s,
                      const struct toc_failure_hit *h, const struct judged *j) {
    struct toc_arena *a = &f->arena;
    size_t text_max = (size_t)all->o.limits.text_bytes_max;
    *s = (struct toc_failure_sign){
        .signature = h->signature,
        .rule = j->rule,
        .xid = j->xid,
        .severity = j->severity,
        .host = toc_arena_dup_sv(a, toc_sv_sub(h->host, 0, NAME_BYTES_MAX)),
        .device = toc_arena_dup_sv(a, toc_sv_sub(h->device, 0, NAME_BYTES_MAX)),
        .code = toc_arena_dup_sv(a, toc_sv_sub(h->code, 0, NAME_BYTES_MAX)),
        .process = toc_arena_dup_sv(a, toc_sv_sub(h->process, 0, NAME_BYTES_MAX)),
        .operation = toc_arena_dup_sv(a, toc_sv_sub(h->operation, 0, NAME_BYTES_MAX)),
        .text = toc_arena_dup_sv(a, toc_sv_sub(h->text, 0, text_max)),
        .file = toc_arena_dup_sv(a, toc_sv_sub(h->file, 0, NAME_BYTES_MAX)),
        .line_number = h->line_number,
        .rank = h->rank,
        .pid = h->pid,
        .sequence = h->sequence,
        .began_ms = h->at.ms - h->lasted_ms,
        .first_ms = h->at.ms,
        .last_ms = h->at.ms,
    };
}

static void note_anchor(struct toc_failure *f, const struct toc_failure_sign *s, int64_t now_ms) {
    if (!toc_failure_is_anchor(f, s))
        return;
    int64_t *since = s->signature->role == TOC_SIGNATURE_EITHER ? &f->either_ms : &f->anchored_ms;
    if (!*since)
        *since = now_ms;
}

static void add_sign(struct toc_failures *all, struct toc_failure *f,
                     const struct toc_failure_hit *h, const struct judged *j, int64_t now_ms) {
    struct toc_failure_sign *s = find_sign(f, h, j);
    if (!s) {
        s = new_sign(all, f, h->at.ms);
        if (!s)
            return;
        fill_sign(all, f, s, h, j);
        f->later_roots += f->state == TOC_FAILURE_OPEN && toc_failure_is_anchor(f, s);
    }
    s->count += h->count ? h->count : 1;
    s->began_ms = TOC_MIN(s->began_ms, h->at.ms - h->lasted_ms);
    s->first_ms = TOC_MIN(s->first_ms, h->at.ms);
    s->last_ms = TOC_MAX(s->last_ms, h->at.ms);
    s->pid = s->pid < 0 ? h->pid : s->pid;
    note_anchor(f, s, now_ms);
}

static void add(struct toc_failures *all, struct toc_failure *f, const struct toc_failure_hit *h,
                const struct judged *j, struct toc_ts now) {
    uint64_t count = h->count ? h->count : 1;
    struct toc_failure_echo *e = echo_of(f, h, j, (size_t)all->o.limits.text_bytes_max);
    size_t host = add_host(all, f, h->host);
    e->count += count;
    e->severity = TOC_MAX(e->severity, j->severity);
    e->first_ms = TOC_MIN(e->first_ms, h->at.ms);
    e->last_ms = TOC_MAX(e->last_ms, h->at.ms);
    toc_rank_set_add(&e->ranks, h->rank);
    toc_rank_set_add(&e->hosts, (int64_t)host - 1);
    toc_rank_set_add(&f->ranks, h->rank);
    if (h->signature->role == TOC_SIGNATURE_EITHER)
        toc_rank_set_add(&f->stuck, h->rank);
    f->lines += count;
    f->began_ms = TOC_MIN(f->began_ms, h->at.ms - h->lasted_ms);
    f->last_ms = TOC_MAX(f->last_ms, h->at.ms);
    f->arrived_ms = TOC_MAX(f->arrived_ms, now.ms);
    f->is_dirty = true;
    if (is_cause_role(h->signature) && j->rule->strength && j->rule->kind != TOC_KIND_COUNT)
        add_sign(all, f, h, j, now.ms);
}

/* ---------------------------------------------------------------------------------------- merging
 */

static void add_kept_sign(struct toc_failures *all, struct toc_failure *to,
                          const struct toc_failure_sign *s, int64_t now_ms) {
    const struct toc_failure_hit h = {
        .signature = s->signature,
        .at = {s->first_ms},
        .host = s->host,
        .rank = s->rank,
        .local_rank = -1,
        .pid = s->pid,
        .device = s->device,
        .code = s->code,
        .process = s->process,
        .operation = s->operation,
        .sequence = s->sequence,
        .lasted_ms = s->first_ms - s->began_ms,
        .text = s->text,
        .file = s->file,
        .line_number = s->line_number,
        .count = s->count,
    };
    add_sign(all, to, &h, &(struct judged){s->rule, s->xid, s->severity}, now_ms);
}

static void add_kept_echo(struct toc_failures *all, struct toc_failure *to,
                          const struct toc_failure *from, const struct toc_failure_echo *e) {
    const struct toc_failure_hit h = {
        .signature = e->signature, .at = {e->first_ms}, .text = e->text};
    struct toc_failure_echo *into = echo_of(to, &h, &(struct judged){e->rule, NULL, e->severity},
                                            (size_t)all->o.limits.text_bytes_max);
    into->count += e->count;
    into->severity = TOC_MAX(into->severity, e->severity);
    into->first_ms = TOC_MIN(into->first_ms, e->first_ms);
    into->last_ms = TOC_MAX(into->last_ms, e->last_ms);
    for (int64_t n = 0; n < (int64_t)e->ranks.word_count * 64; n++)
        if (toc_rank_set_has(&e->ranks, n))
            toc_rank_set_add(&into->ranks, n);
    for (int64_t n = 0; n < (int64_t)from->hosts.count; n++)
        if (toc_rank_set_has(&e->hosts, n))
            toc_rank_set_add(&into->hosts, (int64_t)add_host(all, to, from->hosts.items[n]) - 1);
}

/* Two failures turn out to be one: the one that was told of first keeps its name. */
static struct toc_failure *merge(struct toc_failures *all, struct toc_failure *a,
                                 struct toc_failure *b, struct toc_ts now) {
    bool is_b_first = b->state > a->state || (b->state == a->state && b->id < a->id);
    struct toc_failure *to = is_b_first ? b : a, *from = is_b_first ? a : b;
    for (size_t i = 0; i < from->echoes.count; i++)
        add_kept_echo(all, to, from, &from->echoes.items[i]);
    for (size_t i = 0; i < from->signs.count; i++)
        add_kept_sign(all, to, from->signs.items[i], now.ms);
    for (size_t i = 0; i < from->jobs.count; i++)
        add_job(to, from->jobs.items[i]);
    for (size_t i = 0; i < from->hosts.count; i++)
        (void)add_host(all, to, from->hosts.items[i]);
    for (int64_t n = 0; n < (int64_t)from->ranks.word_count * 64; n++) {
        if (toc_rank_set_has(&from->ranks, n))
            toc_rank_set_add(&to->ranks, n);
        if (toc_rank_set_has(&from->stuck, n))
            toc_rank_set_add(&to->stuck, n);
    }
    to->lines += from->lines;
    to->began_ms = TOC_MIN(to->began_ms, from->began_ms);
    to->last_ms = TOC_MAX(to->last_ms, from->last_ms);
    to->is_dirty = true;
    if (from->state == TOC_FAILURE_OPEN && all->o.listener)
        all->o.listener->on_failure(all->o.listener, from, TOC_FAILURE_OVER, now);
    from->state = TOC_FAILURE_ENDED;
    return to;
}

/* ----------------------------------------------------------------------------------------- intake
 */

static struct toc_failure *place(struct toc_failures *all, const struct toc_failure_hit *h,
                                 struct toc_sv job, struct toc_ts now) {
    struct toc_failure *of_job = find(all, h, job, BY_JOB);
    struct toc_failure *of_host = find(all, h, job, BY_HOST);
    if (of_job && of_host && of_job != of_host)
        return merge(all, of_job, of_host, now);
    if (of_job || of_host)
        return of_job ? of_job : of_host;
    bool may_start = is_cause_role(h->signature) || h->signature->role == TOC_SIGNATURE_CASCADE;
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
    struct judged j = judge_hit(f, hit);
    if (!j.rule) {
        f->counters.dropped_unknown++;
        return;
    }
    if (hit->job.n)
        learn(f, job_of(f, hit->job, now), hit->rank, hit->host);
    struct toc_sv job = hit->job.n ? hit->job : job_on_host(f, hit->host);
    if (j.rule->kind == TOC_KIND_COUNT)
        return; /* counted as a series by the caller, never part of a failure */
    struct toc_failure *into = place(f, hit, job, now);
    if (!into)
        return;
    add_job(into, job);
    add(f, into, hit, &j, now);
}

void toc_failures_attempt(struct toc_failures *f, struct toc_sv job, struct toc_ts at,
                          struct toc_ts now) {
    struct toc_failure_job *j = job_of(f, job, now);
    /* Every node's agent says it: one attempt. */
    if (j->attempt_ms && at.ms - j->attempt_ms <= f->o.limits.skew_ms)
        return;
    j->attempt_ms = at.ms;
    for (size_t i = 0; i < f->items.count; i++) {
        struct toc_failure *x = f->items.items[i];
        bool is_of_job = job.n ? has_job(x, job) : !x->jobs.count;
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
    c->subject = toc_sv_dup_cstr(toc_sv_sub(subject, 0, NAME_BYTES_MAX));
    c->text = toc_sv_dup_cstr(toc_sv_sub(text, 0, (size_t)f->o.limits.text_bytes_max));
    c->at_ms = at.ms;
}

/* ------------------------------------------------------------------------------------------- time
 */

static bool concerns(const struct toc_failure *f, const struct toc_failure_known_change *c) {
    struct toc_sv subject = toc_sv_cstr(c->subject);
    return !subject.n || has_job(f, subject) || toc_map_has(&f->host_index, subject);
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
