#include "collect/scrape.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "collect/scrape_priv.h"
#include "sys/log.h"

enum {
    DEFAULT_MAX_IN_FLIGHT = 1000,
    CONNECTIONS_KEPT = 4096,
    FILE_POLL_MS = 5000,
    /* Targets are spread over so many moments of an interval, at most this far apart. */
    BEATS = 20,
    LONGEST_BEAT_MS = 500,
};

const char *toc_target_health_text(enum toc_target_health h) {
    return h == TOC_TARGET_UP ? "up" : h == TOC_TARGET_DOWN ? "down" : "unknown";
}

int64_t toc_scrape_mono_ms(struct toc_scraper *s) {
    return toc_clock_mono(s->clock).ns / 1000000;
}

struct toc_scraper *toc_scraper_new(const struct toc_scraper_options *o) {
    struct toc_scraper *s = TOC_NEW(struct toc_scraper);
    s->sink = o->sink;
    s->metrics = o->metrics;
    s->clock = o->clock ? o->clock : toc_clock_system();
    s->vfs = o->vfs ? o->vfs : toc_vfs_system();
    s->max_in_flight = o->max_in_flight ? o->max_in_flight : DEFAULT_MAX_IN_FLIGHT;
    s->phase_seed = o->phase_seed;
    s->file_poll_ms = o->file_poll_ms ? o->file_poll_ms : FILE_POLL_MS;
    s->multi = toc_http_multi_new(CONNECTIONS_KEPT);
    toc_mutex_init(&s->mutex, TOC_LOCK_COLLECT);
    toc_cond_init(&s->synced);
    toc_event_init(&s->stop_watching);
    toc_scrape_files_init(&s->files, s->vfs);
    return s;
}

/* ------------------------------------------------------------------------------------------------
 * schedule */

/* When the target's next turn on its grid of wall time is, as monotonic time. Targets of one beat
 * are asked together: one wake-up, warm caches and one fsync for all of them. */
static int64_t first_due(struct toc_scraper *s, const struct scrape_target *t) {
    int64_t interval = t->plan.interval_ms;
    int64_t beat = TOC_MAX(TOC_MIN(interval / BEATS, (int64_t)LONGEST_BEAT_MS), 1);
    int64_t offset = (int64_t)((t->hash ^ s->phase_seed) % (uint64_t)interval) / beat * beat;
    int64_t into = toc_clock_now(s->clock).ms % interval;
    int64_t wait = (offset - into) % interval;
    return toc_scrape_mono_ms(s) + (wait < 0 ? wait + interval : wait);
}

static void schedule(struct toc_scraper *s, struct scrape_target *t, int64_t due_ms) {
    toc_heap_insert(&s->heap, &t->due, due_ms);
}

void toc_scrape_reschedule(struct toc_scraper *s, struct scrape_target *t) {
    int64_t interval = t->plan.interval_ms, now = toc_scrape_mono_ms(s),
            due = t->due.key + interval;
    if (due <= now) /* turns were missed: back to the grid */
        due += (now - due) / interval * interval + interval;
    schedule(s, t, due);
}

/* The target is not running, or its thread asks. */
void toc_scrape_take_next_plan(struct toc_scraper *s, struct scrape_target *t) {
    if (!t->next_plan.set)
        return;
    bool is_new_interval = t->plan.interval_ms != t->next_plan.interval_ms;
    if (t->plan.config->series_digest != t->next_plan.config->series_digest)
        toc_scrape_cache_forget_texts(&t->cache);
    toc_scrape_plan_fini(&t->plan);
    t->plan = t->next_plan;
    t->next_plan = (struct scrape_plan){0};
    if (!is_new_interval)
        return;
    bool was_waiting = t->due.index != 0;
    toc_heap_remove(&s->heap, &t->due);
    t->aligned_ms = 0;
    t->due.key = first_due(s, t) - t->plan.interval_ms;
    if (was_waiting)
        toc_scrape_reschedule(s, t);
}

/* --------------------------------------------------------------------------------------- targets
 * of configs */

struct collecting {
    struct scrape_found *out;
    struct toc_scrape_set *set;
    const struct toc_scrape_config *config;
};

static void on_file_groups(void *ctx, const char *path, const struct toc_scrape_group *groups,
                           size_t count) {
    struct collecting *c = ctx;
    for (size_t i = 0; i < count; i++)
        toc_scrape_add_group(c->out, c->set, c->config, &groups[i], path, false);
}

