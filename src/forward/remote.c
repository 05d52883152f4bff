#include "forward/remote.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/protobuf.h"
#include "forward/position.h"
#include "forward/remote_priv.h"
#include "forward/shards.h"
#include "metricdb/exemplar.h"
#include "sys/log.h"

enum {
    RECORDS_PER_TURN = 64,
    UPKEEP_MS = 1000,
    LOOK_MS = 10000, /* from one look at the number of shards to the next */
    PUBLISH_MS = 100,
    READ_AGAIN_MS = 1000,
    END_MS = 2000, /* that requests under way get when it is stopped */
    EXEMPLARS_PER_TURN = 1000,
};

/* --- reading --- */

static void drop(struct toc_forward_remote *r, enum toc_forward_drop reason) {
    r->stats.dropped[reason]++;
}

static void on_segment(void *ctx) {
    struct toc_forward_remote *r = ctx;
    uint64_t number = toc_log_follower_position(r->follower).segment;
    toc_forward_table_clear(&r->table);
    r->is_below_floor = number < atomic_load_explicit(&r->floor_number, memory_order_acquire);
}

static void on_series(void *ctx, uint32_t id, struct toc_labels labels) {
    struct toc_forward_remote *r = ctx;
    toc_forward_table_define(&r->table, id, labels);
}

/* The series of a sample that is wanted; NULL: it was counted as dropped. */
static struct toc_forward_series *series_of(struct toc_forward_remote *r, uint32_t id,
                                            int64_t t_ms) {
    struct toc_forward_series *s = toc_forward_table_get(&r->table, id);
    r->stats.read++;
    r->stats.newest_read_ms = TOC_MAX(r->stats.newest_read_ms, t_ms);
    if (!s)
        drop(r, TOC_FORWARD_DROP_NO_SERIES);
    else if (s->is_dropped)
        drop(r, TOC_FORWARD_DROP_RELABEL);
    else if (r->is_below_floor)
        drop(r, (enum toc_forward_drop)atomic_load(&r->floor_reason));
    else
        return s;
    return NULL;
}

static void on_sample(void *ctx, uint32_t id, int64_t t_ms, double value) {
    struct toc_forward_remote *r = ctx;
    struct toc_forward_item item = {
        .series = series_of(r, id, t_ms), .t_ms = t_ms, .kind = TOC_FORWARD_FLOAT, .value = value};
    if (item.series)
        toc_forward_queue_push(&r->queue, &item);
}

static void on_histogram(void *ctx, uint32_t id, int64_t t_ms, struct toc_sv bytes) {
    struct toc_forward_remote *r = ctx;
    struct toc_forward_item item = {
        .series = series_of(r, id, t_ms), .t_ms = t_ms, .kind = TOC_FORWARD_HISTOGRAM};
    if (item.series && !r->config->send_native_histograms) {
        drop(r, TOC_FORWARD_DROP_HISTOGRAM_OFF);
    } else if (item.series) {
        item.blob = toc_forward_blob_new(bytes, 0);
        toc_forward_queue_push(&r->queue, &item);
    }
}

static void look_at_floor(struct toc_forward_remote *r) {
    uint64_t number = toc_log_follower_position(r->follower).segment;
    r->is_below_floor = number < atomic_load_explicit(&r->floor_number, memory_order_acquire);
}

/* Reads while there is room; true: there is more to be read. */
static bool fill(struct toc_forward_remote *r, int64_t now_ms) {
    struct toc_err err = {0};
    if (now_ms < r->next_read_ms)
        return false;
    look_at_floor(r);
    if (r->is_draining && !r->is_below_floor)
        return false;
    for (int i = 0; i < RECORDS_PER_TURN; i++) {
        bool took;
        if (!r->is_below_floor &&
            !toc_forward_queue_has_room(&r->queue, (size_t)r->config->queue.capacity)) {
            r->was_full = true;
            return false;
        }
        uint64_t before = toc_log_follower_position(r->follower).offset;
        if (toc_log_follow(r->follower, &took, &err)) {
            r->next_read_ms = now_ms + READ_AGAIN_MS;
            forward_note_problem(r, err.message, false);
            return false;
        }
        struct toc_log_position at = toc_log_follower_position(r->follower);
        toc_forward_queue_mark(&r->queue, &at);
        if (!took)
            return false;
        r->read_bytes += at.offset - TOC_MIN(before, at.offset);
    }
    return true;
}

