#include "app/doctor_log_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/doctor_log_hits.h"
#include "app/doctor_log_report.h"
#include "app/options.h"

const char toc_doctor_log_usage[] =
    "usage: tocsin doctor log FILE… [OPTIONS]      (FILE - is standard input)\n"
    "\n"
    "Says what failed, from the logs of a job, its nodes or a server: the line that came first,\n"
    "what followed from it, why, and what to do. No daemon is needed and nothing is written.\n"
    "Plain, gzip and zstd files; UTF-8 and UTF-16.\n"
    "\n"
    "      --source S        what the files are: job, serving, kernel, scheduler or any (default)\n"
    "      --labels PATTERN  job, host and rank from paths: {job}/{host}/rank{rank}.log; * is\n"
    "                        anything. Default: rank7, rank_7 and names such as node12\n"
    "      --utc-offset D    of times without a zone: 8h, -5h (default 0)\n"
    "  -o, --output FORM     table or json (default table)\n"
    "      --exit-zero       exit with 0 although a failure was found\n"
    "\n"
    "Secrets and personal data are taken out of the lines that are shown.\n"
    "\n"
    "Exit code: 1 a failure was found, 0 none (or --exit-zero), 2 bad usage or unreadable input.\n";

struct request {
    const char *source, *labels, *utc_offset, *output;
    bool is_exit_zero, is_json;
    unsigned sources;
    int64_t offset_ms;
    struct toc_log_pattern pattern;
};

/* One command: hits are collected, put in order of time, then judged. */
struct session {
    struct toc_failure_listener listener;
    const struct request *request;
    struct toc_log_hits *hits;
    struct toc_failures *failures;
    struct toc_buf out;
    struct toc_json_writer json;
};

static int usage_error(const char *option, const char *expected, const char *got) {
    fprintf(stderr,
            "tocsin doctor log: --%s expects %s, got \"%s\" (see tocsin doctor log --help)\n",
            option, expected, got);
    return TOC_EXIT_USAGE;
}

