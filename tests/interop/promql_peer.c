/*
 * The evaluator behind pipes, for comparisons with other people's servers: reads the series of a
 * file, then answers the queries of stdin, a line each.
 *
 * With a folder as second argument the series lie in a metricdb there, partly in blocks, partly in
 * its head; else in memory.
 *
 *   file:  LABELS <tab> VALUE@MS VALUE@MS …            "stale" is the staleness marker
 *   query: instant MS EXPR | range START_MS END_MS STEP_MS EXPR
 *   answer: {"status":"success","data":{"resultType":…,"result":…}} | {"status":"error","error":…}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"
#include "codec/json_writer.h"
#include "metricdb/metricdb.h"
#include "model/sample.h"
#include "promql/memory_querier.h"
#include "promql/promql.h"
#include "promqltest/series_text.h"
#include "sys/pool.h"
#include "sys/vfs.h"

enum { FILE_MAX_BYTES = 256 << 20, LINE_MAX_BYTES = 1 << 20, BATCH = 5000 };

static void die(const char *what) {
    fprintf(stderr, "promql_peer: %s\n", what);
    exit(2);
}

struct samples {
    TOC_VEC_FIELDS(struct toc_point)
    int64_t newest_ms;
};

static void read_sample(struct samples *out, struct toc_labels labels, struct toc_sv word) {
    size_t at = toc_sv_find_char(word, '@');
    struct toc_sv text = toc_sv_sub(word, 0, at);
    int64_t t_ms;
    double value = toc_stale_nan();
    if (at == SIZE_MAX || toc_parse_i64(toc_sv_sub(word, at + 1, word.n), &t_ms) < 0 ||
        (!toc_sv_eq_cstr(text, "stale") && toc_parse_f64(text, &value) < 0))
        die("a sample is not VALUE@MS");
    TOC_VEC_PUSH(out, toc_float_point(labels, t_ms, value));
    out->newest_ms = TOC_MAX(out->newest_ms, t_ms);
}

static void read_line(struct toc_arena *arena, struct samples *out, struct toc_sv line) {
    struct toc_labels labels;
    struct toc_err err = {0};
    struct toc_sv rest = line, word;
    if (!toc_sv_split(&rest, '\t', &word) || toc_labels_text_parse(word, arena, &labels, &err))
        die(err.message);
    while (toc_sv_split(&rest, ' ', &word))
        if (word.n)
            read_sample(out, labels, word);
}

static void load(const char *path, struct toc_arena *arena, struct samples *out) {
    struct toc_buf text = TOC_BUF_INIT;
    if (toc_vfs_read_file(toc_vfs_system(), path, FILE_MAX_BYTES, &text) < 0)
        die("cannot read the series");
    struct toc_sv rest = toc_buf_sv(&text), line;
    while (toc_sv_split(&rest, '\n', &line))
        if (line.n)
            read_line(arena, out, line);
    toc_buf_fini(&text);
}

static int by_time(const void *a, const void *b) {
    int64_t x = ((const struct toc_point *)a)->t_ms, y = ((const struct toc_point *)b)->t_ms;
    return (x > y) - (x < y);
}

static void write_all(struct toc_sink *sink, const struct samples *s) {
    for (size_t at = 0; at < s->count; at += BATCH) {
        struct toc_write_result result = {0};
        struct toc_err err = {0};
        size_t n = TOC_MIN(s->count - at, (size_t)BATCH);
        if (sink->write(sink, s->items + at, n, &result, &err) < 0 || result.accepted != n)
            die("a sample was refused");
    }
}

/* Blocks of ten minutes, so that the older samples are sealed. */
static struct toc_metricdb *open_metricdb(const char *dir, const struct samples *s) {
    static struct toc_clock_virtual clock;
    struct toc_metricdb *db = NULL;
    struct toc_metricdb_stats stats;
    struct toc_err err = {0};
    toc_clock_virtual_init(&clock, (struct toc_ts){s->newest_ms});
    const struct toc_metricdb_options o = {
        .clock = &clock.base,
        .dir = dir,
        .durability = TOC_DURABILITY_OS,
        .limits = {.block_span_ms = 600000, .out_of_order_ms = 60000}};
    if (toc_metricdb_open(&o, &db, &err) < 0)
        die(err.message);
    write_all(toc_metricdb_sink(db), s);
    for (int i = 0; i < 20; i++)
        if (toc_metricdb_maintain(db, &err) < 0)
            die(err.message);
    toc_metricdb_stats(db, &stats);
    if (!stats.block_samples || !stats.head_samples)
        die("not both of blocks and head hold samples");
    return db;
}

