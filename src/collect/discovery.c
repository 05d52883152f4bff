#include "collect/discovery.h"

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "collect/discovery_priv.h"
#include "sys/log.h"
#include "sys/thread.h"

enum { FIRST_RETRY_MS = 5000 };

struct toc_discovery_source {
    struct toc_discovery *owner;
    struct toc_scrape_set *set; /* one reference; the settings live there */
    const struct toc_discovery_config *config;
    struct toc_sv job;
    struct toc_thread thread;
    struct toc_event stop;
    bool has_news; /* of its thread alone */

    /* Guarded by the owner's mutex. */
    bool is_kept, is_started;
    struct toc_shared_groups groups; /* NULL: a gap */
    struct toc_map by_source;        /* source of a group → its place in `groups`, from 1 */
    size_t targets;
    uint64_t refreshes, failures;
    struct toc_ts last_success, failing_since;
    char last_error[TOC_ERR_MESSAGE_MAX];
};

struct source_list {
    TOC_VEC_FIELDS(struct toc_discovery_source *)
};

struct toc_discovery {
    struct toc_discovery_options options;
    struct toc_mutex mutex; /* everything below */
    bool is_running;
    struct source_list sources;
    struct toc_discovery_counters counters[TOC_DISCOVERY_MECHANISM_COUNT];
};

const char *toc_discovery_mechanism_text(enum toc_discovery_mechanism m) {
    static const char *const texts[] = {
#define X(name, text, key) #text,
        TOC_DISCOVERY_TABLE(X)
#undef X
    };
    return texts[m];
}

static const char *mechanism_of(const struct toc_discovery_source *s) {
    return toc_discovery_mechanism_text(s->config->kind->mechanism);
}

struct toc_discovery *toc_discovery_new(const struct toc_discovery_options *o) {
    struct toc_discovery *d = TOC_NEW(struct toc_discovery);
    d->options = *o;
    if (!d->options.clock)
        d->options.clock = toc_clock_system();
    if (!d->options.vfs)
        d->options.vfs = toc_vfs_system();
    toc_mutex_init(&d->mutex, TOC_LOCK_DISCOVERY);
    return d;
}

void toc_shared_groups_fini(struct toc_shared_groups *g) {
    for (size_t i = 0; i < g->count; i++)
        toc_shared_group_unref(&g->items[i]);
    TOC_VEC_FINI(g);
}

/* ------------------------------------------------------------------------------------------------
 * sources come and go */

static void source_free(struct toc_discovery_source *s) {
    toc_shared_groups_fini(&s->groups);
    toc_map_fini(&s->by_source);
    toc_event_fini(&s->stop);
    toc_scrape_set_unref(&s->set);
    toc_free(s);
}

static void source_run(void *ctx) {
    struct toc_discovery_source *s = ctx;
    s->config->kind->run(s, s->config->settings);
}

/* Mutex held. */
static void source_start(struct toc_discovery_source *s) {
    char name[16];
    toc_sv_copy(toc_sv_cstr(mechanism_of(s)), name + 3, sizeof name - 3);
    memcpy(name, "sd-", 3);
    int rc = toc_thread_start(&s->thread, name, source_run, s);
    if (rc == 0)
        return;
    toc_log(TOC_LOG_ERROR, "discovery", "%s %.*s: cannot start its thread: %s", name,
            TOC_SV_ARG(s->config->where), toc_strerror(rc));
    toc_sv_copy(toc_sv_cstr("its thread could not be started"), s->last_error,
                sizeof s->last_error);
    s->failures++;
    s->failing_since = toc_clock_now(s->owner->options.clock);
}

static struct toc_discovery_source *find_alike(struct source_list *l,
                                               const struct toc_discovery_config *c) {
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i]->config->digest == c->digest && l->items[i]->config->kind == c->kind)
            return l->items[i];
    return NULL;
}

/* Mutex held: the groups of one that ends and whose place the new one takes. */
static void inherit(struct toc_discovery_source *s, const struct source_list *ending) {
    for (size_t i = 0; i < ending->count; i++) {
        struct toc_discovery_source *old = ending->items[i];
        if (old->config->kind != s->config->kind || !toc_sv_eq(old->job, s->job))
            continue;
        s->groups = old->groups;
        s->by_source = old->by_source;
        s->targets = old->targets;
        old->groups = (struct toc_shared_groups){0};
        old->by_source = TOC_MAP_INIT;
        old->targets = 0;
        return;
    }
}

