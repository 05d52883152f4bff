#include "app/query_command.h"

#include <stdio.h>
#include <string.h>

#include "app/client.h"
#include "app/command.h"
#include "app/table.h"
#include "base/num.h"
#include "codec/text.h"
#include "model/labels.h"
#include "sys/clock.h"

enum { SPARK_LEVELS = 8, DEFAULT_RANGE_MS = 3600 * 1000 };

const char toc_query_usage[] =
    "usage: tocsin query instant EXPR [--time T] [OPTIONS]\n"
    "       tocsin query range EXPR [--range 1h] [--end T] [--step 15s] [OPTIONS]\n"
    "       tocsin query series SELECTOR… | labels [NAME] [OPTIONS]\n"
    "\n"
    "range prints each series with a sparkline. Times are RFC 3339 or seconds since the epoch.\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

struct request {
    struct toc_client_options client;
    enum toc_output output;
    const char *time, *end;
    int64_t range_ms, step_ms;
};

static void add_field(struct toc_buf *form, const char *name, const char *value) {
    toc_buf_printf(form, "%s%s=", form->n ? "&" : "", name);
    toc_percent_encode(toc_sv_cstr(value), form);
}

static void add_labels(struct toc_table *t, const struct toc_json *metric) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_buf text = TOC_BUF_INIT;
    for (size_t i = 0; metric && i < metric->count; i++)
        toc_labels_builder_set(&b, metric->items[i].key, metric->items[i].string);
    toc_labels_format(toc_labels_builder_finish(&b), &text);
    toc_table_add(t, toc_buf_sv(&text));
    toc_labels_builder_fini(&b);
    toc_buf_fini(&text);
}

