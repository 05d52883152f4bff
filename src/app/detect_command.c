#include "app/detect_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/detect_input.h"
#include "app/detect_stream.h"
#include "app/detect_time.h"
#include "app/options.h"
#include "app/table.h"
#include "base/num.h"
#include "codec/csv.h"
#include "codec/json_writer.h"
#include "detect/iforest.h"

#define METHOD_LINE(name, text, direction, rows, help) "        " text "  " help "\n"
const char toc_detect_usage[] =
    "usage: tocsin detect FILE.csv… [--columns A,B] [OPTIONS]     (FILE - is standard input)\n"
    "\n"
    "Finds the strange rows of CSV files, each a series (one column) or an entity (several). The\n"
    "first line names the columns. Alone, one file is judged as a whole by an Isolation Forest\n"
    "(scikit-learn's semantics). With --stream, --method or several files each row is judged from\n"
    "the rows before it, in bounded memory whatever the length of the file.\n"
    "\n"
    "  -c, --columns A,B       columns to look at (default: all but timestamp, time or date)\n"
    "  -o, --output FORM       table, json, csv, scores, or (row by row) features or html\n"
    "                          (default table)\n"
    "      --exit-zero         exit with 0 although anomalies were found\n"
    "\n"
    "A whole file:\n"
    "  -n, --n-estimators N    trees (default 100)\n"
    "      --contamination C   share of anomalies in (0, 0.5], or auto (default: offset -0.5)\n"
    "      --max-samples N     rows per tree: a number, a fraction such as 0.5, or auto\n"
    "                          (default: 256, or all rows when there are fewer)\n"
    "      --seed N            of the random numbers (default 0); same seed, same answer\n"
    "\n"
    "Row by row:\n"
    "      --stream            judge each row from the rows before it\n"
    "      --method NAME       the detector (default auto):\n"
    "        auto  training where columns are called like a loss, a step time or, beside these, a\n"
    "              throughput, else (and for other columns) ensemble\n"
    "        training  models of training curves: spikes, rises, plateaus, standstills, NaN, "
    "steps\n"
    "              that take longer; a column batch_size tells planned changes of the "
    "work\n" TOC_METHOD_TABLE(
        METHOD_LINE) "      --budget N/UNIT     false alarms allowed: 1/week (default), 2/day, "
                     "1/month or 1/hour\n"
                     "      --direction D       both, up or down, where the detector knows it "
                     "(default both)\n"
                     "      --train-rows N      the first N rows are learnt and never alert\n"
                     "      --threshold L       alert above -log10 p = L, whatever the budget\n"
                     "\n"
                     "Times are numbers since 1970 (seconds, or ms, us, ns by their size) or like "
                     "one of\n" TOC_DETECT_TIME_FORMS ".\n"
                     "\n"
                     "Of a whole file score is in [-1, 0), lower is stranger; a row is an anomaly "
                     "when it lies below\n"
                     "the offset. csv repeats the input and adds score and anomaly (0 or 1). "
                     "scores prints\n"
                     "timestamp,score,alert with score in [0, 1], higher is stranger, and 0 for "
                     "rows with missing\n"
                     "values; several files put a column file before. Row by row, a row without "
                     "values repeats the\n"
                     "last score, and table, json and html list the alerts: which column, how far "
                     "outside, since when,\n"
                     "and windows of the last 4096 rows that were alike.\n"
                     "\n"
                     "Exit code: 1 anomalies found, 0 none (or --exit-zero), 2 bad usage or "
                     "input.\n";
#undef METHOD_LINE

struct request {
    const char *columns, *contamination, *max_samples, *output, *threshold, *budget, *direction;
    const char *method;
    int64_t seed;
    bool is_exit_zero, is_stream;
    int64_t train_rows;
    struct toc_detect_stream_options stream;
    struct toc_iforest_params params;
};

struct verdicts {
    struct toc_detect_input in;
    double *scores; /* per complete row */
    double offset;
    size_t anomalies;
};

static bool is_anomaly(const struct verdicts *v, size_t i) {
    return toc_iforest_is_anomaly(v->scores[i], v->offset);
}

static int usage_error(const char *option, const char *expected, const char *got) {
    fprintf(stderr, "tocsin detect: --%s expects %s, got \"%s\" (see tocsin detect --help)\n",
            option, expected, got);
    return TOC_EXIT_USAGE;
}

