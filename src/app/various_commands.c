#include "app/various_commands.h"

#include <stdio.h>
#include <string.h>

#include "alert/matcher_parse.h"
#include "app/client.h"
#include "app/command.h"
#include "app/table.h"
#include "codec/json_writer.h"
#include "codec/text.h"
#include "sys/clock.h"
#include "sys/env.h"
#include "sys/vfs.h"

static int usage_error(const char *command, const char *text) {
    fprintf(stderr, "tocsin %s: %s (see tocsin %s --help)\n", command, text, command);
    return TOC_EXIT_USAGE;
}

static void print_rows(const struct toc_json *list, const char *const *titles, size_t columns,
                       enum toc_output output) {
    struct toc_table t;
    if (output == TOC_OUTPUT_JSON) {
        toc_json_print(list);
        return;
    }
    toc_table_init(&t, titles, columns);
    for (size_t i = 0; i < list->count; i++)
        for (size_t c = 0; c < columns; c++)
            toc_table_add_json(&t, toc_json_get(&list->items[i], titles[c]));
    toc_table_print(&t, output);
    toc_table_fini(&t);
}

/* GET path, then the member `key` of the answer (or the answer itself) as rows. */
static int list(const struct toc_client_options *o, const char *path, const char *key,
                const char *const *titles, size_t columns, enum toc_output output) {
    struct toc_answer a;
    int rc = toc_client_call(o, "GET", path, NULL, &a);
    const struct toc_json *rows = rc == 0 && key ? toc_json_get(a.json, key) : a.json;
    if (rc == 0 && rows)
        print_rows(rows, titles, columns, output);
    toc_answer_fini(&a);
    return rc;
}

/* ---------------------------------------------------------------------------------------------
 * alert */

const char toc_alert_usage[] =
    "usage: tocsin alert list [OPTIONS]\n"
    "       tocsin alert receivers [OPTIONS]\n"
    "       tocsin alert test-receiver NAME [OPTIONS]\n"
    "\n"
    "test-receiver sends a real test message by every channel of the receiver.\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

static int test_receiver(const struct toc_client_options *o, const char *name,
                         enum toc_output output) {
    static const char *const titles[] = {"channel", "ok", "detail"};
    struct toc_buf path = TOC_BUF_INIT, body = TOC_BUF_INIT;
    struct toc_answer a;
    toc_buf_append_cstr(&path, "/api/tocsin/v1/receivers/");
    toc_percent_encode(toc_sv_cstr(name), &path);
    toc_buf_append_cstr(&path, "/test");
    toc_buf_append_cstr(&body, "{}");
    int rc = toc_client_call(o, "POST", toc_buf_cstr(&path), &body, &a);
    const struct toc_json *results = rc == 0 ? toc_json_get(a.json, "results") : NULL;
    if (results)
        print_rows(results, titles, 3, output);
    for (size_t i = 0; results && i < results->count; i++) {
        const struct toc_json *ok = toc_json_get(&results->items[i], "ok");
        if (!ok || !ok->boolean)
            rc = TOC_EXIT_FAILED;
    }
    toc_answer_fini(&a);
    toc_buf_fini(&path);
    toc_buf_fini(&body);
    return rc;
}

int toc_alert_command(int argc, char **argv) {
    static const char *const alert_titles[] = {"state", "activeAt", "value", "labels"};
    static const char *const receiver_titles[] = {"name", "channels", "last_delivery"};
    struct toc_client_options o = {0};
    enum toc_output output;
    const struct toc_option options[] = {TOC_CLIENT_OPTIONS(&o), {0}};
    int count, rc = toc_options_parse(argc, argv, options, toc_alert_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = toc_client_output("alert", &o, &output)) != 0)
        return rc;
    if (count == 1 && strcmp(argv[1], "receivers") == 0)
        return list(&o, "/api/tocsin/v1/receivers", "receivers", receiver_titles, 3, output);
    if (count == 2 && strcmp(argv[1], "test-receiver") == 0)
        return test_receiver(&o, argv[2], output);
    if (count != 1 || strcmp(argv[1], "list") != 0)
        return usage_error("alert", "expected list, receivers or test-receiver NAME");
    struct toc_answer a;
    rc = toc_client_call(&o, "GET", "/api/v1/alerts", NULL, &a);
    const struct toc_json *data = rc == 0 ? toc_json_get(a.json, "data") : NULL;
    if (data && toc_json_get(data, "alerts"))
        print_rows(toc_json_get(data, "alerts"), alert_titles, 4, output);
    toc_answer_fini(&a);
    return rc;
}

