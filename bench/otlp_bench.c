/*
 * otlp_bench [SERIES [ROUNDS [DIR]]]: cost of OTLP without HTTP. A message is what a Collector
 * sends: 10 resources with 6 attributes, 20 metrics each, points with 5 attributes; one metric is
 * a histogram of 12 buckets, one an exponential one. Each round is one message of all series, 15 s
 * later. Decoding alone, then decoding, translating and writing (durability os), in points per CPU
 * second.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/otlp_writer.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "remote/otlp.h"
#include "sys/clock.h"
#include "sys/env.h"

enum { RESOURCES = 10, METRICS = 20, ATTRIBUTES = 5, BOUNDS = 11 };

struct bench {
    struct toc_arena arena;
    struct otlp_message message;
    struct toc_rng rng;
    size_t points_per_metric, points, samples;
    int64_t t_ms;
};

static struct toc_sv text(struct bench *b, const char *format, size_t i) {
    char buffer[64];
    int n = snprintf(buffer, sizeof buffer, format, i);
    return toc_arena_dup_sv(&b->arena, toc_sv_make(buffer, (size_t)n));
}

static struct otlp_attributes point_attributes(struct bench *b, size_t i) {
    static const char *const keys[ATTRIBUTES] = {"http.request.method", "http.route",
                                                 "http.response.status_code", "server.address",
                                                 "network.protocol.version"};
    struct otlp_attributes a = {TOC_ARENA_NEW_ARRAY(&b->arena, struct otlp_attribute, ATTRIBUTES),
                                ATTRIBUTES};
    const struct toc_sv values[ATTRIBUTES] = {
        toc_sv_cstr(i % 2 ? "GET" : "POST"), text(b, "/api/v1/item/%zu", i),
        text(b, "%zu", 200 + i % 5), TOC_SV("api.example.com"), TOC_SV("1.1")};
    for (size_t k = 0; k < ATTRIBUTES; k++)
        a.items[k] = (struct otlp_attribute){toc_sv_cstr(keys[k]), values[k]};
    return a;
}

static void make_resource(struct bench *b, struct otlp_resource *r, size_t i) {
    static const char *const keys[] = {
        "service.name",       "service.instance.id",    "host.name",
        "k8s.namespace.name", "telemetry.sdk.language", "service.version"};
    r->attributes.count = 6;
    r->attributes.items = TOC_ARENA_NEW_ARRAY(&b->arena, struct otlp_attribute, 6);
    for (size_t k = 0; k < 6; k++)
        r->attributes.items[k] =
            (struct otlp_attribute){toc_sv_cstr(keys[k]), text(b, "value-%zu", i * 7 + k)};
    r->count = 1;
    r->scopes = TOC_ARENA_NEW(&b->arena, struct otlp_scope);
    r->scopes->name = TOC_SV("bench");
    r->scopes->count = METRICS;
    r->scopes->metrics = TOC_ARENA_NEW_ARRAY(&b->arena, struct otlp_metric, METRICS);
}

static struct otlp_distribution *make_distribution(struct bench *b, enum otlp_kind kind) {
    struct otlp_distribution *x = TOC_ARENA_NEW(&b->arena, struct otlp_distribution);
    double *numbers = TOC_ARENA_NEW_ARRAY(&b->arena, double, 2 * BOUNDS + 1);
    x->has_sum = true;
    for (size_t i = 0; i < BOUNDS; i++)
        numbers[BOUNDS + 1 + i] = (double)(1 << i) / 100;
    struct otlp_numbers counts = {numbers, BOUNDS + 1};
    if (kind == OTLP_HISTOGRAM) {
        x->counts = counts;
        x->bounds = (struct otlp_numbers){numbers + BOUNDS + 1, BOUNDS};
    } else {
        x->scale = 3;
        x->positive = (struct otlp_buckets){-10, counts};
    }
    return x;
}

static void make_metric(struct bench *b, struct otlp_metric *m, size_t k) {
    m->name = text(b, "http.server.metric.%zu", k);
    m->description = TOC_SV("What it measures.");
    m->unit = TOC_SV("s");
    m->kind = k == 0 ? OTLP_HISTOGRAM : k == 1 ? OTLP_EXPONENTIAL : k % 2 ? OTLP_GAUGE : OTLP_SUM;
    m->temporality = OTLP_CUMULATIVE;
    m->is_monotonic = true;
    m->count = b->points_per_metric;
    m->points = TOC_ARENA_NEW_ARRAY(&b->arena, struct otlp_point, m->count);
    for (size_t i = 0; i < m->count; i++) {
        m->points[i].attributes = point_attributes(b, i);
        m->points[i].has_value = m->kind == OTLP_SUM || m->kind == OTLP_GAUGE;
        if (!m->points[i].has_value)
            m->points[i].distribution = make_distribution(b, m->kind);
    }
    b->points += m->count;
    b->samples += m->count * (m->kind == OTLP_HISTOGRAM ? BOUNDS + 3 : 1);
}

static void make_message(struct bench *b) {
    toc_arena_init(&b->arena, 0);
    b->message.count = RESOURCES;
    b->message.resources = TOC_ARENA_NEW_ARRAY(&b->arena, struct otlp_resource, RESOURCES);
    for (size_t i = 0; i < RESOURCES; i++) {
        make_resource(b, &b->message.resources[i], i);
        for (size_t k = 0; k < METRICS; k++)
            make_metric(b, &b->message.resources[i].scopes->metrics[k], k);
    }
}

static void step_point(struct bench *b, struct otlp_point *p) {
    p->time_ns = b->t_ms * 1000000;
    p->value += (double)toc_rng_below(&b->rng, 100);
    struct otlp_distribution *x = p->distribution;
    struct otlp_numbers *n = !x ? NULL : x->counts.count ? &x->counts : &x->positive.counts;
    for (size_t i = 0; n && i < n->count; i++) {
        uint64_t more = toc_rng_below(&b->rng, 4);
        n->items[i] += (double)more;
        x->count += more;
        x->sum += (double)more / 8;
    }
}

/* The next message. */
static void step(struct bench *b) {
    b->t_ms += 15000;
    for (size_t i = 0; i < b->message.count; i++)
        for (size_t k = 0; k < METRICS; k++)
            for (size_t n = 0; n < b->points_per_metric; n++)
                step_point(b, &b->message.resources[i].scopes->metrics[k].points[n]);
}

