/* What belongs to a failure: its jobs and hosts, signs of causes, echoes; and two that are one. */
#include "base/alloc.h"
#include "base/num.h"
#include "diagnose/failure_priv.h"

/* --- jobs and hosts --- */

bool toc_failure_has_job(const struct toc_failure *f, struct toc_sv job) {
    for (size_t i = 0; i < f->jobs.count; i++)
        if (toc_sv_eq(f->jobs.items[i], job))
            return true;
    return false;
}

void toc_failure_add_job(struct toc_failure *f, struct toc_sv job) {
    if (job.n && !toc_failure_has_job(f, job) && f->jobs.count < TOC_FAILURE_JOBS_PER_FAILURE)
        TOC_VEC_PUSH(&f->jobs,
                     toc_arena_dup_sv(&f->arena, toc_sv_sub(job, 0, TOC_FAILURE_NAME_BYTES_MAX)));
}

/* Index of the host + 1; 0 when there is none or no room. */
static size_t add_host(struct toc_failures *all, struct toc_failure *f, struct toc_sv host) {
    host = toc_sv_sub(host, 0, TOC_FAILURE_NAME_BYTES_MAX);
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

/* --- signs, echoes --- */

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

struct toc_failure_judged toc_failure_judge_hit(const struct toc_failures *all,
                                                const struct toc_failure_hit *h) {
    struct toc_failure_judged j = {0};
    uint64_t code;
    if (toc_sv_starts_with(h->signature->id, TOC_SV("nv_xid")) &&
        toc_parse_u64(h->code, &code) == 0)
        j.xid = toc_xid_find(all->o.xids, code);
    j.rule = toc_failure_rules_find(all->o.rules, h->signature, h->code, j.xid);
    j.severity = severity_of(h->signature, j.xid, h->word);
    return j;
}

static struct toc_failure_echo *echo_of(struct toc_failure *f, const struct toc_failure_hit *h,
                                        const struct toc_failure_judged *j, size_t text_max) {
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
                                          const struct toc_failure_hit *h,
                                          const struct toc_failure_judged *j) {
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
                      const struct toc_failure_hit *h, const struct toc_failure_judged *j) {
    struct toc_arena *a = &f->arena;
    size_t text_max = (size_t)all->o.limits.text_bytes_max;
    *s = (struct toc_failure_sign){
        .signature = h->signature,
        .rule = j->rule,
        .xid = j->xid,
        .severity = j->severity,
        .host = toc_arena_dup_sv(a, toc_sv_sub(h->host, 0, TOC_FAILURE_NAME_BYTES_MAX)),
        .device = toc_arena_dup_sv(a, toc_sv_sub(h->device, 0, TOC_FAILURE_NAME_BYTES_MAX)),
        .code = toc_arena_dup_sv(a, toc_sv_sub(h->code, 0, TOC_FAILURE_NAME_BYTES_MAX)),
        .process = toc_arena_dup_sv(a, toc_sv_sub(h->process, 0, TOC_FAILURE_NAME_BYTES_MAX)),
        .operation = toc_arena_dup_sv(a, toc_sv_sub(h->operation, 0, TOC_FAILURE_NAME_BYTES_MAX)),
        .text = toc_arena_dup_sv(a, toc_sv_sub(h->text, 0, text_max)),
        .file = toc_arena_dup_sv(a, toc_sv_sub(h->file, 0, TOC_FAILURE_NAME_BYTES_MAX)),
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
                     const struct toc_failure_hit *h, const struct toc_failure_judged *j,
                     int64_t now_ms) {
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

void toc_failure_add(struct toc_failures *all, struct toc_failure *f,
                     const struct toc_failure_hit *h, const struct toc_failure_judged *j,
                     struct toc_ts now) {
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
    if (toc_failure_is_cause(h->signature) && j->rule->strength && j->rule->kind != TOC_KIND_COUNT)
        add_sign(all, f, h, j, now.ms);
}

/* --- merging --- */

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
    add_sign(all, to, &h, &(struct toc_failure_judged){s->rule, s->xid, s->severity}, now_ms);
}

static void add_kept_echo(struct toc_failures *all, struct toc_failure *to,
                          const struct toc_failure *from, const struct toc_failure_echo *e) {
    const struct toc_failure_hit h = {
        .signature = e->signature, .at = {e->first_ms}, .text = e->text};
    struct toc_failure_echo *into =
        echo_of(to, &h, &(struct toc_failure_judged){e->rule, NULL, e->severity},
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
struct toc_failure *toc_failure_merge(struct toc_failures *all, struct toc_failure *a,
                                      struct toc_failure *b, struct toc_ts now) {
    bool is_b_first = b->state > a->state || (b->state == a->state && b->id < a->id);
    struct toc_failure *to = is_b_first ? b : a, *from = is_b_first ? a : b;
    for (size_t i = 0; i < from->echoes.count; i++)
        add_kept_echo(all, to, from, &from->echoes.items[i]);
    for (size_t i = 0; i < from->signs.count; i++)
        add_kept_sign(all, to, from->signs.items[i], now.ms);
    for (size_t i = 0; i < from->jobs.count; i++)
        toc_failure_add_job(to, from->jobs.items[i]);
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