/* -------------------------------------------------------------------------------------------
 * silence */

const char toc_silence_usage[] =
    "usage: tocsin silence list [OPTIONS]\n"
    "       tocsin silence add NAME=VALUE… --duration 2h --comment TEXT [--author NAME] [OPTIONS]\n"
    "       tocsin silence expire ID [OPTIONS]\n"
    "\n"
    "Matchers are as in Alertmanager: name=value, name!=value, name=~regex, name!~regex.\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

static int write_matchers(struct toc_json_writer *w, char **texts, int count) {
    struct toc_matcher_list matchers = {0};
    struct toc_err err = {0};
    int rc = 0;
    for (int i = 0; i < count && rc == 0; i++)
        rc = toc_matcher_list_parse(&matchers, toc_sv_cstr(texts[i]), &err);
    if (rc < 0)
        fprintf(stderr, "tocsin silence: %s\n", err.message);
    toc_json_begin_array(w);
    for (size_t i = 0; i < matchers.count; i++) {
        const struct toc_matcher *m = &matchers.items[i];
        toc_json_begin_object(w);
        toc_json_kv_string(w, "name", m->name);
        toc_json_kv_string(w, "value", m->value);
        toc_json_kv_bool(w, "isRegex", m->op == TOC_MATCH_RE || m->op == TOC_MATCH_NRE);
        toc_json_kv_bool(w, "isEqual", m->op == TOC_MATCH_EQ || m->op == TOC_MATCH_RE);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_matcher_list_fini(&matchers);
    return rc;
}

static int add_silence(const struct toc_client_options *o, char **texts, int count,
                       int64_t duration_ms, const char *author, const char *comment) {
    struct toc_buf body = TOC_BUF_INIT;
    struct toc_json_writer w;
    struct toc_ts now = toc_clock_now(toc_clock_system());
    const char *user = toc_env_get("USER");
    toc_json_writer_init(&w, &body);
    toc_json_begin_object(&w);
    toc_json_key(&w, "matchers");
    int rc = write_matchers(&w, texts, count);
    toc_json_kv_time(&w, "startsAt", now);
    toc_json_kv_time(&w, "endsAt", (struct toc_ts){now.ms + duration_ms});
    toc_json_kv_cstr(&w, "createdBy", author ? author : user ? user : "tocsin");
    toc_json_kv_cstr(&w, "comment", comment);
    toc_json_end_object(&w);
    struct toc_answer a = {0};
    if (rc < 0)
        rc = TOC_EXIT_USAGE;
    else if ((rc = toc_client_call(o, "POST", "/api/v2/silences", &body, &a)) == 0) {
        const struct toc_json *id = toc_json_get(a.json, "silenceID");
        if (id)
            printf("%.*s\n", TOC_SV_ARG(id->string));
    }
    toc_answer_fini(&a);
    toc_buf_fini(&body);
    return rc;
}

int toc_silence_command(int argc, char **argv) {
    static const char *const titles[] = {"id",     "status",    "matchers",
                                         "endsAt", "createdBy", "comment"};
    struct toc_client_options o = {0};
    enum toc_output output;
    int64_t duration_ms = 3600 * 1000;
    const char *author = NULL, *comment = NULL;
    const struct toc_option options[] = {
        TOC_CLIENT_OPTIONS(&o),
        {"duration", 'd', TOC_OPTION_DURATION, &duration_ms},
        {"author", 'a', TOC_OPTION_STRING, &author},
        {"comment", 'm', TOC_OPTION_STRING, &comment},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_silence_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = toc_client_output("silence", &o, &output)) != 0)
        return rc;
    if (count == 1 && strcmp(argv[1], "list") == 0)
        return list(&o, "/api/v2/silences", NULL, titles, 6, output);
    if (count >= 2 && strcmp(argv[1], "add") == 0)
        return comment ? add_silence(&o, argv + 2, count - 1, duration_ms, author, comment)
                       : usage_error("silence", "--comment TEXT is missing: say why");
    if (count == 2 && strcmp(argv[1], "expire") == 0) {
        struct toc_buf path = TOC_BUF_INIT;
        struct toc_answer a;
        toc_buf_append_cstr(&path, "/api/v2/silence/");
        toc_percent_encode(toc_sv_cstr(argv[2]), &path);
        rc = toc_client_call(&o, "DELETE", toc_buf_cstr(&path), NULL, &a);
        toc_answer_fini(&a);
        toc_buf_fini(&path);
        return rc;
    }
    return usage_error("silence", "expected list, add MATCHER… or expire ID");
}