/* --- exemplars: the store has them in memory only --- */

static void on_exemplar(void *ctx, struct toc_labels labels, const struct toc_exemplar *e) {
    struct toc_forward_remote *r = ctx;
    struct toc_buf bytes = TOC_BUF_INIT;
    struct toc_forward_series *s = toc_forward_table_make(&r->table, labels);
    for (size_t i = 0; i < e->labels.count; i++) {
        size_t mark = toc_pb_begin(&bytes, 1);
        toc_pb_put_bytes(&bytes, 1, e->labels.items[i].name);
        toc_pb_put_bytes(&bytes, 2, e->labels.items[i].value);
        toc_pb_end(&bytes, mark);
    }
    struct toc_forward_item item = {.series = s, .t_ms = e->t_ms, .kind = TOC_FORWARD_EXEMPLAR};
    if (!s->is_dropped && !bytes.error) {
        item.blob = toc_forward_blob_new(toc_buf_sv(&bytes), e->value);
        toc_forward_queue_push(&r->queue, &item);
    }
    toc_forward_series_unref(&s);
    toc_buf_fini(&bytes);
}

static void read_exemplars(struct toc_forward_remote *r) {
    if (!r->config->send_exemplars || r->is_draining ||
        !toc_forward_queue_has_room(&r->queue, (size_t)r->config->queue.capacity))
        return;
    r->stats.dropped_exemplars += toc_metricdb_exemplars_since(r->o.db, &r->exemplar_cursor,
                                                               EXEMPLARS_PER_TURN, on_exemplar, r);
}

/* --- shards --- */

static void set_shards(struct toc_forward_remote *r, size_t count) {
    toc_forward_queue_reshard(&r->queue, count);
    while (r->senders.count > count) {
        struct forward_sender *s = r->senders.items[--r->senders.count];
        forward_sender_fini(s);
        toc_free(s);
    }
    while (r->senders.count < count) {
        struct forward_sender *s = TOC_NEW(struct forward_sender);
        forward_sender_init(s, r, r->senders.count);
        TOC_VEC_PUSH(&r->senders, s);
    }
    r->stats.shards = count;
}

static void look_at_shards(struct toc_forward_remote *r, int64_t now_ms) {
    const struct toc_forward_queue_config *q = &r->config->queue;
    struct toc_forward_load load = {
        .shards = r->senders.count,
        .min = (size_t)q->min_shards,
        .max = (size_t)q->max_shards,
        .busy = (double)r->busy_ms / (double)LOOK_MS / (double)r->senders.count,
        .is_behind = r->was_full,
        .has_failed = r->has_failed,
    };
    r->next_look_ms = now_ms + LOOK_MS;
    r->stats.wanted_shards = toc_forward_shards_wanted(&load);
    r->is_draining = r->stats.wanted_shards != r->senders.count;
    r->busy_ms = 0;
    r->was_full = false;
    r->has_failed = false;
}

/* A series may change its shard only while nothing of it is under way. */
static void finish_draining(struct toc_forward_remote *r) {
    if (!r->is_draining || r->queue.count)
        return;
    for (size_t i = 0; i < r->senders.count; i++)
        if (r->senders.items[i]->is_busy)
            return;
    set_shards(r, r->stats.wanted_shards);
    r->is_draining = false;
}

/* --- keeping --- */

static bool is_same_place(const struct toc_log_position *a, const struct toc_log_position *b) {
    return a->segment == b->segment && a->offset == b->offset && a->salt == b->salt;
}

static void save_position(struct toc_forward_remote *r) {
    struct toc_log_position p = toc_forward_queue_delivered(&r->queue);
    if (is_same_place(&p, &r->stats.saved))
        return;
    int rc = toc_forward_position_save(r->o.vfs, r->dir, r->config->key, &p);
    if (!rc) {
        r->stats.saved = p;
        return;
    }
    char text[200];
    snprintf(text, sizeof text,
             "the position cannot be kept in %s: %s; after a crash more is sent "
             "again",
             r->dir, toc_strerror(rc));
    r->stats.position_failures++;
    forward_note_problem(r, text, false);
}

