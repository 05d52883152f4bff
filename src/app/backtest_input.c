#include "app/backtest_input.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/db_command.h"
#include "app/read_input.h"
#include "base/alloc.h"
#include "base/num.h"
#include "statedb/incidents.h"
#include "sys/vfs.h"
#include "sys/zone.h"

enum { FILE_MAX_BYTES = 64 << 20, RULE_FILES_MAX = 1000, LISTED_MAX = 1000 };

int toc_backtest_open(const char *command, const char *dir, struct toc_metricdb **out,
                      struct toc_metricdb_stats *out_stats) {
    char path[600];
    struct toc_err err = {0};
    toc_db_metrics_dir(dir, path, sizeof path);
    if (!toc_vfs_exists(toc_vfs_system(), path)) {
        fprintf(stderr, "tocsin %s: there is no data directory %s (see --data)\n", command, path);
        return TOC_EXIT_FAILED;
    }
    const struct toc_metricdb_options o = {
        .dir = path, .limits = {.retention_ms = TOC_DB_KEEP_ALL_MS, .max_series = UINT32_MAX}};
    int rc = toc_metricdb_open(&o, out, &err);
    if (rc == 0) {
        toc_metricdb_stats(*out, out_stats);
        return 0;
    }
    fprintf(stderr, "tocsin %s: %s\n", command, err.message);
    if (rc == TOC_ELOCKED)
        fprintf(stderr,
                "A daemon has it open. Work on a copy: tocsin db backup FOLDER, then --data "
                "FOLDER.\n");
    return TOC_EXIT_FAILED;
}

