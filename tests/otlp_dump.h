/* Everything a store holds, as text: one line for each sample, `labels value@ms`. */
#ifndef TOC_TESTS_OTLP_DUMP_H
#define TOC_TESTS_OTLP_DUMP_H

#include "base/num.h"
#include "metricdb/metricdb.h"
#include "model/sample.h"

static inline void otlp_dump_buckets(struct toc_buf *out, const char *what,
                                     const struct toc_buckets *b) {
    for (size_t i = 0; i < b->size; i++) {
        toc_buf_printf(out, "%s%s%d:", i ? "," : " ", i ? "" : what, b->index[i]);
        toc_format_f64(b->count[i], out);
    }
}

static inline void otlp_dump_histogram(struct toc_buf *out, const struct toc_histogram *h) {
    toc_buf_printf(out, "{s%d count:", h->schema);
    toc_format_f64(h->count, out);
    toc_buf_append_cstr(out, " sum:");
    if (toc_is_stale_nan(h->sum))
        toc_buf_append_cstr(out, "stale");
    else
        toc_format_f64(h->sum, out);
    if (h->zero_count != 0 || h->zero_threshold != 0) {
        toc_buf_append_cstr(out, " zero:");
        toc_format_f64_g(h->zero_threshold, out);
        toc_buf_append_char(out, ':');
        toc_format_f64(h->zero_count, out);
    }
    otlp_dump_buckets(out, "+", &h->positive);
    otlp_dump_buckets(out, "-", &h->negative);
    for (size_t i = 0; i < h->custom_bound_count; i++) {
        toc_buf_append_cstr(out, i ? "," : " le ");
        toc_format_f64(h->custom_bounds[i], out);
    }
    toc_buf_append_char(out, '}');
}

static inline int otlp_dump_series(void *ctx, const struct toc_series_view *s) {
    struct toc_buf *out = ctx;
    for (size_t i = 0; i < s->count; i++) {
        toc_labels_format(s->labels, out);
        toc_buf_append_char(out, ' ');
        if (s->histograms && s->histograms[i])
            otlp_dump_histogram(out, s->histograms[i]);
        else if (toc_is_stale_nan(s->values[i]))
            toc_buf_append_cstr(out, "stale");
        else
            toc_format_f64(s->values[i], out);
        toc_buf_printf(out, "@%lld\n", (long long)s->t_ms[i]);
    }
    return 0;
}

static inline int otlp_dump(struct toc_metricdb *db, struct toc_buf *out) {
    struct toc_matcher m;
    int rc = toc_matcher_init(&m, TOC_MATCH_NE, TOC_METRIC_NAME, TOC_SV(""), NULL);
    struct toc_select s = {.matchers = &m,
                           .matcher_count = 1,
                           .min_ms = INT64_MIN,
                           .max_ms = INT64_MAX,
                           .sorted = true};
    struct toc_querier *q = toc_metricdb_querier(db);
    if (!rc)
        rc = q->select(q, &s, otlp_dump_series, out, NULL);
    toc_matcher_fini(&m);
    return rc;
}

#endif
