/* Samples, histograms and label sets as Prometheus writes them in JSON. */
#include <math.h>

#include "api/prom_priv.h"
#include "base/num.h"
#include "model/histogram_math.h"

void toc_prom_seconds(struct toc_buf *out, int64_t t_ms) {
    char *p = toc_buf_reserve(out, TOC_U64_TEXT_MAX + 5);
    if (!p)
        return;
    char *start = p;
    uint64_t magnitude = t_ms < 0 ? 0 - (uint64_t)t_ms : (uint64_t)t_ms;
    if (t_ms < 0)
        *p++ = '-';
    p += toc_u64_text(magnitude / 1000, p);
    unsigned rest = (unsigned)(magnitude % 1000);
    if (rest) {
        *p++ = '.';
        *p++ = (char)('0' + rest / 100);
        *p++ = (char)('0' + rest / 10 % 10);
        *p++ = (char)('0' + rest % 10);
    }
    out->n += (size_t)(p - start);
}

static void append_value(struct toc_buf *out, double v) {
    char *p = toc_buf_reserve(out, TOC_F64_TEXT_MAX + 2);
    if (!p)
        return;
    *p = '"';
    size_t n = toc_f64_text(v, TOC_F64_JSON, p + 1);
    p[n + 1] = '"';
    out->n += n + 2;
}

void toc_prom_point(struct toc_buf *out, int64_t t_ms, double value) {
    toc_buf_append_char(out, '[');
    toc_prom_seconds(out, t_ms);
    toc_buf_append_char(out, ',');
    append_value(out, value);
    toc_buf_append_char(out, ']');
}

/* 0: open on the left, 1: open on the right, 2: both, 3: closed on both sides. */
static int boundary_rule(const struct toc_histogram *h, const struct toc_bucket *b) {
    if (toc_histogram_is_custom(h))
        return isinf(b->lower) ? 3 : 0;
    bool is_point = b->lower == b->upper; /* a zero bucket without width */
    bool is_lower_closed = b->lower < 0 || is_point;
    bool is_upper_closed = b->upper > 0 || is_point;
    return is_lower_closed ? (is_upper_closed ? 3 : 1) : (is_upper_closed ? 0 : 2);
}

static void append_bucket(struct toc_buf *out, const struct toc_histogram *h,
                          const struct toc_bucket *b) {
    toc_buf_append_char(out, '[');
    toc_buf_append_char(out, (char)('0' + boundary_rule(h, b)));
    toc_buf_append_char(out, ',');
    append_value(out, b->lower);
    toc_buf_append_char(out, ',');
    append_value(out, b->upper);
    toc_buf_append_char(out, ',');
    append_value(out, b->count);
    toc_buf_append_char(out, ']');
}

int toc_prom_histogram(struct toc_buf *out, const struct toc_histogram *h,
                       struct toc_arena *scratch) {
    size_t room = h->positive.size + h->negative.size + 1, shown = 0;
    struct toc_bucket *buckets = toc_arena_calloc(scratch, room, sizeof *buckets);
    if (!buckets)
        return TOC_ELIMIT;
    size_t n = toc_histogram_buckets(h, buckets);
    toc_buf_append_cstr(out, "{\"count\":");
    append_value(out, h->count);
    toc_buf_append_cstr(out, ",\"sum\":");
    append_value(out, h->sum);
    for (size_t i = 0; i < n; i++) {
        if (buckets[i].count == 0)
            continue;
        toc_buf_append_cstr(out, shown++ ? "," : ",\"buckets\":[");
        append_bucket(out, h, &buckets[i]);
    }
    toc_buf_append_cstr(out, shown ? "]}" : "}");
    return toc_buf_error(out);
}

void toc_prom_labels(struct toc_buf *out, struct toc_labels labels) {
    toc_buf_append_char(out, '{');
    for (size_t i = 0; i < labels.count; i++) {
        if (i)
            toc_buf_append_char(out, ',');
        toc_json_append_string(out, labels.items[i].name);
        toc_buf_append_char(out, ':');
        toc_json_append_string(out, labels.items[i].value);
    }
    toc_buf_append_char(out, '}');
}

void toc_prom_kv_time(struct toc_json_writer *w, const char *key, struct toc_ts t) {
    if (t.ms)
        toc_json_kv_time(w, key, t);
    else
        toc_json_kv_cstr(w, key, "0001-01-01T00:00:00Z");
}
