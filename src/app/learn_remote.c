/* `tocsin learn` against a daemon. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/learn_command.h"
#include "app/table.h"
#include "codec/json_writer.h"
#include "codec/text.h"

#define BASE "/api/tocsin/v1/learn"

static int list(const struct toc_learn_request *r, const char *path, const char *key,
                const char *const *titles, size_t columns) {
    struct toc_answer a;
    struct toc_table t;
    int rc = toc_client_call(&r->client, "GET", path, NULL, &a);
    const struct toc_json *items = rc == 0 ? toc_json_get(a.json, key) : NULL;
    if (items && r->output == TOC_OUTPUT_JSON)
        toc_json_print(items);
    for (size_t i = 0; items && r->output == TOC_OUTPUT_NDJSON && i < items->count; i++)
        toc_json_print(&items->items[i]);
    if (items && (r->output == TOC_OUTPUT_TABLE || r->output == TOC_OUTPUT_CSV)) {
        toc_table_init(&t, titles, columns);
        for (size_t i = 0; i < items->count; i++)
            for (size_t c = 0; c < columns; c++)
                toc_table_add_json(&t, toc_json_get(&items->items[i], titles[c]));
        toc_table_print(&t, r->output);
        toc_table_fini(&t);
    }
    toc_answer_fini(&a);
    return rc;
}

int toc_learn_status(const struct toc_learn_request *r) {
    static const char *const titles[] = {"scope", "mode",    "version", "alerts",  "true",
                                         "false", "ignored", "needed",  "withheld"};
    return list(r, BASE, "scopes", titles, TOC_ARRAY_LEN(titles));
}

int toc_learn_report(const struct toc_learn_request *r) {
    static const char *const titles[] = {"rule",
                                         "incidents",
                                         "true",
                                         "false",
                                         "withheld",
                                         "precision",
                                         "precision_lower",
                                         "precision_upper",
                                         "poor"};
    return list(r, BASE "/report", "rules", titles, TOC_ARRAY_LEN(titles));
}

int toc_learn_alerts(const struct toc_learn_request *r, bool only_withheld) {
    static const char *const titles[] = {"id",       "scope",       "rule",    "first_seen",
                                         "withheld", "probability", "verdict", "labels"};
    char path[96];
    snprintf(path, sizeof path, BASE "/alerts?withheld=%s&limit=%lld",
             only_withheld ? "true" : "false", (long long)r->limit);
    return list(r, path, "alerts", titles, TOC_ARRAY_LEN(titles));
}

static double number(const struct toc_json *o, const char *key) {
    double v;
    return toc_json_get_double(o, key, 0, &v, NULL) < 0 ? 0 : v;
}

static void print_foretold(const struct toc_json *forecast, const char *key, double unit,
                           const char *text) {
    const struct toc_json *x = toc_json_get(forecast, key);
    int digits = unit > 1 ? 1 : 2;
    printf("  %-32s %.*f (%.*f to %.*f)\n", text, digits, unit * number(x, "value"), digits,
           unit * number(x, "low"), digits, unit * number(x, "high"));
}

/* How many of the coming alerts are true moves it as much as the gate does: no single number. */
static void print_precision(const struct toc_json *told) {
    const struct toc_json *x = toc_json_get(told, "precision");
    printf("  %-32s %.1f to %.1f, by how many of the coming alerts are true\n", "precision, %",
           100 * number(x, "low"), 100 * number(x, "high"));
}

static void print_forecast(const struct toc_json *p, const struct toc_json *told) {
    const struct toc_json *e = toc_json_get(p, "effect");
    printf("Foretold from %.0f judged alerts of the last %.0f days (and 90 %% of what may come):\n",
           number(e, "alerts"), number(p, "days"));
    print_foretold(told, "withheld", 100, "alerts withheld, %");
    print_foretold(told, "recall", 100, "true alerts that still page, %");
    print_foretold(told, "lift", 1, "precision, times");
    print_precision(told);
    printf("Precision without it: %.1f %%. Of all %.0f remembered alerts %.0f would be withheld.\n",
           100 * number(e, "precision_before"), number(p, "remembered_alerts"),
           number(p, "remembered_withheld"));
}