int toc_backtest_time(const char *command, const char *option, const char *text, int64_t end_ms,
                      int64_t *out_ms) {
    struct toc_sv s = toc_sv_cstr(text);
    struct toc_ts t;
    double seconds;
    int64_t ago_ms;
    if (toc_ts_parse_rfc3339(s, &t, NULL) == 0)
        *out_ms = t.ms;
    else if (toc_parse_f64(s, &seconds) == 0 && fabs(seconds) < 1e12)
        *out_ms = llround(seconds * 1000);
    else if (toc_duration_parse(s, &ago_ms, NULL) == 0 && ago_ms > 0)
        *out_ms = end_ms - ago_ms;
    else {
        fprintf(stderr,
                "tocsin %s: --%s \"%s\" is neither RFC 3339 nor seconds since the epoch nor a "
                "duration such as 30d\n",
                command, option, text);
        return TOC_EXIT_USAGE;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------- rules */

static int load_one(const char *command, const char *path, unsigned features,
                    struct toc_backtest_rules *out) {
    const struct toc_rule_file_options o = {.features = features};
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_rule_file *f = NULL;
    struct toc_err err = {0};
    int rc = toc_vfs_read_file(toc_vfs_system(), path, FILE_MAX_BYTES, &text);
    rc = rc < 0 ? toc_errf(&err, rc, "cannot read %s: %s", path, toc_strerror(rc))
                : toc_rule_file_parse_with(toc_sv_cstr(path), toc_buf_sv(&text), &o, &f, &err);
    toc_buf_fini(&text);
    if (rc) {
        fprintf(stderr, "tocsin %s: %s\n", command, err.message);
        return TOC_EXIT_USAGE;
    }
    out->items = toc_xrealloc(out->items, (out->count + 1) * sizeof(struct toc_rule_file *));
    out->items[out->count++] = f;
    return 0;
}

static int load_pattern(const char *command, const char *pattern, unsigned features,
                        struct toc_backtest_rules *out) {
    struct toc_arena arena = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const char **paths = NULL;
    size_t count = 0;
    int rc = toc_vfs_glob(toc_vfs_system(), pattern, RULE_FILES_MAX, &arena, &paths, &count, &err);
    if (rc == 0 && count == 0)
        rc = toc_errf(&err, TOC_ENOENT, "no file matches");
    if (rc) {
        fprintf(stderr, "tocsin %s: %s: %s\n", command, pattern, err.message);
        rc = TOC_EXIT_USAGE;
    }
    for (size_t i = 0; i < count && !rc; i++)
        rc = load_one(command, paths[i], features, out);
    toc_arena_fini(&arena);
    return rc;
}

int toc_backtest_load_rules(const char *command, const struct toc_option_list *patterns,
                            unsigned features, struct toc_backtest_rules *out) {
    int rc = 0;
    *out = (struct toc_backtest_rules){0};
    for (size_t i = 0; i < patterns->count && !rc; i++)
        rc = load_pattern(command, patterns->items[i], features, out);
    if (rc)
        toc_backtest_rules_fini(out);
    return rc;
}

void toc_backtest_rules_fini(struct toc_backtest_rules *r) {
    for (size_t i = 0; i < r->count; i++)
        toc_rule_file_free(&r->items[i]);
    toc_free(r->items);
    *r = (struct toc_backtest_rules){0};
}

int toc_backtest_load_routing(const char *command, const char *path,
                              struct toc_alert_config **out) {
    struct toc_zone_source zones = {toc_zone_offset, NULL};
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = 0;
    if (!path)
        toc_buf_append_cstr(&text, toc_default_alerting);
    else if ((rc = toc_vfs_read_file(toc_vfs_system(), path, FILE_MAX_BYTES, &text)) < 0)
        rc = toc_errf(&err, rc, "cannot read it: %s", toc_strerror(rc));
    if (rc == 0)
        rc = toc_alert_config_parse(toc_buf_sv(&text), &zones, out, &err);
    if (rc)
        fprintf(stderr, "tocsin %s: %s:%d:%d: %s\n", command, path ? path : "routing", err.line,
                err.column, err.message);
    toc_buf_fini(&text);
    return rc ? TOC_EXIT_USAGE : 0;
}

/* ------------------------------------------------------------------------------ known incidents */

static int keep_true(void *ctx, const struct toc_incident *i) {
    struct toc_known_incidents *k = ctx;
    struct toc_known_incident one = {
        .start_ms = i->started_at.ms ? i->started_at.ms : i->detected_at.ms,
        .end_ms = i->resolved_at.ms ? i->resolved_at.ms : i->updated_at.ms,
        .name = i->title,
        .labels = i->subject};
    one.end_ms = TOC_MAX(one.end_ms, one.start_ms);
    return i->verdict == TOC_VERDICT_TRUE ? toc_known_incidents_add(k, &one) : 0;
}

static int load_stored(const char *command, const char *dir, struct toc_known_incidents *out) {
    struct toc_statedb *db = NULL;
    struct toc_incidents store;
    struct toc_err err = {0};
    const struct toc_incident_filter all = {.limit = LISTED_MAX};
    if (toc_db_open_state(dir, &db) < 0)
        return TOC_EXIT_FAILED;
    toc_incidents_init(&store, db);
    int rc = store.base.list(&store.base, &all, keep_true, out, &err);
    if (rc)
        fprintf(stderr, "tocsin %s: incidents: %s\n", command, err.message);
    else if (!out->count)
        fprintf(stderr, "tocsin %s: no incident among the last %d was judged true\n", command,
                LISTED_MAX);
    toc_known_incidents_sort(out);
    toc_statedb_close(&db);
    return rc ? TOC_EXIT_FAILED : 0;
}

int toc_backtest_load_known(const char *command, const char *source, const char *dir,
                            struct toc_known_incidents *out) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_err err = {0};
    *out = (struct toc_known_incidents){0};
    if (strcmp(source, "incidents") == 0)
        return load_stored(command, dir, out);
    int rc = toc_read_input(source, FILE_MAX_BYTES, &text);
    rc = rc < 0 ? toc_errf(&err, rc, "cannot read it: %s", toc_strerror(rc))
                : toc_known_incidents_parse(toc_buf_sv(&text), out, &err);
    if (rc && err.line)
        fprintf(stderr, "tocsin %s: %s:%d: %s\n", command, source, err.line, err.message);
    else if (rc)
        fprintf(stderr, "tocsin %s: %s: %s\n", command, source, err.message);
    toc_buf_fini(&text);
    return rc ? TOC_EXIT_USAGE : 0;
}
