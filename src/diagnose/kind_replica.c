/* replica_divergence: ranks that should hold equal parameters report different checksums of the
 * same step. Joined by step, never by time: the clocks of ranks differ. */
#include "diagnose/doctor_priv.h"
#include "model/sample.h"

#include <stdlib.h>

enum { ENTRIES_MAX = 65536, WINDOW_MS = 10 * 60 * 1000, EVERY_MS = 5000 };

struct entry {
    int64_t rank, t_ms;
    size_t layer; /* 1 + place in the model; 0 = the whole run */
    double step, checksum;
};

struct gathering {
    struct toc_run_model *m;
    bool is_steps;
    struct {
        TOC_VEC_FIELDS(struct entry)
    } entries;
};

static int64_t rank_of(const struct toc_series_view *s) {
    struct toc_sv text = toc_labels_get(s->labels, TOC_SV("rank"));
    int64_t rank = 0;
    for (size_t i = 0; i < text.n && i < 9 && text.p[i] >= '0' && text.p[i] <= '9'; i++)
        rank = rank * 10 + (text.p[i] - '0');
    return rank;
}

/* The step that this rank told in the same line. */
static void join_steps(struct gathering *g, const struct toc_series_view *s) {
    int64_t rank = rank_of(s);
    for (size_t i = 0; i < g->entries.count; i++) {
        struct entry *e = &g->entries.items[i];
        size_t low = 0, high = s->count;
        while (e->rank == rank && low < high) {
            size_t mid = (low + high) / 2;
            if (s->t_ms[mid] < e->t_ms)
                low = mid + 1;
            else
                high = mid;
        }
        if (e->rank == rank && low < s->count && s->t_ms[low] == e->t_ms)
            e->step = s->values[low];
    }
}

static int on_series(void *ctx, const struct toc_series_view *s) {
    struct gathering *g = ctx;
    if (g->is_steps) {
        join_steps(g, s);
        return 0;
    }
    struct toc_sv layer = toc_labels_get(s->labels, TOC_SV("layer"));
    struct toc_layer_model *l = layer.n ? toc_run_model_layer(g->m, layer) : NULL;
    if (layer.n && !l)
        return 0;
    for (size_t i = 0; i < s->count && g->entries.count < ENTRIES_MAX; i++) {
        struct entry e = {.rank = rank_of(s),
                          .t_ms = s->t_ms[i],
                          .layer = l ? (size_t)(l - g->m->layers.items) + 1 : 0,
                          .step = NAN,
                          .checksum = s->values[i]};
        if (isfinite(e.checksum)) /* what is not finite is another story */
            TOC_VEC_PUSH(&g->entries, e);
    }
    return 0;
}

static int by_step(const void *pa, const void *pb) {
    const struct entry *a = pa, *b = pb;
    if (a->step != b->step)
        return a->step < b->step ? -1 : 1;
    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return (a->t_ms > b->t_ms) - (a->t_ms < b->t_ms);
}

/* The first step of the newest unbroken row of differences, and the ranks of it. */
static void compare(struct toc_replica_model *r, const struct entry *e, size_t n) {
    struct toc_replica_model found = {.compared = r->compared};
    for (size_t from = 0, to; from < n; from = to) {
        double step = e[from].step;
        bool is_different = false, is_compared = false;
        for (to = from; to < n && e[to].step == step; to++) {
            bool is_pair =
                to > from && e[to].layer == e[to - 1].layer && e[to].rank != e[to - 1].rank;
            is_compared |= is_pair;
            if (!is_pair || e[to].checksum == e[to - 1].checksum || is_different)
                continue;
            is_different = true;
            if (found.is_different)
                continue;
            found = (struct toc_replica_model){.is_different = true,
                                               .step = step,
                                               .t_ms = e[to].t_ms,
                                               .layer = e[to].layer,
                                               .ranks = {e[to - 1].rank, e[to].rank},
                                               .checksums = {e[to - 1].checksum, e[to].checksum}};
        }
        found.compared |= is_compared;
        if (is_compared && !is_different)
            found.is_different = false;
    }
    found.has_series = true;
    found.looked_ms = r->looked_ms;
    *r = found;
}

