#include "app/doctor_log_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/doctor_log_input.h"
#include "app/doctor_log_report.h"
#include "app/options.h"
#include "base/alloc.h"
#include "diagnose/log_labels.h"
#include "diagnose/log_stream.h"

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

enum { HITS_MAX = 1 << 20, REPEAT_MS = 10000 };

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
    struct toc_signature_table *signatures;
    struct toc_failure_rules *rules;
    struct toc_xid_table *xids;
    struct toc_redactor *redactor;
    struct toc_log_places *places;
    struct toc_failures *failures;
    struct toc_arena arena; /* texts of the hits */
    TOC_VEC(struct toc_failure_hit) hits;
    struct toc_map latest; /* signature and place → index + 1 of its last hit in this file */
    struct toc_log_stream stream;
    struct toc_ts mtime;
    struct toc_doctor_log_totals totals;
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

/* ------------------------------------------------------------------------------------------- hits
 */

static struct toc_sv keep(struct session *s, struct toc_sv text) {
    return toc_arena_dup_sv(&s->arena, text);
}

/* The hit that this one repeats: same signature and place in the same file, a moment ago. */
static struct toc_failure_hit *repeated(struct session *s, const struct toc_failure_hit *h,
                                        struct toc_sv key) {
    size_t index = (size_t)(uintptr_t)toc_map_get(&s->latest, key);
    struct toc_failure_hit *last = index ? &s->hits.items[index - 1] : NULL;
    return last && h->at.ms >= last->at.ms && h->at.ms - last->at.ms <= REPEAT_MS ? last : NULL;
}

static void collect(void *ctx, const struct toc_failure_hit *h) {
    struct session *s = ctx;
    struct toc_buf key = TOC_BUF_INIT;
    toc_buf_printf(&key, "%.*s %lld %lld %lld %.*s %.*s %.*s", TOC_SV_ARG(h->signature->id),
                   (long long)h->rank, (long long)h->pid, (long long)h->sequence,
                   TOC_SV_ARG(h->host), TOC_SV_ARG(h->device), TOC_SV_ARG(h->code));
    struct toc_failure_hit *last = repeated(s, h, toc_buf_sv(&key));
    s->totals.hits++;
    if (last) {
        last->count++;
    } else if (s->hits.count == HITS_MAX) {
        s->totals.hits_left_out++;
    } else {
        struct toc_failure_hit copy = *h;
        copy.count = 1;
        copy.host = keep(s, h->host), copy.job = keep(s, h->job), copy.text = keep(s, h->text);
        copy.device = keep(s, h->device), copy.code = keep(s, h->code);
        copy.process = keep(s, h->process), copy.word = keep(s, h->word);
        copy.operation = keep(s, h->operation);
        TOC_VEC_PUSH(&s->hits, copy);
        toc_map_put(&s->latest, toc_buf_sv(&key), (void *)(uintptr_t)s->hits.count);
    }
    toc_buf_fini(&key);
}

static void feed(void *ctx, struct toc_sv bytes) {
    struct session *s = ctx;
    toc_log_stream_feed(&s->stream, bytes, s->mtime, s->request->offset_ms);
}

static struct toc_log_labels labels_of(const struct session *s, const char *path) {
    struct toc_log_labels l = TOC_LOG_LABELS_NONE;
    if (!s->request->labels)
        return toc_log_labels_guess(toc_sv_cstr(path));
    (void)toc_log_pattern_match(&s->request->pattern, toc_sv_cstr(path), &l);
    return l;
}

