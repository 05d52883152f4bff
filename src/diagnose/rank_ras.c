/*
 * What NCCL's RAS service knows about a stalled run. A communicator whose counts stand still and
 * differ waits for the ranks with the lowest count; ranks that the service misses did not answer.
 * Processes are matched by host and pid.
 */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/num.h"
#include "diagnose/doctor_priv.h"

enum { LOOK_BACK_MS = 90 * 1000, ROWS_MAX = 65536 };

struct row {
    uint64_t communicator;
    const struct toc_rank *rank;
    double first, last;
    size_t polls;
    bool is_missing;
};

struct rows {
    TOC_VEC_FIELDS(struct row)
    const struct toc_ranks *ranks;
};

static const struct toc_rank *find_process(const struct toc_ranks *rs, struct toc_labels labels) {
    struct toc_sv host = toc_labels_get(labels, TOC_SV("host"));
    int64_t pid = 0;
    if (toc_parse_i64(toc_labels_get(labels, TOC_SV("pid")), &pid) != 0)
        return NULL;
    for (size_t i = 0; i < rs->items.count; i++)
        if (rs->items.items[i].pid == pid && toc_sv_eq_cstr(host, rs->items.items[i].host))
            return &rs->items.items[i];
    return NULL;
}

static int on_series(void *ctx, const struct toc_series_view *s) {
    struct rows *rows = ctx;
    struct toc_sv communicator = toc_labels_get(s->labels, TOC_SV("communicator"));
    const struct toc_rank *k = find_process(rows->ranks, s->labels);
    bool is_missing =
        toc_sv_eq_cstr(toc_labels_get(s->labels, TOC_METRIC_NAME), "nccl_ras_rank_missing");
    if (!k || !s->count || rows->count >= ROWS_MAX)
        return 0;
    TOC_VEC_PUSH(
        rows,
        ((struct row){.communicator = toc_hash64(communicator.p, communicator.n, 0),
                      .rank = k,
                      .first =
                          s->values[s->count > 1 ? s->count - 2 : 0], /* the poll before the last */
                      .last = s->values[s->count - 1],
                      .polls = s->count,
                      .is_missing = is_missing}));
    return 0;
}

static int by_communicator(const void *a, const void *b) {
    uint64_t x = ((const struct row *)a)->communicator, y = ((const struct row *)b)->communicator;
    return (x > y) - (x < y);
}

static void accuse(struct toc_culprit *c, const struct row *r) {
    struct toc_sv host = toc_sv_cstr(r->rank->host);
    bool is_same_host = !c->count || toc_sv_eq(host, c->host);
    c->rank = c->count ? TOC_MIN(c->rank, r->rank->rank) : r->rank->rank;
    c->host = is_same_host ? host : TOC_SV_NULL;
    c->count++;
}

/* Of one communicator: whom the service misses, else who is behind while all stand still. */
static struct toc_culprit judge(const struct row *rows, size_t n) {
    struct toc_culprit missing = {.rank = -1, .of = n}, behind = {.rank = -1, .of = n};
    double low = INFINITY, high = -INFINITY;
    bool is_moving = false;
    for (size_t i = 0; i < n; i++) {
        if (rows[i].is_missing) {
            accuse(&missing, &rows[i]);
            continue;
        }
        is_moving |= rows[i].polls < 2 || rows[i].first != rows[i].last;
        low = TOC_MIN(low, rows[i].last);
        high = TOC_MAX(high, rows[i].last);
    }
    for (size_t i = 0; i < n && low < high && !is_moving; i++)
        if (!rows[i].is_missing && rows[i].last == low)
            accuse(&behind, &rows[i]);
    missing.confidence = behind.confidence = 0.95;
    missing.why = "NCCL RAS gets no answer from it";
    missing.expr = "nccl_ras_rank_missing";
    behind.why = "NCCL RAS: it launched fewer collectives than the others, and none moves";
    behind.expr = "nccl_ras_collectives_total";
    return missing.count ? missing : behind;
}

struct toc_culprit toc_ras_culprit(struct toc_doctor *d, const struct toc_run_model *m) {
    struct toc_culprit found = {.rank = -1};
    struct rows rows = {.ranks = &m->ranks};
    struct toc_select select = {.matchers = &d->ras_metrics,
                                .matcher_count = 1,
                                .min_ms = d->now_ms - LOOK_BACK_MS,
                                .max_ms = d->now_ms};
    if (d->o.querier->select(d->o.querier, &select, on_series, &rows, NULL) != 0)
        rows.count = 0; /* the other signs stand without it */
    if (rows.count)
        qsort(rows.items, rows.count, sizeof *rows.items, by_communicator);
    for (size_t i = 0, n; i < rows.count && found.rank < 0; i += n) {
        for (n = 1;
             i + n < rows.count && rows.items[i + n].communicator == rows.items[i].communicator;)
            n++;
        struct toc_culprit c = judge(&rows.items[i], n);
        if (c.count && c.count * 2 <= n)
            found = c;
    }
    TOC_VEC_FINI(&rows);
    return found;
}