static void print_preview(const struct toc_json *p) {
    const struct toc_json *f = toc_json_get(p, "features"), *notes = toc_json_get(p, "notes");
    const struct toc_json *told = toc_json_get(p, "forecast");
    printf("%.0f verdicts, model %.*s, level %.3f\n", number(p, "labels"),
           TOC_SV_ARG(toc_json_get(p, "model")->string), number(p, "level"));
    if (toc_sv_eq(toc_json_get(told, "verdict")->string, TOC_SV("unknown")))
        printf("Not enough data to foretell the effect.\n");
    else
        print_forecast(p, told);
    printf("Weighs most:");
    for (size_t i = 0; f && i < f->count && i < 5; i++)
        printf(" %.*s %.0f %%", TOC_SV_ARG(toc_json_get(&f->items[i], "name")->string),
               100 * number(&f->items[i], "share"));
    putchar('\n');
    for (size_t i = 0; notes && i < notes->count; i++)
        printf("Note: %.*s\n", TOC_SV_ARG(notes->items[i].string));
}

static void append_query(struct toc_buf *path, const struct toc_learn_request *r) {
    toc_buf_printf(path, "?keep=%.6g&accept_contradiction=%s", r->offline.keep,
                   r->accepts_contradiction ? "true" : "false");
    if (!r->without)
        return;
    toc_buf_append_cstr(path, "&without=");
    toc_percent_encode(toc_sv_cstr(r->without), path);
}

int toc_learn_preview_command(const struct toc_learn_request *r, const char *scope) {
    struct toc_buf path = TOC_BUF_INIT;
    struct toc_answer a;
    toc_buf_append_cstr(&path, BASE "/scopes/");
    toc_percent_encode(toc_sv_cstr(scope), &path);
    toc_buf_append_cstr(&path, "/preview");
    append_query(&path, r);
    int rc = toc_client_call(&r->client, "GET", toc_buf_cstr(&path), NULL, &a);
    if (rc == 0 && r->output == TOC_OUTPUT_TABLE)
        print_preview(a.json);
    else if (rc == 0)
        toc_json_print(a.json);
    toc_answer_fini(&a);
    toc_buf_fini(&path);
    return rc;
}

int toc_learn_post(const struct toc_learn_request *r, const char *folder, const char *name,
                   const char *action, const char *verdict) {
    struct toc_buf path = TOC_BUF_INIT, body = TOC_BUF_INIT;
    struct toc_json_writer w;
    struct toc_answer a;
    toc_buf_printf(&path, BASE "/%s/", folder);
    toc_percent_encode(toc_sv_cstr(name), &path);
    toc_buf_printf(&path, "/%s", action);
    toc_json_writer_init(&w, &body);
    toc_json_begin_object(&w);
    if (verdict)
        toc_json_kv_cstr(&w, "verdict", verdict);
    if (strcmp(action, "apply") == 0) {
        toc_json_kv_cstr(&w, "mode", r->is_shadow ? "shadow" : "enforce");
        toc_json_kv_double(&w, "keep", r->offline.keep);
        toc_json_kv_bool(&w, "accept_contradiction", r->accepts_contradiction);
        if (r->without)
            toc_json_kv_cstr(&w, "without", r->without);
    }
    if (strcmp(action, "rollback") == 0)
        toc_json_kv_int(&w, "version", r->version);
    toc_json_end_object(&w);
    int rc = toc_client_call(&r->client, "POST", toc_buf_cstr(&path), &body, &a);
    if (rc == 0)
        toc_json_print(a.json);
    toc_answer_fini(&a);
    toc_buf_fini(&path);
    toc_buf_fini(&body);
    return rc;
}
