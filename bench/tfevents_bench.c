/*
 * build/bench/tfevents_bench [STEPS [TAGS]]: event files as PyTorch writes them, in memory. How
 * fast they are decoded, and how fast reports are made of them; megabytes of 10^6 bytes per second
 * of CPU time.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../tests/tfevents_writer.h"
#include "collect/tensorboard_feed.h"

/* CPU time: other jobs on the machine do not count. */
static double now_s(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct counting {
    struct toc_tfevents_visitor visitor;
    struct toc_report_taker taker;
    uint64_t values, reports, bytes;
    struct toc_buf line;
};

static void on_value(struct toc_tfevents_visitor *v, const struct toc_tfevents_value *value) {
    struct counting *c = TOC_CONTAINER_OF(v, struct counting, visitor);
    c->values += value->step >= 0;
}

static void on_run(struct toc_report_taker *taker, const struct toc_run_report *r) {
    struct counting *c = TOC_CONTAINER_OF(taker, struct counting, taker);
    c->reports++;
    toc_buf_reset(&c->line);
    toc_run_report_write(r, &c->line);
    c->bytes += c->line.n;
}

static void write_scalars(struct toc_buf *out, int steps, int tags) {
    for (int step = 0; step < steps; step++)
        for (int t = 0; t < tags; t++) {
            char tag[32];
            snprintf(tag, sizeof tag, t ? "train/metric_%d" : "train/loss", t);
            tfw_scalar(out, 1700000000 + step + t * 0.001, step, tag,
                       (float)(3 * exp(-step / 1000.0) + t));
        }
}

/* A histogram of 100 buckets for each of 20 layers. */
static void write_histograms(struct toc_buf *out, int steps) {
    enum { BUCKETS = 100 };
    for (int step = 0; step < steps; step++)
        for (int layer = 0; layer < 20; layer++) {
            struct toc_buf rest = TOC_BUF_INIT, packed = TOC_BUF_INIT;
            char tag[48];
            size_t histo = toc_pb_begin(&rest, 5);
            const double moments[] = {-1, 1, 5000, 10, 400};
            for (uint32_t i = 0; i < 5; i++)
                toc_pb_put_double(&rest, i + 1, moments[i]);
            for (uint32_t field = 6; field <= 7; field++) {
                toc_buf_reset(&packed);
                for (int i = 0; i < BUCKETS; i++)
                    toc_buf_append_f64(&packed, field == 6 ? -1 + 0.02 * (i + 1) : 50);
                toc_pb_put_bytes(&rest, field, toc_buf_sv(&packed));
            }
            toc_pb_end(&rest, histo);
            snprintf(tag, sizeof tag, "gradients/blocks.%d.attn.weight", layer);
            tfw_value(out, 1700000000 + step, step, tag, toc_buf_sv(&rest));
            toc_buf_fini(&rest);
            toc_buf_fini(&packed);
        }
}

static void decode(const char *name, struct toc_sv file) {
    struct counting c = {.visitor = {on_value, NULL}};
    struct toc_tfevents *d = toc_tfevents_new(NULL);
    double began = now_s();
    size_t done = toc_tfevents_decode(d, file, &c.visitor);
    double took = now_s() - began;
    printf("%-10s decode  %7.1f MB  %9llu values  %6.0f MB/s  %6.2f M values/s\n", name,
           (double)done / 1e6, (unsigned long long)c.values, (double)done / 1e6 / took,
           (double)c.values / 1e6 / took);
    toc_tfevents_free(&d);
}

static void feed(const char *name, struct toc_sv file, const struct toc_alias_table *aliases) {
    struct counting c = {.taker = {.on_run = on_run}};
    struct toc_tensorboard_feed *f = toc_tensorboard_feed_new(
        &(struct toc_tensorboard_feed_options){.aliases = aliases, .taker = &c.taker});
    struct toc_tensorboard_stream *s = toc_tensorboard_stream_open(f);
    double began = now_s();
    size_t done = toc_tensorboard_stream_push(s, file);
    toc_tensorboard_stream_close(&s);
    double took = now_s() - began;
    printf("%-10s reports %7.1f MB  %9llu reports %6.0f MB/s  %6.2f MB of lines\n", name,
           (double)done / 1e6, (unsigned long long)c.reports, (double)done / 1e6 / took,
           (double)c.bytes / 1e6);
    toc_tensorboard_feed_free(&f);
    toc_buf_fini(&c.line);
}

int main(int argc, char **argv) {
    int steps = argc > 1 ? atoi(argv[1]) : 100000, tags = argc > 2 ? atoi(argv[2]) : 10;
    struct toc_buf scalars = TOC_BUF_INIT, histograms = TOC_BUF_INIT;
    struct toc_alias_table *aliases;
    if (toc_alias_table_builtin(&aliases, NULL) < 0)
        return 1;
    write_scalars(&scalars, steps, tags);
    write_histograms(&histograms, steps / 50);
    for (int round = 0; round < 3; round++) {
        decode("scalars", toc_buf_sv(&scalars));
        decode("histograms", toc_buf_sv(&histograms));
        feed("scalars", toc_buf_sv(&scalars), aliases);
        feed("histograms", toc_buf_sv(&histograms), aliases);
    }
    toc_buf_fini(&scalars);
    toc_buf_fini(&histograms);
    toc_alias_table_free(&aliases);
    return 0;
}
