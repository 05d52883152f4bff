/*
 * Start timestamps of scraped points. Protobuf tells them with each value; OpenMetrics in lines of
 * their own, `NAME_created{…} SECONDS`, for the series of the family NAME with the same labels.
 * These lines stay series as they are. What is written is decided in metricdb/start_sample.h.
 */
#include <math.h>

#include "base/alloc.h"
#include "collect/scrape_cache_priv.h"

void toc_scrape_note_start(struct scrape_cache *c, int64_t start_ms) {
    struct scrape_start x = {(uint32_t)c->points.count - 1, start_ms};
    TOC_VEC_PUSH(&c->starts, x);
}

/* --- OpenMetrics --- */

/* The family of a name with the suffix; empty when it has none. */
static struct toc_sv without(struct toc_sv name, struct toc_sv suffix) {
    bool has = name.n > suffix.n && toc_sv_ends_with(name, suffix);
    return has ? toc_sv_sub(name, 0, name.n - suffix.n) : TOC_SV("");
}

/* The family that a series counts for, by its name and the family's type; empty: none. */
static struct toc_sv counted_family(const struct scrape_cache *c, struct toc_sv name) {
    static const struct {
        const char *suffix;
        bool of_counter, of_histogram, of_summary;
    } parts[] = {{"_total", true, false, false},
                 {"_bucket", false, true, false},
                 {"_count", false, true, true},
                 {"_sum", false, true, true}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(parts); i++) {
        struct toc_sv family = without(name, toc_sv_cstr(parts[i].suffix));
        if (!family.n)
            continue;
        enum toc_metric_type type = toc_scrape_cache_type(c, family);
        if ((type == TOC_METRIC_COUNTER && parts[i].of_counter) ||
            (type == TOC_METRIC_HISTOGRAM && parts[i].of_histogram) ||
            (type == TOC_METRIC_SUMMARY && parts[i].of_summary))
            return family;
    }
    return TOC_SV("");
}

/* The family of a `_created` line; empty when it is none. */
static struct toc_sv created_family(const struct scrape_cache *c, struct toc_sv name) {
    struct toc_sv family = without(name, TOC_SV("_created"));
    enum toc_metric_type type = family.n ? toc_scrape_cache_type(c, family) : TOC_METRIC_UNKNOWN;
    bool counts =
        type == TOC_METRIC_COUNTER || type == TOC_METRIC_HISTOGRAM || type == TOC_METRIC_SUMMARY;
    return counts ? family : TOC_SV("");
}

/* What a `_created` line and the series it speaks of have in common. */
static void put_key(struct toc_sv family, struct toc_labels labels, struct toc_buf *out) {
    toc_buf_reset(out);
    toc_buf_append_sv(out, family);
    for (size_t i = 0; i < labels.count; i++) {
        const struct toc_label *l = &labels.items[i];
        if (toc_sv_eq(l->name, TOC_METRIC_NAME) || toc_sv_eq(l->name, TOC_SV("le")))
            continue;
        toc_buf_append_char(out, '\0');
        toc_buf_append_sv(out, l->name);
        toc_buf_append_char(out, '\0');
        toc_buf_append_sv(out, l->value);
    }
}

/* From the key of a `_created` line to its place among the points, from 1. */
static void find_created(struct scrape_cache *c, struct toc_map *out, struct toc_buf *key) {
    for (size_t i = 0; i < c->points.count; i++) {
        toc_arena_reset(&c->scratch);
        struct toc_labels labels = toc_scrape_series_labels(c->points.items[i].series, &c->scratch);
        struct toc_sv family = created_family(c, toc_labels_get(labels, TOC_METRIC_NAME));
        if (!family.n)
            continue;
        put_key(family, labels, key);
        toc_map_put(out, toc_buf_sv(key), (void *)(uintptr_t)(i + 1));
    }
}

/* Seconds since 1970; 0 for what is no such time. */
static int64_t start_of(double seconds) {
    return seconds > 0 && seconds < 1e12 ? (int64_t)llround(seconds * 1000) : 0;
}

void toc_scrape_find_starts(struct scrape_cache *c) {
    struct toc_map created = TOC_MAP_INIT;
    struct toc_buf key = TOC_BUF_INIT;
    find_created(c, &created, &key);
    for (size_t i = 0; created.count && i < c->points.count; i++) {
        toc_arena_reset(&c->scratch);
        struct toc_labels labels = toc_scrape_series_labels(c->points.items[i].series, &c->scratch);
        struct toc_sv family = counted_family(c, toc_labels_get(labels, TOC_METRIC_NAME));
        if (!family.n)
            continue;
        put_key(family, labels, &key);
        uintptr_t at = (uintptr_t)toc_map_get(&created, toc_buf_sv(&key));
        int64_t start_ms = at ? start_of(c->points.items[at - 1].value) : 0;
        if (start_ms)
            TOC_VEC_PUSH(&c->starts, ((struct scrape_start){(uint32_t)i, start_ms}));
    }
    toc_buf_fini(&key);
    toc_map_fini(&created);
}

/* --- writing --- */

struct writing {
    struct scrape_cache *c;
    struct toc_metricdb *db;
};

static uint64_t resolve(void *owner, uint32_t origin) {
    struct writing *w = owner;
    struct scrape_series *s = w->c->points.items[origin].series;
    enum toc_reject_reason reason;
    toc_arena_reset(&w->c->scratch);
    struct toc_labels labels = toc_scrape_series_labels(s, &w->c->scratch);
    uint64_t ref = 0;
    return toc_metricdb_series_ref(w->db, labels, &ref, &reason) ? 0 : ref;
}

void toc_scrape_write_starts(struct scrape_cache *c, struct toc_metricdb *db) {
    struct writing w = {c, db};
    struct toc_starts starts = {0};
    if (!c->starts.count)
        return;
    for (size_t i = 0; i < c->starts.count; i++) {
        const struct scrape_start *x = &c->starts.items[i];
        const struct scrape_point *p = &c->points.items[x->point];
        if (p->series->ref)
            toc_starts_add(&starts, p->series->ref, x->start_ms, p->t_ms, p->histogram, x->point);
    }
    toc_starts_write(&starts, db, resolve, &w);
    toc_starts_fini(&starts);
}
