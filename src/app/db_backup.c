/* `tocsin db backup`: everything of a data directory, at one moment, in a folder of its own. */
#include <stdio.h>
#include <string.h>

#include "app/backup_manifest.h"
#include "app/client.h"
#include "app/command.h"
#include "app/db_command.h"
#include "app/file_tree.h"
#include "base/alloc.h"
#include "metricdb/metricdb.h"
#include "statedb/statedb.h"
#include "sys/clock.h"

static const char usage[] =
    "usage: tocsin db backup FOLDER [--data DIR] [--server URL] [--config FILE]\n"
    "\n"
    "Writes time series, state database, token and configuration to FOLDER, which must not be\n"
    "there, with a manifest of sizes and checksums. A daemon that runs on DIR goes on: it is "
    "asked\n"
    "for a copy at one moment, and everything that it acknowledged before is in it. Run this on\n"
    "the machine of the daemon.\n"
    "\n"
    "  --data DIR          default ./tocsin-data\n"
    "  --server URL        the daemon (default http://127.0.0.1:9797, $TOCSIN_SERVER)\n"
    "  --token-file FILE   file with an admin's token (default $TOCSIN_TOKEN, then DIR/token)\n"
    "  --config FILE       the configuration (default: the one that the daemon was started with)\n"
    "\n"
    "The folder holds secrets: keep it as safe as the data directory.\n";

struct backup {
    struct toc_vfs *vfs;
    const char *target, *config;
    struct toc_client_options client;
    char *partial;  /* the folder while it is made */
    char *snapshot; /* of the time series, below the data directory; NULL: none yet */
    char *daemon_config;
    int exit_code; /* set by who printed the reason already; 0: nobody */
    struct toc_tree tree;
    struct toc_tree_copy copy;
    struct toc_progress progress;
    struct toc_backup_manifest manifest;
    struct toc_err err;
};

/* --- the moment --- */

static void set_snapshot(struct backup *b, struct toc_sv name) {
    b->snapshot = toc_xprintf("%s/metrics/snapshots/%.*s", b->client.data_dir, TOC_SV_ARG(name));
}

static int ask_daemon(struct backup *b) {
    struct toc_answer a;
    struct toc_sv name = TOC_SV_NULL, config = TOC_SV_NULL;
    int rc = toc_client_call(&b->client, "POST", "/api/tocsin/v1/snapshot", NULL, &a);
    if (rc) {
        b->exit_code = rc;
        rc = TOC_EUNAVAILABLE;
    }
    if (!rc && !a.json)
        rc = toc_errf(&b->err, TOC_EPROTOCOL, "the daemon's answer is not JSON");
    if (!rc)
        rc = toc_json_get_string(a.json, "name", TOC_SV(""), &name, &b->err);
    if (!rc)
        rc = toc_json_get_string(a.json, "config_path", TOC_SV(""), &config, &b->err);
    if (!rc && (!name.n || memchr(name.p, '/', name.n)))
        rc = toc_errf(&b->err, TOC_EPROTOCOL, "the daemon's answer names no snapshot");
    if (!rc) {
        set_snapshot(b, name);
        b->daemon_config = config.n ? toc_xprintf("%.*s", TOC_SV_ARG(config)) : NULL;
    }
    if (!rc && !toc_vfs_exists(b->vfs, b->snapshot))
        rc = toc_errf(&b->err, TOC_ENOENT,
                      "%s is not there: the daemon that answered runs on another data directory",
                      b->snapshot);
    toc_answer_fini(&a);
    return rc;
}

