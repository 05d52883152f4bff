/*
 * Random messages of OTLP, honest and broken, several in a row, under random options. Laws:
 *   - protobuf and JSON of the same message give the same answer and the same samples;
 *   - a message that is sent twice changes nothing the second time;
 *   - delta sums and the counts of delta histograms are what a plain addition gives.
 */
#include <stdlib.h>
#include <string.h>

#include "../../otlp_dump.h"
#include "../../otlp_writer.h"
#include "base/rng.h"
#include "remote/otlp.h"
#include "sys/vfs_sim.h"

#define START_MS INT64_C(1760000400000)

struct world {
    struct toc_rng rng;
    struct toc_arena arena; /* of a message */
    uint64_t op;
    int64_t now_ms;
};

/* A receiver with a store of its own. */
struct side {
    struct toc_vfs_sim *disk;
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    struct toc_otlp *otlp;
};

#define CHECK(w, cond)                                                  \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: op %llu: %s\n", __FILE__, __LINE__, \
                    (unsigned long long)(w)->op, #cond);                \
            abort();                                                    \
        }                                                               \
    } while (0)

static uint64_t pick(struct world *w, uint64_t n) {
    return toc_rng_below(&w->rng, n);
}
static bool chance(struct world *w, unsigned percent) {
    return pick(w, 100) < percent;
}

/* --- messages --- */

static struct toc_sv text(struct world *w) {
    static const char *const texts[] = {"a",
                                        "http.method",
                                        "0day",
                                        "_x",
                                        "x-y",
                                        "x.y",
                                        "le",
                                        "quantile",
                                        "job",
                                        "service.name",
                                        "host.name",
                                        "",
                                        "\xe6\xb8\xa9",
                                        "__name__",
                                        "a b\"c\\",
                                        "service.instance.id",
                                        "ratio.total"};
    return toc_sv_cstr(texts[pick(w, sizeof texts / sizeof *texts)]);
}

static struct toc_sv unit(struct world *w) {
    static const char *const units[] = {"", "1", "s", "By/s", "{x}", "{x}/m", "%", "foo/bar"};
    return toc_sv_cstr(units[pick(w, sizeof units / sizeof *units)]);
}

static double number(struct world *w) {
    static const double odd[] = {0, -0.0, NAN, INFINITY, -INFINITY, 1e308, -1, 5e-324, 1e-200};
    return chance(w, 30) ? odd[pick(w, sizeof odd / sizeof *odd)]
                         : (double)(int64_t)pick(w, 1000) / 8;
}

static void *many(struct world *w, size_t max, size_t size, size_t *out_count) {
    *out_count = (size_t)pick(w, max + 1);
    return toc_arena_calloc(&w->arena, *out_count + 1, size);
}

static struct otlp_attributes attributes(struct world *w) {
    struct otlp_attributes a;
    a.items = many(w, 4, sizeof *a.items, &a.count);
    for (size_t i = 0; i < a.count; i++)
        a.items[i] = (struct otlp_attribute){text(w), text(w)};
    return a;
}

static struct otlp_numbers counts(struct world *w, size_t max) {
    struct otlp_numbers n;
    n.items = many(w, max, sizeof *n.items, &n.count);
    for (size_t i = 0; i < n.count; i++)
        n.items[i] = chance(w, 40) ? 0 : (double)pick(w, 50);
    return n;
}

static uint64_t total(const struct otlp_numbers *n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n->count; i++)
        sum += (uint64_t)n->items[i];
    return sum;
}

