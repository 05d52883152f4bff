#include "app/job_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/options.h"
#include "app/run_command.h"
#include "base/num.h"
#include "codec/json_writer.h"
#include "codec/text.h"
#include "net/http_client.h"
#include "sys/clock.h"
#include "sys/env.h"
#include "sys/process.h"

enum { NOT_RUNNABLE = 126, NOT_FOUND = 127, SIGNALLED = 128 };
enum { TRIES = 3, TIMEOUT_MS = 3000, PAUSE_MS = 500 };

struct job {
    const char *name, *server;
    int64_t rank;
    char url[600];
    struct toc_process process;
};

/* What launchers call the rank of a process. */
static int64_t own_rank(void) {
    static const char *const names[] = {"RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"};
    int64_t rank = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = toc_env_get(names[i]);
        if (text && toc_parse_i64(toc_sv_cstr(text), &rank) == 0 && rank >= 0)
            return rank;
    }
    return 0;
}

static const char *first_of(const char *given, const char *variable, const char *otherwise) {
    const char *env = toc_env_get(variable);
    return given ? given : env && *env ? env : otherwise;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void make_url(struct job *j) {
    struct toc_buf url = TOC_BUF_INIT;
    size_t n = strlen(j->server);
    toc_buf_printf(&url, "%.*s/api/tocsin/v1/ingest/run?run=",
                   (int)(n && j->server[n - 1] == '/' ? n - 1 : n), j->server);
    toc_percent_encode(toc_sv_cstr(j->name), &url);
    snprintf(j->url, sizeof j->url, "%s", toc_buf_cstr(&url));
    toc_buf_fini(&url);
}

/* One line of the run protocol. The job goes on whether it arrives or not. */
static int send_line(struct job *j, struct toc_sv line, int tries, struct toc_err *err) {
    struct toc_http_client *client = toc_http_client_new();
    struct toc_http_result result = {0};
    const struct toc_http_call call = {.url = j->url,
                                       .body = line,
                                       .bearer_token = toc_env_get("TOCSIN_TOKEN"),
                                       .connect_timeout_ms = TIMEOUT_MS,
                                       .timeout_ms = TIMEOUT_MS};
    int rc = -1;
    for (int i = 0; rc != 0 && i < tries; i++) {
        if (i)
            toc_sleep_ms(PAUSE_MS);
        rc = toc_http_perform(client, &call, &result, err);
        if (rc == 0 && result.status >= 300) {
            rc = toc_errf(err, TOC_EPROTOCOL, "%s answered %d", j->server, result.status);
            i = result.status < 500 ? tries : i; /* it will say the same again */
        }
    }
    toc_http_result_fini(&result);
    toc_http_client_free(&client);
    return rc;
}

static void begin_line(struct job *j, struct toc_json_writer *w, struct toc_buf *out,
                       const char *state) {
    toc_json_writer_init(w, out);
    toc_json_begin_object(w);
    if (j->rank)
        toc_json_kv_int(w, "rank", j->rank);
    toc_json_kv_cstr(w, "state", state);
}

static void tell_start(struct job *j) {
    struct toc_json_writer w;
    struct toc_buf line = TOC_BUF_INIT;
    struct toc_err err = {0};
    char host[256], pid[24];
    toc_hostname(host, sizeof host);
    snprintf(pid, sizeof pid, "%lld", (long long)j->process.pid);
    begin_line(j, &w, &line, "running");
    toc_json_key(&w, "labels");
    toc_json_begin_object(&w);
    toc_json_kv_cstr(&w, "host", host);
    toc_json_kv_cstr(&w, "pid", pid);
    toc_json_end_object(&w);
    toc_json_end_object(&w);
    if (send_line(j, toc_buf_sv(&line), 1, &err) != 0)
        fprintf(stderr, "tocsin run: the daemon does not know of this job: %s\n", err.message);
    toc_buf_fini(&line);
}

static void tell_end(struct job *j, struct toc_ending e) {
    struct toc_json_writer w;
    struct toc_buf line = TOC_BUF_INIT;
    struct toc_err err = {0};
    char text[TOC_ENDING_TEXT_MAX];
    bool is_good = e.is_known && e.signal == 0 && e.code == 0;
    toc_ending_text(e, text);
    begin_line(j, &w, &line, is_good ? "finished" : "failed");
    toc_json_kv_cstr(&w, "event", "exit");
    toc_json_kv_cstr(&w, "message", text);
    toc_json_end_object(&w);
    if (send_line(j, toc_buf_sv(&line), TRIES, &err) != 0)
        fprintf(stderr, "tocsin run: the end of the job (%s) could not be reported: %s\n", text,
                err.message);
    toc_buf_fini(&line);
}

static int run_job(struct job *j, char **command) {
    toc_env_set("TOCSIN_RUN", j->name);
    toc_env_set("TOCSIN_URL", j->server);
    int rc = toc_job_start((const char *const *)command, &j->process);
    if (rc < 0) {
        fprintf(stderr, "tocsin run: cannot run %s: %s\n", command[0], toc_strerror(rc));
        return rc == TOC_ENOENT ? NOT_FOUND : NOT_RUNNABLE;
    }
    tell_start(j);
    struct toc_ending e = toc_job_wait(&j->process);
    tell_end(j, e);
    return !e.is_known ? TOC_EXIT_FAILED : e.signal ? SIGNALLED + e.signal : e.code;
}

int toc_job_command(int argc, char **argv, int dashes) {
    struct job j = {0};
    struct toc_err err = {0};
    const struct toc_option options[] = {{"name", 'n', TOC_OPTION_STRING, &j.name},
                                         {"server", 's', TOC_OPTION_STRING, &j.server},
                                         {0}};
    int rc = toc_options_parse(dashes, argv, options, toc_run_usage, NULL);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (dashes + 1 >= argc) {
        fprintf(stderr, "tocsin run: what is to be run? Give the command after --, or leave -- out "
                        "to start the daemon (see tocsin run --help)\n");
        return TOC_EXIT_USAGE;
    }
    j.name = first_of(j.name, "TOCSIN_RUN", base_name(argv[dashes + 1]));
    j.server = first_of(j.server, "TOCSIN_URL", "http://127.0.0.1:9797");
    j.rank = own_rank();
    if (toc_net_init(&err) < 0) {
        fprintf(stderr, "tocsin: %s\n", err.message);
        return TOC_EXIT_FAILED;
    }
    make_url(&j);
    rc = run_job(&j, argv + dashes + 1);
    toc_net_fini();
    return rc;
}
