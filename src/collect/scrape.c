#include "collect/scrape.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "collect/scrape_priv.h"
#include "sys/log.h"
#include "sys/process.h"

enum {
    DEFAULT_MAX_IN_FLIGHT = 1000,
    CONNECTIONS_MAX = 65536,
    FILE_POLL_MS = 5000,
    SYNC_PAUSE_MS = 1000,
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

static void on_discovery(void *ctx);

/* One for each of many targets, or each scrape would have to connect; files, the API and sources of
 * targets want descriptors, too. */
static size_t connections_kept(void) {
    return TOC_MIN(toc_process_file_limit() / 4 * 3, (size_t)CONNECTIONS_MAX);
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
    s->multi = toc_http_multi_new(connections_kept());
    toc_mutex_init(&s->mutex, TOC_LOCK_COLLECT);
    toc_cond_init(&s->synced);
    toc_cond_init(&s->wanted);
    toc_scrape_files_init(&s->files, s->vfs);
    s->discovery =
        toc_discovery_new(&(struct toc_discovery_options){s->clock, s->vfs, on_discovery, s});
    return s;
}

/* ------------------------------------------------------------------------------------------------
 * schedule */

/* When the target's next turn on its grid of wall time is, as monotonic time. Targets of one beat
 * are asked together: one wake-up, warm caches and one fsync for all of them. */
static int64_t first_due(struct toc_scraper *s, const struct scrape_target *t) {
    int64_t interval = t->spec->interval_ms;
    int64_t beat = TOC_MAX(TOC_MIN(interval / BEATS, (int64_t)LONGEST_BEAT_MS), 1);
    int64_t offset = (int64_t)((t->spec->hash ^ s->phase_seed) % (uint64_t)interval) / beat * beat;
    int64_t into = toc_clock_now(s->clock).ms % interval;
    int64_t wait = (offset - into) % interval;
    return toc_scrape_mono_ms(s) + (wait < 0 ? wait + interval : wait);
}

static void schedule(struct toc_scraper *s, struct scrape_target *t, int64_t due_ms) {
    toc_heap_insert(&s->heap, &t->due, due_ms);
}

static void count_missed(struct toc_scraper *s, const struct scrape_target *t, int64_t now,
                         int64_t turns) {
    atomic_ullong *counter = now - t->begun_ms >= t->spec->interval_ms ? &s->counters.missed_slow
                             : t->was_held                             ? &s->counters.missed_limit
                                                                       : &s->counters.missed_busy;
    atomic_fetch_add(counter, (unsigned long long)turns);
}

void toc_scrape_reschedule(struct toc_scraper *s, struct scrape_target *t) {
    int64_t interval = t->spec->interval_ms, now = toc_scrape_mono_ms(s),
            due = t->due.key + interval;
    if (due <= now) { /* back to the grid */
        int64_t turns = (now - due) / interval + 1;
        if (t->begun_ms)
            count_missed(s, t, now, turns);
        due += turns * interval;
    }
    schedule(s, t, due);
}

/* The target is not running, or its thread asks. */
void toc_scrape_take_next_spec(struct toc_scraper *s, struct scrape_target *t) {
    if (!t->next_spec)
        return;
    bool is_new_interval = t->spec->interval_ms != t->next_spec->interval_ms;
    if (t->spec->config->series_digest != t->next_spec->config->series_digest)
        toc_scrape_cache_forget_texts(&t->cache);
    toc_scrape_spec_unref(&t->spec);
    t->spec = t->next_spec;
    t->next_spec = NULL;
    if (!is_new_interval)
        return;
    bool was_waiting = t->due.index != 0;
    toc_heap_remove(&s->heap, &t->due);
    t->aligned_ms = 0;
    t->due.key = first_due(s, t) - t->spec->interval_ms;
    if (was_waiting)
        toc_scrape_reschedule(s, t);
}

void toc_scrape_schedule_first(struct toc_scraper *s, struct scrape_target *t) {
    schedule(s, t, first_due(s, t));
}

void toc_scrape_wake_loop(struct toc_scraper *s) {
    if (s->multi)
        toc_http_multi_wake(s->multi);
}

/* ------------------------------------------------------------------------------------------------
 * configurations */

void toc_scraper_load(struct toc_scraper *s, struct toc_scrape_set *take_set) {
    toc_scrape_sync_begin(s);
    struct toc_scrape_set *old = s->set;
    s->set = take_set;
    toc_discovery_apply(s->discovery, take_set);
    toc_scrape_sync(s);
    toc_scrape_set_unref(&old);
    atomic_fetch_add(&s->counters.reloads, 1);
    toc_scrape_sync_end(s);
}

void toc_scraper_load_found(struct toc_scraper *s, struct toc_scrape_set *take_set) {
    toc_scrape_sync_begin(s);
    struct toc_scrape_set *old = s->found_set;
    s->found_set = take_set;
    toc_scrape_sync(s);
    toc_scrape_set_unref(&old);
    toc_scrape_sync_end(s);
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

static void on_discovery(void *ctx) {
    struct toc_scraper *s = ctx;
    toc_mutex_lock(&s->mutex);
    s->is_sync_wanted = true;
    toc_cond_signal(&s->wanted);
    toc_mutex_unlock(&s->mutex);
}

/* Mutex held: waits for news of discovery or until the files are due; true when there are news. */
static bool wait_for_news(struct toc_scraper *s, int64_t until_ms) {
    for (int64_t now;
         !s->is_watcher_stopping && !s->is_sync_wanted && (now = toc_scrape_mono_ms(s)) < until_ms;)
        toc_cond_wait_ms(&s->wanted, &s->mutex, until_ms - now);
    bool has_news = s->is_sync_wanted;
    s->is_sync_wanted = false;
    return has_news;
}

/* Mutex held: many changes in a row are taken together. */
static void pause_watcher(struct toc_scraper *s) {
    int64_t now, until_ms = toc_scrape_mono_ms(s) + SYNC_PAUSE_MS;
    while (!s->is_watcher_stopping && (now = toc_scrape_mono_ms(s)) < until_ms)
        toc_cond_wait_ms(&s->wanted, &s->mutex, until_ms - now);
}

static void watch(void *ctx) {
    struct toc_scraper *s = ctx;
    int64_t files_due_ms = toc_scrape_mono_ms(s) + s->file_poll_ms;
    toc_mutex_lock(&s->mutex);
    while (!s->is_watcher_stopping) {
        bool has_news = wait_for_news(s, files_due_ms);
        if (s->is_watcher_stopping)
            break;
        toc_mutex_unlock(&s->mutex);
        toc_scrape_sync_begin(s);
        if (toc_scrape_mono_ms(s) >= files_due_ms) {
            has_news = have_files_changed(s) || has_news;
            files_due_ms = toc_scrape_mono_ms(s) + s->file_poll_ms;
        }
        if (has_news)
            toc_scrape_sync(s);
        toc_scrape_sync_end(s);
        toc_mutex_lock(&s->mutex);
        if (has_news)
            pause_watcher(s);
    }
    toc_mutex_unlock(&s->mutex);
}

static void stop_watcher(struct toc_scraper *s) {
    toc_mutex_lock(&s->mutex);
    s->is_watcher_stopping = true;
    toc_cond_broadcast(&s->wanted);
    toc_mutex_unlock(&s->mutex);
    toc_thread_join(&s->watcher);
}

int toc_scraper_start(struct toc_scraper *s, struct toc_err *err) {
    if (!s->multi)
        return toc_errf(err, TOC_ENOMEM, "no memory for an HTTP client");
    int rc = toc_thread_start(&s->loop, "scrape", toc_scrape_loop, s);
    if (rc == 0)
        rc = toc_thread_start(&s->watcher, "scrape-sync", watch, s);
    if (rc == 0)
        toc_discovery_start(s->discovery);
    return rc < 0 ? toc_errf(err, rc, "cannot start a scrape thread: %s", toc_strerror(rc)) : 0;
}

void toc_scraper_stop(struct toc_scraper *s) {
    stop_watcher(s);
    toc_discovery_apply(s->discovery, NULL);
    toc_mutex_lock(&s->mutex);
    s->is_stopping = true;
    for (size_t i = 0; i < s->targets.count; i++)
        if (s->targets.items[i]->is_running)
            atomic_store(&s->targets.items[i]->is_removed, true);
    toc_mutex_unlock(&s->mutex);
    toc_scrape_wake_loop(s);
    toc_thread_join(&s->loop);
    struct scrape_targets gone = {0};
    for (size_t i = 0; i < s->orphans.count; i++)
        if (s->orphans.items[i]->pass != s->pass)
            TOC_VEC_PUSH(&gone, s->orphans.items[i]);
    TOC_VEC_FINI(&s->orphans);
    toc_scrape_end_targets(s, &gone);
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
    toc_scrape_specs_fini(&s->dropped);
    toc_scrape_pools_fini(&s->pools);
    toc_scrape_files_fini(&s->files);
    toc_discovery_free(&s->discovery);
    toc_heap_fini(&s->heap);
    toc_cond_fini(&s->wanted);
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
    int c = toc_sv_cmp(x->spec->config->job_name, y->spec->config->job_name);
    return c ? c : strcmp(x->spec->url, y->spec->url);
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
            .pool = t->spec->config->job_name,
            .labels = t->cache.target,
            .discovered = t->spec->discovered,
            .url = toc_sv_cstr(t->spec->url),
            .last_error = toc_sv_cstr(t->last_error),
            .last_scrape = t->last_scrape,
            .last_duration_s = t->last_duration_s,
            .health = t->health,
            .interval_ms = t->spec->interval_ms,
            .timeout_ms = t->spec->timeout_ms,
            .last_samples = t->last_samples,
            .is_found = t->spec->is_found,
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
        fn(ctx, s->dropped.items[i]->config->job_name, s->dropped.items[i]->discovered);
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
        has = !s->targets.items[i]->spec->is_found &&
              is_at_local_port(s->targets.items[i]->spec->url, port);
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

struct toc_discovery *toc_scraper_discovery(struct toc_scraper *s) {
    return s->discovery;
}
