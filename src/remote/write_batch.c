#include "remote/write_batch_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/protobuf.h"
#include "metricdb/exemplar.h"
#include "remote/histogram_proto.h"

enum { ROUNDS_MAX = 3 };

/* --- labels --- */

static int by_name(const void *a, const void *b) {
    return toc_sv_cmp(((const struct toc_label *)a)->name, ((const struct toc_label *)b)->name);
}

/* Empty values mean absent. */
static void drop_empty(struct write_batch *b) {
    size_t kept = 0;
    for (size_t i = 0; i < b->labels.count; i++)
        if (b->labels.items[i].value.n)
            b->labels.items[kept++] = b->labels.items[i];
    b->labels.count = kept;
}

static const char *sort_labels(struct write_batch *b, struct toc_labels *out) {
    struct toc_label *l = b->labels.items;
    bool is_sorted = true;
    for (size_t i = 1; i < b->labels.count && is_sorted; i++)
        is_sorted = by_name(&l[i - 1], &l[i]) < 0;
    if (!is_sorted)
        qsort(l, b->labels.count, sizeof *l, by_name);
    for (size_t i = 0; i < b->labels.count; i++) {
        if (!l[i].name.n)
            return "a label without a name";
        if (i && toc_sv_eq(l[i - 1].name, l[i].name))
            return "a label name that is there twice";
        if (!toc_sv_is_utf8(l[i].name) || !toc_sv_is_utf8(l[i].value))
            return "a label that is no UTF-8";
    }
    drop_empty(b);
    *out = (struct toc_labels){b->labels.items, b->labels.count};
    return NULL;
}

const char *toc_write_label_set(struct write_batch *b, struct toc_sv raw, struct toc_labels *out) {
    *out = TOC_LABELS_EMPTY;
    int rc =
        b->message == TOC_REMOTE_WRITE_1 ? toc_write_labels_1(b, raw) : toc_write_labels_2(b, raw);
    if (rc == TOC_ELIMIT)
        return "too many labels";
    if (rc == TOC_EINVAL)
        return "label references that lead nowhere";
    b->parse_error = rc;
    if (rc)
        return "labels that are no protobuf";
    const char *wrong = sort_labels(b, out);
    if (!wrong && !toc_labels_has(*out, TOC_METRIC_NAME))
        wrong = "no metric name";
    return wrong;
}

/* --- refusals --- */

static void begin_line(struct write_batch *b) {
    if (b->out->text.n)
        toc_buf_append_char(&b->out->text, '\n');
    b->told++;
}

static void tell(struct write_batch *b, struct toc_sv raw, const char *text) {
    struct toc_labels labels;
    if (b->told >= TOC_REMOTE_TEXT_LINES_MAX)
        return;
    begin_line(b);
    toc_buf_append_cstr(&b->out->text, text);
    toc_buf_append_cstr(&b->out->text, " for series ");
    const char *wrong = toc_write_label_set(b, raw, &labels);
    if (wrong && !labels.count)
        labels = (struct toc_labels){b->labels.items, b->labels.count};
    toc_labels_format(labels, &b->out->text);
}

static const char *text_of(enum toc_reject_reason reason) {
    switch (reason) {
    case TOC_REJECT_OUT_OF_ORDER:
        return "out of order sample";
    case TOC_REJECT_DUPLICATE:
        return "duplicate sample for timestamp";
    case TOC_REJECT_TOO_OLD:
        return "too old sample";
    case TOC_REJECT_TOO_FAR_IN_FUTURE:
        return "out of bounds: sample too far in the future";
    case TOC_REJECT_SERIES_LIMIT:
        return "limit of active series reached";
    case TOC_REJECT_SOURCE:
        return "limit of active series of one instance reached";
    case TOC_REJECT_CHURN:
        return "limit of new series within ten minutes reached";
    case TOC_REJECT_MEMORY:
        return "memory budget used up, no new series";
    case TOC_REJECT_LABEL_LIMIT:
        return "labels exceed the limits";
    case TOC_REJECT_INVALID_HISTOGRAM:
        return "invalid histogram";
    default:
        return "invalid labels";
    }
}