static void keep_within_limit(struct scrape_found *out, const struct toc_scrape_config *c,
                              size_t first) {
    size_t most = (size_t)c->limits.target_limit;
    if (!most || out->targets.count - first <= most)
        return;
    toc_log(TOC_LOG_WARN, "scrape",
            "job %.*s: target_limit exceeded: %zu targets, limit %zu; the rest is left "
            "out",
            TOC_SV_ARG(c->job_name), out->targets.count - first, most);
    while (out->targets.count > first + most) {
        struct scrape_target *t = out->targets.items[--out->targets.count];
        toc_map_remove(&out->keys, toc_sv_cstr(t->key));
        toc_scrape_target_free(&t);
        out->refused++;
    }
}

static void collect_set(struct toc_scraper *s, struct toc_scrape_set *set, bool is_found,
                        struct scrape_found *out) {
    for (size_t i = 0; set && i < toc_scrape_set_count(set); i++) {
        const struct toc_scrape_config *c = toc_scrape_set_get(set, i);
        struct collecting ctx = {out, set, c};
        size_t first = out->targets.count;
        for (size_t g = 0; g < c->group_count; g++)
            toc_scrape_add_group(out, set, c, &c->groups[g], NULL, is_found);
        for (size_t f = 0; f < c->file_sd_count; f++)
            toc_scrape_files_each(&s->files, &c->file_sds[f], on_file_groups, &ctx);
        keep_within_limit(out, c, first);
    }
}

/* Mutex held: what is there already stays and gets its new plan. */
static void merge_target(struct toc_scraper *s, struct scrape_found *found, size_t i) {
    struct scrape_target *new = found->targets.items[i];
    struct scrape_target *old = toc_map_get(&s->by_key, toc_sv_cstr(new->key));
    if (!old) {
        new->is_kept = true;
        TOC_VEC_PUSH(&s->targets, new);
        toc_map_put(&s->by_key, toc_sv_cstr(new->key), new);
        schedule(s, new, first_due(s, new));
        found->targets.items[i] = NULL;
        return;
    }
    old->is_kept = true;
    toc_scrape_plan_fini(&old->next_plan);
    old->next_plan = new->plan;
    new->plan = (struct scrape_plan){0};
    if (!old->is_running)
        toc_scrape_take_next_plan(s, old);
}

/* Mutex held. Removed targets that nobody runs go to `gone`. */
static void merge(struct toc_scraper *s, struct scrape_found *found, struct scrape_targets *gone) {
    for (size_t i = 0; i < s->targets.count; i++)
        s->targets.items[i]->is_kept = false;
    for (size_t i = 0; i < found->targets.count; i++)
        merge_target(s, found, i);
    size_t kept = 0;
    for (size_t i = 0; i < s->targets.count; i++) {
        struct scrape_target *t = s->targets.items[i];
        if (t->is_kept) {
            s->targets.items[kept++] = t;
            continue;
        }
        toc_map_remove(&s->by_key, toc_sv_cstr(t->key));
        toc_heap_remove(&s->heap, &t->due);
        atomic_store(&t->is_removed, true);
        if (!t->is_running)
            TOC_VEC_PUSH(gone, t);
    }
    s->targets.count = kept;
    struct scrape_dropped_list dropped = s->dropped;
    s->dropped = found->dropped;
    found->dropped = dropped;
}

/* There may be something due earlier, or something to cancel. */
static void wake_loop(struct toc_scraper *s) {
    if (s->multi)
        toc_http_multi_wake(s->multi);
}

static void begin_sync(struct toc_scraper *s) {
    toc_mutex_lock(&s->mutex);
    while (s->is_syncing)
        toc_cond_wait(&s->synced, &s->mutex);
    s->is_syncing = true;
    toc_mutex_unlock(&s->mutex);
}

static void end_sync(struct toc_scraper *s) {
    toc_mutex_lock(&s->mutex);
    s->is_syncing = false;
    toc_cond_signal(&s->synced);
    toc_mutex_unlock(&s->mutex);
}

static void end_targets(struct toc_scraper *s, struct scrape_targets *gone) {
    for (size_t i = 0; i < gone->count; i++) {
        toc_scrape_end(s, gone->items[i]);
        toc_scrape_target_free(&gone->items[i]);
    }
    TOC_VEC_FINI(gone);
}

