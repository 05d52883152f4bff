#include "collect/report_queue_priv.h"

#include <stdio.h>

#include "base/alloc.h"
#include "sys/log.h"

enum { PIECE_BYTES = 1 << 20 };

static void on_run(struct toc_report_taker *taker, const struct toc_run_report *r) {
    struct toc_report_queue *q = TOC_CONTAINER_OF(taker, struct toc_report_queue, taker);
    toc_run_report_write(r, &q->lines);
    toc_buf_append_char(&q->lines, '\n');
}

static void on_serve(struct toc_report_taker *taker, const struct toc_serve_report *r) {
    struct toc_report_queue *q = TOC_CONTAINER_OF(taker, struct toc_report_queue, taker);
    for (size_t i = 0; i < r->count; i++) {
        struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
        toc_labels_builder_set(&b, TOC_METRIC_NAME, r->samples[i].metric);
        toc_labels_builder_set(&b, TOC_SV("job"), TOC_SV("log"));
        toc_labels_builder_set(&b, TOC_SV("instance"), toc_sv_cstr(q->run));
        if (r->engine.n)
            toc_labels_builder_set(&b, TOC_SV("engine"), r->engine);
        struct toc_labels labels = toc_labels_dup(toc_labels_builder_finish(&b));
        TOC_VEC_PUSH(&q->points, toc_float_point(labels, r->t.ms, r->samples[i].value));
        toc_labels_builder_fini(&b);
    }
}

void toc_report_queue_init(struct toc_report_queue *q, struct toc_run_receiver *receiver,
                           struct toc_sink *sink) {
    *q = (struct toc_report_queue){
        .taker = {on_run, sink ? on_serve : NULL}, .receiver = receiver, .sink = sink};
}

static void forget_points(struct toc_report_queue *q) {
    for (size_t i = 0; i < q->points.count; i++) {
        struct toc_labels labels = q->points.items[i].labels;
        toc_labels_free(&labels);
    }
    q->points.count = 0;
}

void toc_report_queue_fini(struct toc_report_queue *q) {
    forget_points(q);
    TOC_VEC_FINI(&q->points);
    toc_buf_fini(&q->lines);
}

bool toc_report_queue_is_empty(const struct toc_report_queue *q) {
    return !q->lines.n && !q->points.count;
}

void toc_report_queue_begin(struct toc_report_queue *q, struct toc_sv run) {
    toc_sv_copy(run, q->run, sizeof q->run);
}

static int put(struct toc_report_queue *q, struct toc_sv lines, struct toc_ts now,
               struct toc_err *err) {
    struct toc_run_body body = {
        .run = toc_sv_cstr(q->run), .format = TOC_RUN_JSONL, .bytes = lines, .is_file = true};
    return toc_run_receiver_put(q->receiver, &body, now, err);
}

static bool is_bad_line(int rc) {
    return rc == TOC_EPARSE || rc == TOC_ELIMIT;
}

static void leave_out(struct toc_report_queue *q, const char *why) {
    q->lines_skipped++;
    snprintf(q->last_error, sizeof q->last_error, "%.100s: %.150s", q->run, why);
    toc_log(TOC_LOG_DEBUG, "runs", "%s: report left out: %s", q->run, why);
}

/* After a refused piece: each line alone, so that a bad one costs itself only. */
static int put_each(struct toc_report_queue *q, struct toc_sv lines, struct toc_ts now,
                    struct toc_err *err) {
    struct toc_sv line;
    while (lines.n && toc_sv_split(&lines, '\n', &line)) {
        struct toc_err why = {0};
        int rc = put(q, line, now, &why);
        if (rc && !is_bad_line(rc))
            return toc_errf(err, rc, "%s", why.message);
        if (rc)
            leave_out(q, why.message);
        q->sent += line.n + 1;
    }
    return 0;
}

/* Whole lines of about a megabyte. */
static struct toc_sv next_piece(const struct toc_report_queue *q) {
    struct toc_sv rest = toc_sv_sub(toc_buf_sv(&q->lines), q->sent, SIZE_MAX);
    if (rest.n <= PIECE_BYTES)
        return rest;
    size_t end = toc_sv_find_char(toc_sv_sub(rest, PIECE_BYTES, SIZE_MAX), '\n');
    return toc_sv_sub(rest, 0, PIECE_BYTES + end + 1);
}

static int send_points(struct toc_report_queue *q, struct toc_err *err) {
    struct toc_write_result result = {0};
    if (!q->points.count)
        return 0;
    int rc = q->sink->write(q->sink, q->points.items, q->points.count, &result, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        q->samples_refused += result.rejected[i];
    forget_points(q);
    return 0;
}

int toc_report_queue_send(struct toc_report_queue *q, struct toc_ts now, struct toc_err *err) {
    while (q->sent < q->lines.n) {
        struct toc_sv piece = next_piece(q);
        struct toc_err why = {0};
        int rc = put(q, piece, now, &why);
        if (is_bad_line(rc))
            rc = put_each(q, piece, now, &why);
        else if (!rc)
            q->sent += piece.n;
        if (rc)
            return toc_errf(err, rc, "%s", why.message);
    }
    toc_buf_reset(&q->lines);
    q->sent = 0;
    return send_points(q, err);
}
