/* status/tsdb, status/tsdb/blocks, status/walreplay: the state of the store. */
#include "api/prom_priv.h"
#include "base/num.h"
#include "metricdb/cardinality.h"

enum { ROWS_DEFAULT = 10, ROWS_MAX = 10000 };

static void write_rows(struct toc_json_writer *w, const char *key,
                       const struct toc_cardinality_list *list) {
    struct toc_buf name = TOC_BUF_INIT;
    toc_json_key(w, key);
    toc_json_begin_array(w);
    for (size_t i = 0; i < list->count; i++) {
        const struct toc_cardinality_row *row = &list->rows[i];
        toc_buf_reset(&name);
        toc_buf_append_sv(&name, row->name);
        if (row->value.n)
            toc_buf_printf(&name, "=%.*s", TOC_SV_ARG(row->value));
        toc_json_begin_object(w);
        toc_json_kv_string(w, "name", toc_buf_sv(&name));
        toc_json_kv_int(w, "value", (int64_t)row->count);
        toc_json_end_object(w);
    }
    toc_json_end_array(w);
    toc_buf_fini(&name);
}

static void write_head(struct toc_json_writer *w, const struct toc_cardinality *all) {
    bool is_empty = all->min_ms > all->max_ms;
    toc_json_key(w, "headStats");
    toc_json_begin_object(w);
    toc_json_kv_int(w, "numSeries", (int64_t)all->series);
    toc_json_kv_int(w, "numLabelPairs", (int64_t)all->label_pairs);
    toc_json_kv_int(w, "chunkCount", (int64_t)all->chunks);
    toc_json_kv_int(w, "minTime", is_empty ? INT64_MAX : all->min_ms);
    toc_json_kv_int(w, "maxTime", is_empty ? INT64_MIN : all->max_ms);
    toc_json_end_object(w);
}

static bool read_rows(struct toc_api_call *c, size_t *out) {
    struct toc_sv text = toc_api_param(c, "limit");
    int64_t n = ROWS_DEFAULT;
    if (text.n && (toc_parse_i64(text, &n) < 0 || n < 1)) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "limit must be a positive number");
        return false;
    }
    if (n > ROWS_MAX) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "limit must not exceed %d", ROWS_MAX);
        return false;
    }
    *out = (size_t)n;
    return true;
}

void toc_api_prom_tsdb(struct toc_api_call *c) {
    struct toc_cardinality all = {0};
    struct toc_json_writer *w = &c->json;
    size_t rows;
    if (!read_rows(c, &rows))
        return;
    int rc = toc_metricdb_cardinality(c->api->parts.metrics, rows, c->req->arena, &all);
    if (rc < 0) {
        toc_prom_error(c, TOC_PROM_INTERNAL, "%s", toc_strerror(rc));
        return;
    }
    toc_prom_begin(c);
    toc_json_begin_object(w);
    write_head(w, &all);
    write_rows(w, "seriesCountByMetricName", &all.series_by_metric);
    write_rows(w, "labelValueCountByLabelName", &all.values_by_label);
    write_rows(w, "memoryInBytesByLabelName", &all.bytes_by_label);
    write_rows(w, "seriesCountByLabelValuePair", &all.series_by_pair);
    toc_json_end_object(w);
    toc_prom_end(c);
}

/* A ULID (github.com/ulid/spec): 48 bits of time, 80 bits that tell blocks of that time apart;
 * here the end of the block and its number, so that it stays the same. */
static void format_ulid(const struct toc_metricdb_block *b, char out[27]) {
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t time = (uint64_t)(b->max_ms < 0 ? 0 : b->max_ms), id = b->id;
    for (int i = 9; i >= 0; i--, time >>= 5)
        out[i] = alphabet[time & 31];
    for (int i = 25; i >= 10; i--, id >>= 5)
        out[i] = alphabet[id & 31];
    out[26] = 0;
}

static void write_block(void *ctx, const struct toc_metricdb_block *b) {
    struct toc_json_writer *w = ctx;
    char ulid[27];
    format_ulid(b, ulid);
    toc_json_begin_object(w);
    toc_json_kv_cstr(w, "ulid", ulid);
    toc_json_kv_int(w, "minTime", b->min_ms);
    toc_json_kv_int(w, "maxTime", b->max_ms);
    toc_json_key(w, "stats");
    toc_json_begin_object(w);
    toc_json_kv_int(w, "numSamples", (int64_t)b->samples);
    toc_json_kv_int(w, "numSeries", (int64_t)b->series);
    toc_json_kv_int(w, "numChunks", (int64_t)b->chunks);
    toc_json_end_object(w);
    toc_json_key(w, "compaction");
    toc_json_begin_object(w);
    toc_json_kv_int(w, "level", b->replaces ? 2 : 1);
    toc_json_key(w, "sources");
    toc_json_begin_array(w);
    toc_json_cstr(w, ulid);
    toc_json_end_array(w);
    toc_json_end_object(w);
    toc_json_kv_int(w, "version", 1);
    toc_json_end_object(w);
}

void toc_api_prom_blocks(struct toc_api_call *c) {
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_key(&c->json, "blocks");
    toc_json_begin_array(&c->json);
    toc_metricdb_each_block(c->api->parts.metrics, write_block, &c->json);
    toc_json_end_array(&c->json);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}

/* The log is replayed before the server listens: all of it has been read. */
void toc_api_prom_walreplay(struct toc_api_call *c) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(c->api->parts.metrics, &s);
    toc_prom_begin(c);
    toc_json_begin_object(&c->json);
    toc_json_kv_int(&c->json, "min", 0);
    toc_json_kv_int(&c->json, "max", (int64_t)s.replay_records);
    toc_json_kv_int(&c->json, "current", (int64_t)s.replay_records);
    toc_json_end_object(&c->json);
    toc_prom_end(c);
}