static struct otlp_distribution *distribution(struct world *w, enum otlp_kind kind) {
    struct otlp_distribution *x = toc_arena_alloc(&w->arena, sizeof *x);
    static const int32_t offsets[] = {0, -1, 5, -7, 1000, -1000, INT32_MAX, INT32_MIN};
    x->has_sum = chance(w, 80);
    x->sum = x->has_sum ? number(w) : 0;
    if (kind == OTLP_HISTOGRAM) {
        x->counts = counts(w, 5);
        x->bounds.items = toc_arena_calloc(&w->arena, 8, sizeof(double));
        x->bounds.count = x->counts.count ? x->counts.count - 1 : 0;
        for (size_t i = 0; i < x->bounds.count; i++)
            x->bounds.items[i] = chance(w, 3) ? number(w) : (double)i * 2.5;
        x->count = total(&x->counts);
    } else if (kind == OTLP_EXPONENTIAL) {
        x->scale = (int32_t)pick(w, 28) - 6;
        x->zero_count = (double)pick(w, 5);
        x->zero_threshold = chance(w, 80) ? 0 : fabs(number(w));
        x->positive = (struct otlp_buckets){offsets[pick(w, 8)], counts(w, 9)};
        x->negative = (struct otlp_buckets){offsets[pick(w, 8)], counts(w, 3)};
        x->count =
            (uint64_t)x->zero_count + total(&x->positive.counts) + total(&x->negative.counts);
    } else {
        x->count = pick(w, 100);
        x->quantiles = many(w, 3, sizeof *x->quantiles, &x->quantile_count);
        for (size_t i = 0; i < x->quantile_count; i++)
            x->quantiles[i] = (struct otlp_quantile){(double)i / 4, number(w)};
    }
    x->count += chance(w, 5);
    return x;
}

static int64_t time_ns(struct world *w) {
    int64_t ms = w->now_ms - (int64_t)pick(w, 5) * 1000;
    return chance(w, 3) ? 0 : ms * 1000000 + (int64_t)pick(w, 1000000);
}

static void point(struct world *w, enum otlp_kind kind, struct otlp_point *p) {
    p->attributes = attributes(w);
    p->time_ns = time_ns(w);
    p->start_ns = time_ns(w);
    p->flags = chance(w, 5);
    if (kind == OTLP_GAUGE || kind == OTLP_SUM) {
        p->has_value = chance(w, 95);
        p->value = p->has_value ? number(w) : 0;
    } else {
        p->distribution = distribution(w, kind);
    }
    if (kind == OTLP_SUMMARY)
        return;
    p->exemplars = many(w, 2, sizeof *p->exemplars, &p->exemplar_count);
    for (size_t i = 0; i < p->exemplar_count; i++)
        p->exemplars[i] = (struct otlp_exemplar){
            attributes(w), time_ns(w), number(w),
            chance(w, 50) ? TOC_SV("0af7651916cd43dd8448eb211c80319c") : TOC_SV(""),
            chance(w, 50) ? TOC_SV("b7ad6b7169203331") : TOC_SV("")};
}

static void metric(struct world *w, struct otlp_metric *m) {
    m->name = text(w);
    m->description = text(w);
    m->unit = unit(w);
    m->kind = (enum otlp_kind)pick(w, 6);
    if (m->kind == OTLP_NONE)
        return;
    if (m->kind != OTLP_GAUGE && m->kind != OTLP_SUMMARY)
        m->temporality = chance(w, 10) ? OTLP_UNSPECIFIED : (enum otlp_temporality)(1 + pick(w, 2));
    m->is_monotonic = m->kind == OTLP_SUM && chance(w, 50);
    m->points = many(w, 4, sizeof *m->points, &m->count);
    for (size_t i = 0; i < m->count; i++)
        point(w, m->kind, &m->points[i]);
}

static struct otlp_message message(struct world *w) {
    struct otlp_message m = {0};
    m.resources = many(w, 2, sizeof *m.resources, &m.count);
    for (size_t i = 0; i < m.count; i++) {
        struct otlp_resource *r = &m.resources[i];
        r->attributes = attributes(w);
        r->scopes = many(w, 2, sizeof *r->scopes, &r->count);
        for (size_t k = 0; k < r->count; k++) {
            struct otlp_scope *s = &r->scopes[k];
            *s = (struct otlp_scope){.name = text(w), .version = text(w), .schema_url = text(w)};
            s->attributes = attributes(w);
            s->metrics = many(w, 4, sizeof *s->metrics, &s->count);
            for (size_t n = 0; n < s->count; n++)
                metric(w, &s->metrics[n]);
        }
    }
    return m;
}

/* --- receivers --- */

