#include "app/run_readers.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "collect/run_tail.h"
#include "sys/log.h"

enum { PARTS = 4 };

struct toc_run_readers {
    struct toc_alias_table *aliases;
    struct toc_run_log_table *log_table;
    struct toc_run_dirs *dirs; /* NULL: neither event files nor logs are read */
    struct toc_run_tail *tail;
    struct toc_tensorboard_tail *tensorboard; /* NULL: not read */
    struct toc_wandb_tail *wandb;             /* the same */
    struct toc_run_log_tail *logs;            /* the same */
    uint32_t saved[PARTS];                    /* checksums of what was saved last */
};

static void save_lines(struct toc_run_readers *r, struct toc_buf *out) {
    toc_run_tail_save(r->tail, out);
}
static void save_tensorboard(struct toc_run_readers *r, struct toc_buf *out) {
    if (r->tensorboard)
        toc_tensorboard_tail_save(r->tensorboard, out);
}
static void save_wandb(struct toc_run_readers *r, struct toc_buf *out) {
    if (r->wandb)
        toc_wandb_tail_save(r->wandb, out);
}
static void save_logs(struct toc_run_readers *r, struct toc_buf *out) {
    if (r->logs)
        toc_run_log_tail_save(r->logs, out);
}
static int restore_lines(struct toc_run_readers *r, struct toc_sv bytes) {
    return toc_run_tail_restore(r->tail, bytes);
}
static int restore_tensorboard(struct toc_run_readers *r, struct toc_sv bytes) {
    return r->tensorboard ? toc_tensorboard_tail_restore(r->tensorboard, bytes) : 0;
}
static int restore_wandb(struct toc_run_readers *r, struct toc_sv bytes) {
    return r->wandb ? toc_wandb_tail_restore(r->wandb, bytes) : 0;
}
static int restore_logs(struct toc_run_readers *r, struct toc_sv bytes) {
    return r->logs ? toc_run_log_tail_restore(r->logs, bytes) : 0;
}

static const struct {
    const char *key; /* in the state database */
    void (*save)(struct toc_run_readers *r, struct toc_buf *out);
    int (*restore)(struct toc_run_readers *r, struct toc_sv bytes);
} g_parts[PARTS] = {
    {"tail", save_lines, restore_lines},
    {"tensorboard", save_tensorboard, restore_tensorboard},
    {"logs", save_logs, restore_logs},
    {"wandb", save_wandb, restore_wandb},
};

static int make_tables(struct toc_run_readers *r, const struct toc_run_readers_options *o,
                       struct toc_err *err) {
    int rc = 0;
    if (o->reads_tensorboard || o->reads_wandb || o->reads_logs)
        rc = toc_alias_table_builtin(&r->aliases, err);
    if (rc == 0 && o->reads_logs)
        rc = toc_run_log_table_builtin(&r->log_table, err);
    return rc;
}

int toc_run_readers_new(const struct toc_run_readers_options *o, struct toc_run_readers **out,
                        struct toc_err *err) {
    struct toc_run_readers *r = TOC_NEW(struct toc_run_readers);
    int rc = make_tables(r, o, err);
    if (rc < 0) {
        toc_run_readers_free(&r);
        return rc;
    }
    r->tail = toc_run_tail_new(&(struct toc_run_tail_options){
        .receiver = o->receiver, .dirs = o->dirs, .dir_count = o->dir_count});
    if (r->aliases)
        r->dirs = toc_run_dirs_new(
            &(struct toc_run_dirs_options){.dirs = o->dirs, .dir_count = o->dir_count});
    if (o->reads_tensorboard)
        r->tensorboard = toc_tensorboard_tail_new(
            &(struct toc_tensorboard_tail_options){.receiver = o->receiver, .aliases = r->aliases});
    if (o->reads_wandb)
        r->wandb = toc_wandb_tail_new(
            &(struct toc_wandb_tail_options){.receiver = o->receiver, .aliases = r->aliases});
    if (o->reads_logs)
        r->logs =
            toc_run_log_tail_new(&(struct toc_run_log_tail_options){.receiver = o->receiver,
                                                                    .sink = o->sink,
                                                                    .table = r->log_table,
                                                                    .aliases = r->aliases,
                                                                    .is_utc = o->are_logs_utc});
    *out = r;
    return 0;
}