static void add_spark(struct toc_table *t, const struct toc_json *values) {
    static const char *const blocks[SPARK_LEVELS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double low = __builtin_inf(), high = -__builtin_inf(), v;
    struct toc_buf text = TOC_BUF_INIT;
    size_t stride = values->count / 60 + 1;
    for (size_t i = 0; i < values->count; i++)
        if (toc_parse_f64(values->items[i].items[1].string, &v) == 0 && v - v == 0) {
            low = v < low ? v : low;
            high = v > high ? v : high;
        }
    for (size_t i = 0; i < values->count; i += stride) {
        bool is_finite = toc_parse_f64(values->items[i].items[1].string, &v) == 0 && v - v == 0;
        int level = high > low ? (int)((v - low) / (high - low) * (SPARK_LEVELS - 1) + 0.5) : 0;
        toc_buf_append_cstr(&text, is_finite ? blocks[level] : "·");
    }
    toc_table_add(t, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

static void print_vector(const struct toc_json *result, enum toc_output output) {
    static const char *const titles[] = {"series", "value"};
    struct toc_table t;
    toc_table_init(&t, titles, 2);
    for (size_t i = 0; i < result->count; i++) {
        const struct toc_json *value = toc_json_get(&result->items[i], "value");
        add_labels(&t, toc_json_get(&result->items[i], "metric"));
        toc_table_add_json(&t, value && value->count == 2 ? &value->items[1] : NULL);
    }
    toc_table_print(&t, output);
    toc_table_fini(&t);
}

static void print_matrix(const struct toc_json *result, enum toc_output output) {
    static const char *const titles[] = {"series", "last", "trend"};
    struct toc_table t;
    toc_table_init(&t, titles, 3);
    for (size_t i = 0; i < result->count; i++) {
        const struct toc_json *values = toc_json_get(&result->items[i], "values");
        if (!values || values->count == 0)
            continue;
        add_labels(&t, toc_json_get(&result->items[i], "metric"));
        toc_table_add_json(&t, &values->items[values->count - 1].items[1]);
        add_spark(&t, values);
    }
    toc_table_print(&t, output);
    toc_table_fini(&t);
}

static void print_result(const struct toc_json *data, enum toc_output output) {
    const struct toc_json *result = data ? toc_json_get(data, "result") : NULL;
    const struct toc_json *type = data ? toc_json_get(data, "resultType") : NULL;
    if (!result || !type)
        return;
    if (output == TOC_OUTPUT_JSON)
        toc_json_print(data);
    else if (output == TOC_OUTPUT_NDJSON)
        for (size_t i = 0; i < result->count; i++)
            toc_json_print(&result->items[i]);
    else if (toc_sv_eq(type->string, TOC_SV("vector")))
        print_vector(result, output);
    else if (toc_sv_eq(type->string, TOC_SV("matrix")))
        print_matrix(result, output);
    else if (result->count == 2)
        printf("%.*s\n", TOC_SV_ARG(result->items[1].string));
}

static void print_warnings(const struct toc_json *answer) {
    const struct toc_json *w = toc_json_get(answer, "warnings");
    for (size_t i = 0; w && i < w->count; i++)
        fprintf(stderr, "tocsin: warning: %.*s\n", TOC_SV_ARG(w->items[i].string));
}

static int send_form(struct request *r, const char *path, struct toc_buf *form) {
    struct toc_answer a;
    int rc = toc_client_form(&r->client, path, form, &a);
    if (rc == 0) {
        print_warnings(a.json);
        print_result(toc_json_get(a.json, "data"), r->output);
    }
    toc_answer_fini(&a);
    return rc;
}

static int instant(struct request *r, const char *expr) {
    struct toc_buf form = TOC_BUF_INIT;
    add_field(&form, "query", expr);
    if (r->time)
        add_field(&form, "time", r->time);
    int rc = send_form(r, "/api/v1/query", &form);
    toc_buf_fini(&form);
    return rc;
}

static int range(struct request *r, const char *expr) {
    struct toc_buf form = TOC_BUF_INIT;
    char start[32], end[32], step[32];
    struct toc_ts until = toc_clock_now(toc_clock_system());
    double seconds;
    if (r->end && toc_parse_f64(toc_sv_cstr(r->end), &seconds) == 0)
        until.ms = (int64_t)(seconds * 1000);
    else if (r->end && toc_ts_parse_rfc3339(toc_sv_cstr(r->end), &until, NULL) < 0) {
        fprintf(stderr, "tocsin query: --end expects RFC 3339 or seconds, got \"%s\"\n", r->end);
        return TOC_EXIT_USAGE;
    }
    int64_t step_ms = r->step_ms ? r->step_ms : r->range_ms / 240 + 1;
    snprintf(start, sizeof start, "%.3f", (double)(until.ms - r->range_ms) / 1000);
    snprintf(end, sizeof end, "%.3f", (double)until.ms / 1000);
    snprintf(step, sizeof step, "%.3f", (double)step_ms / 1000);
    add_field(&form, "query", expr);
    add_field(&form, "start", start);
    add_field(&form, "end", end);
    add_field(&form, "step", step);
    int rc = send_form(r, "/api/v1/query_range", &form);
    toc_buf_fini(&form);
    return rc;
}

static int list(struct request *r, const char *path, const struct toc_buf *form) {
    struct toc_answer a;
    int rc = form ? toc_client_form(&r->client, path, form, &a)
                  : toc_client_call(&r->client, "GET", path, NULL, &a);
    const struct toc_json *data = rc == 0 ? toc_json_get(a.json, "data") : NULL;
    if (data && r->output == TOC_OUTPUT_JSON)
        toc_json_print(data);
    for (size_t i = 0; data && r->output != TOC_OUTPUT_JSON && i < data->count; i++) {
        const struct toc_json *v = &data->items[i];
        if (v->type == TOC_JSON_STRING)
            printf("%.*s\n", TOC_SV_ARG(v->string));
        else
            toc_json_print(v);
    }
    toc_answer_fini(&a);
    return rc;
}

static int series(struct request *r, char **selectors, int count) {
    struct toc_buf form = TOC_BUF_INIT;
    for (int i = 0; i < count; i++)
        add_field(&form, "match[]", selectors[i]);
    int rc = list(r, "/api/v1/series", &form);
    toc_buf_fini(&form);
    return rc;
}

static int labels(struct request *r, const char *name) {
    struct toc_buf path = TOC_BUF_INIT;
    toc_buf_append_cstr(&path, name ? "/api/v1/label/" : "/api/v1/labels");
    if (name) {
        toc_percent_encode(toc_sv_cstr(name), &path);
        toc_buf_append_cstr(&path, "/values");
    }
    int rc = list(r, toc_buf_cstr(&path), NULL);
    toc_buf_fini(&path);
    return rc;
}

int toc_query_command(int argc, char **argv) {
    struct request r = {.range_ms = DEFAULT_RANGE_MS};
    const struct toc_option options[] = {
        TOC_CLIENT_OPTIONS(&r.client),
        {"time", 0, TOC_OPTION_STRING, &r.time},
        {"end", 0, TOC_OPTION_STRING, &r.end},
        {"range", 0, TOC_OPTION_DURATION, &r.range_ms},
        {"step", 0, TOC_OPTION_DURATION, &r.step_ms},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_query_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = toc_client_output("query", &r.client, &r.output)) != 0)
        return rc;
    const char *verb = count ? argv[1] : "";
    if (strcmp(verb, "instant") == 0 && count == 2)
        return instant(&r, argv[2]);
    if (strcmp(verb, "range") == 0 && count == 2)
        return range(&r, argv[2]);
    if (strcmp(verb, "series") == 0 && count >= 2)
        return series(&r, argv + 2, count - 1);
    if (strcmp(verb, "labels") == 0 && count <= 2)
        return labels(&r, count == 2 ? argv[2] : NULL);
    fprintf(stderr,
            "tocsin query: expected instant, range, series or labels (see tocsin query --help)\n");
    return TOC_EXIT_USAGE;
}
