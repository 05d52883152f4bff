#include "collect/wandb_feed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/num.h"
#include "codec/json_writer.h"
#include "codec/protobuf.h"
#include "collect/report_field_priv.h"
#include "collect/wandb_layers.h"

enum { DEFAULT_KEYS = 512, MEANINGS_MAX = 10000, KEY_MAX = 256, MS_MAX_SHIFT = 46 };

/* Field numbers of wandb_internal.proto. */
enum { RECORD_HISTORY = 2, RECORD_SUMMARY = 3, RECORD_RUN = 17, RECORD_EXIT = 18 };
enum { HISTORY_ITEM = 1, HISTORY_STEP = 2, STEP_NUM = 1, SUMMARY_UPDATE = 1 };
enum { ITEM_KEY = 1, ITEM_NESTED_KEY = 2, ITEM_VALUE_JSON = 16 };
enum { RUN_ID = 1, RUN_PROJECT = 3, RUN_CONFIG = 4, RUN_NAME = 8, RUN_HOST = 13, RUN_START = 17 };
enum { CONFIG_UPDATE = 1, TIME_SECONDS = 1, TIME_NANOS = 2, EXIT_CODE = 1 };

struct key {
    struct toc_sv name; /* owned */
    const struct toc_alias *alias;
    uint64_t row; /* that held it last, from 1 */
    bool is_in_history, has_summary;
    double summary;
};

struct number {
    struct key *key;
    double value;
};

struct toc_wandb_feed {
    struct toc_wandb_feed_options o;
    struct toc_wandb_log log;
    struct toc_json_writer json; /* of the line at hand */
    struct toc_map by_name;      /* → struct key */
    struct {
        TOC_VEC_FIELDS(struct key *)
    } keys;
    size_t scalars; /* keys without a meaning */
    struct {
        TOC_VEC_FIELDS(struct number)
    } row;
    struct toc_wandb_layers layers; /* of the row */
    int64_t start_ms, last_ms, step;
    bool has_step;
    struct toc_wandb_feed_counters counters;
};

struct toc_wandb_feed *toc_wandb_feed_new(const struct toc_wandb_feed_options *o) {
    struct toc_wandb_feed *f = TOC_NEW(struct toc_wandb_feed);
    f->o = *o;
    f->o.max_keys = o->max_keys ? o->max_keys : DEFAULT_KEYS;
    toc_wandb_layers_init(&f->layers, o->aliases);
    return f;
}

void toc_wandb_feed_free(struct toc_wandb_feed **pf) {
    struct toc_wandb_feed *f = pf ? *pf : NULL;
    if (!f)
        return;
    for (size_t i = 0; i < f->keys.count; i++) {
        toc_free((void *)(uintptr_t)f->keys.items[i]->name.p);
        toc_free(f->keys.items[i]);
    }
    TOC_VEC_FINI(&f->keys);
    TOC_VEC_FINI(&f->row);
    toc_wandb_layers_fini(&f->layers);
    toc_map_fini(&f->by_name);
    toc_wandb_log_fini(&f->log);
    toc_free(f);
    *pf = NULL;
}

/* ------------------------------------------------------------------------------------ messages */

/* A key and its value as JSON; nested keys are joined by dots, as the application shows them. */
struct item {
    char key[KEY_MAX];
    struct toc_sv json;
};

static void append_key(struct item *out, size_t *n, struct toc_sv part) {
    if (*n && *n < sizeof out->key - 1)
        out->key[(*n)++] = '.';
    size_t room = sizeof out->key - 1 - *n, count = TOC_MIN(part.n, room);
    if (count)
        memcpy(out->key + *n, part.p, count);
    *n += count;
    out->key[*n] = '\0';
}

static bool read_item(struct toc_sv body, struct item *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t n = 0;
    *out = (struct item){0};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == ITEM_KEY || f.number == ITEM_NESTED_KEY) {
            struct toc_sv part = toc_pb_bytes(&r, &f);
            if (part.n)
                append_key(out, &n, part);
        } else if (f.number == ITEM_VALUE_JSON) {
            out->json = toc_sv_trim(toc_pb_bytes(&r, &f));
        }
    }
    return !r.error && n > 0;
}