static int read_source(const char *text, unsigned *out) {
    static const struct {
        const char *name;
        unsigned sources;
    } names[] = {{"any", TOC_LOG_ANY},
                 {"job", TOC_LOG_JOB},
                 {"serving", TOC_LOG_SERVING},
                 {"kernel", TOC_LOG_KERNEL},
                 {"scheduler", TOC_LOG_SCHEDULER}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (strcmp(text ? text : "any", names[i].name) == 0) {
            *out = names[i].sources;
            return 0;
        }
    return usage_error("source", "job, serving, kernel, scheduler or any", text);
}

static int read_offset(const char *text, int64_t *out_ms) {
    bool is_negative = text && text[0] == '-';
    struct toc_sv d = toc_sv_cstr(text ? text + (is_negative || text[0] == '+') : "0");
    if (toc_duration_parse(d, out_ms, NULL) || *out_ms > INT64_C(86400000))
        return usage_error("utc-offset", "a duration such as 8h or -5h30m", text);
    *out_ms = is_negative ? -*out_ms : *out_ms;
    return 0;
}

static int read_request(struct request *r) {
    struct toc_err err = {0};
    r->is_json = r->output && strcmp(r->output, "json") == 0;
    if (r->output && !r->is_json && strcmp(r->output, "table") != 0)
        return usage_error("output", "table or json", r->output);
    int rc = read_source(r->source, &r->sources);
    if (rc == 0)
        rc = read_offset(r->utc_offset, &r->offset_ms);
    if (rc == 0 && r->labels &&
        toc_log_pattern_parse(toc_sv_cstr(r->labels), &r->pattern, &err) < 0)
        rc = usage_error("labels", err.message, r->labels);
    return rc;
}

static struct toc_log_labels labels_of(const struct session *s, const char *path) {
    struct toc_log_labels l = TOC_LOG_LABELS_NONE;
    if (!s->request->labels)
        return toc_log_labels_guess(toc_sv_cstr(path));
    (void)toc_log_pattern_match(&s->request->pattern, toc_sv_cstr(path), &l);
    return l;
}

static int read_file(struct session *s, const char *path, struct toc_err *err) {
    const struct toc_log_hits_file file = {.path = path,
                                           .name = toc_sv_cstr(path),
                                           .sources = s->request->sources,
                                           .labels = labels_of(s, path),
                                           .utc_offset_ms = s->request->offset_ms};
    int rc = toc_log_hits_read(s->hits, &file, err);
    toc_failures_member(s->failures, file.labels.job, file.labels.rank, file.labels.host,
                        s->hits->mtime);
    return rc;
}

/* ---------------------------------------------------------------------------------------- judging
 */

static void on_failure(struct toc_failure_listener *l, const struct toc_failure *f,
                       enum toc_failure_event event, struct toc_ts now) {
    struct session *s = (struct session *)(void *)l;
    (void)now;
    if (event != TOC_FAILURE_OVER)
        return;
    bool is_explained = f->root != NULL;
    struct toc_doctor_log_totals *t = &s->hits->totals;
    t->failures += is_explained;
    t->unexplained += !is_explained;
    if (s->request->is_json)
        toc_doctor_log_json(f, &s->json);
    else
        toc_doctor_log_print(f, (size_t)(t->failures + t->unexplained), &s->out);
}

static void judge(struct session *s) {
    struct toc_ts ticked = {0};
    size_t count = s->hits->hits.count;
    toc_log_hits_sort(s->hits);
    for (size_t i = 0; i < count; i++) {
        const struct toc_failure_hit *h = &s->hits->hits.items[i];
        if (h->at.ms - ticked.ms >= 1000)
            toc_failures_tick(s->failures, ticked = h->at);
        toc_failures_put(s->failures, h, h->at);
    }
    if (count)
        toc_failures_finish(s->failures, s->hits->hits.items[count - 1].at);
}

static void report(struct session *s) {
    if (s->request->is_json) {
        toc_json_writer_init(&s->json, &s->out);
        toc_json_begin_object(&s->json);
        toc_json_key(&s->json, "failures");
        toc_json_begin_array(&s->json);
        judge(s);
        toc_json_end_array(&s->json);
        toc_doctor_log_json_totals(&s->hits->totals, &s->json);
        toc_json_end_object(&s->json);
        toc_buf_append_char(&s->out, '\n');
    } else {
        judge(s);
        toc_doctor_log_print_totals(&s->hits->totals, &s->out);
    }
    fwrite(s->out.p, 1, s->out.n, stdout);
}

static int open_session(struct session *s, struct toc_err *err) {
    int rc = toc_log_hits_new(&s->hits, err);
    if (rc)
        return rc;
    s->listener.on_failure = on_failure;
    s->failures = toc_failures_new(&(struct toc_failures_options){.rules = s->hits->rules,
                                                                  .xids = s->hits->xids,
                                                                  .listener = &s->listener,
                                                                  .keeps_unexplained = true});
    return 0;
}

static void close_session(struct session *s) {
    toc_failures_free(&s->failures);
    toc_log_hits_free(&s->hits);
    toc_buf_fini(&s->out);
}

/* What was read is reported although a file could not be. */
static int examine(const struct request *r, char **paths, int count) {
    struct session s = {.request = r};
    struct toc_err err = {0};
    bool has_failed = false;
    int rc = open_session(&s, &err);
    if (rc < 0)
        fprintf(stderr, "tocsin doctor log: %s\n", err.message);
    for (int i = 0; rc == 0 && i < count; i++) {
        struct toc_err why = {0};
        if (read_file(&s, paths[i], &why) == 0)
            continue;
        fprintf(stderr, "tocsin doctor log: %s\n", why.message);
        has_failed = true;
    }
    if (rc == 0)
        report(&s);
    bool is_found = s.hits && (s.hits->totals.failures || s.hits->totals.unexplained);
    close_session(&s);
    if (rc < 0 || has_failed)
        return TOC_EXIT_USAGE;
    return is_found && !r->is_exit_zero ? TOC_EXIT_FAILED : TOC_EXIT_OK;
}

int toc_doctor_log_command(int argc, char **argv) {
    struct request r = {0};
    int count = 0;
    const struct toc_option options[] = {
        {"source", 0, TOC_OPTION_STRING, &r.source},
        {"labels", 0, TOC_OPTION_STRING, &r.labels},
        {"utc-offset", 0, TOC_OPTION_STRING, &r.utc_offset},
        {"output", 'o', TOC_OPTION_STRING, &r.output},
        {"exit-zero", 0, TOC_OPTION_FLAG, &r.is_exit_zero},
        {NULL, 0, TOC_OPTION_FLAG, NULL},
    };
    int rc = toc_options_parse(argc, argv, options, toc_doctor_log_usage, &count);
    if (rc)
        return rc < 0 ? TOC_EXIT_OK : rc;
    if (!count) {
        fprintf(stderr, "tocsin doctor log: name a file, or - (see tocsin doctor log --help)\n");
        return TOC_EXIT_USAGE;
    }
    rc = read_request(&r);
    if (rc == 0)
        rc = examine(&r, argv + 1, count);
    toc_log_pattern_fini(&r.pattern);
    return rc;
}
