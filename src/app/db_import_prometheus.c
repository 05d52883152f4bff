/* `tocsin db import-prometheus`: a data directory of Prometheus into ours. */
#include <stdio.h>

#include "app/command.h"
#include "app/db_command.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/selection.h"
#include "base/alloc.h"
#include "base/map.h"
#include "metricdb/metricdb.h"
#include "promtsdb/data_dir.h"
#include "sys/clock.h"

static const char usage[] =
    "usage: tocsin db import-prometheus DIR [--data DIR] [--match SELECTOR] [--from T] [--to T]\n"
    "\n"
    "Reads the blocks and the log of a Prometheus data directory, which is not changed, into the\n"
    "data directory of a daemon that does not run. Samples that are there already stay as they\n"
    "are, so an import can be repeated.\n"
    "\n"
    "  --data DIR   ours, made when missing (default ./tocsin-data)\n"
    "  --match      of series, such as {job=\"node\"}\n"
    "  --from, --to RFC 3339 or seconds since the epoch, both inclusive\n"
    "\n"
    "Exit code 6 when something could not be read. Mind storage.retention before the daemon\n"
    "starts: what is older goes.\n";

enum { BATCH = 16384, HISTOGRAM_BYTES = 32 << 20, DAY_MS = 86400000 };

struct import {
    struct toc_metricdb *db;
    struct toc_selection selection;
    struct toc_prom_data_dir from;
    int64_t log_min_ms; /* older samples of the log at hand are left out */
    TOC_VEC(struct toc_metricdb_sample) batch;
    struct toc_map refs;         /* of the log: reference there → ours + 1; 0: not wanted */
    struct toc_arena histograms; /* of the batch */
    uint64_t samples, damaged;
    uint64_t rejected[TOC_REJECT_REASON_COUNT];
    const char *place;      /* being read: a block's name, or "wal" */
    struct toc_map damages; /* places told already: a block is read once for each day */
    struct toc_progress progress;
    uint64_t done_ms; /* of the progress */
    struct toc_err err;
};

/* --- writing --- */

static int flush(struct import *m) {
    struct toc_write_result r;
    size_t unknown = 0;
    if (!m->batch.count)
        return 0;
    int rc = toc_metricdb_write_refs(m->db, m->batch.items, m->batch.count, &r, &unknown, &m->err);
    if (!rc && unknown)
        rc = toc_errf(&m->err, TOC_EBUSY, "the store forgot series while they were written");
    m->batch.count = 0;
    toc_arena_reset(&m->histograms);
    m->samples += rc ? 0 : r.accepted;
    for (int i = 0; i < TOC_REJECT_REASON_COUNT && !rc; i++)
        m->rejected[i] += r.rejected[i];
    return rc;
}

/* 0: refused, or not selected. */
static uint64_t reference(struct import *m, struct toc_labels labels) {
    enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
    uint64_t ref = 0;
    if (!toc_matchers_match(m->selection.matchers, m->selection.matcher_count, labels))
        return 0;
    if (toc_metricdb_series_ref(m->db, labels, &ref, &reason))
        m->rejected[reason]++;
    return ref;
}

static int put_histogram(struct import *m, uint64_t ref, int64_t t_ms,
                         const struct toc_histogram *h) {
    struct toc_metricdb_sample s = {
        .ref = ref, .t_ms = t_ms, .histogram = toc_histogram_dup(h, &m->histograms)};
    if (!s.histogram)
        return TOC_ENOMEM;
    TOC_VEC_PUSH(&m->batch, s);
    return m->batch.count < BATCH && m->histograms.used_bytes < HISTOGRAM_BYTES ? 0 : flush(m);
}

static int put(struct import *m, uint64_t ref, int64_t t_ms, double value) {
    struct toc_metricdb_sample s = {.ref = ref, .t_ms = t_ms, .value = value};
    TOC_VEC_PUSH(&m->batch, s);
    return m->batch.count < BATCH ? 0 : flush(m);
}

/* --- what is read --- */