/* By ourselves when no daemon has the directory, else by the daemon. */
static int make_snapshot(struct backup *b) {
    char *dir = toc_xprintf("%s/metrics", b->client.data_dir);
    const struct toc_metricdb_options o = {.dir = dir,
                                           .limits = {.retention_ms = TOC_DB_KEEP_ALL_MS,
                                                      .max_series = UINT32_MAX,
                                                      .max_exemplars = UINT32_MAX}};
    struct toc_metricdb *db = NULL;
    struct toc_err err = {0};
    char name[TOC_SNAPSHOT_NAME_MAX];
    int rc = 0;
    if (!toc_vfs_exists(b->vfs, dir))
        rc = toc_errf(&b->err, TOC_ENOENT, "%s is no data directory: it has no folder \"metrics\"",
                      b->client.data_dir);
    else if ((rc = toc_metricdb_open(&o, &db, &err)) == TOC_ELOCKED)
        rc = ask_daemon(b);
    else if (rc)
        b->err = err;
    else if ((rc = toc_metricdb_snapshot(db, true, name, &b->err)) == 0)
        set_snapshot(b, toc_sv_cstr(name));
    toc_metricdb_close(&db);
    toc_free(dir);
    return rc;
}

/* --- the copy --- */

/* Copies `from` to the backup's `path` (taken). */
static int add_file(struct backup *b, const char *from, char *take_path) {
    char *to = toc_xprintf("%s/%s", b->partial, take_path);
    uint64_t bytes = 0;
    uint32_t crc = 0;
    int rc = toc_tree_copy_file(&b->copy, from, to, &bytes, &crc);
    if (rc) {
        toc_errf(&b->err, rc, "cannot copy %s to %s: %s", from, to, toc_strerror(rc));
        toc_free(take_path);
    } else {
        toc_backup_manifest_add(&b->manifest, take_path, bytes, crc);
    }
    toc_free(to);
    return rc;
}

static int make_dir(struct backup *b, const char *name) {
    char *path = toc_xprintf("%s/%s", b->partial, name);
    int rc = toc_vfs_make_dirs(b->vfs, path);
    if (rc)
        toc_errf(&b->err, rc, "cannot make %s: %s", path, toc_strerror(rc));
    toc_free(path);
    return rc;
}

static int copy_metrics(struct backup *b) {
    int rc = toc_tree_list(b->vfs, b->snapshot, &b->tree);
    if (rc)
        return toc_errf(&b->err, rc, "cannot list %s: %s", b->snapshot, toc_strerror(rc));
    toc_progress_begin(&b->progress, "backup", b->tree.bytes);
    for (size_t i = 0; i < b->tree.dirs.count && !rc; i++) {
        char *name = toc_xprintf("metrics/%s", b->tree.dirs.items[i]);
        rc = make_dir(b, name);
        toc_free(name);
    }
    for (size_t i = 0; i < b->tree.files.count && !rc; i++) {
        char *from = toc_xprintf("%s/%s", b->snapshot, b->tree.files.items[i].path);
        rc = add_file(b, from, toc_xprintf("metrics/%s", b->tree.files.items[i].path));
        toc_free(from);
    }
    toc_progress_end(&b->progress);
    return rc;
}

/* SQLite copies it while others write. */
static int copy_state(struct backup *b) {
    struct toc_statedb *state = NULL;
    uint64_t bytes = 0;
    uint32_t crc = 0;
    if (toc_db_open_state(b->client.data_dir, &state)) {
        b->exit_code = TOC_EXIT_FAILED;
        return TOC_EIO;
    }
    char *to = toc_xprintf("%s/state.db", b->partial);
    int rc = toc_statedb_backup(state, to, &b->err);
    if (!rc && (rc = toc_tree_copy_file(&b->copy, to, NULL, &bytes, &crc)) != 0)
        toc_errf(&b->err, rc, "cannot read %s: %s", to, toc_strerror(rc));
    if (!rc)
        toc_backup_manifest_add(&b->manifest, toc_xstrdup("state.db"), bytes, crc);
    toc_statedb_close(&state);
    toc_free(to);
    return rc;
}

static int copy_rest(struct backup *b) {
    const char *config = b->config ? b->config : b->daemon_config;
    char *token = toc_xprintf("%s/token", b->client.data_dir);
    int rc = 0;
    if (toc_vfs_exists(b->vfs, token))
        rc = add_file(b, token, toc_xstrdup("token"));
    toc_free(token);
    if (rc || !config)
        return rc;
    const char *slash = strrchr(config, '/');
    rc = make_dir(b, "config");
    return rc ? rc : add_file(b, config, toc_xprintf("config/%s", slash ? slash + 1 : config));
}

