/* `tocsin incident …`: the life of an incident from the command line. */
#include "app/incident_command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app/client.h"
#include "app/command.h"
#include "app/table.h"
#include "codec/json_writer.h"
#include "codec/text.h"

#define BASE "/api/tocsin/v1/incidents"

const char toc_incident_usage[] =
    "usage: tocsin incident list [--all] [--limit N] [OPTIONS]\n"
    "       tocsin incident show ID | summary ID | proposal ID\n"
    "       tocsin incident ack ID [--comment TEXT]\n"
    "       tocsin incident assign ID NAME [--comment TEXT]\n"
    "       tocsin incident comment ID TEXT\n"
    "       tocsin incident mitigate ID [--comment TEXT]\n"
    "       tocsin incident verdict ID true|false|expected|duplicate [--of ID] [--comment TEXT]\n"
    "       tocsin incident apply ID --threshold NUMBER [--comment TEXT]\n"
    "       tocsin incident resolve ID [--comment TEXT]\n"
    "       tocsin incident review ID [--comment TEXT]\n"
    "\n"
    "list      open incidents, newest first (--all: closed ones too)\n"
    "show      everything about one incident, with its timeline\n"
    "summary   the review summary in Markdown\n"
    "proposal  the threshold proposed after a false alarm, with its effect on stored history\n"
    "apply     applies a threshold (the change is recorded with your name)\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

struct request {
    struct toc_client_options client;
    bool all;
    int64_t limit;
    const char *comment, *duplicate_of;
    double threshold; /* NaN: not given */
    enum toc_output output;
};

static struct toc_sv text_of(const struct toc_json *object, const char *key) {
    const struct toc_json *v = toc_json_get(object, key);
    return v && v->type == TOC_JSON_STRING ? v->string : TOC_SV_NULL;
}

static void print_rows(const struct toc_json *list, enum toc_output output) {
    static const char *const titles[] = {"id",         "state",    "severity", "kind",
                                         "started_at", "assignee", "title"};
    struct toc_table t;
    toc_table_init(&t, titles, 7);
    for (size_t i = 0; i < list->count; i++)
        for (size_t c = 0; c < 7; c++)
            toc_table_add_json(&t, toc_json_get(&list->items[i], titles[c]));
    toc_table_print(&t, output);
    toc_table_fini(&t);
}

static int list(struct request *r) {
    char path[128];
    snprintf(path, sizeof path, BASE "?state=%s&limit=%lld", r->all ? "all" : "open",
             (long long)r->limit);
    struct toc_answer a;
    int rc = toc_client_call(&r->client, "GET", path, NULL, &a);
    const struct toc_json *incidents = rc == 0 ? toc_json_get(a.json, "incidents") : NULL;
    if (incidents && r->output == TOC_OUTPUT_JSON)
        toc_json_print(incidents);
    else if (incidents && r->output == TOC_OUTPUT_NDJSON)
        for (size_t i = 0; i < incidents->count; i++)
            toc_json_print(&incidents->items[i]);
    else if (incidents)
        print_rows(incidents, r->output);
    toc_answer_fini(&a);
    return rc;
}

static void print_timeline(const struct toc_json *timeline) {
    for (size_t i = 0; timeline && i < timeline->count; i++) {
        const struct toc_json *e = &timeline->items[i];
        printf("  %.*s  %-12.*s %-12.*s %.*s\n", TOC_SV_ARG(text_of(e, "at")),
               TOC_SV_ARG(text_of(e, "type")), TOC_SV_ARG(text_of(e, "actor")),
               TOC_SV_ARG(text_of(e, "text")));
    }
}

static void print_incident(const struct toc_json *i) {
    printf("%.*s  %.*s\n", TOC_SV_ARG(text_of(i, "id")), TOC_SV_ARG(text_of(i, "title")));
    printf("  %.*s, %.*s, kind %.*s\n", TOC_SV_ARG(text_of(i, "state")),
           TOC_SV_ARG(text_of(i, "severity")), TOC_SV_ARG(text_of(i, "kind")));
    static const char *const lines[] = {"summary", "action", "assignee", "verdict", "runbook_url"};
    for (size_t k = 0; k < 5; k++)
        if (text_of(i, lines[k]).n)
            printf("  %s: %.*s\n", lines[k], TOC_SV_ARG(text_of(i, lines[k])));
    const struct toc_json *causes = toc_json_get(i, "causes");
    for (size_t k = 0; causes && k < causes->count; k++)
        printf("  likely cause: %.*s\n", TOC_SV_ARG(text_of(&causes->items[k], "text")));
    puts("  timeline:");
    print_timeline(toc_json_get(i, "timeline"));
}

