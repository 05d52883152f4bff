#include "app/db_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/options.h"
#include "base/alloc.h"
#include "metricdb/metricdb.h"
#include "statedb/audit.h"
#include "statedb/statedb.h"
#include "sys/clock.h"
#include "sys/vfs.h"

const char toc_db_usage[] =
    "usage: tocsin db verify [--data DIR]\n"
    "       tocsin db backup FOLDER [--data DIR] [--server URL] [--config FILE]\n"
    "       tocsin db restore FOLDER [--data DIR]\n"
    "       tocsin db compact [--data DIR]\n"
    "       tocsin db import-prometheus DIR [--data DIR] [--match SELECTOR] [--from T] [--to T]\n"
    "       tocsin db export-prometheus DIR [--data DIR] [--match SELECTOR] [--from T] [--to T]\n"
    "       tocsin db import FILE… [--format FORMAT] [--columns COLUMNS] [--precision UNIT]\n"
    "       tocsin db export [FILE] --match SELECTOR [--format FORMAT] [--from T] [--to T]\n"
    "\n"
    "verify  reads every log record, block, chunk, roll-up, the state database and the audit\n"
    "        chain\n"
    "backup  writes a consistent copy of everything to a new FOLDER, also of a daemon that runs\n"
    "restore makes a data directory of a backup\n"
    "compact  moves everything from the log to blocks and merges them; the daemon must not run\n"
    "import-prometheus  reads a data directory of Prometheus (blocks and log) into ours\n"
    "export-prometheus  writes blocks that Prometheus and promtool read\n"
    "import  sends JSON lines, CSV, line protocol or Prometheus text to a daemon\n"
    "export  writes samples of a daemon as JSON lines, CSV or OpenMetrics\n"
    "\n"
    "tocsin db NAME --help tells more.\n";

static void print_damage(void *ctx, const struct toc_metricdb_loss *loss, const char *what) {
    (void)ctx;
    printf("damaged %s at %llu: %s%s%s\n", loss->path, (unsigned long long)loss->offset, what,
           loss->series[0] ? ", series " : "", loss->series);
}

int toc_db_open_state(const char *dir, struct toc_statedb **out) {
    char path[600];
    struct toc_err err = {0};
    snprintf(path, sizeof path, "%s/state.db", dir);
    const struct toc_statedb_options o = {
        .vfs = toc_vfs_system(), .path = path, .clock = toc_clock_system()};
    int rc = toc_statedb_open(&o, out, &err);
    if (rc < 0)
        fprintf(stderr, "tocsin db: %s\n", err.message);
    return rc;
}

static int verify_dir(const char *dir) {
    char path[600];
    struct toc_metricdb_verdict v = {0};
    struct toc_err err = {0};
    struct toc_statedb *state = NULL;
    struct toc_audit_head head;
    snprintf(path, sizeof path, "%s/metrics", dir);
    int rc = toc_metricdb_verify(toc_vfs_system(), path, print_damage, NULL, &v, &err);
    if (rc == 0)
        printf("metrics: %llu log records, %llu blocks, %llu chunks, %llu samples, %llu blocks of "
               "roll-ups with %llu buckets, %llu exemplars, %llu damaged\n",
               (unsigned long long)v.wal_records, (unsigned long long)v.blocks,
               (unsigned long long)v.chunks, (unsigned long long)v.samples,
               (unsigned long long)v.rollup_blocks, (unsigned long long)v.buckets,
               (unsigned long long)v.exemplars, (unsigned long long)v.damaged);
    if (rc == 0 && (rc = toc_db_open_state(dir, &state)) < 0)
        return TOC_EXIT_FAILED;
    if (rc == 0)
        rc = toc_statedb_verify(state, &err);
    if (rc == 0)
        rc = toc_audit_verify(state, &head, &err);
    if (rc == 0)
        printf("state: sound, %lld audit entries in an unbroken chain\n", (long long)head.count);
    else
        fprintf(stderr, "tocsin db: %s\n", err.message);
    toc_statedb_close(&state);
    return rc < 0 || v.damaged ? TOC_EXIT_FAILED : 0;
}

char *toc_db_without_slashes(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return toc_xprintf("%.*s", (int)n, path);
}

void toc_db_metrics_dir(const char *dir, char *out, size_t out_size) {
    snprintf(out, out_size, "%s/metrics", dir);
    if (!toc_vfs_exists(toc_vfs_system(), out))
        snprintf(out, out_size, "%s", dir);
}

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin db: %s (see tocsin db --help)\n", text);
    return TOC_EXIT_USAGE;
}

static int verify(int argc, char **argv) {
    const char *dir = "./tocsin-data";
    const struct toc_option options[] = {{"data", 0, TOC_OPTION_STRING, &dir}, {0}};
    int count, rc = toc_options_parse(argc, argv, options, toc_db_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    return count ? usage_error("verify takes no argument but --data") : verify_dir(dir);
}

static int compact_dir(const char *dir) {
    char path[600];
    struct toc_err err = {0};
    struct toc_metricdb *db = NULL;
    toc_db_metrics_dir(dir, path, sizeof path);
    const struct toc_metricdb_options o = {
        .dir = path, .limits = {.retention_ms = TOC_DB_KEEP_ALL_MS, .max_series = UINT32_MAX}};
    int rc = toc_metricdb_open(&o, &db, &err);
    if (!rc)
        rc = toc_metricdb_compact(db, &err);
    if (!rc) {
        struct toc_metricdb_stats s;
        toc_metricdb_stats(db, &s);
        printf("%llu samples in %llu blocks, %llu bytes: %.3f bytes a sample\n",
               (unsigned long long)s.block_samples, (unsigned long long)s.blocks,
               (unsigned long long)s.block_bytes,
               s.block_samples ? (double)s.block_bytes / (double)s.block_samples : 0);
    } else {
        fprintf(stderr, "tocsin db: %s\n", err.message);
    }
    toc_metricdb_close(&db);
    return rc ? TOC_EXIT_FAILED : 0;
}

static int compact(int argc, char **argv) {
    const char *dir = "./tocsin-data";
    const struct toc_option options[] = {{"data", 0, TOC_OPTION_STRING, &dir}, {0}};
    int count, rc = toc_options_parse(argc, argv, options, toc_db_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    return count ? usage_error("compact takes no argument but --data") : compact_dir(dir);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} g_subcommands[] = {
    {"verify", verify},
    {"backup", toc_db_backup},
    {"restore", toc_db_restore},
    {"compact", compact},
    {"import-prometheus", toc_db_import_prometheus},
    {"export-prometheus", toc_db_export_prometheus},
    {"import", toc_db_import},
    {"export", toc_db_export},
};

int toc_db_command(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < TOC_ARRAY_LEN(g_subcommands); i++)
        if (strcmp(argv[1], g_subcommands[i].name) == 0)
            return g_subcommands[i].run(argc - 1, argv + 1);
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(toc_db_usage, stdout);
        return 0;
    }
    return usage_error("expected verify, backup FOLDER, restore FOLDER, compact, "
                       "import-prometheus DIR or export-prometheus DIR");
}