static int publish(struct backup *b) {
    char *parent = toc_tree_parent(b->target);
    struct toc_tree made;
    int rc = toc_tree_list(b->vfs, b->partial, &made);
    for (size_t i = 0; i < made.dirs.count && !rc; i++) {
        char *dir = toc_xprintf("%s/%s", b->partial, made.dirs.items[i]);
        rc = b->vfs->sync_dir(b->vfs, dir);
        toc_free(dir);
    }
    if (!rc)
        rc = b->vfs->rename(b->vfs, b->partial, b->target);
    if (!rc)
        rc = b->vfs->sync_dir(b->vfs, parent);
    if (rc)
        toc_errf(&b->err, rc, "cannot make %s: %s", b->target, toc_strerror(rc));
    toc_tree_fini(&made);
    toc_free(parent);
    return rc;
}

static int back_up(struct backup *b) {
    int rc = 0;
    if (toc_vfs_exists(b->vfs, b->target))
        return toc_errf(&b->err, TOC_EEXIST, "%s is there already: a backup goes to a new folder",
                        b->target);
    if (toc_vfs_exists(b->vfs, b->partial))
        return toc_errf(&b->err, TOC_EEXIST,
                        "%s is there: another backup is at work, or was cut off; then remove it",
                        b->partial);
    rc = make_snapshot(b);
    if (!rc)
        rc = make_dir(b, "");
    if (rc)
        return rc;
    rc = copy_metrics(b);
    if (!rc)
        rc = copy_state(b);
    if (!rc)
        rc = copy_rest(b);
    if (!rc)
        rc = toc_backup_manifest_write(&b->manifest, b->vfs, b->partial,
                                       toc_clock_now(toc_clock_system()), &b->err);
    if (!rc)
        rc = publish(b);
    if (rc)
        toc_tree_remove(b->vfs, b->partial);
    return rc;
}

static int run(struct backup *b) {
    b->vfs = toc_vfs_system();
    b->copy = (struct toc_tree_copy){.vfs = b->vfs, .progress = &b->progress};
    b->partial = toc_xprintf("%s.partial", b->target);
    int rc = back_up(b);
    if (b->snapshot)
        toc_tree_remove(b->vfs, b->snapshot);
    if (!rc)
        printf("%zu files, %llu bytes in %s\n", b->manifest.files.count,
               (unsigned long long)b->manifest.bytes, b->target);
    else if (!b->exit_code)
        fprintf(stderr, "tocsin db: %s\n", b->err.message[0] ? b->err.message : toc_strerror(rc));
    toc_tree_fini(&b->tree);
    toc_backup_manifest_fini(&b->manifest);
    toc_free(b->partial);
    toc_free(b->snapshot);
    toc_free(b->daemon_config);
    return !rc ? 0 : b->exit_code ? b->exit_code : TOC_EXIT_FAILED;
}

int toc_db_backup(int argc, char **argv) {
    struct backup b = {.client = {.data_dir = "./tocsin-data"}};
    const struct toc_option options[] = {{"data", 0, TOC_OPTION_STRING, &b.client.data_dir},
                                         {"server", 's', TOC_OPTION_STRING, &b.client.server},
                                         {"token-file", 0, TOC_OPTION_STRING, &b.client.token_file},
                                         {"config", 0, TOC_OPTION_STRING, &b.config},
                                         {0}};
    int count, rc = toc_options_parse(argc, argv, options, usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count != 1) {
        fputs("tocsin db backup: expected the folder to write to\n", stderr);
        return TOC_EXIT_USAGE;
    }
    char *target = toc_db_without_slashes(argv[1]);
    b.target = target;
    rc = run(&b);
    toc_free(target);
    return rc;
}
