#include "app/client.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "net/http_client.h"
#include "sys/env.h"
#include "sys/vfs.h"

enum { TOKEN_FILE_MAX_BYTES = 4096 };

int toc_client_output(const char *command, const struct toc_client_options *o,
                      enum toc_output *out) {
    static const char *const names[] = {"table", "json", "ndjson", "csv"};
    *out = TOC_OUTPUT_TABLE;
    if (!o->output)
        return 0;
    for (int i = 0; i < 4; i++) {
        if (strcmp(o->output, names[i]) == 0) {
            *out = (enum toc_output)i;
            return 0;
        }
    }
    fprintf(stderr, "tocsin %s: --output expects table, json, ndjson or csv, got \"%s\"\n", command,
            o->output);
    return TOC_EXIT_USAGE;
}

void toc_answer_fini(struct toc_answer *a) {
    toc_buf_fini(&a->body);
    toc_arena_fini(&a->arena);
    a->json = NULL;
}

static const char *server_of(const struct toc_client_options *o) {
    if (o->server)
        return o->server;
    const char *env = toc_env_get("TOCSIN_SERVER");
    return env && *env ? env : "http://127.0.0.1:9797";
}

/* Empty when there is none: reading on loopback needs no token. */
static int find_token(const struct toc_client_options *o, struct toc_buf *out) {
    const char *env = toc_env_get("TOCSIN_TOKEN");
    if (!o->token_file && env && *env) {
        toc_buf_append_cstr(out, env);
        return 0;
    }
    struct toc_buf path = TOC_BUF_INIT;
    if (o->token_file)
        toc_buf_append_cstr(&path, o->token_file);
    else
        toc_buf_printf(&path, "%s/token", o->data_dir ? o->data_dir : "./tocsin-data");
    int rc = toc_vfs_read_file(toc_vfs_system(), toc_buf_cstr(&path), TOKEN_FILE_MAX_BYTES, out);
    if (rc < 0 && o->token_file) {
        fprintf(stderr, "tocsin: cannot read the token file %s: %s\n", o->token_file,
                toc_strerror(rc));
        toc_buf_fini(&path);
        return TOC_EXIT_USAGE;
    }
    toc_buf_fini(&path);
    struct toc_sv trimmed = toc_sv_trim(toc_buf_sv(out));
    if (trimmed.n)
        memmove(out->p, trimmed.p, trimmed.n);
    out->n = trimmed.n;
    return 0;
}

static int exit_code_of(int status) {
    if (status == 401 || status == 403)
        return TOC_EXIT_NOT_ALLOWED;
    return status >= 400 ? TOC_EXIT_FAILED : 0;
}

static void say_refusal(const char *path, const struct toc_answer *a) {
    static const char *const keys[] = {"detail", "error", "message"};
    struct toc_sv text = TOC_SV_NULL;
    for (size_t i = 0; i < 3 && text.n == 0 && a->json; i++) {
        const struct toc_json *v = toc_json_get(a->json, keys[i]);
        if (v && v->type == TOC_JSON_STRING)
            text = v->string;
    }
    if (text.n == 0)
        text = toc_sv_sub(toc_buf_sv(&a->body), 0, 300);
    fprintf(stderr, "tocsin: %.*s (%s answered %d)\n", TOC_SV_ARG(text), path, a->status);
    if (a->status == 401)
        fprintf(stderr,
                "tocsin: give a token by TOCSIN_TOKEN, --token-file or --data DIR of the daemon\n");
}

static int perform(const struct toc_client_options *o, struct toc_http_call *call, const char *path,
                   bool may_be_refused, struct toc_answer *out) {
    struct toc_err err = {0};
    struct toc_buf url = TOC_BUF_INIT, token = TOC_BUF_INIT;
    *out = (struct toc_answer){0};
    int rc = find_token(o, &token);
    if (rc != 0)
        goto done;
    const char *server = server_of(o);
    size_t n = strlen(server);
    toc_buf_printf(&url, "%.*s%s", (int)(n && server[n - 1] == '/' ? n - 1 : n), server, path);
    call->url = toc_buf_cstr(&url);
    call->bearer_token = token.n ? toc_buf_cstr(&token) : NULL;
    call->timeout_ms = 130000;
    call->max_response_bytes = (size_t)1 << 30;
    struct toc_http_client *client = toc_http_client_new();
    struct toc_http_result result = {0};
    rc = toc_http_perform(client, call, &result, &err);
    if (rc < 0) {
        fprintf(stderr, "tocsin: cannot reach the daemon: %s\n", err.message);
        fprintf(
            stderr,
            "tocsin: is it running? start it with `tocsin run`, or name it with --server URL\n");
        rc = TOC_EXIT_UNREACHABLE;
    } else {
        out->status = result.status;
        out->body = result.body;
        result.body = TOC_BUF_INIT;
        bool is_json = strstr(result.content_type, "json") != NULL &&
                       !strstr(result.content_type, "stream+json");
        if (is_json && toc_json_parse(toc_buf_sv(&out->body), &out->arena, &out->json, &err) < 0) {
            fprintf(stderr, "tocsin: the daemon's answer is not JSON: %s\n", err.message);
            rc = TOC_EXIT_FAILED;
        } else {
            bool is_told = out->status == 400 && may_be_refused;
            rc = is_told ? 0 : exit_code_of(out->status);
            if (rc != 0)
                say_refusal(path, out);
        }
    }
    toc_http_result_fini(&result);
    toc_http_client_free(&client);
done:
    toc_buf_fini(&url);
    toc_buf_fini(&token);
    return rc;
}

int toc_client_call(const struct toc_client_options *o, const char *method, const char *path,
                    const struct toc_buf *json_body, struct toc_answer *out) {
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct toc_http_call call = {.method = method};
    if (json_body) {
        call.body = toc_buf_sv(json_body);
        call.headers = headers;
    }
    return perform(o, &call, path, false, out);
}

int toc_client_form(const struct toc_client_options *o, const char *path,
                    const struct toc_buf *form, struct toc_answer *out) {
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    struct toc_http_call call = {.method = "POST", .headers = headers, .body = toc_buf_sv(form)};
    return perform(o, &call, path, false, out);
}

int toc_client_text(const struct toc_client_options *o, const char *path, struct toc_sv text,
                    struct toc_answer *out) {
    static const char *const headers[] = {"Content-Type: text/plain; charset=utf-8", NULL};
    struct toc_http_call call = {.method = "POST", .headers = headers, .body = text};
    return perform(o, &call, path, true, out);
}
