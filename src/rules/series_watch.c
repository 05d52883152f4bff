#include "rules/series_watch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/attrs.h"
#include "model/sample.h"
#include "rules/series_watch_priv.h"

enum { BATCH = 256, AHEAD = 4, COUNT_EVERY_MS = 60000 };

struct toc_series_watch *toc_series_watch_new(const struct toc_series_watch_options *o) {
    struct toc_series_watch *w = TOC_NEW(struct toc_series_watch);
    w->options = *o;
    if (!w->options.max_series)
        w->options.max_series = 200000;
    if (!w->options.max_instances)
        w->options.max_instances = 5000;
    if (w->options.report_ms <= 0)
        w->options.report_ms = 15000;
    toc_mutex_init(&w->mutex, TOC_LOCK_SERIES_WATCH);
    TOC_VEC_PUSH(&w->instances, (struct instance){0});
    return w;
}

void toc_series_watch_free(struct toc_series_watch **wp) {
    struct toc_series_watch *w = *wp;
    if (!w)
        return;
    for (size_t i = 0; i < w->page_count; i++)
        toc_free(w->pages[i]);
    toc_free(w->pages);
    for (size_t i = 0; i < w->instances.count; i++)
        toc_free(w->instances.items[i].name);
    toc_free(w->kept);
    TOC_VEC_FINI(&w->instances);
    toc_map_fini(&w->instance_places);
    toc_mutex_fini(&w->mutex);
    toc_free(w);
    *wp = NULL;
}

/* ---- states ---- */

/* The state of a reference; NULL over the limit or without memory. */
static struct watched *state_of(struct toc_series_watch *w, uint64_t ref) {
    size_t id = (uint32_t)ref, page = id / PAGE_SERIES;
    if (page >= w->page_count) {
        size_t count = TOC_MAX(page + 1, 2 * w->page_count);
        struct watched **more = toc_try_realloc(w->pages, count * sizeof *more);
        if (!more)
            return NULL;
        memset(more + w->page_count, 0, (count - w->page_count) * sizeof *more);
        w->pages = more;
        w->page_count = count;
    }
    if (!w->pages[page]) {
        size_t allowed = (w->options.max_series + PAGE_SERIES - 1) / PAGE_SERIES;
        size_t bytes = PAGE_SERIES * sizeof **w->pages;
        if (w->stats.bytes / bytes >= allowed)
            return NULL;
        w->pages[page] = toc_try_calloc(PAGE_SERIES, sizeof **w->pages);
        if (!w->pages[page])
            return NULL;
        w->stats.bytes += bytes;
    }
    return &w->pages[page][id % PAGE_SERIES];
}

static uint32_t take_place(struct toc_series_watch *w, size_t place, struct toc_sv name) {
    w->instances.items[place] = (struct instance){.name = toc_sv_dup_cstr(name)};
    w->free_places--;
    toc_map_put(&w->instance_places, name, (void *)(uintptr_t)(place + 1));
    return (uint32_t)place;
}

static uint32_t instance_place(struct toc_series_watch *w, struct toc_sv name) {
    uintptr_t place = (uintptr_t)toc_map_get(&w->instance_places, name);
    if (place || !name.n)
        return place ? (uint32_t)place - 1 : 0;
    if (w->free_places) { /* of an instance that vanished */
        for (size_t k = 1; k < w->instances.count; k++)
            if (w->instances.items[k].is_free)
                return take_place(w, k, name);
    }
    if (w->instances.count > w->options.max_instances) {
        w->stats.series_without_rate_total++;
        return 0;
    }
    TOC_VEC_PUSH(&w->instances, (struct instance){.is_free = true});
    w->free_places++;
    return take_place(w, w->instances.count - 1, name);
}

static bool ends_with(struct toc_sv s, const char *end) {
    size_t n = strlen(end);
    return s.n > n && memcmp(s.p + s.n - n, end, n) == 0;
}

/* By the conventions of names; a gauge that only rises is judged as a line. */
static bool is_counter(struct toc_sv metric) {
    return ends_with(metric, "_total") || ends_with(metric, "_count") ||
           ends_with(metric, "_sum") || ends_with(metric, "_bucket");
}

static bool is_output(struct toc_sv metric) {
    return toc_sv_starts_with(metric, TOC_SV("tocsin_anomaly")) ||
           toc_sv_starts_with(metric, TOC_SV("tocsin_expected_"));
}