/* JSON's numbers, and the three that it lacks, as Python and Go write them. */
static bool number_of(struct toc_sv json, double *out) {
    static const struct {
        const char *text;
        double value;
    } words[] = {{"NaN", NAN},
                 {"Infinity", INFINITY},
                 {"-Infinity", -INFINITY},
                 {"\"NaN\"", NAN},
                 {"+Inf", INFINITY},
                 {"-Inf", -INFINITY},
                 {"\"Infinity\"", INFINITY},
                 {"\"-Infinity\"", -INFINITY}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(words); i++)
        if (toc_sv_eq_cstr(json, words[i].text)) {
            *out = words[i].value;
            return true;
        }
    bool is_number = json.n && (json.p[0] == '-' || (json.p[0] >= '0' && json.p[0] <= '9'));
    return is_number && toc_parse_f64(json, out) == 0;
}

/* A JSON text without escapes; empty when it is none. */
static struct toc_sv text_of(struct toc_sv json) {
    bool is_text = json.n >= 2 && json.p[0] == '"' && json.p[json.n - 1] == '"';
    struct toc_sv inner = is_text ? toc_sv_sub(json, 1, json.n - 2) : TOC_SV_NULL;
    return toc_sv_find_char(inner, '\\') == SIZE_MAX ? inner : TOC_SV_NULL;
}

struct run_record {
    struct toc_sv id, project, name, host, config;
    int64_t start_ms;
};

static int64_t time_of(struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int64_t seconds = 0, nanos = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == TIME_SECONDS)
            seconds = toc_pb_i64(&r, &f);
        else if (f.number == TIME_NANOS)
            nanos = toc_pb_i64(&r, &f);
    bool is_good = !r.error && seconds > 0 && seconds < INT64_C(1) << (MS_MAX_SHIFT - 10) &&
                   nanos >= 0 && nanos < 1000000000;
    return is_good ? seconds * 1000 + nanos / 1000000 : 0;
}

static bool read_run(struct toc_sv body, struct run_record *out) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    *out = (struct run_record){0};
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        struct toc_sv *text = f.number == RUN_ID        ? &out->id
                              : f.number == RUN_PROJECT ? &out->project
                              : f.number == RUN_NAME    ? &out->name
                              : f.number == RUN_HOST    ? &out->host
                              : f.number == RUN_CONFIG  ? &out->config
                                                        : NULL;
        if (text)
            *text = toc_pb_bytes(&r, &f);
        else if (f.number == RUN_START)
            out->start_ms = time_of(toc_pb_bytes(&r, &f));
    }
    return !r.error && out->id.n > 0;
}

/* ----------------------------------------------------------------------------------------- rows */

static struct key *key_of(struct toc_wandb_feed *f, const char *name) {
    struct toc_sv view = toc_sv_cstr(name);
    struct key *k = toc_map_get(&f->by_name, view);
    if (k)
        return k;
    const struct toc_alias *alias = toc_alias_of_tag(f->o.aliases, view, false);
    if (!toc_sv_is_utf8(view) || f->keys.count >= MEANINGS_MAX ||
        (!alias && f->scalars >= f->o.max_keys))
        return NULL;
    k = TOC_NEW(struct key);
    k->name = toc_sv_make(toc_sv_dup_cstr(view), view.n);
    k->alias = alias;
    f->scalars += !alias;
    toc_map_put(&f->by_name, k->name, k);
    TOC_VEC_PUSH(&f->keys, k);
    return k;
}

/* What a row says beside its numbers. */
struct row {
    double timestamp_s, runtime_s, own_step, call_step;
};

/* Two keys may have one meaning; the first of a row stays, as fields are told once. */
static bool is_repeated(const struct toc_wandb_feed *f, const struct key *k) {
    if (k->row == f->counters.rows + 1)
        return true;
    for (size_t i = 0; k->alias && i < f->row.count; i++) {
        const struct toc_alias *other = f->row.items[i].key->alias;
        if (other && toc_sv_eq(other->canonical, k->alias->canonical))
            return true;
    }
    return false;
}

static void take_number(struct toc_wandb_feed *f, struct row *row, const char *key, double value) {
    double *own = strcmp(key, "_timestamp") == 0 ? &row->timestamp_s
                  : strcmp(key, "_runtime") == 0 ? &row->runtime_s
                  : strcmp(key, "_step") == 0    ? &row->call_step
                                                 : NULL;
    if (own) {
        *own = value;
        return;
    }
    if (key[0] == '_')
        return;
    struct key *k = key_of(f, key);
    f->counters.values += k != NULL;
    f->counters.values_dropped += !k;
    if (!k)
        return;
    k->is_in_history = true;
    if (k->alias && toc_sv_eq_cstr(k->alias->canonical, "train_step")) {
        row->own_step = isnan(row->own_step) ? value : row->own_step;
        return;
    }
    if (is_repeated(f, k))
        return;
    k->row = f->counters.rows + 1;
    TOC_VEC_PUSH(&f->row, ((struct number){k, value}));
}