static void measure(struct toc_forward_remote *r) {
    struct toc_forward_stats *s = &r->stats;
    struct toc_log_position delivered = toc_forward_queue_delivered(&r->queue);
    struct toc_log_position end = toc_metricdb_log_end(r->o.db);
    struct toc_log_position at = toc_log_follower_position(r->follower);
    int64_t now = toc_clock_now(r->o.clock).ms;
    uint64_t unread = 0;
    toc_forward_lag_note(&r->lag, &end, now);
    int64_t older = at.segment == delivered.segment ? toc_log_follower_segment_ms(r->follower) : 0;
    s->behind_ms = toc_forward_lag_ms(&r->lag, &delivered, older, now);
    if (toc_metricdb_log_behind(r->o.db, &delivered, &s->behind_bytes) ||
        toc_metricdb_log_behind(r->o.db, &at, &unread))
        return; /* the numbers of a second ago stay */
    double per_byte = r->read_bytes ? (double)s->read / (double)r->read_bytes : 0;
    s->behind_samples = r->queue.count + (uint64_t)(per_byte * (double)unread);
}

static void publish(struct toc_forward_remote *r) {
    r->stats.pending = r->queue.count;
    r->stats.lost_records = toc_log_follower_lost(r->follower);
    r->stats.read_segment = toc_log_follower_position(r->follower).segment;
    toc_mutex_lock(&r->mutex);
    r->published = r->stats;
    toc_mutex_unlock(&r->mutex);
}

static void keep(struct toc_forward_remote *r, int64_t now_ms) {
    finish_draining(r);
    forward_send_metadata(r, now_ms);
    if (now_ms >= r->next_look_ms)
        look_at_shards(r, now_ms);
    if (now_ms >= r->next_upkeep_ms) {
        r->next_upkeep_ms = now_ms + UPKEEP_MS;
        save_position(r);
        measure(r);
    }
    if (now_ms >= r->next_publish_ms) {
        r->next_publish_ms = now_ms + PUBLISH_MS;
        publish(r);
    }
}

/* --- the thread --- */

static void end(struct toc_forward_remote *r) {
    int64_t until = forward_now_ms(r) + END_MS;
    while (toc_http_multi_running(r->multi) && forward_now_ms(r) < until)
        toc_http_multi_poll(r->multi, until - forward_now_ms(r));
    atomic_store(&r->is_cut, true);
    while (toc_http_multi_running(r->multi))
        toc_http_multi_poll(r->multi, PUBLISH_MS);
    save_position(r);
}

static void run(void *ctx) {
    struct toc_forward_remote *r = ctx;
    while (!atomic_load(&r->stopping)) {
        int64_t now = forward_now_ms(r);
        bool has_more = fill(r, now);
        read_exemplars(r);
        int64_t wait = forward_send_due(r, now);
        keep(r, now);
        toc_http_multi_poll(r->multi, has_more ? 0 : wait);
    }
    end(r);
}

/* --- life --- */

static int find_position(struct toc_forward_remote *r, struct toc_log_position *out,
                         struct toc_err *err) {
    const struct toc_forward_config *c = r->config;
    int rc = toc_forward_position_load(r->o.vfs, r->dir, c->key, out);
    if (rc == TOC_ECORRUPT) {
        toc_log(TOC_LOG_ERROR, "forward",
                "the position of %.*s in %s is damaged: all of the log is sent again",
                TOC_SV_ARG(c->name), r->dir);
        *out = (struct toc_log_position){0};
        return 0;
    }
    if (rc == TOC_ENOENT) {
        *out = toc_metricdb_log_end(r->o.db);
        rc = toc_forward_position_save(r->o.vfs, r->dir, c->key, out);
    }
    return rc ? toc_errf(err, rc, "remote write to %.*s: its position cannot be kept in %s: %s",
                         TOC_SV_ARG(c->name), r->dir, toc_strerror(rc))
              : 0;
}

