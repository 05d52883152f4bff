/*
 * 1.0  WriteRequest  timeseries 1 {labels 1 {name 1, value 2}, samples 2 {value 1, time 2},
 *                    exemplars 3 {labels 1, value 2, time 3}, histograms 4}, metadata 3 {type 1,
 *                    name 2, help 4, unit 5}
 * 2.0  Request       symbols 4, timeseries 5 {labels_refs 1, samples 2, histograms 3, metadata 5
 *                    {type 1, help_ref 3, unit_ref 4}}
 */
#include "forward/encode.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "codec/protobuf.h"
#include "metricdb/histogram_code.h"
#include "remote/histogram_proto.h"

enum { NO_ITEM = UINT32_MAX, ITEM_BYTES = 24, HISTOGRAM_GROWTH = 4, FIRST_SLOTS = 1024 };
enum { SAMPLES = 2, HISTOGRAMS_1 = 4, EXEMPLARS_1 = 3, HISTOGRAMS_2 = 3 };

void toc_forward_encoder_fini(struct toc_forward_encoder *e) {
    TOC_VEC_FINI(&e->next);
    TOC_VEC_FINI(&e->series);
    TOC_VEC_FINI(&e->symbols);
    toc_free(e->slots);
    toc_buf_fini(&e->body);
    toc_arena_fini(&e->arena);
}

/* --- choosing and grouping --- */

static size_t item_bytes(const struct toc_forward_item *item) {
    size_t n = item->series->label_bytes + ITEM_BYTES;
    return item->kind == TOC_FORWARD_FLOAT ? n : n + item->blob->n * HISTOGRAM_GROWTH;
}

/* The samples of a series become a list, so that its labels are told once. */
static void group(struct toc_forward_encoder *e, const struct toc_forward_queue *q, size_t shard,
                  const struct toc_forward_encode_options *o, struct toc_forward_encoded *out) {
    size_t bytes = 0, count = TOC_MIN(q->shards.items[shard].count, o->max_items);
    e->message++;
    e->next.count = 0;
    e->series.count = 0;
    for (; out->items < count; out->items++) {
        struct toc_forward_item *item = toc_forward_queue_at(q, shard, out->items);
        struct toc_forward_series *s = item->series;
        uint32_t at = (uint32_t)out->items;
        bytes += item_bytes(item);
        if (out->items && bytes > TOC_FORWARD_MESSAGE_BYTES)
            return;
        TOC_VEC_PUSH(&e->next, NO_ITEM);
        if (item->t_ms < o->oldest_ms) {
            out->too_old++;
            continue;
        }
        out->newest_ms = TOC_MAX(out->newest_ms, item->t_ms);
        if (s->message != e->message) {
            s->message = e->message;
            s->first = at;
            TOC_VEC_PUSH(&e->series, s);
        } else {
            e->next.items[s->last] = at;
        }
        s->last = at;
    }
}

/* --- values --- */

static void put_sample(const struct toc_forward_item *item, struct toc_buf *out) {
    size_t mark = toc_pb_begin(out, SAMPLES);
    toc_pb_put_double(out, 1, item->value);
    toc_pb_put_u64(out, 2, (uint64_t)item->t_ms);
    toc_pb_end(out, mark);
}

static bool put_histogram(struct toc_forward_encoder *e, const struct toc_forward_item *item,
                          uint32_t field, struct toc_buf *out) {
    struct toc_histogram *h;
    toc_arena_reset(&e->arena);
    if (toc_histogram_decode(toc_sv_make(item->blob->bytes, item->blob->n), &e->arena, &h))
        return false;
    size_t mark = toc_pb_begin(out, field);
    toc_remote_histogram_encode(h, item->t_ms, out);
    toc_pb_end(out, mark);
    return true;
}

static void put_exemplar(const struct toc_forward_item *item, struct toc_buf *out) {
    size_t mark = toc_pb_begin(out, EXEMPLARS_1);
    toc_buf_append(out, item->blob->bytes, item->blob->n);
    toc_pb_put_double(out, 2, item->blob->value);
    toc_pb_put_u64(out, 3, (uint64_t)item->t_ms);
    toc_pb_end(out, mark);
}

static void put_value(struct toc_forward_encoder *e, const struct toc_forward_item *item,
                      uint32_t histogram_field, struct toc_buf *out,
                      struct toc_forward_encoded *counts) {
    switch (item->kind) {
    case TOC_FORWARD_FLOAT:
        put_sample(item, out);
        counts->floats++;
        break;
    case TOC_FORWARD_HISTOGRAM:
        if (put_histogram(e, item, histogram_field, out))
            counts->histograms++;
        else
            counts->broken++;
        break;
    case TOC_FORWARD_EXEMPLAR:
        put_exemplar(item, out);
        counts->exemplars++;
        break;
    }
}

/* --- symbols --- */

static void clear_symbols(struct toc_forward_encoder *e) {
    e->symbols.count = 0;
    TOC_VEC_PUSH(&e->symbols, TOC_SV(""));
    if (e->slot_count)
        memset(e->slots, 0, e->slot_count * sizeof *e->slots);
}

