#include "app/doctor_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/doctor_coverage_command.h"
#include "app/doctor_log_command.h"
#include "app/doctor_report.h"
#include "app/options.h"
#include "base/alloc.h"
#include "sys/clock.h"
#include "sys/env.h"
#include "sys/pool.h"

const char toc_doctor_usage[] =
    "usage: tocsin doctor DIR [OPTIONS]\n"
    "       tocsin doctor log FILE… [OPTIONS]    (tocsin doctor log --help)\n"
    "       tocsin doctor coverage RUN [OPTIONS] (tocsin doctor coverage --help)\n"
    "\n"
    "Diagnoses finished and running training jobs from the files they wrote below DIR: reports as\n"
    "JSON lines and CSV, event files of TensorBoard, run files of W&B, logs. The doctor that "
    "watches live judges, "
    "under "
    "a\n"
    "clock that follows the files' times; error lines of logs join what it finds. It says, too,\n"
    "which failure modes the files let it see. No daemon is needed and nothing is written.\n"
    "\n"
    "      --run NAME          only this run\n"
    "      --since T           only what was reported at or after T (RFC 3339)\n"
    "      --until T           only what was reported at or before T\n"
    "      --min-severity S    info, warning or critical: lesser findings are left out (info)\n"
    "  -o, --output FORM       table or json (default table)\n"
    "      --html FILE         write the report as one HTML page, too\n"
    "      --now T             judge as of T: for files that were copied from elsewhere\n"
    "      --thorough          judge every second of the data, also the calm ones\n"
    "      --threads N         threads to read and judge with (as many as there are processors);\n"
    "                          what is found is the same\n"
    "  -f, --follow            judge again every 5 s while a run goes on; report when there is "
    "news\n"
    "\n"
    "json prints one object {run, verdict, findings, …} for one run, an array of them for "
    "several.\n"
    "\n"
    "Exit code: 0 healthy, 1 findings, 2 could not judge (or bad usage).\n";

struct request {
    const char *run, *since, *until, *min_severity, *output, *html, *now;
    bool is_thorough, is_json, is_following;
    int64_t threads;
    struct toc_pool *pool;
    struct toc_replay_options replay;
    enum toc_severity severity;
};

static int usage_error(const char *option, const char *expected, const char *got) {
    fprintf(stderr, "tocsin doctor: --%s expects %s, got \"%s\" (see tocsin doctor --help)\n",
            option, expected, got);
    return TOC_EXIT_USAGE;
}

static int read_time(const char *option, const char *text, int64_t *out_ms) {
    struct toc_ts t;
    if (!text)
        return 0;
    if (toc_ts_parse_rfc3339(toc_sv_cstr(text), &t, NULL))
        return usage_error(option, "a time such as 2026-11-24T13:00:00Z", text);
    *out_ms = t.ms;
    return 0;
}

static int read_severity(const char *text, enum toc_severity *out) {
    for (int s = TOC_SEVERITY_INFO; text && s <= TOC_SEVERITY_CRITICAL; s++)
        if (strcmp(text, toc_severity_text((enum toc_severity)s)) == 0) {
            *out = (enum toc_severity)s;
            return 0;
        }
    return text ? usage_error("min-severity", "info, warning or critical", text) : 0;
}

static int read_request(struct request *r) {
    r->replay.now_ms = toc_clock_now(toc_clock_system()).ms;
    r->replay.since_ms = INT64_MIN;
    r->replay.until_ms = INT64_MAX;
    r->replay.run = toc_sv_cstr(r->run);
    r->replay.is_thorough = r->is_thorough;
    r->replay.executor = toc_pool_executor(r->pool);
    r->is_json = r->output && strcmp(r->output, "json") == 0;
    if (r->output && !r->is_json && strcmp(r->output, "table") != 0)
        return usage_error("output", "table or json", r->output);
    if (r->is_following && r->now)
        return usage_error("now", "no value beside --follow, which is of the present", r->now);
    int rc = read_time("now", r->now, &r->replay.now_ms);
    if (!rc)
        rc = read_time("since", r->since, &r->replay.since_ms);
    if (!rc)
        rc = read_time("until", r->until, &r->replay.until_ms);
    return rc ? rc : read_severity(r->min_severity, &r->severity);
}

static int make_pool(struct request *r) {
    enum { THREADS_MAX = 64 };
    struct toc_err err = {0};
    char got[32];
    snprintf(got, sizeof got, "%lld", (long long)r->threads);
    if (r->threads < 0 || r->threads > THREADS_MAX)
        return usage_error("threads", "a number from 1 to 64", got);
    if (toc_pool_new((size_t)r->threads, &r->pool, &err) == 0)
        return 0;
    fprintf(stderr, "tocsin doctor: %s\n", err.message);
    return TOC_EXIT_USAGE;
}

