#include "api/prom_result.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/num.h"

enum { PIECE_BYTES = 64 << 10, NOTES_MAX = 10 };

/* How far the writing has got. */
struct result_body {
    struct toc_promql_result result;
    size_t series_count; /* to be written, after the limit */
    size_t series;
    bool has_begun, was_cut;
    bool has_stats;
    struct toc_prom_stats stats;
    const char *more_warning;
    struct toc_arena scratch;
};

/* ------------------------------------------------------------------------------------------
 * series */

/* The points of a series that are histograms, or those that are not. */
static bool is_of_kind(const struct toc_promql_point *p, bool histograms) {
    return (p->histogram != NULL) == histograms;
}

static int append_point(struct result_body *b, struct toc_buf *out,
                        const struct toc_promql_point *p) {
    if (!p->histogram) {
        toc_prom_point(out, p->t_ms, p->value);
        return 0;
    }
    toc_buf_append_char(out, '[');
    toc_prom_seconds(out, p->t_ms);
    toc_buf_append_char(out, ',');
    int rc = toc_prom_histogram(out, p->histogram, &b->scratch);
    toc_buf_append_char(out, ']');
    toc_arena_reset(&b->scratch);
    return rc;
}

static int append_points(struct result_body *b, struct toc_buf *out,
                         const struct toc_promql_series *s, bool histograms) {
    bool is_first = true;
    int rc = 0;
    for (size_t i = 0; i < s->count && rc == 0; i++) {
        if (!is_of_kind(&s->points[i], histograms))
            continue;
        toc_buf_append_cstr(out,
                            is_first ? (histograms ? ",\"histograms\":[" : ",\"values\":[") : ",");
        is_first = false;
        rc = append_point(b, out, &s->points[i]);
    }
    if (!is_first)
        toc_buf_append_char(out, ']');
    return rc;
}

static int append_series(struct result_body *b, struct toc_buf *out) {
    const struct toc_promql_series *s = &b->result.series[b->series];
    int rc = 0;
    toc_buf_append_cstr(out, b->series ? ",{\"metric\":" : "{\"metric\":");
    toc_prom_labels(out, s->labels);
    if (b->result.type == TOC_PROMQL_VECTOR) {
        toc_buf_append_cstr(out, s->points[0].histogram ? ",\"histogram\":" : ",\"value\":");
        rc = append_point(b, out, &s->points[0]);
    } else {
        rc = append_points(b, out, s, false);
        if (rc == 0)
            rc = append_points(b, out, s, true);
    }
    toc_buf_append_char(out, '}');
    return rc;
}

/* ------------------------------------------------------------------------------------------
 * the rest of the envelope */

/* Scalars and strings: upstream prints their time as a plain number and never with an exponent. */
static void append_single(struct result_body *b, struct toc_buf *out) {
    toc_buf_append_char(out, '[');
    toc_format_f64((double)b->result.scalar_t_ms / 1000.0, out);
    toc_buf_append_char(out, ',');
    if (b->result.type == TOC_PROMQL_STRING) {
        toc_json_append_string(out, b->result.string);
    } else {
        toc_buf_append_char(out, '"');
        toc_format_f64(b->result.scalar, out);
        toc_buf_append_char(out, '"');
    }
    toc_buf_append_char(out, ']');
}

static void append_head(struct result_body *b, struct toc_buf *out) {
    static const char *const names[] = {
        [TOC_PROMQL_SCALAR] = "scalar",
        [TOC_PROMQL_VECTOR] = "vector",
        [TOC_PROMQL_MATRIX] = "matrix",
        [TOC_PROMQL_STRING] = "string",
    };
    toc_buf_printf(out, "{\"status\":\"success\",\"data\":{\"resultType\":\"%s\",\"result\":",
                   names[b->result.type]);
    if (b->result.type == TOC_PROMQL_SCALAR || b->result.type == TOC_PROMQL_STRING)
        append_single(b, out);
    else
        toc_buf_append_char(out, '[');
    b->has_begun = true;
}