/* Between begin_sync and end_sync: the targets become those of the sets. */
static void sync_targets(struct toc_scraper *s) {
    struct scrape_found found = {0};
    struct scrape_targets gone = {0};
    uint64_t errors = s->files.errors;
    toc_scrape_files_begin(&s->files);
    collect_set(s, s->set, false, &found);
    collect_set(s, s->found_set, true, &found);
    toc_scrape_files_forget(&s->files);
    atomic_fetch_add(&s->counters.targets_refused, found.refused);
    atomic_fetch_add(&s->counters.file_errors, s->files.errors - errors);
    toc_mutex_lock(&s->mutex);
    merge(s, &found, &gone);
    toc_mutex_unlock(&s->mutex);
    wake_loop(s);
    end_targets(s, &gone);
    toc_scrape_found_fini(&found);
}

void toc_scraper_load(struct toc_scraper *s, struct toc_scrape_set *take_set) {
    begin_sync(s);
    struct toc_scrape_set *old = s->set;
    s->set = take_set;
    sync_targets(s);
    toc_scrape_set_unref(&old);
    atomic_fetch_add(&s->counters.reloads, 1);
    end_sync(s);
}

void toc_scraper_load_found(struct toc_scraper *s, struct toc_scrape_set *take_set) {
    begin_sync(s);
    struct toc_scrape_set *old = s->found_set;
    s->found_set = take_set;
    sync_targets(s);
    toc_scrape_set_unref(&old);
    end_sync(s);
}

/* --------------------------------------------------------------------------------------------
 * start and stop */

static bool have_files_changed(struct toc_scraper *s) {
    bool has_changed = false;
    toc_scrape_files_begin(&s->files);
    for (size_t i = 0; s->set && i < toc_scrape_set_count(s->set); i++) {
        const struct toc_scrape_config *c = toc_scrape_set_get(s->set, i);
        for (size_t f = 0; f < c->file_sd_count; f++)
            has_changed |= toc_scrape_files_changed(&s->files, &c->file_sds[f]);
    }
    return has_changed || toc_scrape_files_any_gone(&s->files);
}

static void watch_files(void *ctx) {
    struct toc_scraper *s = ctx;
    while (!toc_event_wait_ms(&s->stop_watching, s->file_poll_ms)) {
        begin_sync(s);
        if (have_files_changed(s))
            sync_targets(s);
        end_sync(s);
    }
}

int toc_scraper_start(struct toc_scraper *s, struct toc_err *err) {
    if (!s->multi)
        return toc_errf(err, TOC_ENOMEM, "no memory for an HTTP client");
    int rc = toc_thread_start(&s->loop, "scrape", toc_scrape_loop, s);
    if (rc == 0)
        rc = toc_thread_start(&s->watcher, "scrape-files", watch_files, s);
    return rc < 0 ? toc_errf(err, rc, "cannot start a scrape thread: %s", toc_strerror(rc)) : 0;
}

void toc_scraper_stop(struct toc_scraper *s) {
    toc_event_set(&s->stop_watching);
    toc_thread_join(&s->watcher);
    toc_mutex_lock(&s->mutex);
    s->is_stopping = true;
    for (size_t i = 0; i < s->targets.count; i++)
        if (s->targets.items[i]->is_running)
            atomic_store(&s->targets.items[i]->is_removed, true);
    toc_mutex_unlock(&s->mutex);
    wake_loop(s);
    toc_thread_join(&s->loop);
    struct scrape_targets gone = {0};
    for (size_t i = 0; i < s->orphans.count; i++)
        if (!s->orphans.items[i]->is_kept)
            TOC_VEC_PUSH(&gone, s->orphans.items[i]);
    TOC_VEC_FINI(&s->orphans);
    end_targets(s, &gone);
    /* As upstream: a restart is no end. Markers would resolve every alert until the next scrape. */
    for (size_t i = 0; i < s->targets.count; i++)
        toc_scrape_target_free(&s->targets.items[i]);
    TOC_VEC_FINI(&s->targets);
    toc_map_fini(&s->by_key);
    s->by_key = TOC_MAP_INIT;
}