static void report(const struct bench *b, const char *what, double seconds, size_t rounds,
                   size_t bytes) {
    double points = (double)(b->points * rounds), samples = (double)(b->samples * rounds);
    printf("%-22s %6.2f M points/s, %6.2f M samples/s, %5.1f ns/sample, %4.0f MB/s\n", what,
           points / seconds / 1e6, samples / seconds / 1e6, seconds / samples * 1e9,
           (double)bytes / seconds / 1e6);
}

typedef int decode(struct toc_sv body, struct toc_arena *arena, struct otlp_message *out,
                   struct toc_err *err);

static void bench_decode(struct bench *b, const char *what, decode *fn,
                         const struct toc_buf *body) {
    enum { TIMES = 20 };
    double start = toc_process_cpu_s();
    for (int i = 0; i < TIMES; i++) {
        struct toc_arena arena;
        struct otlp_message m;
        toc_arena_init(&arena, 0);
        if (fn(toc_buf_sv(body), &arena, &m, NULL) || m.point_count != b->points)
            abort();
        toc_arena_fini(&arena);
    }
    report(b, what, toc_process_cpu_s() - start, TIMES, body->n * TIMES);
}

static void bench_receive(struct bench *b, enum toc_otlp_encoding encoding, size_t rounds,
                          const char *dir) {
    struct toc_metricdb *db;
    struct toc_clock_virtual clock;
    struct toc_err err = {0};
    size_t bytes = 0;
    double seconds = 0, first = 0;
    toc_clock_virtual_init(&clock, (struct toc_ts){b->t_ms});
    struct toc_metricdb_options o = {
        .clock = &clock.base, .dir = dir, .durability = TOC_DURABILITY_OS};
    if (toc_metricdb_open(&o, &db, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    struct toc_otlp *otlp = toc_otlp_new(&(struct toc_otlp_options){0}, db, &clock.base);
    for (size_t i = 0; i <= rounds; i++) {
        struct toc_buf body = TOC_BUF_INIT;
        struct toc_otlp_outcome x;
        step(b);
        toc_clock_virtual_advance(&clock, 15000);
        if (encoding == TOC_OTLP_JSON)
            otlp_write_json(&b->message, &body);
        else
            otlp_write_proto(&b->message, &body);
        double start = toc_process_cpu_s();
        if (toc_otlp_receive(otlp, encoding, toc_buf_sv(&body), &x, &err) || x.rejected_points) {
            fprintf(stderr, "%s %.*s\n", err.message, TOC_SV_ARG(toc_buf_sv(&x.text)));
            exit(1);
        }
        if (i == 0)
            first = toc_process_cpu_s() - start;
        else
            seconds += toc_process_cpu_s() - start;
        bytes += i ? body.n : 0;
        toc_buf_fini(&x.text);
        toc_buf_fini(&body);
    }
    report(b, encoding == TOC_OTLP_JSON ? "JSON, new series" : "protobuf, new series", first, 1, 0);
    report(b, encoding == TOC_OTLP_JSON ? "JSON, stored" : "protobuf, stored", seconds, rounds,
           bytes);
    toc_otlp_free(&otlp);
    toc_metricdb_close(&db);
}

int main(int argc, char **argv) {
    size_t series = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000;
    size_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    const char *dir = argc > 3 ? argv[3] : "otlp-bench-data";
    struct bench b = {.points_per_metric = series / RESOURCES / METRICS,
                      .t_ms = INT64_C(1760000400000)};
    struct toc_buf proto = TOC_BUF_INIT, json = TOC_BUF_INIT, path = TOC_BUF_INIT;
    toc_rng_seed(&b.rng, 1);
    make_message(&b);
    step(&b);
    otlp_write_proto(&b.message, &proto);
    otlp_write_json(&b.message, &json);
    printf("%zu points, %zu samples a message; protobuf %zu bytes, JSON %zu bytes\n", b.points,
           b.samples, proto.n, json.n);
    bench_decode(&b, "protobuf, decoding", otlp_decode_proto, &proto);
    bench_decode(&b, "JSON, decoding", otlp_decode_json, &json);
    toc_buf_printf(&path, "%s-proto", dir);
    bench_receive(&b, TOC_OTLP_PROTOBUF, rounds, toc_buf_cstr(&path));
    toc_buf_reset(&path);
    toc_buf_printf(&path, "%s-json", dir);
    bench_receive(&b, TOC_OTLP_JSON, rounds, toc_buf_cstr(&path));
    toc_buf_fini(&proto);
    toc_buf_fini(&json);
    toc_buf_fini(&path);
    toc_arena_fini(&b.arena);
    return 0;
}
