#include "forward/lag.h"

#include <string.h>

#include "base/alloc.h"

static bool is_before(const struct toc_log_position *a, const struct toc_log_position *b) {
    return a->segment != b->segment ? a->segment < b->segment : a->offset < b->offset;
}

static void thin_out(struct toc_forward_lag *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->count; i += 2)
        l->points[n++] = l->points[i];
    l->count = n;
    int64_t span = l->points[n - 1].seen_ms - l->points[0].seen_ms;
    l->step_ms = span / (TOC_FORWARD_LAG_POINTS / 2);
}

void toc_forward_lag_note(struct toc_forward_lag *l, const struct toc_log_position *end,
                          int64_t now_ms) {
    const struct toc_forward_lag_point *last = l->count ? &l->points[l->count - 1] : NULL;
    if (last && (!is_before(&last->end, end) || now_ms - last->seen_ms < l->step_ms))
        return;
    if (l->count == TOC_FORWARD_LAG_POINTS)
        thin_out(l);
    l->points[l->count++] = (struct toc_forward_lag_point){*end, now_ms};
}

int64_t toc_forward_lag_ms(struct toc_forward_lag *l, const struct toc_log_position *delivered,
                           int64_t older_ms, int64_t now_ms) {
    size_t done = 0;
    while (done < l->count && !is_before(delivered, &l->points[done].end))
        done++;
    l->count -= done;
    memmove(l->points, l->points + done, l->count * sizeof *l->points);
    l->has_seen_delivery = l->has_seen_delivery || done;
    if (l->count < TOC_FORWARD_LAG_POINTS / 8)
        l->step_ms = 0;
    if (!l->count)
        return 0;
    int64_t since = l->points[0].seen_ms;
    if (!l->has_seen_delivery && older_ms > 0)
        since = TOC_MIN(since, older_ms);
    return TOC_MAX(now_ms - since, INT64_C(0));
}