static int read_form(const char *text, enum toc_detect_form *out) {
    static const char *const names[] = {"table", "json", "csv", "scores", "features", "html"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (!text || strcmp(text, names[i]) == 0) {
            *out = (enum toc_detect_form)i;
            return 0;
        }
    return usage_error("output", "table, json, csv, scores, features or html", text);
}

static int read_method(struct request *r) {
    struct toc_detect_stream_options *o = &r->stream;
    o->is_auto = !r->method || strcmp(r->method, "auto") == 0;
    o->is_training = r->method && strcmp(r->method, "training") == 0;
    if (o->is_auto || o->is_training ||
        toc_method_parse(toc_sv_cstr(r->method), &r->stream.method) == 0)
        return 0;
    fprintf(stderr, "tocsin detect: there is no method \"%s\"; the methods are auto, training,",
            r->method);
    for (int m = 0; m < TOC_METHODS; m++)
        fprintf(stderr, "%s %s", m ? "," : "", toc_method_info((enum toc_method)m)->name);
    fputc('\n', stderr);
    return TOC_EXIT_USAGE;
}

static int read_stream_options(struct request *r) {
    static const char *const directions[] = {"both", "up", "down"};
    struct toc_detect_stream_options *o = &r->stream;
    if (r->threshold && (toc_parse_f64(toc_sv_cstr(r->threshold), &o->threshold) < 0 ||
                         !(o->threshold > 0 && o->threshold < 1000)))
        return usage_error("threshold", "a number above 0", r->threshold);
    if (r->budget && toc_detect_budget_parse(toc_sv_cstr(r->budget), &o->budget_seconds) < 0)
        return usage_error("budget", "a number per hour, day, week or month, such as 1/week",
                           r->budget);
    size_t d = 0;
    while (r->direction && d < TOC_ARRAY_LEN(directions) && strcmp(directions[d], r->direction))
        d++;
    if (d == TOC_ARRAY_LEN(directions))
        return usage_error("direction", "both, up or down", r->direction);
    o->direction = (enum toc_stream_direction)d;
    if (r->train_rows < 0 || r->train_rows > INT32_MAX) {
        fprintf(stderr, "tocsin detect: --train-rows must be 0 to %d\n", INT32_MAX);
        return TOC_EXIT_USAGE;
    }
    o->train_rows = (size_t)r->train_rows;
    o->columns = r->columns;
    return read_method(r);
}

static int read_params(struct request *r) {
    struct toc_iforest_params *p = &r->params;
    const char *c = r->contamination;
    if (c && strcmp(c, "auto") != 0 &&
        (toc_parse_f64(toc_sv_cstr(c), &p->contamination) < 0 ||
         !(p->contamination > 0 && p->contamination <= 0.5)))
        return usage_error("contamination", "auto or a share in (0, 0.5]", c);
    if (r->max_samples && toc_iforest_size_parse(toc_sv_cstr(r->max_samples), &p->max_samples) < 0)
        return usage_error("max-samples", "auto, a number of rows or a fraction in (0, 1]",
                           r->max_samples);
    if (p->n_estimators < 1 || p->n_estimators > TOC_IFOREST_TREES_MAX) {
        fprintf(stderr, "tocsin detect: --n-estimators must be 1 to %d\n", TOC_IFOREST_TREES_MAX);
        return TOC_EXIT_USAGE;
    }
    p->seed = (uint64_t)r->seed;
    int rc = read_stream_options(r);
    return rc ? rc : read_form(r->output, &r->stream.form);
}

static int judge(const struct request *r, struct verdicts *v, struct toc_err *err) {
    struct toc_matrix x = {v->in.values, v->in.complete.count, v->in.columns.chosen.count};
    struct toc_iforest *f;
    int rc = toc_iforest_fit(&r->params, x, &f, err);
    if (rc < 0)
        return rc;
    v->offset = toc_iforest_info(f).offset;
    v->scores = toc_try_calloc(x.rows, sizeof *v->scores);
    rc = v->scores ? toc_iforest_score(f, x, v->scores, err)
                   : toc_errf(err, TOC_ENOMEM, "no memory for %zu scores", x.rows);
    toc_iforest_free(&f);
    for (size_t i = 0; rc == 0 && i < x.rows; i++)
        v->anomalies += is_anomaly(v, i);
    return rc;
}

static void summarise(const struct verdicts *v, FILE *to) {
    size_t rows = v->in.complete.count;
    if (v->anomalies == 0)
        fprintf(to, "No anomalies found in %zu row%s (offset %.4f).\n", rows, rows == 1 ? "" : "s",
                v->offset);
    else
        fprintf(to, "Anomalies found: %zu of %zu rows (offset %.4f).\n", v->anomalies, rows,
                v->offset);
}

static void print_table(const struct verdicts *v) {
    const char *titles[TOC_TABLE_COLUMNS_MAX];
    char *owned[TOC_TABLE_COLUMNS_MAX];
    size_t shown = TOC_MIN(v->in.columns.chosen.count, (size_t)TOC_TABLE_COLUMNS_MAX - 3);
    for (size_t c = 0; c < shown; c++)
        titles[c + 1] = owned[c] =
            toc_sv_dup_cstr(v->in.columns.header[v->in.columns.chosen.items[c]]);
    titles[0] = "row";
    titles[shown + 1] = "score";
    titles[shown + 2] = "verdict";
    struct toc_table t;
    toc_table_init(&t, titles, shown + 3);
    for (size_t i = 0; i < v->in.complete.count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%zu", v->in.complete.items[i] + 1);
        toc_table_add(&t, toc_sv_cstr(text));
        for (size_t c = 0; c < shown; c++)
            toc_table_add(&t,
                          v->in.rows.items[v->in.complete.items[i]][v->in.columns.chosen.items[c]]);
        snprintf(text, sizeof text, "%.4f", v->scores[i]);
        toc_table_add(&t, toc_sv_cstr(text));
        toc_table_add(&t, is_anomaly(v, i) ? TOC_SV("ANOMALY") : TOC_SV("normal"));
    }
    toc_table_print(&t, TOC_OUTPUT_TABLE);
    toc_table_fini(&t);
    for (size_t c = 0; c < shown; c++)
        toc_free(owned[c]);
    if (shown < v->in.columns.chosen.count)
        fprintf(stderr, "tocsin detect: %zu more columns were used but are not shown\n",
                v->in.columns.chosen.count - shown);
    putchar('\n');
}

static void write_row_json(const struct verdicts *v, size_t i, struct toc_json_writer *w) {
    toc_json_begin_object(w);
    toc_json_kv_int(w, "row", (int64_t)v->in.complete.items[i] + 1);
    toc_json_key(w, "values");
    toc_json_begin_object(w);
    for (size_t c = 0; c < v->in.columns.chosen.count; c++) {
        toc_json_key_sv(w, v->in.columns.header[v->in.columns.chosen.items[c]]);
        toc_json_double(w, v->in.values[i * v->in.columns.chosen.count + c]);
    }
    toc_json_end_object(w);
    toc_json_kv_double(w, "score", v->scores[i]);
    toc_json_kv_double(w, "decision", v->scores[i] - v->offset);
    toc_json_kv_bool(w, "anomaly", is_anomaly(v, i));
    toc_json_end_object(w);
}

static void write_json(const struct request *r, const struct verdicts *v, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_json_begin_object(&w);
    toc_json_kv_int(&w, "n_estimators", r->params.n_estimators);
    toc_json_kv_int(&w, "seed", r->seed);
    toc_json_kv_double(&w, "offset", v->offset);
    toc_json_kv_int(&w, "anomalies", (int64_t)v->anomalies);
    toc_json_key(&w, "rows");
    toc_json_begin_array(&w);
    for (size_t i = 0; i < v->in.complete.count; i++)
        write_row_json(v, i, &w);
    toc_json_end_array(&w);
    toc_json_end_object(&w);
    toc_buf_append_char(out, '\n');
}

static void write_csv(const struct verdicts *v, struct toc_buf *out) {
    for (size_t c = 0; c < v->in.columns.header_count; c++) {
        toc_csv_write_field(out, v->in.columns.header[c]);
        toc_buf_append_char(out, ',');
    }
    toc_buf_append_cstr(out, "score,anomaly\n");
    for (size_t i = 0; i < v->in.complete.count; i++) {
        for (size_t c = 0; c < v->in.columns.header_count; c++) {
            toc_csv_write_field(out, v->in.rows.items[v->in.complete.items[i]][c]);
            toc_buf_append_char(out, ',');
        }
        toc_format_f64(v->scores[i], out);
        toc_buf_append_cstr(out, is_anomaly(v, i) ? ",1\n" : ",0\n");
    }
}

/* One line per input row, also for those that could not be judged. */
static void write_scores(const struct verdicts *v, struct toc_buf *out) {
    size_t next = 0;
    toc_buf_append_cstr(out, "timestamp,score,alert\n");
    for (size_t row = 0; row < v->in.rows.count; row++) {
        bool has_score = next < v->in.complete.count && v->in.complete.items[next] == row;
        if (v->in.columns.time == SIZE_MAX)
            toc_buf_printf(out, "%zu", row + 1);
        else
            toc_csv_write_field(out, v->in.rows.items[row][v->in.columns.time]);
        toc_buf_printf(out, ",%.12f,%d\n", has_score ? -v->scores[next] : 0,
                       has_score && is_anomaly(v, next));
        next += has_score;
    }
}

static int print(const struct request *r, const struct verdicts *v) {
    struct toc_buf out = TOC_BUF_INIT;
    if (r->stream.form == TOC_DETECT_TABLE)
        print_table(v);
    else if (r->stream.form == TOC_DETECT_JSON)
        write_json(r, v, &out);
    else if (r->stream.form == TOC_DETECT_CSV)
        write_csv(v, &out);
    else
        write_scores(v, &out);
    int rc = toc_buf_error(&out);
    if (rc == 0 && out.n > 0)
        fwrite(out.p, 1, out.n, stdout);
    toc_buf_fini(&out);
    summarise(v, r->stream.form == TOC_DETECT_TABLE ? stdout : stderr);
    if (fflush(stdout) != 0 || ferror(stdout))
        rc = TOC_EIO;
    if (rc < 0)
        fprintf(stderr, "tocsin detect: cannot write the result: %s\n", toc_strerror(rc));
    return rc;
}

static void complain(const char *path, const struct toc_err *err) {
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    if (err->line > 0 && err->column > 0)
        fprintf(stderr, "tocsin detect: %s:%d:%d: %s\n", name, err->line, err->column,
                err->message);
    else if (err->line > 0)
        fprintf(stderr, "tocsin detect: %s:%d: %s\n", name, err->line, err->message);
    else
        fprintf(stderr, "tocsin detect: %s\n", err->message);
}

static int detect_stream(const struct request *r, char **paths, size_t count) {
    struct toc_err err = {0};
    uint64_t alerts = 0;
    size_t at;
    int rc = toc_detect_stream((const char *const *)paths, count, &r->stream, &alerts, &at, &err);
    if (rc < 0)
        complain(paths[TOC_MIN(at, count - 1)], &err);
    if (rc < 0)
        return TOC_EXIT_USAGE;
    /* Scores are for programs that read them: alerts are no failure there. */
    bool is_for_programs = r->stream.form == TOC_DETECT_SCORES ||
                           r->stream.form == TOC_DETECT_FEATURES ||
                           r->stream.form == TOC_DETECT_HTML;
    bool is_failure = alerts && !r->is_exit_zero && !is_for_programs;
    return is_failure ? TOC_EXIT_FAILED : TOC_EXIT_OK;
}

static int detect(const struct request *r, const char *path) {
    struct verdicts v = {0};
    struct toc_err err = {0};
    int code = TOC_EXIT_USAGE;
    int rc =
        toc_detect_input_read(&v.in, path, r->columns, r->stream.form == TOC_DETECT_SCORES, &err);
    if (rc == 0 && v.in.complete.count == 0)
        rc = toc_errf(&err, TOC_ENODATA, "no row has all of its values");
    if (rc == 0)
        rc = judge(r, &v, &err);
    if (rc < 0)
        complain(path, &err);
    else if (print(r, &v) == 0)
        code = v.anomalies > 0 && !r->is_exit_zero ? TOC_EXIT_FAILED : TOC_EXIT_OK;
    toc_free(v.scores);
    toc_detect_input_fini(&v.in);
    return code;
}

int toc_detect_command(int argc, char **argv) {
    struct request r = {.params = toc_iforest_params_default()};
    const struct toc_option options[] = {
        {"columns", 'c', TOC_OPTION_STRING, &r.columns},
        {"n-estimators", 'n', TOC_OPTION_INT, &r.params.n_estimators},
        {"contamination", 0, TOC_OPTION_STRING, &r.contamination},
        {"max-samples", 0, TOC_OPTION_STRING, &r.max_samples},
        {"seed", 0, TOC_OPTION_INT, &r.seed},
        {"output", 'o', TOC_OPTION_STRING, &r.output},
        {"stream", 0, TOC_OPTION_FLAG, &r.is_stream},
        {"method", 0, TOC_OPTION_STRING, &r.method},
        {"threshold", 0, TOC_OPTION_STRING, &r.threshold},
        {"budget", 0, TOC_OPTION_STRING, &r.budget},
        {"direction", 0, TOC_OPTION_STRING, &r.direction},
        {"train-rows", 0, TOC_OPTION_INT, &r.train_rows},
        {"exit-zero", 0, TOC_OPTION_FLAG, &r.is_exit_zero},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_detect_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    rc = read_params(&r);
    if (rc != 0)
        return rc;
    if (count == 0) {
        fprintf(stderr, "tocsin detect: name CSV files, or - for standard input (see tocsin detect "
                        "--help)\n");
        return TOC_EXIT_USAGE;
    }
    bool is_stream = r.is_stream || r.method || count > 1;
    if (count > 1 && r.stream.form == TOC_DETECT_FEATURES)
        return usage_error("output", "table, json, csv, scores or html for several files",
                           r.output);
    if ((r.stream.form == TOC_DETECT_FEATURES || r.stream.form == TOC_DETECT_HTML) && !is_stream)
        return usage_error("output", "table, json, csv or scores without --stream", r.output);
    return is_stream ? detect_stream(&r, argv + 1, (size_t)count) : detect(&r, argv[1]);
}
