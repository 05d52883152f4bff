#include "app/rules_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/client.h"
#include "app/command.h"
#include "app/table.h"
#include "base/map.h"
#include "codec/json_writer.h"
#include "detect/stats.h"

const char toc_rules_usage[] =
    "usage: tocsin rules report [client options]\n"
    "\n"
    "What the verdicts on the last 1000 incidents say about the rules that opened them: how many\n"
    "were true, false or expected, how many nobody judged, and the precision (true among judged,\n"
    "expected ones counted as true) with Wilson's interval at 95 %. Rules with five or more\n"
    "judged incidents whose interval lies below a half are called poor and come first. Why their\n"
    "alerts were false: tocsin backtest --labels incidents.\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

enum { POOR_JUDGED_MIN = 5 };

struct row {
    struct toc_sv rule;
    uint64_t incidents, true_count, false_count, expected, unjudged;
    double precision, low, high;
    bool is_poor;
};

struct rows {
    TOC_VEC_FIELDS(struct row)
    struct toc_map by_rule; /* name → index + 1 */
};

static struct row *row_of(struct rows *r, struct toc_sv rule) {
    uintptr_t n = (uintptr_t)toc_map_get(&r->by_rule, rule);
    if (!n) {
        TOC_VEC_PUSH(r, (struct row){.rule = rule});
        n = r->count;
        (void)toc_map_put(&r->by_rule, rule, (void *)n);
    }
    return &r->items[n - 1];
}

static struct toc_sv text_of(const struct toc_json *object, const char *key) {
    const struct toc_json *v = toc_json_get(object, key);
    return v && v->type == TOC_JSON_STRING ? v->string : TOC_SV("");
}

/* An incident that is called a duplicate says nothing of its own. */
static void count(struct rows *r, const struct toc_json *incident) {
    struct toc_sv verdict = text_of(incident, "verdict");
    if (toc_sv_eq(verdict, TOC_SV("duplicate")))
        return;
    struct row *row = row_of(r, text_of(incident, "rule"));
    row->incidents++;
    row->true_count += toc_sv_eq(verdict, TOC_SV("true"));
    row->false_count += toc_sv_eq(verdict, TOC_SV("false"));
    row->expected += toc_sv_eq(verdict, TOC_SV("expected"));
    row->unjudged += verdict.n == 0;
}

static int by_badness(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    if (x->is_poor != y->is_poor)
        return x->is_poor ? -1 : 1;
    if (x->false_count != y->false_count)
        return x->false_count > y->false_count ? -1 : 1;
    return toc_sv_cmp(x->rule, y->rule);
}

static void finish(struct rows *r) {
    for (size_t i = 0; i < r->count; i++) {
        struct row *row = &r->items[i];
        uint64_t good = row->true_count + row->expected, judged = good + row->false_count;
        toc_wilson_interval(good, judged, &row->low, &row->high);
        row->precision = judged ? (double)good / (double)judged : 0;
        row->is_poor = judged >= POOR_JUDGED_MIN && row->high < 0.5;
    }
    if (r->count)
        qsort(r->items, r->count, sizeof *r->items, by_badness);
}

static void add_count(struct toc_table *t, uint64_t n) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    toc_table_add(t, toc_sv_cstr(text));
}

static void print_rows(const struct rows *r, enum toc_output output) {
    static const char *const titles[] = {"rule",     "incidents", "true",      "false",
                                         "expected", "unjudged",  "precision", "verdict"};
    struct toc_table t;
    toc_table_init(&t, titles, TOC_ARRAY_LEN(titles));
    for (size_t i = 0; i < r->count; i++) {
        const struct row *row = &r->items[i];
        uint64_t judged = row->true_count + row->false_count + row->expected;
        char text[64] = "-";
        if (judged)
            snprintf(text, sizeof text, "%.2f (%.2f-%.2f)", row->precision, row->low, row->high);
        toc_table_add(&t, row->rule);
        add_count(&t, row->incidents);
        add_count(&t, row->true_count);
        add_count(&t, row->false_count);
        add_count(&t, row->expected);
        add_count(&t, row->unjudged);
        toc_table_add(&t, toc_sv_cstr(text));
        toc_table_add(&t, row->is_poor               ? TOC_SV("poor")
                          : judged < POOR_JUDGED_MIN ? TOC_SV("too few judged")
                                                     : TOC_SV("ok"));
    }
    toc_table_print(&t, output);
    toc_table_fini(&t);
}

static void put_row(struct toc_json_writer *w, const struct row *row) {
    toc_json_begin_object(w);
    toc_json_kv_string(w, "rule", row->rule);
    toc_json_kv_int(w, "incidents", (int64_t)row->incidents);
    toc_json_kv_int(w, "true", (int64_t)row->true_count);
    toc_json_kv_int(w, "false", (int64_t)row->false_count);
    toc_json_kv_int(w, "expected", (int64_t)row->expected);
    toc_json_kv_int(w, "unjudged", (int64_t)row->unjudged);
    toc_json_kv_double(w, "precision_low", row->low);
    toc_json_kv_double(w, "precision_high", row->high);
    toc_json_kv_bool(w, "is_poor", row->is_poor);
    toc_json_end_object(w);
}

static void print_json(const struct rows *r, bool is_array) {
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer w;
    if (is_array) {
        toc_json_writer_init(&w, &out);
        toc_json_begin_array(&w);
        for (size_t i = 0; i < r->count; i++)
            put_row(&w, &r->items[i]);
        toc_json_end_array(&w);
        toc_buf_append_char(&out, '\n');
    }
    for (size_t i = 0; !is_array && i < r->count; i++) {
        toc_json_writer_init(&w, &out);
        put_row(&w, &r->items[i]);
        toc_buf_append_char(&out, '\n');
    }
    fwrite(out.p, 1, out.n, stdout);
    toc_buf_fini(&out);
}

static int report(const struct toc_client_options *client, enum toc_output output) {
    struct toc_answer a;
    struct rows r = {0};
    int rc =
        toc_client_call(client, "GET", "/api/tocsin/v1/incidents?state=all&limit=1000", NULL, &a);
    const struct toc_json *incidents = rc == 0 ? toc_json_get(a.json, "incidents") : NULL;
    for (size_t i = 0; incidents && i < incidents->count; i++)
        count(&r, &incidents->items[i]);
    finish(&r);
    if (rc == 0 && (output == TOC_OUTPUT_JSON || output == TOC_OUTPUT_NDJSON))
        print_json(&r, output == TOC_OUTPUT_JSON);
    else if (rc == 0)
        print_rows(&r, output);
    TOC_VEC_FINI(&r);
    toc_map_fini(&r.by_rule);
    toc_answer_fini(&a);
    return rc;
}

int toc_rules_command(int argc, char **argv) {
    struct toc_client_options client = {0};
    const struct toc_option options[] = {TOC_CLIENT_OPTIONS(&client), {0}};
    enum toc_output output;
    int words, rc = toc_options_parse(argc, argv, options, toc_rules_usage, &words);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    rc = toc_client_output("rules", &client, &output);
    if (rc != 0)
        return rc;
    if (words == 1 && strcmp(argv[1], "report") == 0)
        return report(&client, output);
    fprintf(stderr, "tocsin rules: expected report (see tocsin rules --help)\n");
    return TOC_EXIT_USAGE;
}
