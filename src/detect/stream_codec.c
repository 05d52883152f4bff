/*
 * Bytes of a stream:
 *
 *     "TST2"  varint columns, windows, direction, k, m  u8 infinity is an alert  f64 budget,
 * threshold u8 flags (1 has a row, 2 alert at the row before)  f64 last time  f64 log2 of the
 * interval, interval varint rows counted for it  last result  features  varint alert rows  f64
 * values alert state, then the metric or the entity (their own encoders) u32 CRC-32C of everything
 * before
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/model_frame.h"
#include "detect/stream_priv.h"

static const char MAGIC[4] = {'T', 'S', 'T', '2'};

void toc_moments_encode(const struct toc_moments *m, struct toc_buf *out) {
    toc_buf_append_f64(out, m->mean);
    toc_buf_append_f64(out, m->squares);
    toc_buf_append_varint(out, m->count);
}

int toc_moments_decode(struct toc_moments *m, struct toc_reader *r) {
    m->mean = toc_read_f64(r);
    m->squares = toc_read_f64(r);
    m->count = toc_read_varint(r);
    bool is_sound =
        isfinite(m->mean) && m->squares >= 0 && isfinite(m->squares) && !(m->count >> 62);
    return r->error ? r->error : is_sound ? 0 : TOC_ECORRUPT;
}

int toc_read_number(struct toc_reader *r, double limit, double *out) {
    *out = toc_read_f64(r);
    return r->error ? r->error : fabs(*out) <= limit ? 0 : TOC_ECORRUPT;
}

int toc_read_float(struct toc_reader *r, double limit, float *out) {
    double v;
    int rc = toc_read_number(r, limit, &v);
    *out = rc == 0 ? (float)v : 0;
    return rc;
}

static void encode_result(const struct toc_stream_result *v, struct toc_buf *out) {
    toc_buf_append_f64(out, v->score);
    toc_buf_append_f64(out, v->surprise);
    toc_buf_append_f64(out, v->bar);
    toc_buf_append_f64(out, v->lower);
    toc_buf_append_f64(out, v->upper);
    toc_buf_append_u8(out, v->is_alert);
}

static int decode_result(struct toc_stream_result *v, struct toc_reader *r) {
    int rc = toc_read_number(r, 1, &v->score);
    rc = rc ? rc : toc_read_number(r, 1e300, &v->surprise);
    rc = rc ? rc : toc_read_number(r, 1e12, &v->bar);
    rc = rc ? rc : toc_read_float(r, 1e38, &v->lower);
    rc = rc ? rc : toc_read_float(r, 1e38, &v->upper);
    v->is_alert = toc_read_u8(r) != 0;
    return r->error ? r->error : rc ? rc : v->score < 0 ? TOC_ECORRUPT : 0;
}

void toc_stream_state_encode(const struct toc_stream *s, struct toc_buf *out) {
    size_t start = out->n;
    const struct toc_stream_options *o = &s->options;
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_varint(out, o->columns);
    toc_buf_append_varint(out, o->windows);
    toc_buf_append_varint(out, o->direction);
    toc_buf_append_varint(out, o->k);
    toc_buf_append_varint(out, o->m);
    toc_buf_append_u8(out, o->is_infinity_alert);
    toc_buf_append_f64(out, o->budget_seconds);
    toc_buf_append_f64(out, o->threshold);
    toc_buf_append_u8(out, (uint8_t)(s->has_row | s->was_alert << 1));
    toc_buf_append_f64(out, s->last_seconds);
    toc_buf_append_f64(out, s->log_interval);
    toc_buf_append_f64(out, s->interval);
    toc_buf_append_varint(out, s->intervals);
    encode_result(&s->last, out);
    for (size_t i = 0; i < TOC_STREAM_FEATURES; i++)
        toc_buf_append_f64(out, s->features[i]);
    toc_buf_append_varint(out, s->alert_rows);
    for (size_t i = 0; i < o->columns; i++)
        toc_buf_append_f64(out, s->values[i]);
    toc_budget_encode(&s->alert, out);
    if (s->metric)
        toc_stream_metric_encode(s->metric, out);
    else
        toc_stream_entity_encode(s->entity, out);
    toc_model_frame_end(out, start);
}

static int decode_options(struct toc_reader *r, struct toc_stream_options *o) {
    o->columns = toc_read_varint(r);
    o->windows = toc_read_varint(r);
    uint64_t direction = toc_read_varint(r), k = toc_read_varint(r), m = toc_read_varint(r);
    uint8_t is_infinity_alert = toc_read_u8(r);
    o->is_infinity_alert = is_infinity_alert;
    o->budget_seconds = toc_read_f64(r);
    o->threshold = toc_read_f64(r);
    bool is_sound = direction <= TOC_STREAM_DOWN && is_infinity_alert <= 1 && k >= 1 && m <= 32 &&
                    o->windows && o->budget_seconds > 0 &&
                    o->columns <= toc_reader_left(r) / 8; /* each has a value at least */
    o->direction = (enum toc_stream_direction)direction;
    o->k = (uint32_t)(k <= 32 ? k : 33);
    o->m = (uint32_t)m;
    return r->error ? r->error : is_sound ? 0 : TOC_ECORRUPT;
}

static int decode_head(struct toc_reader *r, struct toc_stream *s) {
    uint8_t flags = toc_read_u8(r);
    s->has_row = flags & 1;
    s->was_alert = flags >> 1 & 1;
    int rc = flags > 3 ? TOC_ECORRUPT : toc_read_number(r, 1e15, &s->last_seconds);
    rc = rc ? rc : toc_read_float(r, 130, &s->log_interval);
    rc = rc ? rc : toc_read_float(r, 2e12, &s->interval);
    uint64_t intervals = toc_read_varint(r);
    rc = rc ? rc : intervals > UINT32_MAX || s->interval < 0 ? TOC_ECORRUPT : 0;
    s->intervals = (uint32_t)intervals;
    rc = rc ? rc : decode_result(&s->last, r);
    for (size_t i = 0; i < TOC_STREAM_FEATURES && rc == 0; i++)
        rc = toc_read_float(r, 3e38, &s->features[i]);
    uint64_t rows = toc_read_varint(r);
    rc = rc ? rc : rows > UINT32_MAX ? TOC_ECORRUPT : 0;
    s->alert_rows = (uint32_t)rows;
    for (size_t i = 0; i < s->options.columns && rc == 0; i++)
        rc = toc_read_number(r, 1e30, &s->values[i]);
    return r->error ? r->error : rc;
}

static int decode_body(struct toc_reader *r, struct toc_stream **out, struct toc_err *err) {
    struct toc_stream_options o;
    int rc = decode_options(r, &o);
    if (rc == 0)
        rc = toc_stream_new(&o, out, err);
    if (rc == 0)
        rc = decode_head(r, *out);
    if (rc == 0)
        rc = toc_budget_decode(&(*out)->alert, r);
    if (rc == 0)
        rc = (*out)->metric ? toc_stream_metric_decode((*out)->metric, r)
                            : toc_stream_entity_decode((*out)->entity, r);
    return rc == 0 && toc_reader_left(r) != 0 ? TOC_ECORRUPT : rc;
}

int toc_stream_state_decode(struct toc_sv bytes, struct toc_stream **out, struct toc_err *err) {
    *out = NULL;
    struct toc_reader r;
    int rc = toc_model_frame_open(bytes, MAGIC, &r);
    if (rc == 0)
        rc = decode_body(&r, out, NULL);
    if (rc == 0)
        return 0;
    toc_stream_free(out);
    return toc_errf(err, rc, "stored stream: %s", toc_strerror(rc));
}