void toc_scraper_free(struct toc_scraper **sp) {
    struct toc_scraper *s = *sp;
    if (!s)
        return;
    toc_scraper_stop(s);
    toc_scrape_set_unref(&s->set);
    toc_scrape_set_unref(&s->found_set);
    toc_scrape_dropped_fini(&s->dropped);
    toc_scrape_files_fini(&s->files);
    toc_heap_fini(&s->heap);
    toc_event_fini(&s->stop_watching);
    toc_cond_fini(&s->synced);
    toc_mutex_fini(&s->mutex);
    for (size_t i = 0; i < s->idle_transfers.count; i++)
        toc_scrape_transfer_free(&s->idle_transfers.items[i]);
    TOC_VEC_FINI(&s->idle_transfers);
    TOC_VEC_FINI(&s->unsettled);
    toc_http_multi_free(&s->multi);
    toc_free(s);
    *sp = NULL;
}

/* --------------------------------------------------------------------------------------------------
 * listing */

static int by_pool_and_url(const void *a, const void *b) {
    const struct scrape_target *x = *(struct scrape_target *const *)a;
    const struct scrape_target *y = *(struct scrape_target *const *)b;
    int c = toc_sv_cmp(x->plan.config->job_name, y->plan.config->job_name);
    return c ? c : strcmp(x->url, y->url);
}

void toc_scraper_list(struct toc_scraper *s,
                      void (*fn)(void *ctx, const struct toc_target_info *info), void *ctx) {
    toc_mutex_lock(&s->mutex);
    size_t n = s->targets.count;
    if (n > 1)
        qsort(s->targets.items, n, sizeof *s->targets.items, by_pool_and_url);
    for (size_t i = 0; i < n; i++) {
        const struct scrape_target *t = s->targets.items[i];
        const struct toc_target_info info = {
            .pool = t->plan.config->job_name,
            .labels = t->cache.target,
            .discovered = t->plan.discovered,
            .url = toc_sv_cstr(t->url),
            .last_error = toc_sv_cstr(t->last_error),
            .last_scrape = t->last_scrape,
            .last_duration_s = t->last_duration_s,
            .health = t->health,
            .interval_ms = t->plan.interval_ms,
            .timeout_ms = t->plan.timeout_ms,
            .last_samples = t->last_samples,
            .is_found = t->is_found,
        };
        fn(ctx, &info);
    }
    toc_mutex_unlock(&s->mutex);
}

void toc_scraper_list_dropped(struct toc_scraper *s,
                              void (*fn)(void *ctx, struct toc_sv pool,
                                         struct toc_labels discovered),
                              void *ctx) {
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->dropped.count; i++)
        fn(ctx, toc_sv_cstr(s->dropped.items[i].pool), s->dropped.items[i].discovered);
    toc_mutex_unlock(&s->mutex);
}

void toc_scraper_sets(struct toc_scraper *s, struct toc_scrape_set **out_configured,
                      struct toc_scrape_set **out_found) {
    toc_mutex_lock(&s->mutex);
    *out_configured = s->set ? toc_scrape_set_ref(s->set) : NULL;
    *out_found = s->found_set ? toc_scrape_set_ref(s->found_set) : NULL;
    toc_mutex_unlock(&s->mutex);
}

static bool is_at_local_port(const char *url, uint16_t port) {
    static const char *const hosts[] = {"127.0.0.1:", "localhost:", "[::1]:"};
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    for (size_t i = 0; i < TOC_ARRAY_LEN(hosts); i++) {
        size_t n = strlen(hosts[i]);
        uint64_t found = 0;
        if (strncmp(host, hosts[i], n) == 0 &&
            toc_parse_u64(toc_sv_make(host + n, strcspn(host + n, "/?")), &found) == 0 &&
            found == port)
            return true;
    }
    return false;
}

bool toc_scraper_has_local_port(struct toc_scraper *s, uint16_t port) {
    bool has = false;
    toc_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->targets.count && !has; i++)
        has = !s->targets.items[i]->is_found && is_at_local_port(s->targets.items[i]->url, port);
    toc_mutex_unlock(&s->mutex);
    return has;
}

struct toc_scraper_counters toc_scraper_counters(struct toc_scraper *s) {
    return (struct toc_scraper_counters){
#define X(member, what) .member = atomic_load(&s->counters.member),
        TOC_SCRAPER_COUNTER_TABLE(X)
#undef X
    };
}