/* Mutex held. */
static void add_source(struct toc_discovery *d, struct toc_scrape_set *set,
                       const struct toc_discovery_config *c, struct toc_sv job,
                       const struct source_list *ending) {
    struct toc_discovery_source *s = TOC_NEW(struct toc_discovery_source);
    s->owner = d;
    s->set = toc_scrape_set_ref(set);
    s->config = c;
    s->job = job;
    s->is_kept = true;
    toc_event_init(&s->stop);
    inherit(s, ending);
    TOC_VEC_PUSH(&d->sources, s);
    if (d->is_running)
        source_start(s);
}

/* Mutex held: marks what the set names, moves the others to `ending`. */
static void part_sources(struct toc_discovery *d, struct toc_scrape_set *set,
                         struct source_list *ending) {
    size_t kept = 0;
    for (size_t i = 0; i < d->sources.count; i++)
        d->sources.items[i]->is_kept = false;
    for (size_t i = 0; set && i < toc_scrape_set_count(set); i++) {
        const struct toc_scrape_config *c = toc_scrape_set_get(set, i);
        for (size_t k = 0; k < c->discovery_count; k++) {
            struct toc_discovery_source *s = find_alike(&d->sources, &c->discoveries[k]);
            if (s)
                s->is_kept = true;
        }
    }
    for (size_t i = 0; i < d->sources.count; i++) {
        struct toc_discovery_source *s = d->sources.items[i];
        if (s->is_kept)
            d->sources.items[kept++] = s;
        else
            TOC_VEC_PUSH(ending, s);
    }
    d->sources.count = kept;
}

static void end_sources(struct source_list *ending) {
    for (size_t i = 0; i < ending->count; i++)
        toc_event_set(&ending->items[i]->stop);
    for (size_t i = 0; i < ending->count; i++) {
        toc_thread_join(&ending->items[i]->thread);
        source_free(ending->items[i]);
    }
    TOC_VEC_FINI(ending);
}

void toc_discovery_apply(struct toc_discovery *d, struct toc_scrape_set *set) {
    struct source_list ending = {0};
    toc_mutex_lock(&d->mutex);
    part_sources(d, set, &ending);
    for (size_t i = 0; i < ending.count; i++)
        toc_event_set(&ending.items[i]->stop);
    for (size_t i = 0; set && i < toc_scrape_set_count(set); i++) {
        const struct toc_scrape_config *c = toc_scrape_set_get(set, i);
        for (size_t k = 0; k < c->discovery_count; k++)
            if (!find_alike(&d->sources, &c->discoveries[k]))
                add_source(d, set, &c->discoveries[k], c->job_name, &ending);
    }
    toc_mutex_unlock(&d->mutex);
    end_sources(&ending);
}

void toc_discovery_start(struct toc_discovery *d) {
    toc_mutex_lock(&d->mutex);
    d->is_running = true;
    for (size_t i = 0; i < d->sources.count; i++)
        source_start(d->sources.items[i]);
    toc_mutex_unlock(&d->mutex);
}

void toc_discovery_free(struct toc_discovery **dp) {
    struct toc_discovery *d = *dp;
    if (!d)
        return;
    toc_discovery_apply(d, NULL);
    TOC_VEC_FINI(&d->sources);
    toc_mutex_fini(&d->mutex);
    toc_free(d);
    *dp = NULL;
}

/* ------------------------------------------------------------------------------------------------
 * what the threads of sources call */

bool toc_discovery_wait_ms(struct toc_discovery_source *s, int64_t ms) {
    return toc_event_wait_ms(&s->stop, TOC_MAX(ms, 0));
}

bool toc_discovery_is_stopping(void *source) {
    return toc_event_is_set(&((struct toc_discovery_source *)source)->stop);
}

struct toc_vfs *toc_discovery_vfs(struct toc_discovery_source *s) {
    return s->owner->options.vfs;
}

struct toc_clock *toc_discovery_clock(struct toc_discovery_source *s) {
    return s->owner->options.clock;
}

/* Mutex held. */
static struct toc_discovery_counters *counters_of(struct toc_discovery_source *s) {
    return &s->owner->counters[s->config->kind->mechanism];
}

void toc_discovery_failed(struct toc_discovery_source *s, const struct toc_err *err) {
    toc_mutex_lock(&s->owner->mutex);
    bool is_known = strcmp(s->last_error, err->message) == 0;
    s->failures++;
    counters_of(s)->failures++;
    if (s->failing_since.ms == 0)
        s->failing_since = toc_clock_now(s->owner->options.clock);
    toc_sv_copy(toc_sv_cstr(err->message), s->last_error, sizeof s->last_error);
    size_t targets = s->targets;
    toc_mutex_unlock(&s->owner->mutex);
    if (!is_known)
        toc_log(TOC_LOG_WARN, "discovery", "job %.*s: %s discovery failed: %s; %zu targets stay",
                TOC_SV_ARG(s->job), mechanism_of(s), err->message, targets);
}