static int on_samples(void *ctx, struct toc_labels labels, const int64_t *t_ms,
                      const double *values, size_t n) {
    struct import *m = ctx;
    uint64_t ref = reference(m, labels);
    int rc = 0;
    for (size_t i = 0; i < n && ref && !rc; i++)
        rc = put(m, ref, t_ms[i], values[i]);
    return rc;
}

static int on_histograms(void *ctx, struct toc_labels labels, const int64_t *t_ms,
                         const struct toc_histogram *h, size_t n) {
    struct import *m = ctx;
    uint64_t ref = reference(m, labels);
    int rc = 0;
    for (size_t i = 0; i < n && ref && !rc; i++)
        rc = put_histogram(m, ref, t_ms[i], &h[i]);
    return rc;
}

static void on_damage(void *ctx, const char *file, uint64_t offset, const char *what) {
    struct import *m = ctx;
    char *where = toc_xprintf("%s/%s at %llu", m->place, file, (unsigned long long)offset);
    if (!toc_map_has(&m->damages, toc_sv_cstr(where))) {
        toc_map_put(&m->damages, toc_sv_cstr(where), m);
        m->damaged++;
        toc_progress_end(&m->progress);
        fprintf(stderr, "tocsin db: %s: %s\n", where, what);
    }
    toc_free(where);
}

static void on_bad_block(void *ctx, const char *path, const char *what) {
    struct import *m = ctx;
    m->damaged++;
    fprintf(stderr, "tocsin db: the block %s is left out: %s\n", path, what);
}

/* A block in days, so that the store's memory holds one at a time. */
static int import_block(struct import *m, struct toc_prom_block *b) {
    const struct toc_prom_block_meta *meta = toc_prom_block_meta(b);
    const struct toc_prom_visitor v = {m, on_samples, on_damage, on_histograms};
    int rc = 0;
    m->place = meta->ulid;
    for (int64_t from = meta->min_ms; from < meta->max_ms && !rc;) {
        int64_t to = TOC_MIN(from - from % DAY_MS + DAY_MS, meta->max_ms);
        int64_t min_ms = TOC_MAX(from, m->selection.min_ms);
        int64_t max_ms = TOC_MIN(to - 1, m->selection.max_ms);
        if (min_ms <= max_ms)
            rc = toc_prom_block_read(b, min_ms, max_ms, &v, &m->err);
        if (!rc)
            rc = flush(m);
        if (!rc && min_ms <= max_ms)
            rc = toc_metricdb_compact(m->db, &m->err);
        m->done_ms += (uint64_t)(to - from);
        toc_progress_at(&m->progress, m->done_ms, meta->ulid);
        from = to;
    }
    return rc;
}

/* --- the log --- */

static int on_wal_series(void *ctx, uint64_t ref, struct toc_labels labels) {
    struct import *m = ctx;
    if (!toc_map_has(&m->refs, toc_map_u64(&ref)))
        toc_map_put(&m->refs, toc_map_u64(&ref), (void *)(uintptr_t)reference(m, labels));
    return 0;
}

/* Our reference; 0: not wanted. */
static uint64_t wal_reference(struct import *m, uint64_t ref, int64_t t_ms) {
    bool is_wanted =
        t_ms >= m->log_min_ms && t_ms >= m->selection.min_ms && t_ms <= m->selection.max_ms;
    return is_wanted ? (uint64_t)(uintptr_t)toc_map_get(&m->refs, toc_map_u64(&ref)) : 0;
}

static int on_wal_sample(void *ctx, uint64_t ref, int64_t t_ms, double value) {
    uint64_t ours = wal_reference(ctx, ref, t_ms);
    return ours ? put(ctx, ours, t_ms, value) : 0;
}

static int on_wal_histogram(void *ctx, uint64_t ref, int64_t t_ms, const struct toc_histogram *h) {
    uint64_t ours = wal_reference(ctx, ref, t_ms);
    return ours ? put_histogram(ctx, ours, t_ms, h) : 0;
}