void toc_write_refuse(struct write_batch *b, enum toc_reject_reason reason, struct toc_sv raw,
                      size_t count) {
    b->out->rejected[reason] += count;
    b->out->is_partial = true;
    tell(b, raw, text_of(reason));
}

void toc_write_refuse_text(struct write_batch *b, struct toc_sv raw, size_t count,
                           const char *text) {
    b->out->rejected[TOC_REJECT_INVALID_LABELS] += count;
    b->out->is_partial = b->out->is_partial || b->message == TOC_REMOTE_WRITE_2;
    tell(b, raw, text);
}

/* --- series and samples --- */

/* By its labels; the cache learns it. 0: *out_wrong or *out_reason tells why not. */
static uint64_t resolve(struct write_batch *b, struct toc_hash128 key, struct toc_sv raw,
                        const char **out_wrong, enum toc_reject_reason *out_reason) {
    struct toc_labels labels;
    struct toc_label_cache_entry entry = {.key = key};
    *out_wrong = toc_write_label_set(b, raw, &labels);
    if (*out_wrong ||
        toc_metricdb_series_ref(b->db, labels, &entry.ref, out_reason) == TOC_EREJECTED)
        return 0;
    toc_label_cache_put(b->cache, &entry);
    return entry.ref;
}

uint64_t toc_write_begin_series(struct write_batch *b, struct toc_hash128 key, struct toc_sv raw) {
    return toc_write_begin_known(b, key, raw, toc_label_cache_get(b->cache, key).ref);
}

uint64_t toc_write_begin_known(struct write_batch *b, struct toc_hash128 key, struct toc_sv raw,
                               uint64_t known_ref) {
    const char *wrong = NULL;
    enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
    struct write_series s = {key, raw, (uint32_t)b->samples.count, 0};
    uint64_t ref = known_ref;
    if (!ref)
        ref = resolve(b, key, raw, &wrong, &reason);
    if (ref) {
        TOC_VEC_PUSH(&b->series, s);
    } else if (wrong && !b->parse_error) {
        char text[96];
        snprintf(text, sizeof text, "invalid labels (%s)", wrong);
        toc_write_refuse_text(b, raw, 1, text);
    } else if (!wrong) {
        toc_write_refuse(b, reason, raw, 1);
    }
    return ref;
}

/* Of the series begun last. A sample too far in the future was refused already. */
static void note_start(struct write_batch *b, uint64_t ref, int64_t start_ms, int64_t t_ms,
                       const struct toc_histogram *histogram) {
    if (t_ms <= b->latest_ms)
        toc_starts_add(&b->starts, ref, start_ms, t_ms, histogram, (uint32_t)b->series.count - 1);
}

/* A Sample message: value and timestamp have the same numbers in both versions; the start
 * timestamp is of 2.0. */
int toc_write_add_sample(struct write_batch *b, uint64_t ref, struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    double value = 0;
    int64_t t_ms = 0, start_ms = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            value = toc_pb_double(&r, &f);
        else if (f.number == 2)
            t_ms = toc_pb_i64(&r, &f);
        else if (f.number == 3)
            start_ms = toc_pb_i64(&r, &f);
    }
    if (r.error)
        return r.error;
    toc_write_add_float(b, ref, t_ms, value);
    if (b->wants_starts)
        note_start(b, ref,
                   toc_is_stale_nan(value) ? 0
                   : start_ms              ? start_ms
                                           : b->created_ms,
                   t_ms, NULL);
    return 0;
}

int toc_write_add_histogram(struct write_batch *b, uint64_t ref, struct toc_sv body) {
    struct toc_histogram *h;
    int64_t t_ms = 0, start_ms = 0;
    int rc = toc_remote_histogram_decode(body, &b->arena, &h, &t_ms, &start_ms);
    if (rc == TOC_EINVAL) {
        toc_write_refuse(b, TOC_REJECT_INVALID_HISTOGRAM, b->series.items[b->series.count - 1].raw,
                         1);
        return 0;
    }
    if (rc)
        return rc;
    b->has_histograms = true;
    toc_write_add(b, ref, t_ms, 0, h);
    if (b->wants_starts)
        note_start(b, ref, start_ms ? start_ms : b->created_ms, t_ms, h);
    return 0;
}