/* Name of the folder itself: "runs" of "./runs/". */
static char *folder_name(const char *path) {
    struct toc_sv p = toc_sv_cstr(path);
    while (p.n > 1 && p.p[p.n - 1] == '/')
        p.n--;
    size_t from = p.n;
    while (from > 0 && p.p[from - 1] != '/')
        from--;
    struct toc_sv name = toc_sv_sub(p, from, SIZE_MAX);
    bool is_relative = toc_sv_eq_cstr(name, ".") || toc_sv_eq_cstr(name, "..");
    return toc_sv_dup_cstr(name.n && !is_relative ? name : TOC_SV("run"));
}

static int write_html(const struct request *q, const struct toc_doctor_report *report) {
    struct toc_buf out = TOC_BUF_INIT;
    toc_doctor_report_html(report, &out);
    int rc = toc_buf_error(&out);
    if (!rc)
        rc = toc_vfs_write_file(toc_vfs_system(), q->html, toc_buf_sv(&out));
    toc_buf_fini(&out);
    if (rc)
        fprintf(stderr, "tocsin doctor: cannot write %s: %s\n", q->html, toc_strerror(rc));
    return rc;
}

static int print(const struct request *q, const struct toc_doctor_report *report) {
    struct toc_buf out = TOC_BUF_INIT;
    if (q->is_json)
        toc_doctor_report_json(report, &out);
    else
        toc_doctor_report_text(report, &out);
    int rc = toc_buf_error(&out);
    if (!rc)
        fwrite(out.p, 1, out.n, stdout);
    toc_buf_fini(&out);
    if (!rc && (fflush(stdout) != 0 || ferror(stdout)))
        rc = TOC_EIO;
    if (rc)
        fprintf(stderr, "tocsin doctor: cannot write the report: %s\n", toc_strerror(rc));
    return !rc && q->html ? write_html(q, report) : rc;
}

/* One judgement of a folder. */
struct judgement {
    struct toc_doctor_scan scan;
    struct toc_replay *replay;
    struct toc_doctor_feeds *feeds;
};

static void judgement_fini(struct judgement *j) {
    toc_doctor_feeds_free(&j->feeds);
    toc_replay_free(&j->replay);
    toc_doctor_scan_fini(&j->scan);
}

static int read_folder(struct judgement *j, const char *path, struct toc_err *err) {
    struct toc_progress progress;
    char *root_name = folder_name(path);
    int rc = toc_doctor_feeds_new(toc_vfs_system(), &j->scan, j->replay, root_name, &j->feeds, err);
    toc_progress_begin(&progress, "reading", j->scan.bytes);
    if (!rc)
        rc = toc_doctor_feeds_run(j->feeds, &progress, err);
    toc_progress_end(&progress);
    toc_free(root_name);
    return rc;
}

static int judge(const struct request *q, const char *path, struct judgement *j) {
    struct toc_err err = {0};
    *j = (struct judgement){0};
    int rc = toc_doctor_scan(toc_vfs_system(), path, &j->scan, &err);
    if (!rc)
        rc = toc_replay_new(&q->replay, &j->replay);
    if (!rc)
        rc = read_folder(j, path, &err);
    if (!rc)
        rc = toc_replay_finish(j->replay, toc_doctor_feeds_written_ms, j->feeds, &err);
    if (rc)
        fprintf(stderr, "tocsin doctor: %s\n", err.code ? err.message : toc_strerror(rc));
    return rc;
}

static struct toc_doctor_report report_of(const struct request *q, const char *path,
                                          const struct judgement *j) {
    return (struct toc_doctor_report){
        .path = path,
        .replay = j->replay,
        .scan = &j->scan,
        .counts = toc_doctor_feeds_counts(j->feeds),
        .min_severity = q->severity,
        .now_ms = q->replay.now_ms,
        .is_coloured = toc_fd_is_terminal(1) && !toc_env_get("NO_COLOR"),
    };
}

static int judge_once(const struct request *q, const char *path) {
    struct judgement j;
    int code = TOC_EXIT_USAGE;
    if (judge(q, path, &j) == 0) {
        struct toc_doctor_report r = report_of(q, path, &j);
        code = print(q, &r) ? TOC_EXIT_USAGE : toc_doctor_exit_code(&r);
    }
    judgement_fini(&j);
    return code;
}

/* --- following --- */

