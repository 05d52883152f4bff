#include "remote/import.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "remote/import_batch.h"
#include "sys/thread.h"

struct counters {
    atomic_ullong requests, failed, bytes, lines, rejected_lines, samples;
};

struct toc_import {
    struct toc_metricdb *db;
    struct toc_clock *clock;
    struct toc_mutex mutex; /* guards influx */
    struct toc_influx_options influx;
    struct counters formats[TOC_IMPORT_FORMAT_COUNT];
    atomic_ullong skipped_strings;
    atomic_ullong refused[TOC_IMPORT_REFUSAL_COUNT];
    atomic_ullong rejected[TOC_REJECT_REASON_COUNT];
};

const char *toc_import_format_text(enum toc_import_format f) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_IMPORT_FORMAT_TABLE(X)
#undef X
    };
    return f < TOC_IMPORT_FORMAT_COUNT ? texts[f] : "unknown";
}

const char *toc_import_refusal_text(enum toc_import_refusal r) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_IMPORT_REFUSAL_TABLE(X)
#undef X
    };
    return r < TOC_IMPORT_REFUSAL_COUNT ? texts[r] : "unknown";
}

struct toc_import *toc_import_new(const struct toc_influx_options *influx, struct toc_metricdb *db,
                                  struct toc_clock *clock) {
    struct toc_import *im = TOC_NEW(struct toc_import);
    im->db = db;
    im->clock = clock;
    im->influx = *influx;
    toc_mutex_init(&im->mutex, TOC_LOCK_REMOTE);
    return im;
}

void toc_import_free(struct toc_import **im) {
    if (!*im)
        return;
    toc_mutex_fini(&(*im)->mutex);
    toc_free(*im);
    *im = NULL;
}

void toc_import_set_influx(struct toc_import *im, const struct toc_influx_options *influx) {
    toc_mutex_lock(&im->mutex);
    im->influx = *influx;
    toc_mutex_unlock(&im->mutex);
}

static struct toc_influx_options influx_now(struct toc_import *im) {
    toc_mutex_lock(&im->mutex);
    struct toc_influx_options influx = im->influx;
    toc_mutex_unlock(&im->mutex);
    return influx;
}

static void add_to(atomic_ullong *counter, uint64_t n) {
    if (n)
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void count(struct toc_import *im, enum toc_import_format format, size_t bytes,
                  const struct toc_import_outcome *o, int rc) {
    struct counters *c = &im->formats[format];
    add_to(&c->requests, 1);
    add_to(&c->failed, rc != 0);
    add_to(&c->bytes, bytes);
    add_to(&c->lines, o->lines);
    add_to(&c->rejected_lines, o->rejected_lines);
    add_to(&c->samples, o->samples);
    add_to(&im->skipped_strings, o->skipped_strings);
    for (size_t i = 0; i < TOC_IMPORT_REFUSAL_COUNT; i++)
        add_to(&im->refused[i], o->refused[i]);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        add_to(&im->rejected[i], o->rejected[i]);
}

static int parse(struct import_batch *b, enum toc_import_format format, struct toc_sv text,
                 struct toc_err *err) {
    switch (format) {
    case TOC_IMPORT_INFLUX:
        return import_influx(b, text, err);
    case TOC_IMPORT_EXPOSITION:
        return import_exposition(b, text, err);
    case TOC_IMPORT_JSONL:
        return import_jsonl(b, text, err);
    default:
        return import_csv(b, text, err);
    }
}

int toc_import_receive(struct toc_import *im, enum toc_import_format format,
                       const struct toc_import_options *options, struct toc_sv text,
                       struct toc_import_outcome *out, struct toc_err *err) {
    struct import_batch b;
    struct toc_influx_options influx = influx_now(im);
    int64_t now_ms = options->default_ms ? options->default_ms : toc_clock_now(im->clock).ms;
    *out = (struct toc_import_outcome){0};
    import_batch_init(&b, im->db, options, now_ms, out);
    b.influx = &influx;
    int rc = parse(&b, format, text, err);
    import_batch_fini(&b);
    count(im, format, text.n, out, rc);
    return rc;
}

void toc_import_stats(struct toc_import *im, struct toc_import_stats *out) {
    *out = (struct toc_import_stats){.skipped_strings = atomic_load(&im->skipped_strings)};
    for (size_t i = 0; i < TOC_IMPORT_FORMAT_COUNT; i++) {
        struct counters *c = &im->formats[i];
        out->formats[i] = (struct toc_import_format_stats){
            .requests = atomic_load(&c->requests),
            .failed_requests = atomic_load(&c->failed),
            .bytes = atomic_load(&c->bytes),
            .lines = atomic_load(&c->lines),
            .rejected_lines = atomic_load(&c->rejected_lines),
            .samples = atomic_load(&c->samples),
        };
    }
    for (size_t i = 0; i < TOC_IMPORT_REFUSAL_COUNT; i++)
        out->refused[i] = atomic_load(&im->refused[i]);
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        out->rejected[i] = atomic_load(&im->rejected[i]);
}