static void open_side(struct side *s, const struct toc_otlp_options *o) {
    s->disk = toc_vfs_sim_new(1);
    toc_clock_virtual_init(&s->clock, (struct toc_ts){START_MS});
    struct toc_metricdb_options where = {
        .vfs = toc_vfs_sim_vfs(s->disk), .clock = &s->clock.base, .dir = "/data"};
    if (toc_metricdb_open(&where, &s->db, NULL))
        abort();
    s->otlp = toc_otlp_new(o, s->db, &s->clock.base);
}

static void close_side(struct side *s) {
    toc_otlp_free(&s->otlp);
    toc_metricdb_close(&s->db);
    toc_vfs_sim_free(&s->disk);
}

/* What a message led to. */
struct effect {
    struct toc_buf answer, stored;
    size_t rejected_points;
};

static struct effect deliver(struct world *w, struct side *s, enum toc_otlp_encoding encoding,
                             const struct toc_buf *body) {
    struct toc_otlp_outcome o;
    struct effect e = {.rejected_points = 0};
    int rc = toc_otlp_receive(s->otlp, encoding, toc_buf_sv(body), &o, NULL);
    CHECK(w, rc == 0);
    CHECK(w, o.rejected_points <= o.points + o.refused[TOC_OTLP_REFUSED_NO_DATA]);
    toc_buf_printf(&e.answer, "%zu %zu %zu %.*s\n", o.rejected_points, o.samples, o.exemplars,
                   TOC_SV_ARG(toc_buf_sv(&o.text)));
    e.rejected_points = o.rejected_points;
    CHECK(w, otlp_dump(s->db, &e.stored) == 0);
    toc_buf_fini(&o.text);
    return e;
}

static void free_effect(struct effect *e) {
    toc_buf_fini(&e->answer);
    toc_buf_fini(&e->stored);
}

static void expect_equal(struct world *w, struct toc_buf *a, struct toc_buf *b) {
    if (strcmp(toc_buf_cstr(a), toc_buf_cstr(b)) != 0)
        fprintf(stderr, "one:\n%s\nother:\n%s\n", toc_buf_cstr(a), toc_buf_cstr(b));
    CHECK(w, strcmp(toc_buf_cstr(a), toc_buf_cstr(b)) == 0);
}

static void both_encodings_agree(struct world *w) {
    struct toc_otlp_options o = {
        .naming.strategy = (enum toc_otlp_strategy)pick(w, TOC_OTLP_STRATEGY_COUNT),
        .naming.is_plain_underscore = chance(w, 20),
        .naming.is_collapsing_underscores = chance(w, 20),
        .is_promoting_all = chance(w, 30),
        .keeps_identifying = chance(w, 30),
        .makes_custom_buckets = chance(w, 30),
        .promotes_scope = chance(w, 30),
        .delta_max_series = chance(w, 20) ? 2 : 0,
    };
    struct side a, b;
    open_side(&a, &o);
    open_side(&b, &o);
    w->now_ms = START_MS;
    for (uint64_t n = 1 + pick(w, 4); n; n--) {
        struct toc_buf proto = TOC_BUF_INIT, json = TOC_BUF_INIT, before = TOC_BUF_INIT;
        struct otlp_message m = message(w);
        otlp_write_proto(&m, &proto);
        otlp_write_json(&m, &json);
        for (int time = 0; time < 2; time++) {
            struct effect x = deliver(w, &a, TOC_OTLP_PROTOBUF, &proto);
            struct effect y = deliver(w, &b, TOC_OTLP_JSON, &json);
            expect_equal(w, &x.answer, &y.answer);
            expect_equal(w, &x.stored, &y.stored);
            if (time)
                expect_equal(w, &x.stored, &before);
            toc_buf_fini(&before);
            before = x.stored;
            x.stored = TOC_BUF_INIT;
            free_effect(&x);
            free_effect(&y);
        }
        w->now_ms += 10000;
        toc_arena_reset(&w->arena);
        toc_buf_fini(&proto);
        toc_buf_fini(&json);
        toc_buf_fini(&before);
    }
    close_side(&a);
    close_side(&b);
}

/* --- deltas --- */

enum { SERIES = 3 };

struct last {
    double value[SERIES];
};

