/* Text that others push: InfluxDB's line protocol with the few routes its clients ask besides, and
 * the imports as VictoriaMetrics names them. */
#include <stdio.h>

#include "api/api_priv.h"
#include "base/num.h"
#include "remote/import.h"

/* Clients of line protocol look at this to know what they may send. */
#define INFLUX_VERSION "1.8.10"

enum { EXTRA_LABELS_MAX = 32 };

/* --- answers --- */

/* Readable for clients of version 1 (`error`) and of version 2 (`code`, `message`). */
static void answer_influx(struct toc_api_call *c, int status, const char *code,
                          struct toc_sv message) {
    toc_api_restart(c);
    c->res->status = status;
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "code", code);
    toc_json_kv_string(&c->json, "message", message);
    toc_json_kv_string(&c->json, "error", message);
    toc_json_end_object(&c->json);
}

static void answer_text(struct toc_api_call *c, int status, struct toc_sv message) {
    toc_api_restart(c);
    c->res->status = status;
    c->res->content_type = "text/plain; charset=utf-8";
    toc_buf_append_sv(&c->res->body, message);
    toc_buf_append_char(&c->res->body, '\n');
}

static void refuse(struct toc_api_call *c, enum toc_import_format format, struct toc_sv message) {
    if (format == TOC_IMPORT_INFLUX)
        answer_influx(c, 400, "invalid", message);
    else
        answer_text(c, 400, message);
}

static void answer_outcome(struct toc_api_call *c, enum toc_import_format format,
                           const struct toc_import_outcome *o) {
    if (!o->rejected_lines) {
        c->res->status = 204;
        return;
    }
    struct toc_buf text = TOC_BUF_INIT;
    toc_buf_printf(&text,
                   "partial write: %zu of %zu lines refused, wholly or in part; the rest is "
                   "stored\n",
                   o->rejected_lines, o->lines);
    toc_buf_append_sv(&text, toc_buf_sv(&o->text));
    refuse(c, format, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

/* --- parameters --- */

/* `extra_label=name=value`, any number of them. False: answered already. */
static bool read_extra(struct toc_api_call *c, enum toc_import_format format,
                       struct toc_labels_builder *b) {
    for (size_t i = 0; i < c->req->param_count; i++) {
        const struct toc_http_param *p = &c->req->params[i];
        if (!toc_sv_eq_cstr(p->name, "extra_label"))
            continue;
        size_t at = toc_sv_find_char(p->value, '=');
        if (at == SIZE_MAX || at == 0 || b->count == EXTRA_LABELS_MAX) {
            refuse(c, format, TOC_SV("extra_label must be name=value, at most 32 of them"));
            return false;
        }
        toc_labels_builder_set(b, toc_sv_sub(p->value, 0, at),
                               toc_sv_sub(p->value, at + 1, SIZE_MAX));
    }
    return true;
}

static bool read_options(struct toc_api_call *c, enum toc_import_format format,
                         struct toc_import_options *o) {
    struct toc_sv timestamp = toc_api_param(c, "timestamp");
    if (toc_influx_precision_parse(toc_api_param(c, "precision"), &o->precision)) {
        refuse(c, format, TOC_SV("precision must be ns, us, ms, s, m or h"));
        return false;
    }
    if (timestamp.n && toc_parse_i64(timestamp, &o->default_ms)) {
        refuse(c, format, TOC_SV("timestamp must be a whole number of milliseconds"));
        return false;
    }
    o->database = toc_api_param(c, "bucket");
    if (!o->database.n)
        o->database = toc_api_param(c, "db");
    return true;
}

static void receive(struct toc_api_call *c, enum toc_import_format format,
                    const struct toc_csv_columns *columns) {
    struct toc_labels_builder extra = TOC_LABELS_BUILDER_INIT;
    struct toc_import_options o = {.columns = columns};
    struct toc_import_outcome outcome = {0};
    struct toc_err err = {0};
    if (read_options(c, format, &o) && read_extra(c, format, &extra)) {
        o.extra = toc_labels_builder_finish(&extra);
        int rc = toc_import_receive(c->api->parts.import, format, &o, c->req->body, &outcome, &err);
        if (rc)
            toc_api_fail(c, rc, &err);
        else
            answer_outcome(c, format, &outcome);
    }
    toc_buf_fini(&outcome.text);
    toc_labels_builder_fini(&extra);
}

/* --- routes --- */

void toc_api_influx_write(struct toc_api_call *c) {
    receive(c, TOC_IMPORT_INFLUX, NULL);
}

void toc_api_import_jsonl(struct toc_api_call *c) {
    receive(c, TOC_IMPORT_JSONL, NULL);
}

void toc_api_import_exposition(struct toc_api_call *c) {
    receive(c, TOC_IMPORT_EXPOSITION, NULL);
}

void toc_api_import_csv(struct toc_api_call *c) {
    struct toc_csv_columns columns;
    struct toc_err err = {0};
    if (toc_csv_columns_parse(toc_api_param(c, "format"), &columns, &err))
        refuse(c, TOC_IMPORT_CSV, toc_sv_cstr(err.message));
    else
        receive(c, TOC_IMPORT_CSV, &columns);
}

void toc_api_influx_ping(struct toc_api_call *c) {
    c->res->status = 204;
    toc_http_response_header(c->res, "X-Influxdb-Version", INFLUX_VERSION);
    toc_http_response_header(c->res, "X-Influxdb-Build", "Tocsin");
}

void toc_api_influx_health(struct toc_api_call *c) {
    toc_json_begin_object(&c->json);
    toc_json_kv_cstr(&c->json, "name", "influxdb");
    toc_json_kv_cstr(&c->json, "message", "ready for writes; queries are PromQL");
    toc_json_kv_cstr(&c->json, "status", "pass");
    toc_json_kv_cstr(&c->json, "version", INFLUX_VERSION);
    toc_json_end_object(&c->json);
}

/* Senders of version 1 begin with CREATE DATABASE: there is nothing to create. Anything else is a
 * question in a language that is not spoken here. */
void toc_api_influx_query(struct toc_api_call *c) {
    struct toc_sv q = toc_sv_trim(toc_api_param(c, "q"));
    if (!toc_sv_eq_nocase(toc_sv_sub(q, 0, 15), TOC_SV("create database"))) {
        answer_influx(c, 400, "unsupported",
                      TOC_SV("InfluxQL is not spoken here: ask in PromQL at /api/v1/query"));
        return;
    }
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "results");
    toc_json_raw(&c->json, TOC_SV("[{\"statement_id\":0}]"));
    toc_json_end_object(&c->json);
}
