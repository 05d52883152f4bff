/* What follows a query: recorded series, the write of a pass. */
#include <stdlib.h>

#include "base/alloc.h"
#include "rules/rules_priv.h"

enum { WRITE_BATCH = 16384 };

/* One write for all rules of a pass: they share the wait for the log. */
void toc_rule_pass_write(struct rule_pass *p) {
    struct toc_rules_stats *stats = &p->m->stats;
    struct toc_sink *sink = p->m->options.sink;
    for (size_t at = 0; at < p->points.count; at += WRITE_BATCH) {
        struct toc_write_result result = {0};
        size_t n = TOC_MIN(p->points.count - at, (size_t)WRITE_BATCH);
        if (!sink || sink->write(sink, p->points.items + at, n, &result, NULL))
            stats->samples_rejected += n;
        stats->samples_written += result.accepted;
        for (int r = 0; r < TOC_REJECT_REASON_COUNT; r++)
            stats->samples_rejected += result.rejected[r];
    }
    p->g->last_samples += p->points.count;
    p->points.count = 0;
}

/* Labels of a recorded series; the view lives in the arena. */
static struct toc_labels record_labels(const struct rule_pass *p, const struct rule_state *s,
                                       struct toc_labels from, struct toc_labels_builder *b,
                                       struct toc_arena *arena) {
    const struct toc_rule_group *g = p->g->group;
    toc_labels_builder_reset(b);
    toc_labels_builder_add_all(b, from);
    toc_labels_builder_set(b, TOC_METRIC_NAME, s->rule->name);
    for (size_t i = 0; i < g->label_count; i++)
        toc_labels_builder_set(b, g->labels[i].name, g->labels[i].text);
    for (size_t i = 0; i < s->rule->label_count; i++)
        toc_labels_builder_set(b, s->rule->labels[i].name, s->rule->labels[i].text);
    return toc_labels_dup_arena(toc_labels_builder_finish(b), arena);
}

static int compare_points(const void *a, const void *b) {
    return toc_labels_cmp(((const struct toc_point *)a)->labels,
                          ((const struct toc_point *)b)->labels);
}

static int check_distinct(struct toc_point *points, size_t count, struct toc_err *err) {
    if (count > 1)
        qsort(points, count, sizeof *points, compare_points);
    for (size_t i = 1; i < count; i++)
        if (toc_labels_eq(points[i - 1].labels, points[i].labels))
            return toc_errf(err, TOC_EDUPLICATE,
                            "vector contains metrics with the same labelset "
                            "after applying rule labels");
    return 0;
}

static int check_limit(const struct rule_pass *p, size_t count, struct toc_err *err) {
    int64_t limit = p->g->group->limit;
    if (limit <= 0 || count <= (uint64_t)limit)
        return 0;
    return toc_errf(err, TOC_ELIMIT, "exceeded limit of %lld with %zu series", (long long)limit,
                    count);
}

int toc_record_rule_apply(struct rule_pass *p, struct rule_state *s, const struct elements *found,
                          struct toc_err *err) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_point *points = TOC_NEW_ARRAY(struct toc_point, found->count + 1);
    for (size_t i = 0; i < found->count; i++) {
        const struct toc_rule_sample *e = &found->items[i];
        points[i] =
            toc_float_point(record_labels(p, s, e->labels, &b, &p->arena), p->at.ms, e->value);
        points[i].histogram = e->histogram;
    }
    int rc = p->arena.overflowed ? TOC_ENOMEM : check_distinct(points, found->count, err);
    if (!rc)
        rc = check_limit(p, found->count, err);
    if (!rc) {
        /* After failures for as long as the look-back they are over without a marker. */
        if (p->at.ms - s->series_ms > p->m->options.lookback_ms)
            toc_rule_series_forget(s);
        toc_rule_series_replace(p, s, points, found->count);
        s->series_ms = p->at.ms;
    }
    s->last_result_count = found->count;
    toc_labels_builder_fini(&b);
    toc_free(points);
    return rc;
}