static int note_last(void *ctx, const struct toc_series_view *s) {
    struct last *x = ctx;
    struct toc_sv i = toc_labels_get(s->labels, TOC_SV("i"));
    const struct toc_histogram *h = s->histograms ? s->histograms[s->count - 1] : NULL;
    double in_buckets = h ? h->zero_count : 0;
    for (size_t k = 0; h && k < h->positive.size; k++)
        in_buckets += h->positive.count[k];
    if (h && in_buckets != h->count)
        return -1;
    x->value[i.p[0] - '0'] = h ? h->count : s->values[s->count - 1];
    return 0;
}

static void add_delta(struct world *w, enum otlp_kind kind, struct otlp_point *p, double *sum) {
    if (kind == OTLP_SUM) {
        p->has_value = true;
        p->value = (double)pick(w, 100) - 20;
        *sum += p->value;
        return;
    }
    struct otlp_distribution *x = p->distribution = toc_arena_alloc(&w->arena, sizeof *x);
    x->scale = (int32_t)pick(w, 16) - 4;
    int64_t reach = (int64_t)ldexp(900, x->scale); /* of what a double holds */
    x->positive =
        (struct otlp_buckets){(int32_t)((int64_t)pick(w, 2 * reach) - reach), counts(w, 40)};
    x->zero_count = (double)pick(w, 3);
    x->count = (uint64_t)x->zero_count + total(&x->positive.counts);
    *sum += (double)x->count;
}

static void deltas_add_up(struct world *w, enum otlp_kind kind) {
    struct side a;
    double sums[SERIES] = {0};
    open_side(&a, &(struct toc_otlp_options){0});
    for (int round = 1; round < 12; round++) {
        struct otlp_point points[SERIES] = {0};
        struct otlp_attribute names[SERIES];
        static const char *const digits[SERIES] = {"0", "1", "2"};
        struct otlp_metric m = {.name = TOC_SV("x"),
                                .kind = kind,
                                .temporality = OTLP_DELTA,
                                .points = points,
                                .count = SERIES};
        struct otlp_scope s = {.metrics = &m, .count = 1};
        struct otlp_resource r = {.scopes = &s, .count = 1};
        struct otlp_message message = {.resources = &r, .count = 1};
        struct toc_buf body = TOC_BUF_INIT;
        for (int i = 0; i < SERIES; i++) {
            names[i] = (struct otlp_attribute){TOC_SV("i"), toc_sv_cstr(digits[i])};
            points[i].attributes = (struct otlp_attributes){&names[i], 1};
            points[i].time_ns = (START_MS + round * 1000) * 1000000;
            add_delta(w, kind, &points[i], &sums[i]);
        }
        otlp_write_proto(&message, &body);
        struct effect e = deliver(w, &a, TOC_OTLP_PROTOBUF, &body);
        CHECK(w, e.rejected_points == 0);
        free_effect(&e);
        toc_buf_fini(&body);
        toc_arena_reset(&w->arena);
    }
    struct last x = {{0}};
    struct toc_matcher all;
    CHECK(w, toc_matcher_init(&all, TOC_MATCH_EQ, TOC_METRIC_NAME, TOC_SV("x"), NULL) == 0);
    struct toc_select what = {
        .matchers = &all, .matcher_count = 1, .min_ms = INT64_MIN, .max_ms = INT64_MAX};
    struct toc_querier *q = toc_metricdb_querier(a.db);
    CHECK(w, q->select(q, &what, note_last, &x, NULL) == 0);
    toc_matcher_fini(&all);
    for (int i = 0; i < SERIES; i++)
        CHECK(w, x.value[i] == sums[i]);
    close_side(&a);
}

int main(int argc, char **argv) {
    struct world w = {.op = 0};
    uint64_t seed = 1, ops = 600;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 10);
    }
    printf("seed %llu\n", (unsigned long long)seed);
    toc_rng_seed(&w.rng, seed);
    for (w.op = 0; w.op < ops; w.op++) {
        both_encodings_agree(&w);
        if (w.op % 8 == 0)
            deltas_add_up(&w, w.op % 16 ? OTLP_SUM : OTLP_EXPONENTIAL);
    }
    toc_arena_fini(&w.arena);
    printf("%llu rounds agree\n", (unsigned long long)ops);
    return 0;
}