static void fini(struct toc_forward_remote *r) {
    for (size_t i = 0; i < r->senders.count; i++) {
        forward_sender_fini(r->senders.items[i]);
        toc_free(r->senders.items[i]);
    }
    TOC_VEC_FINI(&r->senders);
    forward_sender_fini(&r->meta);
    toc_http_multi_free(&r->multi);
    toc_log_follower_free(&r->follower);
    toc_forward_queue_fini(&r->queue);
    toc_forward_table_fini(&r->table);
    toc_forward_encoder_fini(&r->encoder);
    toc_forward_metadata_fini(&r->metadata);
    toc_buf_fini(&r->plain);
    toc_mutex_fini(&r->mutex);
    toc_forward_set_unref(&r->o.set);
    toc_free(r->dir);
    toc_free(r);
}

static void prepare(struct toc_forward_remote *r, const struct toc_log_position *from) {
    const struct toc_forward_config *c = r->config;
    const struct toc_log_visitor v = {r, on_segment, on_series, on_sample, on_histogram};
    int64_t now = forward_now_ms(r);
    r->follower = toc_log_follower_new(r->o.db, from, &v);
    struct toc_log_position at = toc_log_follower_position(r->follower);
    toc_forward_queue_init(&r->queue, (size_t)c->queue.min_shards, &at);
    set_shards(r, (size_t)c->queue.min_shards);
    forward_sender_init(&r->meta, r, 0);
    r->meta_at = SIZE_MAX;
    r->message = c->message;
    r->exemplar_cursor = toc_metricdb_exemplars_added(r->o.db);
    r->next_look_ms = now + LOOK_MS;
    r->stats.saved = at;
    r->stats.wanted_shards = r->senders.count;
    r->stats.min_shards = (size_t)c->queue.min_shards;
    r->stats.max_shards = (size_t)c->queue.max_shards;
    toc_sv_copy(toc_sv_sub(c->name, 0, sizeof r->stats.name - 1), r->stats.name,
                sizeof r->stats.name);
    publish(r);
}

int toc_forward_remote_start(const struct toc_forward_remote_options *o,
                             struct toc_forward_remote **out, struct toc_err *err) {
    struct toc_forward_remote *r = TOC_NEW(struct toc_forward_remote);
    struct toc_log_position from;
    r->o = *o;
    r->o.set = toc_forward_set_ref(o->set);
    r->config = o->config;
    r->dir = toc_xstrdup(o->dir);
    toc_mutex_init(&r->mutex, TOC_LOCK_FORWARD_REMOTE);
    toc_forward_table_init(&r->table, &r->config->relabel, r->config->external_labels);
    int rc = find_position(r, &from, err);
    if (!rc) {
        r->multi = toc_http_multi_new((size_t)r->config->queue.max_shards + 1);
        rc = r->multi ? 0 : toc_errf(err, TOC_ENOMEM, "no memory for remote write");
    }
    if (!rc) {
        prepare(r, &from);
        rc = toc_thread_start(&r->thread, "forward", run, r);
        if (rc)
            toc_errf(err, rc, "the thread of remote write could not be started: %s",
                     toc_strerror(rc));
    }
    if (rc)
        fini(r);
    *out = rc ? NULL : r;
    return rc;
}

void toc_forward_remote_stop(struct toc_forward_remote **rp) {
    struct toc_forward_remote *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    atomic_store(&r->stopping, true);
    toc_http_multi_wake(r->multi);
    toc_thread_join(&r->thread);
    fini(r);
}

const struct toc_forward_config *toc_forward_remote_config(const struct toc_forward_remote *r) {
    return r->config;
}

void toc_forward_remote_set_floor(struct toc_forward_remote *r, uint64_t number,
                                  enum toc_forward_drop reason) {
    atomic_store(&r->floor_reason, (int)reason);
    atomic_store_explicit(&r->floor_number, number, memory_order_release);
}

void toc_forward_remote_stats(struct toc_forward_remote *r, struct toc_forward_stats *out) {
    toc_mutex_lock(&r->mutex);
    *out = r->published;
    toc_mutex_unlock(&r->mutex);
}
