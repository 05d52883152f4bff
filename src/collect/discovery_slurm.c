/*
 * slurm_sd_configs: nodes or jobs of a Slurm cluster, as `scontrol show nodes --json` and
 * `squeue --json` tell them. Slurm changed its JSON: a state is a text (21.08) or a list (23.02), a
 * number stands alone or as {"set", "infinite", "number"}, features are one text or a list.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/hostlist.h"
#include "collect/discovery_priv.h"
#include "sys/process.h"

enum {
    DEFAULT_INTERVAL_MS = 60000,
    DEFAULT_TIMEOUT_MS = 10000,
    DEFAULT_PORT = 9100, /* of the node exporter */
    OUTPUT_BYTES_MAX = 256 << 20,
    ARENA_BYTES = 1 << 30,
};

enum slurm_role { SLURM_NODE, SLURM_JOB };

struct slurm_source {
    enum slurm_role role;
    struct toc_sv scontrol, squeue;
    int64_t port, interval_ms, timeout_ms;
};

/* ------------------------------------------------------------------------------------------------
 * configuration */

static int read_role(const struct toc_yaml *n, enum slurm_role *out, struct toc_err *err) {
    struct toc_sv text = TOC_SV("node");
    int rc = toc_yaml_is_null(n) ? 0 : toc_yaml_string(n, &text, err);
    if (rc == 0 && !toc_sv_eq(text, TOC_SV("node")) && !toc_sv_eq(text, TOC_SV("job")))
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column,
                        "unknown Slurm SD role \"%.*s\": it is node or job", TOC_SV_ARG(text));
    *out = toc_sv_eq(text, TOC_SV("job")) ? SLURM_JOB : SLURM_NODE;
    return rc;
}

/* A name to be looked for in PATH, or a path; relative ones start at the configuration. */
static int read_program(const struct toc_yaml *n, const struct toc_config_reader *r,
                        struct toc_sv *io) {
    if (toc_yaml_is_null(n))
        return 0;
    int rc = toc_yaml_string(n, io, r->err);
    if (rc == 0 && (!io->n || memchr(io->p, 0, io->n)))
        rc = toc_err_at(r->err, TOC_EINVAL, n->line, n->column, "the name of a program is empty");
    if (rc == 0 && toc_sv_find_char(*io, '/') != SIZE_MAX)
        *io = toc_config_path(r, *io);
    return rc;
}

static int check_slurm(const struct toc_yaml *n, const struct slurm_source *s,
                       struct toc_err *err) {
    if (s->port < 1 || s->port > 65535)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "port %lld is none",
                          (long long)s->port);
    if (s->timeout_ms <= 0)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column, "timeout must be longer than 0");
    return 0;
}

static int read_slurm(const struct toc_yaml *n, const struct toc_config_reader *r,
                      struct toc_discovery_config *out) {
    static const char *const keys[] = {"role",    "scontrol",         "squeue", "port",
                                       "timeout", "refresh_interval", NULL};
    struct slurm_source *s = TOC_ARENA_NEW(r->arena, struct slurm_source);
    const struct toc_yaml *port = toc_yaml_get(n, "port"), *timeout = toc_yaml_get(n, "timeout");
    if (!s)
        return toc_config_no_memory(r->err);
    *s = (struct slurm_source){.scontrol = TOC_SV("scontrol"),
                               .squeue = TOC_SV("squeue"),
                               .port = DEFAULT_PORT,
                               .timeout_ms = DEFAULT_TIMEOUT_MS};
    int rc = toc_yaml_check_keys(n, keys, r->err);
    if (rc == 0)
        rc = read_role(toc_yaml_get(n, "role"), &s->role, r->err);
    if (rc == 0)
        rc = read_program(toc_yaml_get(n, "scontrol"), r, &s->scontrol);
    if (rc == 0)
        rc = read_program(toc_yaml_get(n, "squeue"), r, &s->squeue);
    if (rc == 0 && !toc_yaml_is_null(port))
        rc = toc_yaml_int(port, &s->port, r->err);
    if (rc == 0 && !toc_yaml_is_null(timeout))
        rc = toc_yaml_duration(timeout, &s->timeout_ms, r->err);
    if (rc == 0)
        rc = toc_discovery_read_interval(n, DEFAULT_INTERVAL_MS, &s->interval_ms, r->err);
    if (rc == 0)
        rc = check_slurm(n, s, r->err);
    out->settings = s;
    out->where = s->role == SLURM_NODE ? TOC_SV("nodes of Slurm") : TOC_SV("jobs of Slurm");
    return rc;
}

static void format_program(struct toc_buf *out, const char *key, struct toc_sv path) {
    toc_buf_printf(out, "  %s: ", key);
    toc_discovery_append_url(path, out);
    toc_buf_append_char(out, '\n');
}

static void format_slurm(const void *settings, struct toc_buf *out) {
    const struct slurm_source *s = settings;
    toc_buf_printf(out, "  role: %s\n", s->role == SLURM_NODE ? "node" : "job");
    format_program(out, s->role == SLURM_NODE ? "scontrol" : "squeue",
                   s->role == SLURM_NODE ? s->scontrol : s->squeue);
    toc_buf_printf(out, "  port: %lld\n", (long long)s->port);
    toc_discovery_format_duration("timeout", s->timeout_ms, out);
    toc_discovery_format_duration("refresh_interval", s->interval_ms, out);
}

/* ------------------------------------------------------------------------------------------------
 * at work */

static int list_groups(struct toc_discovery_source *s, const struct slurm_source *c,
                       struct toc_sv text, struct toc_err *err) {
    const struct toc_target_group *groups = NULL;
    struct toc_arena a;
    size_t count = 0;
    toc_arena_init(&a, ARENA_BYTES);
    int rc = c->role == SLURM_NODE
                 ? toc_slurm_nodes(text, (uint16_t)c->port, &a, &groups, &count, err)
                 : toc_slurm_jobs(text, (uint16_t)c->port, &a, &groups, &count, err);
    if (rc == 0)
        toc_discovery_replace(s, groups, count);
    else if (err->line)
        toc_err_prefix(err, "line %d, column %d: ", err->line, err->column);
    toc_arena_fini(&a);
    return rc;
}

static int refresh(struct toc_discovery_source *s, void *ctx, struct toc_err *err) {
    const struct slurm_source *c = ctx;
    const char *const show_nodes[] = {c->scontrol.p, "show", "nodes", "--json", NULL};
    const char *const list_jobs[] = {c->squeue.p, "--json", NULL};
    const struct toc_program command = {.argv = c->role == SLURM_NODE ? show_nodes : list_jobs,
                                        .timeout_ms = c->timeout_ms,
                                        .max_bytes = OUTPUT_BYTES_MAX,
                                        .is_cancelled = toc_discovery_is_stopping,
                                        .cancel_ctx = s};
    struct toc_buf text = TOC_BUF_INIT;
    int rc = toc_process_capture(&command, &text, err);
    if (rc == 0) {
        rc = list_groups(s, c, toc_buf_sv(&text), err);
        if (rc)
            toc_err_prefix(err, "%s: ", command.argv[0]);
    }
    toc_buf_fini(&text);
    return rc;
}

static void run(struct toc_discovery_source *s, const void *settings) {
    struct slurm_source c = *(const struct slurm_source *)settings;
    toc_discovery_repeat(s, c.interval_ms, refresh, &c);
}

const struct toc_discovery_kind toc_discovery_slurm = {
    .mechanism = TOC_DISCOVERY_SLURM,
    .key = "slurm_sd_configs",
    .read = read_slurm,
    .format = format_slurm,
    .run = run,
};
