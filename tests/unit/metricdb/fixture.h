/* A database on a simulated disk under a virtual clock, and short ways to write and read. */
#ifndef TOC_TESTS_METRICDB_FIXTURE_H
#define TOC_TESTS_METRICDB_FIXTURE_H

#include "../cmocka_prelude.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "metricdb/metricdb.h"
#include "sys/vfs_sim.h"

struct fixture {
    struct toc_vfs_sim *disk;
    struct toc_clock_virtual clock;
    struct toc_metricdb_options options;
    struct toc_metricdb *db;
};

#define FIXTURE_START_MS INT64_C(1760000400000) /* two-hour boundary */

static inline void fixture_open(struct fixture *f) {
    struct toc_err err = {0};
    int rc = toc_metricdb_open(&f->options, &f->db, &err);
    if (rc)
        fail_msg("open: %s", err.message);
}

static inline void fixture_init(struct fixture *f, uint64_t seed) {
    *f = (struct fixture){.disk = toc_vfs_sim_new(seed)};
    toc_clock_virtual_init(&f->clock, (struct toc_ts){FIXTURE_START_MS});
    f->options = (struct toc_metricdb_options){
        .vfs = toc_vfs_sim_vfs(f->disk), .clock = &f->clock.base, .dir = "/data"};
    fixture_open(f);
}

static inline void fixture_fini(struct fixture *f) {
    toc_metricdb_close(&f->db);
    toc_vfs_sim_free(&f->disk);
}

static inline void fixture_reopen(struct fixture *f) {
    toc_metricdb_close(&f->db);
    fixture_open(f);
}

static inline struct toc_metricdb_stats fixture_stats(struct fixture *f) {
    struct toc_metricdb_stats s;
    toc_metricdb_stats(f->db, &s);
    return s;
}

/* Writes one sample of {__name__=name, i=instance}. Returns the code; *result may be NULL. */
static inline int fixture_write(struct fixture *f, const char *name, const char *instance,
                                int64_t t_ms, double value, struct toc_write_result *result) {
    struct toc_label items[] = {{TOC_METRIC_NAME, toc_sv_cstr(name)},
                                {TOC_SV("i"), toc_sv_cstr(instance)}};
    struct toc_point p = toc_float_point((struct toc_labels){items, instance ? 2 : 1}, t_ms, value);
    struct toc_write_result r;
    struct toc_sink *sink = toc_metricdb_sink(f->db);
    struct toc_err err = {0};
    int rc = sink->write(sink, &p, 1, &r, &err);
    if (result)
        *result = r;
    return rc;
}

struct fixture_found {
    size_t series, samples;
    int64_t first_ms, last_ms;
    double last;
    double sum;
};

static inline int fixture_count(void *ctx, const struct toc_series_view *s) {
    struct fixture_found *x = ctx;
    x->series++;
    for (size_t i = 0; i < s->count; i++) {
        if (!x->samples++)
            x->first_ms = s->t_ms[i];
        x->last_ms = s->t_ms[i];
        x->last = s->values[i];
        x->sum += s->values[i];
        if (i)
            assert_true(s->t_ms[i] > s->t_ms[i - 1]);
    }
    return 0;
}

/* Everything of a metric in a range. */
static inline struct fixture_found fixture_select(struct fixture *f, const char *name,
                                                  int64_t min_ms, int64_t max_ms) {
    struct toc_matcher m;
    struct fixture_found x = {0};
    assert_int_equal(toc_matcher_init(&m, TOC_MATCH_EQ, TOC_METRIC_NAME, toc_sv_cstr(name), NULL),
                     0);
    struct toc_select s = {.matchers = &m, .matcher_count = 1, .min_ms = min_ms, .max_ms = max_ms};
    struct toc_querier *q = toc_metricdb_querier(f->db);
    assert_int_equal(q->select(q, &s, fixture_count, &x, NULL), 0);
    toc_matcher_fini(&m);
    return x;
}

/* Moves the clock and lets the database do its housekeeping. */
static inline void fixture_advance(struct fixture *f, int64_t ms) {
    toc_clock_virtual_advance(&f->clock, ms);
    assert_int_equal(toc_metricdb_maintain(f->db, NULL), 0);
}

/* Opens the snapshot beside the database; its path goes to `dir`, which must live as long. */
static inline struct fixture fixture_open_snapshot(struct fixture *f, const char *name, char *dir,
                                                   size_t dir_size) {
    struct fixture copy = *f;
    snprintf(dir, dir_size, "/data/snapshots/%s", name);
    copy.options.dir = dir;
    copy.db = NULL;
    fixture_open(&copy);
    return copy;
}

#endif
