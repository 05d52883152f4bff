/* What is there instead: does a selector match, is a job up, which metric may be meant. */
#include <stdlib.h>

#include "base/alloc.h"
#include "rules/metric_alias.h"
#include "rules/rules_priv.h"

enum { NAMES_MAX = 50000 };

static struct toc_select recent(const struct toc_rules *m, const struct toc_matcher *matchers,
                                size_t count, struct toc_ts at) {
    return (struct toc_select){
        .matchers = matchers,
        .matcher_count = count,
        .min_ms = at.ms - TOC_MAX(m->options.lookback_ms, (int64_t)TOC_HEALTH_CHECK_MS),
        .max_ms = at.ms};
}

static int keep_job(void *ctx, const struct toc_series_view *v) {
    char **job = ctx;
    if (!v->count)
        return 0;
    if (job && !*job)
        *job = toc_sv_dup_cstr(toc_labels_get(v->labels, TOC_SV("job")));
    return TOC_EEND;
}

bool toc_rule_series_exist(struct toc_rules *m, const struct toc_matcher *matchers, size_t count,
                           struct toc_ts at, char **out_job) {
    struct toc_querier *q = m->options.querier;
    struct toc_select select = recent(m, matchers, count, at);
    int rc = q->select(q, &select, keep_job, out_job, NULL);
    /* What cannot be read is no proof that nothing is there. */
    return rc != 0;
}

struct up {
    size_t up, down;
};

static int count_up(void *ctx, const struct toc_series_view *v) {
    struct up *u = ctx;
    if (!v->count || toc_is_stale_nan(v->values[v->count - 1]))
        return 0;
    u->up += v->values[v->count - 1] == 1;
    u->down += v->values[v->count - 1] != 1;
    return 0;
}

static bool has_matchers(struct toc_matcher *m, struct toc_sv name, struct toc_sv job) {
    if (toc_matcher_init(&m[0], TOC_MATCH_EQ, TOC_METRIC_NAME, name, NULL))
        return false;
    if (!toc_matcher_init(&m[1], TOC_MATCH_EQ, TOC_SV("job"), job, NULL))
        return true;
    toc_matcher_fini(&m[0]);
    return false;
}

bool toc_rule_job_is_up(struct toc_rules *m, struct toc_sv job, bool counts_unscraped,
                        struct toc_ts at) {
    struct toc_querier *q = m->options.querier;
    struct toc_matcher matchers[2];
    struct up u = {0};
    if (!job.n || !has_matchers(matchers, TOC_SV("up"), job))
        return false;
    struct toc_select select = recent(m, matchers, 2, at);
    bool is_known = !q->select(q, &select, count_up, &u, NULL) && u.up + u.down;
    bool is_up = is_known ? u.up > 0
                          : counts_unscraped && toc_rule_series_exist(m, &matchers[1], 1, at, NULL);
    toc_matcher_fini(&matchers[0]);
    toc_matcher_fini(&matchers[1]);
    return is_up;
}

/* ------------------------------------------------------------------------------------------ names
 */

struct names {
    TOC_VEC_FIELDS(struct toc_sv)
    struct toc_arena arena;
};

static int keep_name(void *ctx, struct toc_sv name) {
    struct names *n = ctx;
    TOC_VEC_PUSH(n, toc_arena_dup_sv(&n->arena, name));
    return n->count < NAMES_MAX ? 0 : TOC_EEND;
}

/* Names of metrics, of this job when it is known. */
static void list_names(struct toc_rules *m, struct toc_sv job, struct toc_ts at,
                       struct names *out) {
    struct toc_querier *q = m->options.querier;
    struct toc_matcher by_job;
    bool has_job = job.n && !toc_matcher_init(&by_job, TOC_MATCH_EQ, TOC_SV("job"), job, NULL);
    struct toc_select select = recent(m, has_job ? &by_job : NULL, has_job, at);
    /* Without names there is no suggestion. */
    (void)q->label_values(q, TOC_METRIC_NAME, &select, keep_name, out, NULL);
    if (has_job)
        toc_matcher_fini(&by_job);
}

struct search {
    const struct names *names;
    struct toc_sv found;
};

static int find_alias(void *ctx, struct toc_sv alias) {
    struct search *s = ctx;
    for (size_t i = 0; i < s->names->count; i++)
        if (toc_sv_eq(s->names->items[i], alias)) {
            s->found = s->names->items[i];
            return TOC_EEND;
        }
    return 0;
}

static struct toc_sv find_near(const struct names *names, struct toc_sv name) {
    size_t best = toc_metric_name_tolerance(name) + 1;
    struct toc_sv found = TOC_SV_NULL;
    for (size_t i = 0; i < names->count; i++) {
        size_t d = toc_metric_name_distance(name, names->items[i], best - 1);
        if (!d || d >= best)
            continue;
        best = d;
        found = names->items[i];
        if (best == 1)
            break;
    }
    return found;
}

char *toc_rule_suggest(struct toc_rules *m, struct toc_sv name, struct toc_sv job,
                       struct toc_ts at) {
    struct names names = {0};
    struct search s = {.names = &names};
    list_names(m, job, at, &names);
    (void)toc_metric_aliases(m->aliases, name, find_alias, &s);
    if (!s.found.n)
        s.found = find_near(&names, name);
    char *out = s.found.n ? toc_sv_dup_cstr(s.found) : NULL;
    TOC_VEC_FINI(&names);
    toc_arena_fini(&names.arena);
    return out;
}