static int import_log(struct import *m) {
    const struct toc_prom_wal_visitor v = {m, on_wal_series, on_wal_sample, on_wal_histogram,
                                           on_damage};
    m->place = "wal";
    toc_progress_at(&m->progress, m->done_ms, m->place);
    m->log_min_ms = m->from.head_min_ms;
    int rc = toc_prom_wal_read(m->from.vfs, m->from.wal, &v, &m->err);
    m->log_min_ms = INT64_MIN; /* blocks do not hold what came out of order */
    if (!rc)
        rc = toc_prom_wal_read(m->from.vfs, m->from.wbl, &v, &m->err);
    if (!rc)
        rc = flush(m);
    return rc ? rc : toc_metricdb_flush(m->db, &m->err);
}

/* --- the command --- */

static int open_ours(struct import *m, const char *data) {
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/metrics", data);
    const struct toc_metricdb_options o = {
        .dir = dir,
        .durability = TOC_DURABILITY_OS, /* one flush at the end is enough */
        .limits = {.retention_ms = TOC_DB_KEEP_ALL_MS,
                   .max_series = UINT32_MAX,
                   .max_source_series = UINT32_MAX,
                   .max_new_series = UINT32_MAX},
    };
    int rc = toc_vfs_make_dirs(toc_vfs_system(), data);
    if (rc)
        return toc_errf(&m->err, rc, "cannot make %s: %s", data, toc_strerror(rc));
    return toc_metricdb_open(&o, &m->db, &m->err);
}

static int import_all(struct import *m) {
    uint64_t span_ms = 0;
    int rc = 0;
    for (size_t i = 0; i < m->from.block_count; i++) {
        const struct toc_prom_block_meta *meta = toc_prom_block_meta(m->from.blocks[i]);
        span_ms += (uint64_t)(meta->max_ms - meta->min_ms);
    }
    toc_progress_begin(&m->progress, "import", span_ms);
    for (size_t i = 0; i < m->from.block_count && !rc; i++)
        rc = import_block(m, m->from.blocks[i]);
    if (!rc)
        rc = import_log(m);
    toc_progress_end(&m->progress);
    return rc;
}

static void print_summary(const struct import *m) {
    printf("%llu samples from %zu blocks and the log\n", (unsigned long long)m->samples,
           m->from.block_count);
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        if (m->rejected[i])
            printf("refused, %s: %llu\n", toc_reject_text((enum toc_reject_reason)i),
                   (unsigned long long)m->rejected[i]);
    if (m->damaged)
        printf("%llu damaged places were passed over\n", (unsigned long long)m->damaged);
}

static int run(struct import *m, const char *dir, const char *data) {
    int rc = toc_prom_data_dir_open(toc_vfs_system(), dir, &m->from, on_bad_block, m, &m->err);
    if (!rc)
        rc = open_ours(m, data);
    if (!rc)
        rc = import_all(m);
    toc_metricdb_close(&m->db);
    toc_prom_data_dir_close(&m->from);
    toc_map_fini(&m->refs);
    toc_map_fini(&m->damages);
    TOC_VEC_FINI(&m->batch);
    toc_arena_fini(&m->histograms);
    if (rc) {
        fprintf(stderr, "tocsin db: %s\n", m->err.message);
        return TOC_EXIT_FAILED;
    }
    print_summary(m);
    uint64_t left_out = m->damaged;
    for (int i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        left_out += m->rejected[i];
    return left_out ? TOC_EXIT_PARTIAL : 0;
}

int toc_db_import_prometheus(int argc, char **argv) {
    const char *data = "./tocsin-data";
    struct import m = {0};
    const struct toc_option options[] = {
        {"data", 0, TOC_OPTION_STRING, &data}, TOC_SELECTION_OPTIONS(&m.selection), {0}};
    int count, rc = toc_options_parse(argc, argv, options, usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count != 1) {
        fputs("tocsin db import-prometheus: expected the data directory of Prometheus\n", stderr);
        return TOC_EXIT_USAGE;
    }
    rc = toc_selection_read(&m.selection, "db import-prometheus");
    if (!rc)
        rc = run(&m, argv[1], data);
    toc_selection_fini(&m.selection);
    return rc;
}