static bool is_step(double v) {
    return v >= 0 && v < 9e15 && v == floor(v);
}

/* The row's own time, else the run's start and how long it ran, never before the row before. */
static int64_t time_of_row(const struct toc_wandb_feed *f, const struct row *row) {
    double ms = isfinite(row->timestamp_s) ? row->timestamp_s * 1000
                : isfinite(row->runtime_s) && f->start_ms
                    ? (double)f->start_ms + row->runtime_s * 1000
                    : 0;
    bool is_time = ms > 0 && ms < (double)(INT64_C(1) << MS_MAX_SHIFT);
    return TOC_MAX(is_time ? (int64_t)ms : 0, f->last_ms + 1);
}

static void write_numbers(struct toc_wandb_feed *f) {
    struct toc_json_writer *w = &f->json;
    bool is_begun = false;
    for (size_t i = 0; i < f->row.count; i++) {
        const struct number *n = &f->row.items[i];
        if (!n->key->alias)
            continue;
        toc_json_key_sv(w, toc_report_name_of(n->key->alias->canonical));
        toc_json_double(w, n->value * n->key->alias->scale);
    }
    for (size_t i = 0; i < f->row.count; i++) {
        const struct number *n = &f->row.items[i];
        if (n->key->alias)
            continue;
        if (!is_begun) {
            toc_json_key(w, "scalars");
            toc_json_begin_object(w);
        }
        is_begun = true;
        toc_json_key_sv(w, n->key->name);
        toc_json_double(w, n->value);
    }
    if (is_begun)
        toc_json_end_object(w);
}

/* A report about a part of its step: a loss that is absent means nothing. */
static void begin(struct toc_wandb_feed *f, int64_t t_ms) {
    f->last_ms = t_ms;
    toc_json_writer_init(&f->json, f->o.lines);
    toc_json_begin_object(&f->json);
    toc_json_kv_double(&f->json, "t", (double)t_ms / 1000);
    toc_json_kv_bool(&f->json, "partial", true);
}

static void give(struct toc_wandb_feed *f) {
    toc_json_end_object(&f->json);
    toc_buf_append_char(f->o.lines, '\n');
    f->counters.reports++;
}

/* Statistics of layers, of the same time and step as the row. */
static void give_layers(struct toc_wandb_feed *f, bool has_step, int64_t step) {
    for (size_t at = 0; at < f->layers.count;) {
        begin(f, f->last_ms);
        if (has_step)
            toc_json_kv_int(&f->json, "step", step);
        toc_json_key(&f->json, "layers");
        toc_wandb_layers_write(&f->layers, &at, &f->json);
        give(f);
    }
}

static void give_row(struct toc_wandb_feed *f, const struct row *row) {
    double step = is_step(row->own_step) ? row->own_step : row->call_step;
    bool has_step = is_step(step);
    int64_t number = has_step ? (int64_t)step : 0;
    bool is_back = has_step && f->has_step && number < f->step;
    int64_t t_ms = time_of_row(f, row);
    begin(f, t_ms);
    if (has_step)
        toc_json_kv_int(&f->json, "step", number);
    if (is_back) {
        toc_json_kv_cstr(&f->json, "event", "restart");
        f->counters.restarts++;
    }
    write_numbers(f);
    give(f);
    give_layers(f, has_step, number);
    f->has_step |= has_step;
    f->step = has_step ? number : f->step;
}

/* In newer files the step stands beside the items as well. */
static double step_of(struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    double step = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == STEP_NUM)
            step = (double)toc_pb_i64(&r, &f);
    return r.error ? NAN : step;
}

