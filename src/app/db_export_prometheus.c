/* `tocsin db export-prometheus`: blocks that Prometheus and promtool read. */
#include <stdio.h>

#include "app/command.h"
#include "app/db_command.h"
#include "app/options.h"
#include "app/progress.h"
#include "app/selection.h"
#include "base/alloc.h"
#include "metricdb/metricdb.h"
#include "promtsdb/block.h"
#include "sys/clock.h"

static const char usage[] =
    "usage: tocsin db export-prometheus DIR [--data DIR] [--match SELECTOR] [--from T] [--to T]\n"
    "\n"
    "Writes the samples of a data directory, native histograms too, as blocks of two hours into\n"
    "DIR, which Prometheus can be started on and promtool tsdb reads. Of a daemon that runs, "
    "export a\n"
    "snapshot (POST /api/v1/admin/tsdb/snapshot): --data may name its folder.\n"
    "\n"
    "  --data DIR   default ./tocsin-data\n"
    "  --match      of series, such as {job=\"node\"}\n"
    "  --from, --to RFC 3339 or seconds since the epoch, both inclusive\n";

#define BLOCK_MS ((int64_t)2 * 3600 * 1000)

struct export {
    struct toc_metricdb *db;
    struct toc_selection selection;
    const char *dir;
    struct toc_series_buffer buffer;
    uint64_t blocks, samples;
    struct toc_err err;
};

static int put_window(struct export *x, struct toc_prom_block_writer *w, int64_t min_ms,
                      int64_t max_ms) {
    static struct toc_matcher any;
    struct toc_querier *q = toc_metricdb_querier(x->db);
    struct toc_series_set *set = NULL;
    struct toc_select s = {.matchers = x->selection.matchers,
                           .matcher_count = x->selection.matcher_count,
                           .min_ms = min_ms,
                           .max_ms = max_ms,
                           .sorted = true};
    if (!s.matcher_count) {
        any = (struct toc_matcher){.op = TOC_MATCH_NE, .name = TOC_METRIC_NAME};
        s.matchers = &any;
        s.matcher_count = 1;
    }
    int rc = toc_querier_open(q, &s, &set, &x->err);
    for (size_t i = 0; !rc && i < set->count; i++) {
        struct toc_label items[TOC_SERIES_LABELS_MAX];
        struct toc_series_view view;
        rc = set->read(set, i, min_ms, max_ms, &x->buffer, &view, &x->err);
        if (!rc && view.count)
            rc = toc_prom_block_writer_add(w, set->labels(set, i, items), view.t_ms, view.values,
                                           view.histograms, view.count);
    }
    if (set)
        set->close(&set);
    return rc;
}

/* The block [from, from + 2 h). */
static int export_block(struct export *x, int64_t from) {
    struct toc_prom_block_writer *w = NULL;
    struct toc_prom_block_meta meta;
    int64_t min_ms = TOC_MAX(from, x->selection.min_ms);
    int64_t max_ms = TOC_MIN(from + BLOCK_MS - 1, x->selection.max_ms);
    int rc = toc_prom_block_writer_new(toc_vfs_system(), x->dir, from, from + BLOCK_MS,
                                       toc_clock_now(toc_clock_system()).ms, &w, &x->err);
    if (rc)
        return rc;
    rc = put_window(x, w, min_ms, max_ms);
    if (rc) {
        toc_prom_block_writer_abort(&w);
        return toc_errf(&x->err, rc, "cannot write a block: %s", toc_strerror(rc));
    }
    rc = toc_prom_block_writer_finish(&w, &meta, &x->err);
    x->samples += rc ? 0 : meta.samples;
    x->blocks += !rc && meta.samples;
    return rc;
}

static int64_t floor_to_block(int64_t t_ms) {
    int64_t into = t_ms % BLOCK_MS;
    return t_ms - (into < 0 ? into + BLOCK_MS : into);
}

static int export_all(struct export *x) {
    struct toc_metricdb_stats s;
    struct toc_progress progress;
    int rc = 0;
    toc_metricdb_stats(x->db, &s);
    if (s.newest_ms < s.oldest_ms)
        return 0;
    int64_t first = TOC_MAX(s.oldest_ms, x->selection.min_ms);
    int64_t last = TOC_MIN(s.newest_ms, x->selection.max_ms), begin = floor_to_block(first);
    toc_progress_begin(&progress, "export", last >= first ? (uint64_t)(last - begin) : 0);
    for (int64_t from = begin; from <= last && !rc; from += BLOCK_MS) {
        rc = export_block(x, from);
        toc_progress_at(&progress, (uint64_t)(from - begin), "");
    }
    toc_progress_end(&progress);
    return rc;
}

/* Prometheus' tools want the folder of a log to be there. */
static int make_folders(struct export *x) {
    char *wal = toc_xprintf("%s/wal", x->dir);
    int rc = toc_vfs_make_dirs(toc_vfs_system(), wal);
    if (rc)
        toc_errf(&x->err, rc, "cannot make %s: %s", wal, toc_strerror(rc));
    toc_free(wal);
    return rc;
}

static int run(struct export *x, const char *data) {
    char dir[4096];
    toc_db_metrics_dir(data, dir, sizeof dir);
    const struct toc_metricdb_options o = {.dir = dir,
                                           .limits = {.retention_ms = TOC_DB_KEEP_ALL_MS,
                                                      .max_series = UINT32_MAX,
                                                      .max_source_series = UINT32_MAX,
                                                      .max_new_series = UINT32_MAX}};
    int rc = 0;
    if (!toc_vfs_exists(toc_vfs_system(), dir))
        rc = toc_errf(&x->err, TOC_ENOENT, "%s is not there", dir);
    if (!rc)
        rc = make_folders(x);
    if (!rc)
        rc = toc_metricdb_open(&o, &x->db, &x->err);
    if (!rc)
        rc = export_all(x);
    toc_metricdb_close(&x->db);
    toc_series_buffer_fini(&x->buffer);
    if (rc) {
        fprintf(stderr, "tocsin db: %s\n", x->err.message);
        return TOC_EXIT_FAILED;
    }
    printf("%llu samples in %llu blocks\n", (unsigned long long)x->samples,
           (unsigned long long)x->blocks);
    return 0;
}

int toc_db_export_prometheus(int argc, char **argv) {
    const char *data = "./tocsin-data";
    struct export x = {0};
    const struct toc_option options[] = {
        {"data", 0, TOC_OPTION_STRING, &data}, TOC_SELECTION_OPTIONS(&x.selection), {0}};
    int count, rc = toc_options_parse(argc, argv, options, usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count != 1) {
        fputs("tocsin db export-prometheus: expected the folder to write to\n", stderr);
        return TOC_EXIT_USAGE;
    }
    x.dir = argv[1];
    rc = toc_selection_read(&x.selection, "db export-prometheus");
    if (!rc)
        rc = run(&x, data);
    toc_selection_fini(&x.selection);
    return rc;
}