static void answer(const struct request *r, const struct toc_answer *a) {
    if (!a->json)
        fwrite(a->body.p, 1, a->body.n, stdout);
    else if (r->output == TOC_OUTPUT_TABLE && toc_json_get(a->json, "timeline"))
        print_incident(a->json);
    else
        toc_json_print(a->json);
}

static int call(struct request *r, const char *method, const char *id, const char *action,
                const struct toc_buf *body) {
    struct toc_buf path = TOC_BUF_INIT;
    toc_buf_append_cstr(&path, BASE "/");
    toc_percent_encode(toc_sv_cstr(id), &path);
    toc_buf_printf(&path, "%s%s", *action ? "/" : "", action);
    struct toc_answer a;
    int rc = toc_client_call(&r->client, method, toc_buf_cstr(&path), body, &a);
    if (rc == 0)
        answer(r, &a);
    toc_answer_fini(&a);
    toc_buf_fini(&path);
    return rc;
}

/* POST with the members that were given. */
static int post(struct request *r, const char *id, const char *action, const char *key,
                const char *value) {
    struct toc_buf body = TOC_BUF_INIT;
    struct toc_json_writer w;
    toc_json_writer_init(&w, &body);
    toc_json_begin_object(&w);
    if (key)
        toc_json_kv_cstr(&w, key, value);
    if (r->comment)
        toc_json_kv_cstr(&w, "comment", r->comment);
    if (r->duplicate_of)
        toc_json_kv_cstr(&w, "duplicate_of", r->duplicate_of);
    if (!isnan(r->threshold))
        toc_json_kv_double(&w, "threshold", r->threshold);
    toc_json_end_object(&w);
    int rc = call(r, "POST", id, action, &body);
    toc_buf_fini(&body);
    return rc;
}

/* verb, arguments after ID, method, action in the path, key of the argument */
static const struct verb {
    const char *name;
    int arguments;
    bool is_post;
    const char *action, *key;
} g_verbs[] = {
    {"show", 0, false, "", NULL},
    {"summary", 0, false, "summary", NULL},
    {"proposal", 0, false, "proposal", NULL},
    {"ack", 0, true, "acknowledge", NULL},
    {"acknowledge", 0, true, "acknowledge", NULL},
    {"assign", 1, true, "assign", "assignee"},
    {"comment", 1, true, "comment", "text"},
    {"mitigate", 0, true, "mitigate", NULL},
    {"verdict", 1, true, "verdict", "verdict"},
    {"apply", 0, true, "proposal/apply", NULL},
    {"resolve", 0, true, "resolve", NULL},
    {"review", 0, true, "review", NULL},
};

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin incident: %s (see tocsin incident --help)\n", text);
    return TOC_EXIT_USAGE;
}

int toc_incident_command(int argc, char **argv) {
    struct request r = {.limit = 100, .threshold = NAN};
    const struct toc_option options[] = {
        TOC_CLIENT_OPTIONS(&r.client),
        {"all", 'a', TOC_OPTION_FLAG, &r.all},
        {"limit", 0, TOC_OPTION_INT, &r.limit},
        {"comment", 'm', TOC_OPTION_STRING, &r.comment},
        {"of", 0, TOC_OPTION_STRING, &r.duplicate_of},
        {"threshold", 0, TOC_OPTION_DOUBLE, &r.threshold},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_incident_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    rc = toc_client_output("incident", &r.client, &r.output);
    if (rc != 0)
        return rc;
    if (count >= 1 && strcmp(argv[1], "list") == 0)
        return count == 1 ? list(&r) : usage_error("list takes no argument");
    for (size_t i = 0; count >= 1 && i < sizeof g_verbs / sizeof g_verbs[0]; i++) {
        const struct verb *v = &g_verbs[i];
        if (strcmp(argv[1], v->name) != 0)
            continue;
        if (count != 2 + v->arguments)
            return usage_error(count < 2 ? "an incident's ID is missing"
                                         : "wrong number of arguments");
        if (!v->is_post)
            return call(&r, "GET", argv[2], v->action, NULL);
        return post(&r, argv[2], v->action, v->key, v->arguments ? argv[3] : NULL);
    }
    return usage_error(count ? "unknown verb" : "a verb is missing");
}