int toc_replica_read(struct toc_doctor *d, struct toc_run_model *m, struct toc_err *err) {
    struct toc_replica_model *r = &m->learn.replicas;
    if (r->looked_ms && d->now_ms - r->looked_ms < EVERY_MS)
        return 0;
    r->looked_ms = d->now_ms;
    struct gathering g = {.m = m};
    struct toc_matcher matchers[] = {d->checksum_metrics,
                                     {.op = TOC_MATCH_EQ, .name = TOC_SV("run"), .value = m->name}};
    struct toc_select select = {.matchers = matchers,
                                .matcher_count = 2,
                                .min_ms = d->now_ms - WINDOW_MS,
                                .max_ms = d->now_ms + WINDOW_MS};
    int rc = d->o.querier->select(d->o.querier, &select, on_series, &g, err);
    matchers[0] = (struct toc_matcher){
        .op = TOC_MATCH_EQ, .name = TOC_METRIC_NAME, .value = TOC_SV("train_step")};
    g.is_steps = true;
    if (!rc && g.entries.count)
        rc = d->o.querier->select(d->o.querier, &select, on_series, &g, err);
    size_t known = 0;
    for (size_t i = 0; i < g.entries.count; i++) {
        const struct entry *e = &g.entries.items[i];
        if (isfinite(e->step) && e->t_ms >= m->learn.rewound_ms) /* steps told twice differ */
            g.entries.items[known++] = *e;
    }
    if (!rc && known) {
        qsort(g.entries.items, known, sizeof *g.entries.items, by_step);
        compare(r, g.entries.items, known);
    }
    TOC_VEC_FINI(&g.entries);
    return rc;
}

enum toc_verdict toc_judge_replicas(struct toc_doctor *d, struct toc_run_model *m,
                                    struct toc_case *c) {
    const struct toc_replica_model *r = &m->learn.replicas;
    (void)d;
    if (!r->compared)
        return VERDICT_UNKNOWN;
    if (!r->is_different || toc_run_is_over(m))
        return VERDICT_CALM;
    struct toc_sv layer = r->layer ? m->layers.items[r->layer - 1].name : TOC_SV_NULL;
    double step = toc_case_is_known(c) ? toc_case_known_step(c) : r->step;
    toc_case_begin(c, TOC_KIND_REPLICA_DIVERGENCE,
                   toc_case_is_known(c) ? c->started_ms : TOC_MIN(r->t_ms, d->now_ms));
    toc_case_step(c, step);
    if (r->layer)
        toc_case_layer(c, layer);
    toc_case_title(c, "%.*s: ranks %lld and %lld have different parameters since step %.0f%s%.*s",
                   TOC_SV_ARG(m->name), (long long)r->ranks[0], (long long)r->ranks[1], step,
                   r->layer ? ", layer " : "", TOC_SV_ARG(layer));
    toc_case_summary(c,
                     "At step %.0f rank %lld reports the checksum %.17g and rank %lld %.17g. "
                     "Replicas must be equal after each step; from here on they train different "
                     "models.",
                     r->step, (long long)r->ranks[0], r->checksums[0], (long long)r->ranks[1],
                     r->checksums[1]);
    toc_case_action(c, "Stop the run and go back to a checkpoint before this step. Check that "
                       "every parameter's gradient is reduced, and test the memory and the GPU of "
                       "the rank that differs from the others.");
    toc_case_evidence(
        c, "Different checksums among ranks", "", (struct toc_evidence_numbers){2, 1, 1, 1},
        "count(count_values(\"v\", %s{run=\"%.*s\"}))",
        r->layer ? "train_layer_param_checksum" : "train_param_checksum", TOC_SV_ARG(m->name));
    toc_case_cause(c, 0.4, "", "A parameter's gradient is not reduced across ranks");
    toc_case_cause(c, 0.3, "", "Silent data corruption on one of the ranks");
    toc_case_cause(c, 0.2, "", "Ranks drew different random numbers (dropout, initialisation)");
    return VERDICT_ILL;
}