/* What is worth a new report: verdicts, ends, and what was found. */
static void write_news(const struct toc_doctor_report *r, struct toc_buf *out) {
    for (size_t i = 0; i < r->replay->patients.count; i++) {
        const struct toc_patient *p = r->replay->patients.items[i];
        const char *why;
        size_t count;
        const struct toc_incident **list = toc_doctor_findings(r, p, &count);
        toc_buf_printf(out, "%s %d %d\n", p->name, (int)toc_doctor_verdict_of(r, p, &why),
                       (int)p->end);
        for (size_t k = 0; k < count; k++)
            toc_buf_printf(out, "%d %d %lld %d %.*s\n", (int)list[k]->kind, (int)list[k]->severity,
                           (long long)list[k]->started_at.ms, list[k]->resolved_at.ms > 0,
                           TOC_SV_ARG(list[k]->title));
        toc_free(list);
    }
}

static bool is_any_running(const struct toc_replay *r) {
    bool is_running = r->patients.count == 0; /* nothing has begun yet */
    for (size_t i = 0; i < r->patients.count; i++)
        is_running |= r->patients.items[i]->end == TOC_END_RUNNING;
    return is_running;
}

/* Judges once more; prints when there is news. *out_code: once nothing runs any more, else -1. */
static int follow_once(const struct request *q, const char *path, struct toc_buf *told,
                       int *out_code) {
    struct judgement j;
    struct toc_buf news = TOC_BUF_INIT;
    int rc = judge(q, path, &j);
    *out_code = rc ? TOC_EXIT_USAGE : -1;
    if (!rc) {
        struct toc_doctor_report r = report_of(q, path, &j);
        write_news(&r, &news);
        if (!toc_sv_eq(toc_buf_sv(&news), toc_buf_sv(told)))
            rc = print(q, &r);
        toc_buf_reset(told);
        toc_buf_append_sv(told, toc_buf_sv(&news));
        *out_code = rc ? TOC_EXIT_USAGE : is_any_running(j.replay) ? -1 : toc_doctor_exit_code(&r);
    }
    toc_buf_fini(&news);
    judgement_fini(&j);
    return rc;
}

/* Files are read anew each time: at 100 MB and more a second that is little, and where it is not,
 * the pauses grow with it. */
static int follow(struct request *q, const char *path) {
    enum { PAUSE_MS = 5000, PAUSE_FACTOR = 10 };
    struct toc_buf told = TOC_BUF_INIT;
    int code = -1;
    while (code < 0) {
        struct toc_mono begin = toc_clock_mono(toc_clock_system());
        q->replay.now_ms = toc_clock_now(toc_clock_system()).ms;
        int rc = follow_once(q, path, &told, &code);
        int64_t took_ms = (toc_clock_mono(toc_clock_system()).ns - begin.ns) / 1000000;
        if (!rc && code < 0)
            toc_sleep_ms(TOC_MAX((int64_t)PAUSE_MS, PAUSE_FACTOR * took_ms));
    }
    toc_buf_fini(&told);
    return code;
}

int toc_doctor_command(int argc, char **argv) {
    struct request r = {0};
    const struct toc_option options[] = {
        {"run", 0, TOC_OPTION_STRING, &r.run},
        {"since", 0, TOC_OPTION_STRING, &r.since},
        {"until", 0, TOC_OPTION_STRING, &r.until},
        {"min-severity", 0, TOC_OPTION_STRING, &r.min_severity},
        {"output", 'o', TOC_OPTION_STRING, &r.output},
        {"html", 0, TOC_OPTION_STRING, &r.html},
        {"now", 0, TOC_OPTION_STRING, &r.now},
        {"thorough", 0, TOC_OPTION_FLAG, &r.is_thorough},
        {"threads", 0, TOC_OPTION_INT, &r.threads},
        {"follow", 'f', TOC_OPTION_FLAG, &r.is_following},
        {0},
    };
    if (argc > 1 && strcmp(argv[1], "log") == 0)
        return toc_doctor_log_command(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "coverage") == 0)
        return toc_doctor_coverage_command(argc - 1, argv + 1);
    int count, rc = toc_options_parse(argc, argv, options, toc_doctor_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count != 1) {
        fprintf(stderr, "tocsin doctor: %s (see tocsin doctor --help)\n",
                count == 0 ? "name the folder that a training job writes to"
                           : "one folder at a time");
        return TOC_EXIT_USAGE;
    }
    rc = make_pool(&r);
    if (!rc)
        rc = read_request(&r);
    if (!rc)
        rc = r.is_following ? follow(&r, argv[1]) : judge_once(&r, argv[1]);
    toc_pool_free(&r.pool);
    return rc;
}
