/*
 * Messages with spans, the first byte chooses the encoding. Oracles: a message is counted whole or
 * not at all; every span is counted, passed over or dropped; labels are short UTF-8 and numbers of
 * a series only grow; the same message in a second receiver counts the same.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "remote/span_metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double g_sum;

static int take(struct toc_sink *s, const struct toc_point *points, size_t count,
                struct toc_write_result *out, struct toc_err *err) {
    (void)s, (void)err;
    for (size_t i = 0; i < count; i++) {
        struct toc_sv metric = toc_labels_get(points[i].labels, TOC_METRIC_NAME);
        bool is_score = toc_sv_eq_cstr(metric, "gen_ai_span_evaluation_score");
        if (!isfinite(points[i].value) || (!is_score && points[i].value < 0))
            abort();
        g_sum += points[i].value;
        for (size_t k = 0; k < points[i].labels.count; k++)
            if (!toc_sv_is_utf8(points[i].labels.items[k].value) ||
                points[i].labels.items[k].value.n > 128)
                abort();
    }
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

static int receive(enum toc_otlp_encoding encoding, struct toc_sv body,
                   struct toc_spans_stats *out) {
    struct toc_clock_virtual clock;
    struct toc_sink sink = {take, NULL};
    toc_clock_virtual_init(&clock, (struct toc_ts){INT64_C(1795744100000)});
    struct toc_spans *s = toc_spans_new(&(struct toc_spans_options){
        .sink = &sink, .clock = &clock.base, .max_values = 3, .max_series = 4});
    g_sum = 0;
    int rc = toc_spans_receive(s, encoding, body, NULL);
    toc_spans_flush(s);
    toc_spans_stats(s, out);
    toc_spans_free(&s);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_spans_stats first, second;
    if (size < 1)
        return 0;
    enum toc_otlp_encoding encoding = data[0] & 1 ? TOC_OTLP_JSON : TOC_OTLP_PROTOBUF;
    struct toc_sv body = toc_sv_make((const char *)data + 1, size - 1);
    int rc = receive(encoding, body, &first);
    double sum = g_sum;
    if (receive(encoding, body, &second) != rc || memcmp(&first, &second, sizeof first) != 0 ||
        g_sum != sum)
        abort();
    if (first.spans != first.counted + first.others + first.dropped)
        abort();
    if (first.evaluations + first.evaluations_left_out && rc)
        abort();
    if (rc && (first.spans || g_sum > 0 || first.failed_requests != 1))
        abort();
    return 0;
}