void toc_discovery_succeeded(struct toc_discovery_source *s) {
    toc_mutex_lock(&s->owner->mutex);
    bool was_failing = s->failing_since.ms != 0;
    s->refreshes++;
    counters_of(s)->refreshes++;
    s->failing_since = (struct toc_ts){0};
    s->last_success = toc_clock_now(s->owner->options.clock);
    s->last_error[0] = 0;
    s->is_started = true;
    size_t targets = s->targets;
    toc_mutex_unlock(&s->owner->mutex);
    if (was_failing)
        toc_log(TOC_LOG_INFO, "discovery", "job %.*s: %s discovery works again, %zu targets",
                TOC_SV_ARG(s->job), mechanism_of(s), targets);
}

static bool are_labels_short(const struct toc_label *l, size_t count) {
    if (count > TOC_DISCOVERY_LABELS_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (l[i].name.n > TOC_DISCOVERY_NAME_BYTES_MAX ||
            l[i].value.n > TOC_DISCOVERY_VALUE_BYTES_MAX)
            return false;
    return true;
}

static bool is_within_limits(const struct toc_target_group *g) {
    bool is_good = are_labels_short(g->labels, g->label_count);
    for (size_t i = 0; is_good && i < g->target_count; i++)
        is_good = g->targets[i].n <= TOC_DISCOVERY_NAME_BYTES_MAX &&
                  (!g->own || are_labels_short(g->own[i].items, g->own[i].count));
    return is_good;
}

/* Mutex held: takes the group out, leaving a gap. */
static void take_out(struct toc_discovery_source *s, size_t place) {
    struct toc_shared_group **g = &s->groups.items[place - 1];
    s->targets -= toc_shared_group_get(*g)->target_count;
    toc_shared_group_unref(g);
    s->has_news = true;
}

/* Mutex held. False: the group is over a limit and left out. */
static bool may_hold(struct toc_discovery_source *s, const struct toc_target_group *g,
                     size_t targets_before) {
    bool is_good =
        is_within_limits(g) && targets_before + g->target_count <= TOC_DISCOVERY_TARGETS_MAX;
    if (is_good)
        return true;
    if (counters_of(s)->targets_dropped == 0)
        toc_log(TOC_LOG_WARN, "discovery",
                "job %.*s: %s discovery: %.*s: %zu targets left out: over %d targets of a source, "
                "%d labels of a target, or %d bytes of a label's value",
                TOC_SV_ARG(s->job), mechanism_of(s), TOC_SV_ARG(g->source), g->target_count,
                TOC_DISCOVERY_TARGETS_MAX, TOC_DISCOVERY_LABELS_MAX, TOC_DISCOVERY_VALUE_BYTES_MAX);
    counters_of(s)->targets_dropped += g->target_count;
    return false;
}

/* Mutex held. */
static void put(struct toc_discovery_source *s, const struct toc_target_group *g) {
    size_t place = (uintptr_t)toc_map_get(&s->by_source, g->source);
    const struct toc_target_group *old =
        place ? toc_shared_group_get(s->groups.items[place - 1]) : NULL;
    if (old && toc_target_group_eq(old, g))
        return;
    bool is_wanted = g->target_count && may_hold(s, g, s->targets - (old ? old->target_count : 0));
    if (old)
        take_out(s, place);
    if (!is_wanted) {
        toc_map_remove(&s->by_source, g->source);
        return;
    }
    if (!place) {
        TOC_VEC_PUSH(&s->groups, NULL);
        place = s->groups.count;
        toc_map_put(&s->by_source, g->source, (void *)(uintptr_t)place);
    }
    s->groups.items[place - 1] = toc_shared_group_new(g);
    s->targets += g->target_count;
    s->has_news = true;
}

/* Mutex held: without gaps, once there are more of them than groups. */
static void close_gaps(struct toc_discovery_source *s) {
    size_t n = 0;
    if (s->groups.count <= 2 * s->by_source.count)
        return;
    for (size_t i = 0; i < s->groups.count; i++) {
        struct toc_shared_group *g = s->groups.items[i];
        if (!g)
            continue;
        s->groups.items[n++] = g;
        toc_map_put(&s->by_source, toc_shared_group_get(g)->source, (void *)(uintptr_t)n);
    }
    s->groups.count = n;
}

void toc_discovery_put(struct toc_discovery_source *s, const struct toc_target_group *group) {
    toc_mutex_lock(&s->owner->mutex);
    put(s, group);
    close_gaps(s);
    toc_mutex_unlock(&s->owner->mutex);
}

/* Mutex held. */
static void keep_only(struct toc_discovery_source *s, const struct toc_map *sources) {
    for (size_t i = 0; i < s->groups.count; i++) {
        struct toc_shared_group *g = s->groups.items[i];
        if (!g || toc_map_has(sources, toc_shared_group_get(g)->source))
            continue;
        toc_map_remove(&s->by_source, toc_shared_group_get(g)->source);
        take_out(s, i + 1);
    }
    close_gaps(s);
}

void toc_discovery_keep_only(struct toc_discovery_source *s, const struct toc_map *sources) {
    toc_mutex_lock(&s->owner->mutex);
    keep_only(s, sources);
    toc_mutex_unlock(&s->owner->mutex);
}

void toc_discovery_replace(struct toc_discovery_source *s, const struct toc_target_group *groups,
                           size_t count) {
    struct toc_map wanted = TOC_MAP_INIT;
    for (size_t i = 0; i < count; i++)
        toc_map_put(&wanted, groups[i].source, s);
    toc_mutex_lock(&s->owner->mutex);
    keep_only(s, &wanted);
    for (size_t i = 0; i < count; i++)
        put(s, &groups[i]);
    toc_mutex_unlock(&s->owner->mutex);
    toc_map_fini(&wanted);
    toc_discovery_succeeded(s);
}

void toc_discovery_publish(struct toc_discovery_source *s) {
    if (!s->has_news)
        return;
    s->has_news = false;
    if (s->owner->options.on_change)
        s->owner->options.on_change(s->owner->options.ctx);
}

void toc_discovery_repeat(struct toc_discovery_source *s, int64_t interval_ms,
                          int (*refresh)(struct toc_discovery_source *s, void *ctx,
                                         struct toc_err *err),
                          void *ctx) {
    int64_t wait_ms = 0, retry_ms = FIRST_RETRY_MS;
    while (!toc_discovery_wait_ms(s, wait_ms)) {
        struct toc_err err = {0};
        int64_t start_ns = toc_clock_mono(toc_discovery_clock(s)).ns;
        bool is_good = refresh(s, ctx, &err) == 0;
        if (toc_discovery_is_stopping(s))
            return;
        if (is_good)
            toc_discovery_publish(s);
        else
            toc_discovery_failed(s, &err);
        int64_t took_ms = (toc_clock_mono(toc_discovery_clock(s)).ns - start_ns) / 1000000;
        wait_ms = is_good ? interval_ms - took_ms : TOC_MIN(interval_ms, retry_ms);
        retry_ms = is_good ? FIRST_RETRY_MS : TOC_MIN(retry_ms * 2, interval_ms);
    }
}

/* ------------------------------------------------------------------------------------------------
 * looking at them */

void toc_discovery_groups(struct toc_discovery *d, const struct toc_discovery_config *c,
                          struct toc_shared_groups *out) {
    toc_mutex_lock(&d->mutex);
    struct toc_discovery_source *s = find_alike(&d->sources, c);
    for (size_t i = 0; s && i < s->groups.count; i++)
        if (s->groups.items[i])
            TOC_VEC_PUSH(out, toc_shared_group_ref(s->groups.items[i]));
    toc_mutex_unlock(&d->mutex);
}

void toc_discovery_list(struct toc_discovery *d,
                        void (*fn)(void *ctx, const struct toc_discovery_source_info *info),
                        void *ctx) {
    toc_mutex_lock(&d->mutex);
    for (size_t i = 0; i < d->sources.count; i++) {
        const struct toc_discovery_source *s = d->sources.items[i];
        const struct toc_discovery_source_info info = {
            .mechanism = mechanism_of(s),
            .where = s->config->where,
            .job = s->job,
            .last_error = toc_sv_cstr(s->last_error),
            .last_success = s->last_success,
            .failing_since = s->failing_since,
            .refreshes = s->refreshes,
            .failures = s->failures,
            .groups = s->by_source.count,
            .targets = s->targets,
            .is_started = s->is_started,
        };
        fn(ctx, &info);
    }
    toc_mutex_unlock(&d->mutex);
}

struct toc_discovery_counters toc_discovery_counters(struct toc_discovery *d,
                                                     enum toc_discovery_mechanism m) {
    toc_mutex_lock(&d->mutex);
    struct toc_discovery_counters c = d->counters[m];
    for (size_t i = 0; i < d->sources.count; i++) {
        const struct toc_discovery_source *s = d->sources.items[i];
        if (s->config->kind->mechanism != m)
            continue;
        c.sources++;
        c.failing += s->failing_since.ms != 0;
        c.targets += s->targets;
    }
    toc_mutex_unlock(&d->mutex);
    return c;
}
