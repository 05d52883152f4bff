/*
 * Which sign is the root. A sign explains another when it is stronger (packs/failures.tsv), did not
 * begin after the other was told (within the skew of the clocks, or by the clock of its own host),
 * and the table lists the other's class for the same job or the same host. Of the signs that
 * nothing explains the earliest is the root; within the skew the stronger one, then the one that
 * comes first in the table.
 */
#include "base/alloc.h"
#include "diagnose/failure_priv.h"

static uint64_t lines_of(const struct toc_failure *f, const struct toc_signature *s) {
    for (size_t i = 0; i < f->echoes.count; i++)
        if (f->echoes.items[i].signature == s)
            return f->echoes.items[i].count;
    return 0;
}

bool toc_failure_is_anchor(const struct toc_failure *f, const struct toc_failure_sign *s) {
    return s->severity >= TOC_SEVERITY_WARNING && s->rule->opens &&
           lines_of(f, s->signature) >= s->rule->opens;
}

static bool lists(const struct toc_failure_sign *a, const struct toc_failure_sign *b) {
    return toc_failure_rule_lists(a->rule->in_job, b->signature, b->rule) ||
           (toc_sv_eq(a->host, b->host) &&
            toc_failure_rule_lists(a->rule->on_host, b->signature, b->rule));
}

/* Signs that may be the root, in one list. */
struct candidates {
    struct toc_failure_sign **items;
    size_t count;
};

/* By the clock of a's own host: did a come before what b tells of was seen there? One clock is
 * better evidence than two. */
static bool comes_first_at_home(const struct candidates *anchors, const struct toc_failure_sign *a,
                                const struct toc_failure_sign *b) {
    for (size_t i = 0; i < anchors->count; i++) {
        const struct toc_failure_sign *c = anchors->items[i];
        if (c->signature == b->signature && toc_sv_eq(c->host, a->host) &&
            a->began_ms <= c->first_ms)
            return true;
    }
    return false;
}

static bool explains(const struct toc_failure_limits *l, const struct candidates *anchors,
                     const struct toc_failure_sign *a, const struct toc_failure_sign *b) {
    return a->rule->strength > b->rule->strength && lists(a, b) &&
           (a->began_ms <= b->first_ms + l->skew_ms || comes_first_at_home(anchors, a, b));
}

static struct candidates unexplained(const struct toc_failure_limits *l, struct toc_failure *f) {
    struct candidates anchors = {TOC_NEW_ARRAY(struct toc_failure_sign *, f->signs.count + 1), 0};
    struct candidates c = {TOC_NEW_ARRAY(struct toc_failure_sign *, f->signs.count + 1), 0};
    for (size_t i = 0; i < f->signs.count; i++)
        if (toc_failure_is_anchor(f, f->signs.items[i]))
            anchors.items[anchors.count++] = f->signs.items[i];
    for (size_t i = 0; i < anchors.count; i++) {
        bool is_explained = false;
        for (size_t k = 0; k < anchors.count && !is_explained; k++)
            is_explained = explains(l, &anchors, anchors.items[k], anchors.items[i]);
        if (!is_explained)
            c.items[c.count++] = anchors.items[i];
    }
    toc_free(anchors.items);
    return c;
}

static bool comes_before(const struct toc_failure_limits *l, const struct toc_failure_sign *a,
                         const struct toc_failure_sign *b, int64_t earliest_ms) {
    bool is_a_early = a->began_ms <= earliest_ms + l->skew_ms;
    bool is_b_early = b->began_ms <= earliest_ms + l->skew_ms;
    if (is_a_early != is_b_early)
        return is_a_early;
    if (is_a_early && a->rule->strength != b->rule->strength)
        return a->rule->strength > b->rule->strength;
    if (a->began_ms != b->began_ms)
        return a->began_ms < b->began_ms;
    return a->signature < b->signature;
}

static struct toc_failure_sign *best(const struct toc_failure_limits *l,
                                     const struct candidates *c) {
    int64_t earliest = INT64_MAX - l->skew_ms;
    struct toc_failure_sign *found = NULL;
    for (size_t i = 0; i < c->count; i++)
        earliest = TOC_MIN(earliest, c->items[i]->began_ms);
    for (size_t i = 0; i < c->count; i++)
        if (!found || comes_before(l, c->items[i], found, earliest))
            found = c->items[i];
    return found;
}

/* ------------------------------------------------------------------------------------- confidence
 */

/* By strength: how often such a sign is the cause when it is the first. An order for people, which
 * nobody calibrated. */
static const double g_confidence[TOC_FAILURE_STRENGTH_MAX + 1] = {0,   0.2, 0.3, 0.4,  0.5,
                                                                  0.6, 0.7, 0.8, 0.85, 0.9};

static bool tells_of_a_death(const struct toc_failure_echo *e) {
    return toc_sv_eq_cstr(e->signature->class_name, "abort") ||
           toc_sv_eq_cstr(e->signature->class_name, "data");
}

/* The OOM killer named a process: was its end seen, too? */
static double confirmed_confidence(const struct toc_failure *f, const struct toc_failure_sign *s) {
    for (size_t i = 0; i < f->signs.count; i++)
        if (f->signs.items[i] != s && s->pid >= 0 && f->signs.items[i]->pid == s->pid &&
            toc_sv_eq(f->signs.items[i]->host, s->host))
            return 0.95;
    for (size_t i = 0; i < f->echoes.count; i++)
        if (tells_of_a_death(&f->echoes.items[i]))
            return 0.9;
    return 0.8;
}

