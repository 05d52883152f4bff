#include "rules/metric_alias.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum { NAME_MAX_BYTES = 200 };

/* Does a row name one metric twice, in one unit? */
static bool is_same_metric(const struct toc_alias *a) {
    return (a->kind == TOC_ALIAS_RENAME || a->kind == TOC_ALIAS_SERIES) && a->scale == 1;
}

/* Read both ways. */
static int from_table(const struct toc_alias_table *t, struct toc_sv name, toc_on_alias *fn,
                      void *ctx) {
    int rc = 0;
    for (size_t i = 0; i < toc_alias_table_count(t) && !rc; i++) {
        const struct toc_alias *a = toc_alias_table_at(t, i);
        if (is_same_metric(a) && toc_sv_eq(name, a->name))
            rc = fn(ctx, a->canonical);
        else if (is_same_metric(a) && toc_sv_eq(name, a->canonical))
            rc = fn(ctx, a->name);
    }
    return rc;
}

/* A name put together from a prefix, a part and a suffix, once with its colons as underscores. */
static int offer(const char *prefix, struct toc_sv part, const char *suffix, bool without_colons,
                 toc_on_alias *fn, void *ctx) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b, "%s%.*s%s", prefix, TOC_SV_ARG(part), suffix);
    for (size_t i = 0; without_colons && i < b.n; i++)
        if (b.p[i] == ':')
            b.p[i] = '_';
    int rc = fn(ctx, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return rc;
}

/* Counters with and without _total; engines whose colon was lost in a translation. */
static int from_spelling(struct toc_sv name, toc_on_alias *fn, void *ctx) {
    static const char *const engines[] = {"vllm", "sglang", "llamacpp", "lmdeploy"};
    struct toc_sv total = TOC_SV("_total");
    bool has_total = toc_sv_ends_with(name, total);
    int rc = has_total ? offer("", toc_sv_sub(name, 0, name.n - total.n), "", false, fn, ctx)
                       : offer("", name, "_total", false, fn, ctx);
    if (!rc && toc_sv_find_char(name, ':') != SIZE_MAX)
        rc = offer("", name, "", true, fn, ctx);
    if (!rc && toc_sv_find_char(name, ':') != SIZE_MAX)
        rc = offer("ray_", name, "", true, fn, ctx);
    struct toc_sv bare =
        toc_sv_starts_with(name, TOC_SV("ray_")) ? toc_sv_sub(name, 4, name.n) : name;
    for (size_t i = 0; i < TOC_ARRAY_LEN(engines) && !rc; i++) {
        size_t n = strlen(engines[i]);
        if (bare.n > n && toc_sv_starts_with(bare, toc_sv_cstr(engines[i])) && bare.p[n] == '_') {
            struct toc_buf b = TOC_BUF_INIT;
            toc_buf_printf(&b, "%s:", engines[i]);
            rc = offer(toc_buf_cstr(&b), toc_sv_sub(bare, n + 1, bare.n), "", false, fn, ctx);
            toc_buf_fini(&b);
        }
    }
    return rc;
}

int toc_metric_aliases(const struct toc_alias_table *t, struct toc_sv name, toc_on_alias *fn,
                       void *ctx) {
    int rc = from_table(t, name, fn, ctx);
    return rc ? rc : from_spelling(name, fn, ctx);
}

size_t toc_metric_name_tolerance(struct toc_sv name) {
    return name.n < 8 ? 1 : TOC_MIN(name.n / 5, (size_t)6);
}

/* Optimal string alignment, three rows. */
size_t toc_metric_name_distance(struct toc_sv a, struct toc_sv b, size_t limit) {
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t gap = a.n > b.n ? a.n - b.n : b.n - a.n;
    if (a.n > NAME_MAX_BYTES || b.n > NAME_MAX_BYTES || gap > limit)
        return SIZE_MAX;
    for (size_t k = 0; k <= b.n; k++)
        last[k] = before[k] = k;
    for (size_t i = 1; i <= a.n; i++) {
        now[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            size_t cost = a.p[i - 1] != b.p[k - 1];
            now[k] = TOC_MIN(TOC_MIN(last[k], now[k - 1]) + 1, last[k - 1] + cost);
            if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1])
                now[k] = TOC_MIN(now[k], before[k - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b.n] <= limit ? last[b.n] : SIZE_MAX;
}