static int read_file(struct session *s, const char *path, struct toc_err *err) {
    struct toc_log_labels l = labels_of(s, path);
    const struct toc_log_stream_options o = {.table = s->signatures,
                                             .redactor = s->redactor,
                                             .places = s->places,
                                             .sources = s->request->sources,
                                             .job = l.job,
                                             .host = l.host,
                                             .rank = l.rank,
                                             .file = toc_sv_cstr(path),
                                             .on_hit = collect,
                                             .ctx = s};
    s->mtime = toc_doctor_log_mtime(path);
    toc_log_stream_init(&s->stream, &o);
    int rc = toc_doctor_log_read(path, feed, s, err);
    toc_log_stream_finish(&s->stream);
    toc_failures_member(s->failures, l.job, l.rank, l.host, s->mtime);
    s->totals.files++;
    s->totals.bytes += s->stream.scan.bytes;
    s->totals.lines += s->stream.scan.lines;
    s->totals.cut_lines += s->stream.scan.cut_lines;
    s->totals.undated += s->stream.undated;
    s->totals.redacted += s->stream.redacted;
    toc_log_stream_fini(&s->stream);
    toc_map_fini(&s->latest);
    return rc;
}

/* ---------------------------------------------------------------------------------------- judging
 */

static int by_time(const void *a, const void *b) {
    const struct toc_failure_hit *x = a, *y = b;
    if (x->at.ms != y->at.ms)
        return x->at.ms < y->at.ms ? -1 : 1;
    int files = toc_sv_cmp(x->file, y->file);
    return files ? files : (x->line_number > y->line_number) - (x->line_number < y->line_number);
}

static void on_failure(struct toc_failure_listener *l, const struct toc_failure *f,
                       enum toc_failure_event event, struct toc_ts now) {
    struct session *s = (struct session *)(void *)l;
    (void)now;
    if (event != TOC_FAILURE_OVER)
        return;
    bool is_explained = f->root != NULL;
    s->totals.failures += is_explained;
    s->totals.unexplained += !is_explained;
    if (s->request->is_json)
        toc_doctor_log_json(f, &s->json);
    else
        toc_doctor_log_print(f, (size_t)(s->totals.failures + s->totals.unexplained), &s->out);
}

static void judge(struct session *s) {
    struct toc_ts ticked = {0};
    qsort(s->hits.items, s->hits.count, sizeof *s->hits.items, by_time);
    for (size_t i = 0; i < s->hits.count; i++) {
        const struct toc_failure_hit *h = &s->hits.items[i];
        if (h->at.ms - ticked.ms >= 1000)
            toc_failures_tick(s->failures, ticked = h->at);
        toc_failures_put(s->failures, h, h->at);
    }
    if (s->hits.count)
        toc_failures_finish(s->failures, s->hits.items[s->hits.count - 1].at);
}

static void report(struct session *s) {
    if (s->request->is_json) {
        toc_json_writer_init(&s->json, &s->out);
        toc_json_begin_object(&s->json);
        toc_json_key(&s->json, "failures");
        toc_json_begin_array(&s->json);
        judge(s);
        toc_json_end_array(&s->json);
        toc_doctor_log_json_totals(&s->totals, &s->json);
        toc_json_end_object(&s->json);
        toc_buf_append_char(&s->out, '\n');
    } else {
        judge(s);
        toc_doctor_log_print_totals(&s->totals, &s->out);
    }
    fwrite(s->out.p, 1, s->out.n, stdout);
}

static int open_session(struct session *s, struct toc_err *err) {
    int rc = toc_signature_table_builtin(&s->signatures, err);
    if (rc == 0)
        rc = toc_failure_rules_builtin(&s->rules, err);
    if (rc == 0)
        rc = toc_xid_table_builtin(&s->xids, err);
    if (rc == 0)
        rc = toc_redactor_builtin(&s->redactor, err);
    s->places = toc_log_places_new();
    s->listener.on_failure = on_failure;
    s->failures = toc_failures_new(&(struct toc_failures_options){
        .rules = s->rules, .xids = s->xids, .listener = &s->listener, .keeps_unexplained = true});
    return rc;
}

static void close_session(struct session *s) {
    toc_failures_free(&s->failures);
    toc_signature_table_free(&s->signatures);
    toc_failure_rules_free(&s->rules);
    toc_xid_table_free(&s->xids);
    toc_redactor_free(&s->redactor);
    toc_log_places_free(&s->places);
    TOC_VEC_FINI(&s->hits);
    toc_arena_fini(&s->arena);
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
    bool is_found = s.totals.failures || s.totals.unexplained;
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
