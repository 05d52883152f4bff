/*
 * Who holds a stalled run up. In a synchronous job everybody waits for the slowest in a
 * collective, so the one to look for is whoever did not get there: whose process ended, who waits
 * for input, who is still in a phase that the others left, who is a step behind, who entered fewer
 * collectives since its last step, who fell silent while the others go on talking. The first sign
 * that sets less than half of the ranks apart decides.
 */
#include <math.h>

#include "base/alloc.h"
#include "diagnose/rank_model.h"

enum {
    LIVE_MS = 10 * 60 * 1000, /* silent for longer before the stall: not part of it */
    TALK_MS = 30 * 1000,      /* who goes on talking was heard within this */
    SLACK_MS = 2500,          /* ticks and batches: last words of a stall come within this */
};

struct scene {
    const struct toc_ranks *rs;
    int64_t since_ms, now_ms;
    size_t active;
    double max_step, max_stride, max_entered;
    size_t talking;
};

static bool is_part(const struct scene *s, const struct toc_rank *k) {
    return k->last_t_ms && k->seen_ms >= s->since_ms - LIVE_MS && !(k->state < 0.5);
}

static bool is_talking(const struct scene *s, const struct toc_rank *k) {
    return k->seen_ms > s->since_ms + SLACK_MS && s->now_ms - k->seen_ms < TALK_MS;
}

/* Collectives entered since its last step; NaN when it did not say. */
static double entered(const struct toc_rank *k) {
    return k->collectives - k->collectives_at;
}

static bool is_gone(const struct scene *s, const struct toc_rank *k) {
    (void)s;
    return k->gone_ms != 0 || k->state > 2.5;
}

static bool waits_for_input(const struct scene *s, const struct toc_rank *k) {
    double silent_s = (double)(s->now_ms - s->since_ms) / 1000;
    return k->data_told_ms > s->since_ms + SLACK_MS && k->data_seconds > 0.5 * silent_s;
}

static bool is_in_phase(const struct scene *s, const struct toc_rank *k) {
    (void)s;
    return k->phase != TOC_PHASE_NONE;
}

/* A rank that reports every so many steps is behind only when it is so by more than that, or
 * when it said so again during the stall. */
static bool is_behind(const struct scene *s, const struct toc_rank *k) {
    double gap = s->max_step - k->step;
    bool is_told = k->step_told_ms > s->since_ms + SLACK_MS;
    return gap >= 0.5 && (is_told || s->max_stride < 1.5 || gap > 2 * s->max_stride);
}

static bool entered_fewer(const struct scene *s, const struct toc_rank *k) {
    return k->step == s->max_step && s->max_entered - entered(k) > 0.5;
}

static bool is_silent(const struct scene *s, const struct toc_rank *k) {
    return s->talking > 0 && !is_talking(s, k);
}

/* X(sign, confidence, why, metric that shows it) */
#define SIGNS(X)                                                                           \
    X(is_gone, 0.95, "its process ended", "train_run_state")                               \
    X(waits_for_input, 0.9, "it waits for input", "train_data_seconds")                    \
    X(is_in_phase, 0.85, "it is still in a phase that the others left", "train_run_phase") \
    X(is_behind, 0.9, "it is a step behind the others", "train_step")                      \
    X(entered_fewer, 0.9, "the others wait in a collective that it did not enter",         \
      "train_collectives_total")                                                           \
    X(is_silent, 0.8, "its reports stopped while those of the others go on",               \
      "timestamp(train_step)")

struct sign {
    bool (*holds)(const struct scene *s, const struct toc_rank *k);
    double confidence;
    const char *why, *expr;
};

static const struct sign signs[] = {
#define X(holds, confidence, why, expr) {holds, confidence, why, expr},
    SIGNS(X)
#undef X
};

static struct scene look(const struct toc_ranks *rs, int64_t since_ms, int64_t now_ms) {
    struct scene s = {.rs = rs,
                      .since_ms = since_ms,
                      .now_ms = now_ms,
                      .max_step = -INFINITY,
                      .max_entered = -INFINITY};
    for (size_t i = 0; i < rs->items.count; i++) {
        const struct toc_rank *k = &rs->items.items[i];
        if (!is_part(&s, k))
            continue;
        s.active++;
        s.talking += is_talking(&s, k);
        s.max_stride = TOC_MAX(s.max_stride, k->stride);
        if (k->step > s.max_step)
            s.max_step = k->step;
    }
    for (size_t i = 0; i < rs->items.count; i++) {
        const struct toc_rank *k = &rs->items.items[i];
        if (is_part(&s, k) && k->step == s.max_step && entered(k) > s.max_entered)
            s.max_entered = entered(k);
    }
    return s;
}

/* All whom the sign sets apart; none when they are no minority. */
static struct toc_culprit find(const struct scene *s, const struct sign *sign) {
    struct toc_culprit c = {.rank = -1, .of = s->active, .why = sign->why, .expr = sign->expr};
    bool is_one_host = true;
    for (size_t i = 0; i < s->rs->items.count; i++) {
        const struct toc_rank *k = &s->rs->items.items[i];
        if (!is_part(s, k) || !sign->holds(s, k))
            continue;
        struct toc_sv host = toc_sv_cstr(k->host);
        if (!c.count++) {
            c.rank = k->rank;
            c.host = host;
        }
        is_one_host &= toc_sv_eq(host, c.host);
        c.rank = TOC_MIN(c.rank, k->rank);
    }
    if (!is_one_host)
        c.host = TOC_SV_NULL;
    /* Several that share no host are less of an answer than one. */
    c.confidence = sign->confidence / (c.count > 1 && !c.host.n ? 2 : 1);
    return c;
}

struct toc_culprit toc_ranks_culprit(const struct toc_ranks *rs, int64_t since_ms, int64_t now_ms) {
    struct scene s = look(rs, since_ms, now_ms);
    for (size_t i = 0; s.active > 1 && i < TOC_ARRAY_LEN(signs); i++) {
        struct toc_culprit c = find(&s, &signs[i]);
        if (c.count && c.count * 2 <= s.active)
            return c;
    }
    return (struct toc_culprit){.rank = -1, .of = s.active};
}