static void write_point(struct toc_json_writer *w, int64_t t_ms, double value) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_format_f64_g(value, &text);
    toc_json_begin_array(w);
    toc_json_int(w, t_ms);
    toc_json_string(w, toc_buf_sv(&text));
    toc_json_end_array(w);
    toc_buf_fini(&text);
}

static void write_series(struct toc_json_writer *w, const struct toc_promql_series *s) {
    toc_json_begin_object(w);
    toc_json_key(w, "metric");
    toc_json_begin_object(w);
    for (size_t i = 0; i < s->labels.count; i++) {
        toc_json_key_sv(w, s->labels.items[i].name);
        toc_json_string(w, s->labels.items[i].value);
    }
    toc_json_end_object(w);
    toc_json_key(w, "values");
    toc_json_begin_array(w);
    for (size_t i = 0; i < s->count; i++)
        write_point(w, s->points[i].t_ms, s->points[i].value);
    toc_json_end_array(w);
    toc_json_end_object(w);
}

static void write_result(struct toc_json_writer *w, const struct toc_promql_result *r) {
    static const char *const types[] = {"scalar", "vector", "matrix", "string"};
    toc_json_kv_cstr(w, "status", "success");
    toc_json_key(w, "data");
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "resultType", types[r->type]);
    toc_json_key(w, "result");
    if (r->type == TOC_PROMQL_SCALAR) {
        write_point(w, r->scalar_t_ms, r->scalar);
    } else if (r->type == TOC_PROMQL_STRING) {
        toc_json_string(w, r->string);
    } else {
        toc_json_begin_array(w);
        for (size_t i = 0; i < r->series_count; i++)
            write_series(w, &r->series[i]);
        toc_json_end_array(w);
    }
    toc_json_end_object(w);
}

/* The next word as a number. */
static int64_t take_ms(struct toc_sv *line) {
    struct toc_sv word;
    int64_t ms = 0;
    if (!toc_sv_split(line, ' ', &word) || toc_parse_i64(word, &ms) < 0)
        die("a time is not a number");
    return ms;
}

static int evaluate(struct toc_sv line, const struct toc_promql_options *o,
                    struct toc_promql_result *r, struct toc_err *err) {
    struct toc_promql_expr *e = NULL;
    struct toc_sv kind;
    (void)toc_sv_split(&line, ' ', &kind);
    bool is_range = toc_sv_eq_cstr(kind, "range");
    int64_t start = take_ms(&line), end = is_range ? take_ms(&line) : 0,
            step = is_range ? take_ms(&line) : 0;
    int rc = toc_promql_parse(line, &e, err);
    if (!rc)
        rc = is_range ? toc_promql_range(e, o, start, end, step, r, err)
                      : toc_promql_instant(e, o, start, r, err);
    toc_promql_expr_free(&e);
    return rc;
}

static void answer(struct toc_sv line, const struct toc_promql_options *o) {
    struct toc_promql_result r = {0};
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_json_writer w;
    struct toc_err err = {0};
    int rc = evaluate(line, o, &r, &err);
    toc_json_writer_init(&w, &out);
    toc_json_begin_object(&w);
    if (rc) {
        toc_json_kv_cstr(&w, "status", "error");
        toc_json_kv_cstr(&w, "error", err.message);
    } else {
        write_result(&w, &r);
    }
    toc_json_end_object(&w);
    printf("%s\n", toc_buf_cstr(&out));
    fflush(stdout);
    toc_promql_result_fini(&r);
    toc_buf_fini(&out);
}

static void answer_all(struct toc_querier *querier) {
    struct toc_pool *pool = NULL;
    struct toc_err err = {0};
    if (toc_pool_new(2, &pool, &err) < 0)
        die(err.message);
    const struct toc_promql_options o = {.querier = querier, .executor = toc_pool_executor(pool)};
    char *line = toc_xalloc(LINE_MAX_BYTES);
    while (fgets(line, LINE_MAX_BYTES, stdin))
        answer(toc_sv_trim(toc_sv_cstr(line)), &o);
    toc_free(line);
    toc_pool_free(&pool);
}

int main(int argc, char **argv) {
    struct toc_memory_querier memory;
    struct toc_metricdb *db = NULL;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct samples samples = {0};
    if (argc < 2 || argc > 3)
        die("usage: promql_peer FILE [DIR]");
    load(argv[1], &arena, &samples);
    qsort(samples.items, samples.count, sizeof *samples.items, by_time);
    toc_memory_querier_init(&memory);
    if (argc == 3)
        db = open_metricdb(argv[2], &samples);
    else
        write_all(&memory.sink, &samples);
    TOC_VEC_FINI(&samples);
    toc_arena_fini(&arena);
    answer_all(db ? toc_metricdb_querier(db) : &memory.querier);
    toc_metricdb_close(&db);
    toc_memory_querier_fini(&memory);
    return 0;
}