static bool take_history(struct toc_wandb_feed *f, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct row row = {NAN, NAN, NAN, NAN};
    double beside = NAN;
    f->row.count = 0;
    toc_wandb_layers_reset(&f->layers);
    for (struct toc_pb_field field; toc_pb_next(&r, &field);) {
        struct item item;
        double value;
        if (field.number == HISTORY_STEP)
            beside = step_of(toc_pb_bytes(&r, &field));
        if (field.number != HISTORY_ITEM || !read_item(toc_pb_bytes(&r, &field), &item))
            continue;
        if (toc_wandb_layers_take(&f->layers, toc_sv_cstr(item.key), item.json))
            continue;
        if (number_of(item.json, &value))
            take_number(f, &row, item.key, value);
        else
            f->counters.values_ignored++;
    }
    if (r.error)
        return false;
    row.call_step = isnan(row.call_step) ? beside : row.call_step;
    f->counters.values_ignored += toc_wandb_layers_finish(&f->layers);
    f->counters.histograms += f->layers.count;
    f->counters.rows++;
    give_row(f, &row);
    return true;
}

/* ------------------------------------------------------------------------- summary, run and end */

static bool take_summary(struct toc_wandb_feed *f, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    for (struct toc_pb_field field; toc_pb_next(&r, &field);) {
        struct item item;
        double value;
        if (field.number != SUMMARY_UPDATE || !read_item(toc_pb_bytes(&r, &field), &item) ||
            item.key[0] == '_' || !number_of(item.json, &value) ||
            toc_wandb_layers_is_part(&f->layers, toc_sv_cstr(item.key)))
            continue;
        struct key *k = key_of(f, item.key);
        if (!k)
            continue;
        k->has_summary = true;
        k->summary = value;
    }
    return !r.error;
}

/* Values that only the summary has: set by the job itself, such as the best of its evaluations. */
static void give_summary(struct toc_wandb_feed *f) {
    f->row.count = 0;
    for (size_t i = 0; i < f->keys.count; i++) {
        struct key *k = f->keys.items[i];
        if (k->has_summary && !k->is_in_history && !k->alias)
            TOC_VEC_PUSH(&f->row, ((struct number){k, k->summary}));
    }
    if (f->row.count)
        write_numbers(f);
}

static bool take_exit(struct toc_wandb_feed *f, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int64_t code = 0;
    char message[40];
    for (struct toc_pb_field field; toc_pb_next(&r, &field);)
        if (field.number == EXIT_CODE)
            code = (int32_t)toc_pb_i64(&r, &field);
    if (r.error)
        return false;
    (void)snprintf(message, sizeof message, "exit code %lld", (long long)code);
    begin(f, TOC_MAX(f->last_ms, f->start_ms) + 1);
    toc_json_kv_cstr(&f->json, "event", code ? "exit" : "end");
    if (code) {
        toc_json_kv_cstr(&f->json, "state", "failed");
        toc_json_kv_cstr(&f->json, "message", message);
    }
    give_summary(f);
    give(f);
    return true;
}

static void write_label(struct toc_wandb_feed *f, const char *name, struct toc_sv value) {
    if (value.n && value.n <= 200 && toc_sv_is_utf8(value))
        toc_json_kv_string(&f->json, name, value);
}

/* Of the configuration: what runs are compared by, where the job tells it. */
static void write_config(struct toc_wandb_feed *f, struct toc_sv config) {
    struct toc_pb_reader r = toc_pb_reader_make(config);
    bool has_model = false, has_recipe = false;
    for (struct toc_pb_field field; toc_pb_next(&r, &field);) {
        struct item item;
        if (field.number != CONFIG_UPDATE || !read_item(toc_pb_bytes(&r, &field), &item))
            continue;
        bool is_model = strcmp(item.key, "model") == 0, is_recipe = strcmp(item.key, "recipe") == 0;
        if ((!is_model || has_model) && (!is_recipe || has_recipe))
            continue;
        has_model |= is_model;
        has_recipe |= is_recipe;
        write_label(f, item.key, text_of(item.json));
    }
}

/* Told once for a file; a run record may come again when its name or configuration changes. */
static bool take_run(struct toc_wandb_feed *f, struct toc_sv body) {
    struct run_record run;
    if (!read_run(body, &run))
        return false;
    bool is_first = !f->last_ms;
    f->start_ms = run.start_ms ? run.start_ms : f->start_ms;
    begin(f, TOC_MAX(f->start_ms, f->last_ms + 1));
    if (is_first)
        toc_json_kv_cstr(&f->json, "event", "start");
    toc_json_key(&f->json, "labels");
    toc_json_begin_object(&f->json);
    write_label(f, "host", run.host);
    write_label(f, "wandb_id", run.id);
    write_label(f, "wandb_project", run.project);
    write_config(f, run.config);
    toc_json_end_object(&f->json);
    give(f);
    return true;
}

