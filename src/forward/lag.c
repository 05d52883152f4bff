#include "forward/lag.h"

#include <stdbool.h>

#include "base/alloc.h"

static bool is_before(const struct toc_log_position *a, const struct toc_log_position *b) {
    return a->segment != b->segment ? a->segment < b->segment : a->offset < b->offset;
}

static void thin_out(struct toc_forward_lag *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->count; i += 2)
        l->points[n++] = l->points[i];
    l->count = n;
}

void toc_forward_lag_note(struct toc_forward_lag *l, const struct toc_log_position *end,
                          int64_t now_ms) {
    if (l->count && !is_before(&l->points[l->count - 1].end, end))
        return;
    if (l->count == TOC_FORWARD_LAG_POINTS)
        thin_out(l);
    l->points[l->count++] = (struct toc_forward_lag_point){*end, now_ms};
}

int64_t toc_forward_lag_ms(const struct toc_forward_lag *l,
                           const struct toc_log_position *delivered, int64_t older_ms,
                           int64_t now_ms) {
    size_t i = 0;
    while (i < l->count && !is_before(delivered, &l->points[i].end))
        i++;
    if (i == l->count)
        return 0;
    int64_t since = l->points[i].seen_ms;
    if (i == 0 && older_ms > 0)
        since = TOC_MIN(since, older_ms);
    return TOC_MAX(now_ms - since, INT64_C(0));
}