/* --- commit --- */

static void tally(struct write_batch *b, const struct toc_write_result *result, size_t unknown) {
    size_t refused = 0;
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        refused += result->rejected[i];
    if (!refused && !unknown && !b->has_histograms) {
        b->out->samples += b->samples.count;
        return;
    }
    for (size_t i = 0; i < b->series.count; i++) {
        const struct write_series *s = &b->series.items[i];
        for (size_t k = s->first_sample; k < s->first_sample + s->sample_count; k++) {
            const struct toc_metricdb_sample *x = &b->samples.items[k];
            if (!x->ref)
                continue;
            if (refused && x->refused)
                toc_write_refuse(b, (enum toc_reject_reason)(x->refused - 1), s->raw, 1);
            else if (x->histogram)
                b->out->histograms++;
            else
                b->out->samples++;
        }
    }
}

/* The store forgot some series meanwhile: only their samples stay, under new references. */
static void resolve_again(struct write_batch *b) {
    size_t kept = 0;
    for (size_t i = 0; i < b->series.count; i++) {
        struct write_series *s = &b->series.items[i];
        size_t first = kept, end = s->first_sample + s->sample_count;
        uint64_t ref = 0;
        const char *wrong = NULL;
        enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
        for (size_t k = s->first_sample; k < end; k++) {
            struct toc_metricdb_sample x = b->samples.items[k];
            if (x.ref)
                continue;
            if (!ref && !wrong && !(ref = resolve(b, s->key, s->raw, &wrong, &reason)))
                wrong = wrong ? wrong : "";
            if (!ref) {
                toc_write_refuse(b, reason, s->raw, 1);
                continue;
            }
            x.ref = ref;
            b->samples.items[kept++] = x;
        }
        s->first_sample = (uint32_t)first;
        s->sample_count = (uint32_t)(kept - first);
    }
    b->samples.count = kept;
}

static void add_exemplars(struct write_batch *b) {
    for (size_t i = 0; i < b->exemplars.count; i++) {
        const struct write_exemplar *x = &b->exemplars.items[i];
        struct toc_exemplar e;
        struct toc_labels series, labels;
        double value = 0;
        if (toc_write_exemplar(b, x->body, &value, &e.t_ms) || sort_labels(b, &labels)) {
            b->out->rejected_exemplars++;
            continue;
        }
        e.value = value;
        e.labels = toc_labels_dup_arena(labels, &b->arena);
        if (toc_write_label_set(b, b->series.items[x->series].raw, &series))
            continue;
        enum toc_exemplar_verdict v = toc_metricdb_exemplar_add(b->db, series, &e);
        if (v == TOC_EXEMPLAR_KEPT || v == TOC_EXEMPLAR_DUPLICATE)
            b->out->exemplars++;
        else
            b->out->rejected_exemplars++;
    }
    if (b->exemplars.count)
        toc_metricdb_exemplars_save(b->db);
}

static uint64_t resolve_start(void *owner, uint32_t origin) {
    struct write_batch *b = owner;
    const struct write_series *s = &b->series.items[origin];
    enum toc_reject_reason reason;
    const char *wrong;
    return resolve(b, s->key, s->raw, &wrong, &reason);
}

int toc_write_commit(struct write_batch *b, struct toc_err *err) {
    toc_starts_write(&b->starts, b->db, resolve_start, b);
    for (int round = 0; b->samples.count; round++) {
        struct toc_write_result result = {0};
        size_t unknown = 0;
        if (round == ROUNDS_MAX)
            return toc_errf(err, TOC_EBUSY, "series were forgotten while they were written");
        int rc = (b->is_echo ? toc_metricdb_write_echo : toc_metricdb_write_refs)(
            b->db, b->samples.items, b->samples.count, &result, &unknown, err);
        if (rc)
            return rc;
        tally(b, &result, unknown);
        if (!unknown)
            break;
        resolve_again(b);
    }
    add_exemplars(b);
    return 0;
}