void toc_run_readers_free(struct toc_run_readers **readers) {
    struct toc_run_readers *r = readers ? *readers : NULL;
    if (!r)
        return;
    toc_run_tail_free(&r->tail);
    toc_tensorboard_tail_free(&r->tensorboard);
    toc_wandb_tail_free(&r->wandb);
    toc_run_log_tail_free(&r->logs);
    toc_run_dirs_free(&r->dirs);
    toc_run_log_table_free(&r->log_table);
    toc_alias_table_free(&r->aliases);
    toc_free(r);
    *readers = NULL;
}

int toc_run_readers_poll(struct toc_run_readers *r, struct toc_ts now, struct toc_err *err) {
    int rc = toc_run_tail_poll(r->tail, now, err);
    if (rc < 0 || !r->dirs)
        return rc;
    struct toc_run_dirs_listing listing = toc_run_dirs_list(r->dirs);
    if (r->tensorboard)
        rc = toc_tensorboard_tail_poll(r->tensorboard, &listing, now, err);
    if (rc == 0 && r->wandb)
        rc = toc_wandb_tail_poll(r->wandb, &listing, now, err);
    if (rc == 0 && r->logs)
        rc = toc_run_log_tail_poll(r->logs, &listing, now, err);
    return rc;
}

void toc_run_readers_save(struct toc_run_readers *r, struct toc_blob_store *blobs) {
    struct toc_buf bytes = TOC_BUF_INIT;
    for (int i = 0; i < PARTS; i++) {
        struct toc_err err = {0};
        toc_buf_reset(&bytes);
        g_parts[i].save(r, &bytes);
        uint32_t crc = toc_crc32c(0, bytes.p, bytes.n);
        if (!bytes.n || crc == r->saved[i])
            continue;
        if (blobs->put(blobs, "collect", toc_sv_cstr(g_parts[i].key), toc_buf_sv(&bytes), &err) < 0)
            toc_log(TOC_LOG_WARN, "state", "the state of %s could not be kept: %s", g_parts[i].key,
                    err.message);
        else
            r->saved[i] = crc;
    }
    toc_buf_fini(&bytes);
}

void toc_run_readers_restore(struct toc_run_readers *r, struct toc_blob_store *blobs) {
    struct toc_buf bytes = TOC_BUF_INIT;
    for (int i = 0; i < PARTS; i++) {
        toc_buf_reset(&bytes);
        if (blobs->get(blobs, "collect", toc_sv_cstr(g_parts[i].key), &bytes, NULL) == 0 &&
            g_parts[i].restore(r, toc_buf_sv(&bytes)) < 0)
            toc_log(TOC_LOG_WARN, "runs",
                    "the stored positions of followed files (%s) are damaged; files are read again",
                    g_parts[i].key);
    }
    toc_buf_fini(&bytes);
}

struct toc_tensorboard_tail_counters toc_run_readers_tensorboard(struct toc_run_readers *r) {
    return r->tensorboard ? toc_tensorboard_tail_counters(r->tensorboard)
                          : (struct toc_tensorboard_tail_counters){0};
}

struct toc_wandb_tail_counters toc_run_readers_wandb(struct toc_run_readers *r) {
    return r->wandb ? toc_wandb_tail_counters(r->wandb) : (struct toc_wandb_tail_counters){0};
}

struct toc_run_log_tail_counters toc_run_readers_logs(struct toc_run_readers *r) {
    return r->logs ? toc_run_log_tail_counters(r->logs) : (struct toc_run_log_tail_counters){0};
}
