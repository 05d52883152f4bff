#include "promtsdb/index_write.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "promtsdb/big_endian.h"
#include "promtsdb/format.h"

void toc_prom_index_writer_fini(struct toc_prom_index_writer *w) {
    for (size_t i = 0; i < w->texts.count; i++)
        toc_free(w->texts.items[i]);
    toc_map_fini(&w->numbers);
    TOC_VEC_FINI(&w->texts);
    TOC_VEC_FINI(&w->pairs);
    TOC_VEC_FINI(&w->chunks);
    TOC_VEC_FINI(&w->series);
}

static uint32_t number_of(struct toc_prom_index_writer *w, struct toc_sv text) {
    uintptr_t known = (uintptr_t)toc_map_get(&w->numbers, text);
    if (known)
        return (uint32_t)(known - 1);
    TOC_VEC_PUSH(&w->texts, toc_sv_dup_cstr(text));
    toc_map_put(&w->numbers, text, (void *)(uintptr_t)w->texts.count);
    return (uint32_t)(w->texts.count - 1);
}

void toc_prom_index_writer_add(struct toc_prom_index_writer *w, struct toc_labels labels,
                               const struct toc_prom_chunk_info *chunks, size_t count) {
    struct toc_prom_index_series s = {w->pairs.count, labels.count, w->chunks.count, count};
    for (size_t i = 0; i < labels.count; i++) {
        struct toc_prom_index_pair p = {number_of(w, labels.items[i].name),
                                        number_of(w, labels.items[i].value)};
        TOC_VEC_PUSH(&w->pairs, p);
    }
    for (size_t i = 0; i < count; i++)
        TOC_VEC_PUSH(&w->chunks, chunks[i]);
    TOC_VEC_PUSH(&w->series, s);
}

/* --- pieces of the file --- */

static void pad(struct toc_buf *out, size_t to) {
    while (out->n % to && !out->error)
        toc_buf_append_u8(out, 0);
}

/* Everything from `begin` on, behind its own length. */
static void put_crc(struct toc_buf *out, size_t begin) {
    if (!out->error)
        toc_put_be32(out, toc_crc32c(0, out->p + begin, out->n - begin));
}

/* A section begins with its length, which is known at its end. */
static size_t begin_section(struct toc_buf *out) {
    toc_put_be32(out, 0);
    return out->n;
}

static void end_section(struct toc_buf *out, size_t begin) {
    if (out->error)
        return;
    uint32_t length = __builtin_bswap32((uint32_t)(out->n - begin));
    memcpy(out->p + begin - 4, &length, 4);
    put_crc(out, begin);
}

static void put_string(struct toc_buf *out, const char *text) {
    size_t n = strlen(text);
    toc_buf_append_varint(out, n);
    toc_buf_append(out, text, n);
}

/* --- symbols --- */

struct symbol {
    const char *text;
    uint32_t number;
};

static int by_text(const void *a, const void *b) {
    return strcmp(((const struct symbol *)a)->text, ((const struct symbol *)b)->text);
}

/* In the order of their texts; rank[number] is the place in it. */
static struct symbol *sort_symbols(const struct toc_prom_index_writer *w, uint32_t *rank) {
    size_t n = w->texts.count;
    struct symbol *sorted = TOC_NEW_ARRAY(struct symbol, n + 1);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (struct symbol){w->texts.items[i], (uint32_t)i};
    qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 0; i < n; i++)
        rank[sorted[i].number] = (uint32_t)i;
    return sorted;
}

static void put_symbols(const struct symbol *sorted, size_t n, struct toc_buf *out) {
    size_t begin = begin_section(out);
    toc_put_be32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        put_string(out, sorted[i].text);
    end_section(out, begin);
}

/* --- series --- */

static void put_chunks(const struct toc_prom_chunk_info *c, size_t count, struct toc_buf *out) {
    toc_buf_append_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        if (i)
            toc_buf_append_varint(out, (uint64_t)c[i].min_ms - (uint64_t)c[i - 1].max_ms);
        else
            toc_buf_append_zigzag(out, c[i].min_ms);
        toc_buf_append_varint(out, (uint64_t)c[i].max_ms - (uint64_t)c[i].min_ms);
        if (i)
            toc_buf_append_zigzag(out, (int64_t)(c[i].ref - c[i - 1].ref));
        else
            toc_buf_append_varint(out, c[i].ref);
    }
}

/* One pair of labels and a series that has it. */
struct posting {
    uint32_t name, value, series; /* symbols by rank; the series' offset / 16 */
};
struct postings {
    TOC_VEC_FIELDS(struct posting)
};