/* ---------------------------------------------------------------------------------------------
 * token */

const char toc_token_usage[] =
    "usage: tocsin token list [OPTIONS]\n"
    "       tocsin token add NAME ROLE [--expires 30d] [OPTIONS]\n"
    "       tocsin token remove ID [OPTIONS]\n"
    "\n"
    "Roles: viewer, responder, editor, admin, auditor. The secret is printed once.\n"
    "\n" TOC_CLIENT_OPTIONS_HELP;

static int add_token(const struct toc_client_options *o, const char *name, const char *role,
                     int64_t expires_ms) {
    struct toc_buf body = TOC_BUF_INIT;
    struct toc_json_writer w;
    struct toc_answer a;
    toc_json_writer_init(&w, &body);
    toc_json_begin_object(&w);
    toc_json_kv_cstr(&w, "name", name);
    toc_json_kv_cstr(&w, "role", role);
    if (expires_ms)
        toc_json_kv_int(&w, "expires_in_s", expires_ms / 1000);
    toc_json_end_object(&w);
    int rc = toc_client_call(o, "POST", "/api/tocsin/v1/tokens", &body, &a);
    const struct toc_json *token = rc == 0 ? toc_json_get(a.json, "token") : NULL;
    if (token)
        printf("%.*s\n", TOC_SV_ARG(token->string));
    toc_answer_fini(&a);
    toc_buf_fini(&body);
    return rc;
}

int toc_token_command(int argc, char **argv) {
    static const char *const titles[] = {"id",     "name",       "role",
                                         "scopes", "expires_at", "last_used_at"};
    struct toc_client_options o = {0};
    enum toc_output output;
    int64_t expires_ms = 0;
    const struct toc_option options[] = {
        TOC_CLIENT_OPTIONS(&o), {"expires", 0, TOC_OPTION_DURATION, &expires_ms}, {0}};
    int count, rc = toc_options_parse(argc, argv, options, toc_token_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if ((rc = toc_client_output("token", &o, &output)) != 0)
        return rc;
    if (count == 1 && strcmp(argv[1], "list") == 0)
        return list(&o, "/api/tocsin/v1/tokens", "tokens", titles, 6, output);
    if (count == 3 && strcmp(argv[1], "add") == 0)
        return add_token(&o, argv[2], argv[3], expires_ms);
    if (count == 2 && strcmp(argv[1], "remove") == 0) {
        char path[128];
        struct toc_answer a;
        snprintf(path, sizeof path, "/api/tocsin/v1/tokens/%.40s", argv[2]);
        rc = toc_client_call(&o, "DELETE", path, NULL, &a);
        toc_answer_fini(&a);
        return rc;
    }
    return usage_error("token", "expected list, add NAME ROLE or remove ID");
}
