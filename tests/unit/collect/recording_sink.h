/* A sink that remembers what was written, by text of the series. */
#ifndef TOC_TESTS_RECORDING_SINK_H
#define TOC_TESTS_RECORDING_SINK_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../cmocka_prelude.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/vec.h"
#include "model/sink.h"

struct recorded {
    char *series;
    int64_t t_ms;
    double value;
};

struct recording_sink {
    struct toc_sink base;
    struct {
        TOC_VEC_FIELDS(struct recorded)
    } points;
    size_t writes;
    int fail_with; /* next write fails */
};

static int recording_write(struct toc_sink *s, const struct toc_point *points, size_t count,
                           struct toc_write_result *out, struct toc_err *err) {
    struct recording_sink *r = (struct recording_sink *)s;
    r->writes++;
    if (r->fail_with)
        return toc_errf(err, r->fail_with, "the disk is full");
    for (size_t i = 0; i < count; i++) {
        struct toc_buf text = TOC_BUF_INIT;
        toc_labels_format(points[i].labels, &text);
        TOC_VEC_PUSH(&r->points, ((struct recorded){toc_xstrdup(toc_buf_cstr(&text)),
                                                    points[i].t_ms, points[i].value}));
        toc_buf_fini(&text);
    }
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

static inline void recording_init(struct recording_sink *r) {
    *r = (struct recording_sink){.base = {recording_write, NULL}};
}

static inline void recording_clear(struct recording_sink *r) {
    for (size_t i = 0; i < r->points.count; i++)
        toc_free(r->points.items[i].series);
    r->points.count = 0;
}

static inline void recording_fini(struct recording_sink *r) {
    recording_clear(r);
    TOC_VEC_FINI(&r->points);
}

/* The last point of a series, NULL when there is none. */
static inline const struct recorded *recorded_last(const struct recording_sink *r,
                                                   const char *series) {
    for (size_t i = r->points.count; i-- > 0;)
        if (strcmp(r->points.items[i].series, series) == 0)
            return &r->points.items[i];
    return NULL;
}

static inline size_t recorded_count(const struct recording_sink *r, const char *series) {
    size_t n = 0;
    for (size_t i = 0; i < r->points.count; i++)
        n += strcmp(r->points.items[i].series, series) == 0;
    return n;
}

#define assert_recorded(sink, series, want)                               \
    do {                                                                  \
        const struct recorded *toc_r_ = recorded_last((sink), (series));  \
        if (!toc_r_)                                                      \
            fail_msg("no series %s", (series));                           \
        else                                                              \
            assert_true(toc_r_->value == (double)(want) ||                \
                        (isnan(toc_r_->value) && isnan((double)(want)))); \
    } while (0)

#endif