static void put_series(const struct toc_prom_index_writer *w, const struct toc_prom_index_series *s,
                       const uint32_t *rank, struct toc_buf *body, struct postings *list,
                       struct toc_buf *out) {
    pad(out, TOC_PROM_SERIES_ALIGN);
    toc_buf_reset(body);
    toc_buf_append_varint(body, s->pair_count);
    for (size_t i = 0; i < s->pair_count; i++) {
        const struct toc_prom_index_pair *p = &w->pairs.items[s->pair + i];
        struct posting x = {rank[p->name], rank[p->value],
                            (uint32_t)(out->n / TOC_PROM_SERIES_ALIGN)};
        toc_buf_append_varint(body, x.name);
        toc_buf_append_varint(body, x.value);
        TOC_VEC_PUSH(list, x);
    }
    put_chunks(w->chunks.items + s->chunk, s->chunk_count, body);
    toc_buf_append_varint(out, body->n);
    toc_buf_append_sv(out, toc_buf_sv(body));
    put_crc(out, out->n - (out->error ? 0 : body->n));
}

/* --- postings --- */

static int by_pair(const void *a, const void *b) {
    const struct posting *x = a, *y = b;
    if (x->name != y->name)
        return x->name < y->name ? -1 : 1;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->series < y->series ? -1 : x->series > y->series;
}

static void put_posting_list(const struct posting *p, size_t n, struct toc_buf *out) {
    pad(out, 4);
    size_t begin = begin_section(out);
    toc_put_be32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        toc_put_be32(out, p[i].series);
    end_section(out, begin);
}

static void put_table_row(struct toc_buf *table, const char *name, const char *value,
                          uint64_t offset) {
    toc_buf_append_varint(table, 2);
    put_string(table, name);
    put_string(table, value);
    toc_buf_append_varint(table, offset);
}

static size_t aligned(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* The list of all series, then one for each pair; rows of the table name them. */
static uint32_t put_postings(const struct toc_prom_index_writer *w, struct postings *list,
                             const struct symbol *sorted, struct toc_buf *table,
                             struct toc_buf *out) {
    uint32_t rows = 1;
    struct posting *all = TOC_NEW_ARRAY(struct posting, w->series.count + 1);
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++) /* series by series as yet */
        if (!n || all[n - 1].series != list->items[i].series)
            all[n++] = list->items[i];
    put_table_row(table, "", "", aligned(out->n, 4));
    put_posting_list(all, n, out);
    toc_free(all);
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, by_pair);
    for (size_t i = 0, end; i < list->count; i = end, rows++) {
        const struct posting *p = &list->items[i];
        for (end = i; end < list->count && list->items[end].name == p->name &&
                      list->items[end].value == p->value;)
            end++;
        put_table_row(table, sorted[p->name].text, sorted[p->value].text, aligned(out->n, 4));
        put_posting_list(p, end - i, out);
    }
    return rows;
}

/* --- the file --- */

static void put_table(uint32_t rows, const struct toc_buf *table, struct toc_buf *out) {
    size_t begin = begin_section(out);
    toc_put_be32(out, rows);
    if (table)
        toc_buf_append_sv(out, toc_buf_sv(table));
    end_section(out, begin);
}

static void put_sections(const struct toc_prom_index_writer *w, const uint32_t *rank,
                         const struct symbol *sorted, struct toc_buf *out) {
    struct postings list = {0};
    struct toc_buf body = TOC_BUF_INIT, table = TOC_BUF_INIT;
    uint64_t at[6]; /* symbols, series, label indices and their table, postings and their table */
    at[0] = out->n;
    put_symbols(sorted, w->texts.count, out);
    pad(out, TOC_PROM_SERIES_ALIGN);
    at[1] = out->n;
    for (size_t i = 0; i < w->series.count; i++)
        put_series(w, &w->series.items[i], rank, &body, &list, out);
    pad(out, 4);
    at[2] = out->n; /* label indices: readers take them from the postings */
    at[4] = out->n;
    uint32_t rows = put_postings(w, &list, sorted, &table, out);
    at[3] = out->n;
    put_table(0, NULL, out);
    at[5] = out->n;
    put_table(rows, &table, out);
    size_t begin = out->n;
    for (size_t i = 0; i < 6; i++)
        toc_put_be64(out, at[i]);
    put_crc(out, begin);
    out->error = out->error ? out->error : body.error ? body.error : table.error;
    toc_buf_fini(&body);
    toc_buf_fini(&table);
    TOC_VEC_FINI(&list);
}

void toc_prom_index_writer_put(struct toc_prom_index_writer *w, struct toc_buf *out) {
    uint32_t *rank = TOC_NEW_ARRAY(uint32_t, w->texts.count + 1);
    struct symbol *sorted = sort_symbols(w, rank);
    toc_put_be32(out, TOC_PROM_INDEX_MAGIC);
    toc_buf_append_u8(out, TOC_PROM_INDEX_VERSION);
    put_sections(w, rank, sorted, out);
    toc_free(sorted);
    toc_free(rank);
}