static void widen_slots(struct toc_forward_encoder *e) {
    size_t count = e->slot_count ? 2 * e->slot_count : FIRST_SLOTS;
    struct toc_forward_symbol *slots = TOC_NEW_ARRAY(struct toc_forward_symbol, count);
    for (size_t i = 0; i < e->slot_count; i++) {
        size_t at = e->slots[i].hash & (count - 1);
        if (!e->slots[i].index)
            continue;
        while (slots[at].index)
            at = (at + 1) & (count - 1);
        slots[at] = e->slots[i];
    }
    toc_free(e->slots);
    e->slots = slots;
    e->slot_count = count;
}

static uint32_t symbol_of(struct toc_forward_encoder *e, struct toc_sv text) {
    if (!text.n)
        return 0;
    if (2 * e->symbols.count >= e->slot_count)
        widen_slots(e);
    uint64_t hash = toc_hash64(text.p, text.n, 0);
    size_t at = hash & (e->slot_count - 1);
    for (; e->slots[at].index; at = (at + 1) & (e->slot_count - 1))
        if (e->slots[at].hash == hash && toc_sv_eq(e->symbols.items[e->slots[at].index], text))
            return e->slots[at].index;
    e->slots[at] = (struct toc_forward_symbol){hash, (uint32_t)e->symbols.count};
    TOC_VEC_PUSH(&e->symbols, text);
    return e->slots[at].index;
}

static void put_refs(struct toc_forward_encoder *e, const struct toc_forward_series *s,
                     struct toc_buf *out) {
    struct toc_sv rest = toc_forward_series_labels(s);
    size_t mark = toc_pb_begin(out, 1);
    for (struct toc_label l; toc_forward_next_label(&rest, &l);) {
        toc_buf_append_varint(out, symbol_of(e, l.name));
        toc_buf_append_varint(out, symbol_of(e, l.value));
    }
    toc_pb_end(out, mark);
}

static void put_metadata_2(struct toc_forward_encoder *e, const struct toc_forward_series *s,
                           const struct toc_forward_metadata *metadata, struct toc_buf *out) {
    const struct toc_metric_metadata *m =
        metadata ? toc_forward_metadata_find(metadata, toc_forward_series_name(s)) : NULL;
    if (!m)
        return;
    size_t mark = toc_pb_begin(out, 5);
    toc_pb_put_u64(out, 1, (uint64_t)m->type);
    toc_pb_put_u64(out, 3, symbol_of(e, m->help));
    toc_pb_put_u64(out, 4, symbol_of(e, m->unit));
    toc_pb_end(out, mark);
}

/* --- messages --- */

struct message {
    struct toc_forward_encoder *e;
    const struct toc_forward_queue *q;
    size_t shard;
    const struct toc_forward_encode_options *o;
    struct toc_forward_encoded *counts;
};

/* A run of one kind: a series of message 2 may not hold both, and this keeps the order in time. */
static uint32_t put_run(const struct message *m, const struct toc_forward_series *s, uint32_t at,
                        struct toc_buf *out) {
    bool is_2 = m->o->message == TOC_FORWARD_2;
    enum toc_forward_kind kind = toc_forward_queue_at(m->q, m->shard, at)->kind;
    size_t mark = toc_pb_begin(out, is_2 ? 5 : 1);
    if (is_2)
        put_refs(m->e, s, out);
    else
        toc_buf_append_sv(out, toc_forward_series_labels(s));
    for (; at != NO_ITEM; at = m->e->next.items[at]) {
        const struct toc_forward_item *item = toc_forward_queue_at(m->q, m->shard, at);
        if (item->kind != kind)
            break;
        put_value(m->e, item, is_2 ? HISTOGRAMS_2 : HISTOGRAMS_1, out, m->counts);
    }
    if (is_2)
        put_metadata_2(m->e, s, m->o->metadata, out);
    toc_pb_end(out, mark);
    return at;
}

void toc_forward_encode(struct toc_forward_encoder *e, const struct toc_forward_queue *q,
                        size_t shard, const struct toc_forward_encode_options *o,
                        struct toc_buf *out, struct toc_forward_encoded *out_counts) {
    struct message m = {e, q, shard, o, out_counts};
    bool is_2 = o->message == TOC_FORWARD_2;
    struct toc_buf *body = is_2 ? &e->body : out;
    *out_counts = (struct toc_forward_encoded){.newest_ms = INT64_MIN};
    group(e, q, shard, o, out_counts);
    if (is_2) {
        toc_buf_reset(body);
        clear_symbols(e);
    }
    for (size_t i = 0; i < e->series.count; i++)
        for (uint32_t at = e->series.items[i]->first; at != NO_ITEM;)
            at = put_run(&m, e->series.items[i], at, body);
    if (!is_2)
        return;
    for (size_t i = 0; i < e->symbols.count; i++)
        toc_pb_put_bytes(out, 4, e->symbols.items[i]);
    toc_buf_append_sv(out, toc_buf_sv(body));
}

void toc_forward_encode_metadata(const struct toc_metric_metadata *rows, size_t count,
                                 struct toc_buf *out) {
    for (size_t i = 0; i < count; i++) {
        size_t mark = toc_pb_begin(out, 3);
        toc_pb_put_u64(out, 1, (uint64_t)rows[i].type);
        toc_pb_put_bytes(out, 2, rows[i].metric);
        toc_pb_put_bytes(out, 4, rows[i].help);
        toc_pb_put_bytes(out, 5, rows[i].unit);
        toc_pb_end(out, mark);
    }
}
