#include "remote/remote_read.h"

#include "base/vec.h"
#include "codec/protobuf.h"
#include "remote/histogram_proto.h"

enum { QUERIES = 1, ACCEPTED_TYPES = 2 };         /* ReadRequest */
enum { START = 1, END = 2, MATCHERS = 3 };        /* Query */
enum { LABELS = 1, SAMPLES = 2, HISTOGRAMS = 4 }; /* TimeSeries */
enum { TYPE_SAMPLES = 0, MATCHERS_MAX = 256, QUERIES_MAX = 64 };

struct answer {
    const struct toc_remote_read_options *o;
    struct toc_buf *out;
    uint64_t samples;
    struct toc_err *err;
};

struct query {
    struct toc_matcher matchers[MATCHERS_MAX];
    struct toc_select select;
};

static void put_labels(struct toc_buf *out, struct toc_labels l) {
    for (size_t i = 0; i < l.count; i++) {
        size_t mark = toc_pb_begin(out, LABELS);
        toc_pb_put_bytes(out, 1, l.items[i].name);
        toc_pb_put_bytes(out, 2, l.items[i].value);
        toc_pb_end(out, mark);
    }
}

static void put_sample(struct toc_buf *out, int64_t t_ms, double value) {
    size_t mark = toc_pb_begin(out, SAMPLES);
    toc_pb_put_double(out, 1, value);
    toc_pb_put_u64(out, 2, (uint64_t)t_ms);
    toc_pb_end(out, mark);
}

static int put_series(void *ctx, const struct toc_series_view *v) {
    struct answer *a = ctx;
    a->samples += v->count;
    if (a->samples > a->o->max_samples)
        return toc_errf(a->err, TOC_ELIMIT, "exceeded sample limit (%llu)",
                        (unsigned long long)a->o->max_samples);
    if (a->o->should_stop && a->o->should_stop(a->o->ctx))
        return toc_errf(a->err, TOC_ECANCELED, "the request was given up");
    size_t series = toc_pb_begin(a->out, 1);
    put_labels(a->out, v->labels);
    for (size_t i = 0; i < v->count; i++) {
        if (v->histograms && v->histograms[i]) {
            size_t mark = toc_pb_begin(a->out, HISTOGRAMS);
            toc_remote_histogram_encode(v->histograms[i], v->t_ms[i], a->out);
            toc_pb_end(a->out, mark);
        } else {
            put_sample(a->out, v->t_ms[i], v->values[i]);
        }
    }
    toc_pb_end(a->out, series);
    return toc_buf_error(a->out);
}

static int read_matcher(struct query *q, struct toc_sv body, struct toc_err *err) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    struct toc_sv name = TOC_SV(""), value = TOC_SV("");
    uint64_t op = 0;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number == 1)
            op = toc_pb_u64(&r, &f);
        else if (f.number == 2)
            name = toc_pb_bytes(&r, &f);
        else if (f.number == 3)
            value = toc_pb_bytes(&r, &f);
    }
    if (r.error)
        return r.error;
    if (op > TOC_MATCH_NRE)
        return toc_errf(err, TOC_EPARSE, "unknown matcher type %llu", (unsigned long long)op);
    if (q->select.matcher_count == MATCHERS_MAX)
        return toc_errf(err, TOC_EPARSE, "more than %d matchers", MATCHERS_MAX);
    int rc = toc_matcher_init(&q->matchers[q->select.matcher_count], (enum toc_match_op)op, name,
                              value, err);
    q->select.matcher_count += rc == 0;
    return rc;
}

static int read_query(struct query *q, struct toc_sv body, struct toc_err *err) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    int rc = 0;
    q->select = (struct toc_select){.matchers = q->matchers, .sorted = true};
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number == START)
            q->select.min_ms = toc_pb_i64(&r, &f);
        else if (f.number == END)
            q->select.max_ms = toc_pb_i64(&r, &f);
        else if (f.number == MATCHERS)
            rc = read_matcher(q, toc_pb_bytes(&r, &f), err);
    }
    return rc ? rc : r.error;
}

static int answer_query(struct answer *a, struct toc_sv body) {
    struct query *q = TOC_NEW(struct query);
    int rc = read_query(q, body, a->err);
    size_t result = toc_pb_begin(a->out, 1);
    if (!rc)
        rc = a->o->querier->select(a->o->querier, &q->select, put_series, a, a->err);
    toc_pb_end(a->out, result);
    for (size_t i = 0; i < q->select.matcher_count; i++)
        toc_matcher_fini(&q->matchers[i]);
    toc_free(q);
    return rc;
}

/* Types come packed or one by one; none at all means SAMPLES. */
static bool takes_samples(struct toc_sv body) {
    struct toc_pb_reader r = toc_pb_reader_make(body);
    bool has_any = false, found = false;
    for (struct toc_pb_field f; toc_pb_next(&r, &f);) {
        if (f.number != ACCEPTED_TYPES)
            continue;
        has_any = true;
        struct toc_pb_reader packed =
            toc_pb_reader_make(f.wire == TOC_PB_LEN ? f.bytes : TOC_SV(""));
        found = found || (f.wire == TOC_PB_VARINT && f.scalar == TYPE_SAMPLES);
        while (!toc_pb_is_at_end(&packed))
            found = toc_pb_varint(&packed) == TYPE_SAMPLES || found;
    }
    return !has_any || found;
}

int toc_remote_read(const struct toc_remote_read_options *o, struct toc_sv body,
                    struct toc_buf *out, uint64_t *out_samples, struct toc_err *err) {
    struct answer a = {.o = o, .out = out, .err = err};
    struct toc_pb_reader r = toc_pb_reader_make(body);
    size_t queries = 0;
    int rc = 0;
    if (!takes_samples(body))
        return toc_errf(err, TOC_EUNSUPPORTED,
                        "none of the accepted response types is supported; SAMPLES is");
    for (struct toc_pb_field f; !rc && toc_pb_next(&r, &f);) {
        if (f.number != QUERIES)
            continue;
        rc = ++queries > QUERIES_MAX ? TOC_ELIMIT : answer_query(&a, toc_pb_bytes(&r, &f));
    }
    rc = rc ? rc : r.error ? r.error : toc_buf_error(out);
    *out_samples = a.samples;
    if (rc)
        (void)toc_errf(err, rc, "remote read: %s", toc_strerror(rc));
    return rc;
}