/* A series seen for the first time. */
static void begin(struct toc_series_watch *w, struct watched *s, uint64_t ref) {
    struct toc_arena arena;
    struct toc_labels labels;
    toc_arena_init(&arena, LABEL_BYTES_MAX);
    *s = (struct watched){.generation = (uint32_t)(ref >> 32), .kind = EXCLUDED};
    if (w->options.source->labels(w->options.source, ref, &arena, &labels)) {
        struct toc_sv metric = toc_labels_get(labels, TOC_METRIC_NAME);
        struct toc_sv instance = toc_labels_get(labels, TOC_SV("instance"));
        s->bit.is_counter = is_counter(metric);
        s->kind = is_output(metric) ? EXCLUDED : WATCHED;
        s->instance = instance_place(w, instance) & 0x3fffffffu;
        const struct toc_anomaly_bit *kept =
            toc_series_watch_take_kept(w, toc_labels_hash(labels), s->bit.is_counter);
        if (kept && s->kind == WATCHED)
            s->bit = *kept;
    }
    toc_arena_fini(&arena);
}

/* ---- judging ---- */

static void judge(struct toc_series_watch *w, struct watched *s,
                  const struct toc_newest_sample *sample) {
    if (sample->t_ms <= s->bit.last_ms)
        return;
    if (!toc_anomaly_bit_step(&s->bit, sample->t_ms, sample->value)) {
        w->stats.samples_skipped_total++;
        return;
    }
    struct instance *all = &w->instances.items[0], *own = &w->instances.items[s->instance];
    w->stats.samples_total++;
    w->stats.anomalies_total += s->bit.is_anomaly;
    all->judged++;
    all->anomalous += s->bit.is_anomaly;
    if (own != all) {
        own->judged++;
        own->anomalous += s->bit.is_anomaly;
    }
}

/* Of a series that was counted before. One that vanished was not: never below 0. */
static void uncount(struct toc_series_watch_stats *gauges, const struct watched *s) {
    bool is_watched = s->kind == WATCHED, is_excluded = s->kind == EXCLUDED;
    gauges->series -= is_watched && gauges->series;
    gauges->series_excluded -= is_excluded && gauges->series_excluded;
    gauges->series_anomalous -= is_watched && s->bit.is_anomaly && gauges->series_anomalous;
}

static void look_at(struct toc_series_watch *w, const struct toc_newest_sample *sample) {
    struct watched *s = state_of(w, sample->ref);
    if (!s) {
        w->sweep.series_unwatched += w->is_counting;
        return;
    }
    if (!w->is_counting)
        uncount(&w->sweep, s);
    if (s->kind == UNKNOWN || s->generation != (uint32_t)(sample->ref >> 32))
        begin(w, s, sample->ref);
    if (s->kind == EXCLUDED) {
        w->sweep.series_excluded++;
        return;
    }
    judge(w, s, sample);
    w->sweep.series++;
    w->sweep.series_anomalous += s->bit.is_anomaly;
}

/* Brings the state of a series towards the cache. */
TOC_PREFETCHING void fetch(const struct toc_series_watch *w, uint64_t ref) {
    size_t id = (uint32_t)ref, page = id / PAGE_SERIES;
    if (page >= w->page_count || !w->pages[page])
        return;
    const struct watched *s = &w->pages[page][id % PAGE_SERIES];
    __builtin_prefetch(s, 1);
    __builtin_prefetch((const char *)s + 64, 1);
}

static void look_at_batch(struct toc_series_watch *w, const struct toc_newest_sample *batch,
                          size_t count) {
    toc_mutex_lock(&w->mutex);
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            fetch(w, batch[i + AHEAD].ref);
        look_at(w, &batch[i]);
    }
    toc_mutex_unlock(&w->mutex);
}

/* ---- reports ---- */

struct report {
    struct toc_arena arena;
    TOC_VEC(struct toc_point) points;
};

static void add_rate(struct report *r, const struct instance *i, int64_t t_ms, double rate) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, TOC_SV("tocsin_anomaly_rate"));
    toc_labels_builder_set(&b, TOC_SV("detector"), TOC_SV("every_series"));
    if (i->name)
        toc_labels_builder_set(&b, TOC_SV("instance"), toc_sv_cstr(i->name));
    struct toc_point p = {.t_ms = t_ms, .value = rate};
    p.labels = toc_labels_dup_arena(toc_labels_builder_finish(&b), &r->arena);
    toc_labels_builder_fini(&b);
    if (!r->arena.overflowed)
        TOC_VEC_PUSH(&r->points, p);
}

/* Its series begin anew should they come back. */
static void forget_instance(struct toc_series_watch *w, size_t place) {
    struct instance *i = &w->instances.items[place];
    for (size_t page = 0; page < w->page_count; page++)
        for (size_t k = 0; w->pages[page] && k < PAGE_SERIES; k++)
            if (w->pages[page][k].instance == place && w->pages[page][k].kind == WATCHED)
                w->pages[page][k] = (struct watched){0};
    (void)toc_map_remove(&w->instance_places, toc_sv_cstr(i->name));
    toc_free(i->name);
    *i = (struct instance){.is_free = true};
    w->free_places++;
}