static void append_stats(const struct toc_prom_stats *s, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    toc_buf_append_cstr(out, ",\"stats\":");
    toc_json_begin_object(&w);
    toc_json_key(&w, "timings");
    toc_json_begin_object(&w);
    toc_json_kv_double(&w, "evalTotalTime", s->prepare_s + s->evaluate_s);
    toc_json_kv_double(&w, "resultSortTime", 0);
    toc_json_kv_double(&w, "queryPreparationTime", s->prepare_s);
    toc_json_kv_double(&w, "innerEvalTime", s->evaluate_s);
    toc_json_kv_double(&w, "execQueueTime", s->queue_s);
    toc_json_kv_double(&w, "execTotalTime", s->total_s);
    toc_json_end_object(&w);
    toc_json_key(&w, "samples");
    toc_json_begin_object(&w);
    toc_json_kv_int(&w, "totalQueryableSamples", (int64_t)s->samples);
    toc_json_kv_int(&w, "peakSamples", (int64_t)s->peak_samples);
    toc_json_kv_int(&w, "samplesRead", (int64_t)s->samples_read);
    toc_json_end_object(&w);
    toc_json_end_object(&w);
}

/* At most NOTES_MAX of what the evaluator noted, then how many more there were. */
static void append_notes(struct toc_buf *out, const char *level, const struct toc_sv *notes,
                         size_t count, bool was_cut, const char *more) {
    struct toc_json_writer w;
    if (count == 0 && !was_cut && !more)
        return;
    toc_buf_printf(out, ",\"%ss\":", level);
    toc_json_writer_init(&w, out);
    toc_json_begin_array(&w);
    for (size_t i = 0; i < count && i < NOTES_MAX; i++)
        toc_json_string(&w, notes[i]);
    if (count > NOTES_MAX) {
        char text[64];
        snprintf(text, sizeof text, "%zu more %s annotations omitted", count - NOTES_MAX, level);
        toc_json_cstr(&w, text);
    }
    if (was_cut)
        toc_json_cstr(&w, TOC_PROM_CUT);
    if (more)
        toc_json_cstr(&w, more);
    toc_json_end_array(&w);
}

static void append_tail(struct result_body *b, struct toc_buf *out) {
    const struct toc_promql_result *r = &b->result;
    if (r->type != TOC_PROMQL_SCALAR && r->type != TOC_PROMQL_STRING)
        toc_buf_append_char(out, ']');
    if (b->has_stats)
        append_stats(&b->stats, out);
    toc_buf_append_char(out, '}');
    append_notes(out, "warning", r->warnings, r->warning_count, b->was_cut, b->more_warning);
    append_notes(out, "info", r->infos, r->info_count, false, NULL);
    toc_buf_append_char(out, '}');
}

static int fill(void *ctx, struct toc_buf *out) {
    struct result_body *b = ctx;
    int rc = 0;
    if (!b->has_begun)
        append_head(b, out);
    for (; b->series < b->series_count && out->n < PIECE_BYTES && rc == 0; b->series++)
        rc = append_series(b, out);
    if (rc < 0)
        return rc;
    if (b->series < b->series_count)
        return 1;
    append_tail(b, out);
    return 0;
}

static void close_body(void *ctx) {
    struct result_body *b = ctx;
    toc_promql_result_fini(&b->result);
    toc_arena_fini(&b->scratch);
    toc_free(b);
}

void toc_prom_answer_result(struct toc_api_call *c, struct toc_promql_result *take_result,
                            size_t limit, const struct toc_prom_stats *stats,
                            const char *more_warning) {
    struct result_body *b = TOC_NEW(struct result_body);
    b->result = *take_result;
    *take_result = (struct toc_promql_result){0};
    bool has_series = b->result.type == TOC_PROMQL_VECTOR || b->result.type == TOC_PROMQL_MATRIX;
    b->series_count = has_series ? b->result.series_count : 0;
    b->was_cut = limit && limit < b->series_count;
    if (b->was_cut)
        b->series_count = limit;
    b->has_stats = stats != NULL;
    if (stats)
        b->stats = *stats;
    b->more_warning = more_warning;
    c->res->producer = (struct toc_http_producer){fill, close_body, b};
}