static double confidence_of(const struct toc_failure *f, const struct toc_failure_sign *s,
                            size_t rivals) {
    double c = g_confidence[s->rule->strength];
    if (s->signature->role == TOC_SIGNATURE_CONFIRM)
        c = confirmed_confidence(f, s);
    return c / (1 + 0.5 * (double)TOC_MIN(rivals, (size_t)3));
}

/* Signs of other signatures nobody explains compete with the root; the same signature at other
 * places does not. */
static void rank_others(const struct toc_failure_limits *l, struct toc_failure *f,
                        struct candidates *c) {
    size_t rivals = 0;
    f->other_count = 0;
    for (size_t i = 0; i < c->count; i++)
        rivals += c->items[i]->signature != f->root->signature;
    f->confidence = confidence_of(f, f->root, rivals);
    while (f->other_count < TOC_FAILURE_CAUSES_MAX) {
        size_t kept = 0;
        const struct toc_failure_sign *last =
            f->other_count ? f->others[f->other_count - 1] : f->root;
        for (size_t i = 0; i < c->count; i++)
            if (c->items[i]->signature != last->signature)
                c->items[kept++] = c->items[i];
        c->count = kept;
        const struct toc_failure_sign *next = best(l, c);
        if (!next)
            return;
        f->others[f->other_count] = next;
        f->other_confidence[f->other_count++] =
            TOC_MIN(confidence_of(f, next, rivals), f->confidence);
    }
}

/* --------------------------------------------------------------------------------------- suspects
 */

static void suspect(struct toc_failure *f, int64_t rank, struct toc_sv host) {
    f->suspect_total++;
    if (f->suspect_count == TOC_FAILURE_SUSPECTS_MAX)
        return;
    f->suspects[f->suspect_count] = rank;
    f->suspect_hosts[f->suspect_count++] = toc_arena_dup_sv(&f->arena, host);
}

/* Members that said nothing while the others complain of a collective. */
static void suspect_silent(struct toc_failure *f, const struct toc_failure_job *j) {
    if (!j || f->stuck.count < 2)
        return;
    size_t silent = 0;
    for (size_t i = 0; i < j->members.count; i++)
        silent += !toc_rank_set_has(&f->stuck, j->members.items[i].rank);
    if (!silent || silent >= f->stuck.count)
        return;
    f->are_suspects_silent = true;
    for (size_t i = 0; i < j->members.count; i++)
        if (!toc_rank_set_has(&f->stuck, j->members.items[i].rank))
            suspect(f, j->members.items[i].rank, j->members.items[i].host);
}

/* Ranks that wait in an earlier collective than the others. */
static void suspect_behind(struct toc_failure *f) {
    int64_t low = INT64_MAX, high = -1;
    size_t at_low = 0, all = 0;
    for (size_t i = 0; i < f->signs.count; i++) {
        int64_t n = f->signs.items[i]->sequence;
        if (n < 0)
            continue;
        all++;
        at_low = n < low ? 1 : at_low + (n == low);
        low = TOC_MIN(low, n), high = TOC_MAX(high, n);
    }
    if (low == high || 2 * at_low >= all)
        return;
    for (size_t i = 0; i < f->signs.count; i++)
        if (f->signs.items[i]->sequence == low)
            suspect(f, f->signs.items[i]->rank, f->signs.items[i]->host);
}

static void find_suspects(struct toc_failures *all, struct toc_failure *f) {
    f->suspect_count = f->suspect_total = 0;
    f->are_suspects_silent = false;
    f->member_count = 0;
    struct toc_failure_job *j = f->jobs.count ? toc_failures_job(all, f->jobs.items[0]) : NULL;
    if (j)
        f->member_count = j->members.count;
    if (f->root->signature->role != TOC_SIGNATURE_EITHER)
        return;
    suspect_silent(f, j);
    if (!f->suspect_total)
        suspect_behind(f);
    if (f->suspect_total == 1)
        f->confidence = TOC_MAX(f->confidence, 0.6);
}

/* -------------------------------------------------------------------------------------- judgement
 */

static const struct toc_failure_sign *confirmation(const struct toc_failure *f) {
    for (size_t i = 0; i < f->signs.count; i++) {
        const struct toc_failure_sign *s = f->signs.items[i];
        if (s != f->root && s->signature->role == TOC_SIGNATURE_CONFIRM &&
            toc_sv_eq(s->host, f->root->host) && (s->pid < 0 || s->pid == f->root->pid))
            return s;
    }
    return NULL;
}

void toc_failure_judge(struct toc_failures *all, struct toc_failure *f) {
    const struct toc_failure_limits *l = &all->o.limits;
    struct candidates c = unexplained(l, f);
    struct toc_failure_sign *root = best(l, &c);
    if (root) {
        enum toc_severity before = f->severity;
        f->is_news |= root != f->root;
        f->root = root;
        f->kind = root->rule->kind;
        f->severity = root->severity;
        rank_others(l, f, &c);
        for (size_t i = 0; i < f->signs.count; i++)
            if (toc_failure_is_anchor(f, f->signs.items[i]))
                f->severity = TOC_MAX(f->severity, f->signs.items[i]->severity);
        f->is_news |= f->severity != before;
        f->confirmed_by = confirmation(f);
        find_suspects(all, f);
    }
    toc_free(c.items);
}