/* An instance without a sample for a day is gone: its name and its place go, too. */
static void note_idle(struct toc_series_watch *w, size_t place, int64_t now_ms) {
    struct instance *i = &w->instances.items[place];
    if (i->is_free || place == 0)
        return;
    if (i->judged)
        i->idle_since_ms = 0;
    else if (i->idle_since_ms == 0)
        i->idle_since_ms = now_ms;
    else if (now_ms - i->idle_since_ms >= TOC_SERIES_WATCH_FORGET_MS)
        forget_instance(w, place);
}

/* Takes the rates since the last report. */
static void collect_rates(struct toc_series_watch *w, int64_t t_ms, struct report *out) {
    toc_arena_init(&out->arena, (size_t)64 << 20);
    for (size_t k = 0; k < w->instances.count; k++) {
        struct instance *i = &w->instances.items[k];
        if (i->judged)
            add_rate(out, i, t_ms, (double)i->anomalous / i->judged);
        else if (i->is_written)
            add_rate(out, i, t_ms, toc_stale_nan());
        i->is_written = i->judged > 0;
        note_idle(w, k, t_ms);
        i->judged = i->anomalous = 0;
    }
}

static int report(struct toc_series_watch *w, int64_t now_ms, struct toc_err *err) {
    struct report r = {0};
    struct toc_write_result result;
    struct toc_sink *sink = w->options.sink;
    toc_mutex_lock(&w->mutex);
    bool is_due = now_ms >= w->next_report_ms;
    if (is_due) {
        w->next_report_ms = now_ms - now_ms % w->options.report_ms + w->options.report_ms;
        collect_rates(w, now_ms, &r);
    }
    toc_mutex_unlock(&w->mutex);
    int rc = r.points.count ? sink->write(sink, r.points.items, r.points.count, &result, err) : 0;
    if (rc < 0) {
        toc_mutex_lock(&w->mutex);
        w->stats.write_failures_total++;
        toc_mutex_unlock(&w->mutex);
    }
    TOC_VEC_FINI(&r.points);
    toc_arena_fini(&r.arena);
    return rc;
}

/* Is it time to look at all series, so that those that vanished no longer count? Else those that
 * were written to are enough. */
static bool is_count_due(struct toc_series_watch *w, int64_t now_ms) {
    if (w->options.source->next_written && now_ms < w->next_count_ms &&
        w->next_count_ms - now_ms <= COUNT_EVERY_MS)
        return false;
    w->next_count_ms = now_ms + COUNT_EVERY_MS;
    return true;
}

static void look_at_all(struct toc_series_watch *w) {
    struct toc_newest_sample batch[BATCH];
    struct toc_newest_source *source = w->options.source;
    uint64_t cursor = 0;
    while (cursor != UINT64_MAX) {
        size_t count =
            (w->is_counting ? source->next : source->next_written)(source, &cursor, batch, BATCH);
        look_at_batch(w, batch, count);
    }
}

int toc_series_watch_sweep(struct toc_series_watch *w, struct toc_ts now, struct toc_err *err) {
    w->is_counting = is_count_due(w, now.ms);
    w->sweep = toc_series_watch_stats(w);
    if (w->is_counting)
        w->sweep = (struct toc_series_watch_stats){0};
    look_at_all(w);
    toc_mutex_lock(&w->mutex);
    w->stats.series = w->sweep.series;
    w->stats.series_unwatched = w->sweep.series_unwatched;
    w->stats.series_excluded = w->sweep.series_excluded;
    w->stats.series_anomalous = w->sweep.series_anomalous;
    w->stats.instances = w->instances.count - 1 - w->free_places;
    toc_series_watch_drop_kept(w, now.ms);
    w->stats.sweeps_total++;
    toc_mutex_unlock(&w->mutex);
    return report(w, now.ms, err);
}

size_t toc_series_watch_anomalous(struct toc_series_watch *w, struct toc_anomalous_series *out,
                                  size_t max) {
    size_t count = 0;
    for (size_t page = 0;; page++) {
        toc_mutex_lock(&w->mutex);
        bool is_there = page < w->page_count;
        const struct watched *s = is_there ? w->pages[page] : NULL;
        for (size_t i = 0; s && i < PAGE_SERIES && count < max; i++)
            if (s[i].kind == WATCHED && s[i].bit.is_anomaly)
                out[count++] = (struct toc_anomalous_series){
                    (uint64_t)s[i].generation << 32 | (page * PAGE_SERIES + i), s[i].bit.last,
                    (double)s[i].bit.surprise, s[i].bit.last_ms, s[i].bit.is_above};
        toc_mutex_unlock(&w->mutex);
        if (!is_there || count == max)
            return count;
    }
}

struct toc_series_watch_stats toc_series_watch_stats(struct toc_series_watch *w) {
    toc_mutex_lock(&w->mutex);
    struct toc_series_watch_stats s = w->stats;
    toc_mutex_unlock(&w->mutex);
    return s;
}