/* -------------------------------------------------------------------------------------- records */

/* The message of a record that is of interest, and which it is; 0: another. */
static uint32_t open_record(struct toc_sv record, struct toc_sv *out_body, bool *out_is_good) {
    struct toc_pb_reader r = toc_pb_reader_make(record);
    uint32_t found = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);)
        if (f.number == RECORD_HISTORY || f.number == RECORD_SUMMARY || f.number == RECORD_RUN ||
            f.number == RECORD_EXIT) {
            found = f.number;
            *out_body = toc_pb_bytes(&r, &f);
        }
    *out_is_good = !r.error;
    return found;
}

static void take_record(void *ctx, struct toc_sv record) {
    struct toc_wandb_feed *f = ctx;
    struct toc_sv body = TOC_SV_NULL;
    bool is_good = true;
    uint32_t kind = open_record(record, &body, &is_good);
    if (is_good && kind == RECORD_HISTORY)
        is_good = take_history(f, body);
    else if (is_good && kind == RECORD_SUMMARY)
        is_good = take_summary(f, body);
    else if (is_good && kind == RECORD_RUN)
        is_good = take_run(f, body);
    else if (is_good && kind == RECORD_EXIT)
        is_good = take_exit(f, body);
    f->counters.records_malformed += !is_good;
}

size_t toc_wandb_feed_push(struct toc_wandb_feed *f, struct toc_sv bytes) {
    return toc_wandb_log_push(&f->log, bytes, take_record, f);
}

uint64_t toc_wandb_feed_at(const struct toc_wandb_feed *f) {
    return f->log.at;
}

int64_t toc_wandb_feed_last_ms(const struct toc_wandb_feed *f) {
    return f->last_ms;
}

struct toc_wandb_feed_counters toc_wandb_feed_counters(const struct toc_wandb_feed *f) {
    struct toc_wandb_feed_counters c = f->counters;
    c.log = f->log.counters;
    return c;
}

void toc_wandb_feed_save(const struct toc_wandb_feed *f, struct toc_buf *out) {
    toc_buf_append_varint(out, f->log.record_at);
    toc_buf_append_zigzag(out, f->start_ms);
    toc_buf_append_zigzag(out, f->last_ms);
    toc_buf_append_u8(out, f->has_step);
    toc_buf_append_zigzag(out, f->step);
}

void toc_wandb_feed_restore(struct toc_wandb_feed *f, struct toc_reader *r) {
    f->log.at = f->log.record_at = toc_read_varint(r);
    f->start_ms = toc_read_zigzag(r);
    f->last_ms = toc_read_zigzag(r);
    f->has_step = toc_read_u8(r) & 1;
    f->step = toc_read_zigzag(r);
}

/* --------------------------------------------------------------------------------- the first look
 */

static void name_run(const struct run_record *run, char out[129]) {
    struct toc_buf text = TOC_BUF_INIT;
    if (run->name.n)
        toc_buf_printf(&text, "%.*s-", TOC_SV_ARG(run->name));
    toc_buf_append_sv(&text, run->id);
    struct toc_sv name = toc_buf_sv(&text);
    if (name.n > TOC_RUN_NAME_MAX_BYTES || !toc_run_name_is_valid(name))
        name = run->id;
    if (name.n <= 128 && toc_run_name_is_valid(name))
        (void)toc_sv_copy(name, out, 129);
    toc_buf_fini(&text);
}

static void look_at_record(void *ctx, struct toc_sv record) {
    struct toc_wandb_look *look = ctx;
    struct toc_sv body = TOC_SV_NULL;
    struct run_record run;
    bool is_good = true;
    if (look->name[0] || open_record(record, &body, &is_good) != RECORD_RUN || !is_good ||
        !read_run(body, &run))
        return;
    name_run(&run, look->name);
    look->first_ms = run.start_ms;
}

struct toc_wandb_look toc_wandb_look_at(struct toc_sv start) {
    struct toc_wandb_look look = {.is_file = toc_wandb_log_check_header(start) == 0};
    struct toc_wandb_log log = {0};
    if (look.is_file)
        (void)toc_wandb_log_push(&log, start, look_at_record, &look);
    toc_wandb_log_fini(&log);
    return look;
}
