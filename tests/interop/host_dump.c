/* Prints what the host collector reads, twice, as exposition text: material for
 * node_exporter_diff.py and for a look at its cost (--cost N: N cycles, then CPU microseconds
 * per cycle; --gpu [LIBRARY]: the NVIDIA GPUs). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "collect/host.h"
#include "collect/nvml.h"
#include "sys/clock.h"

static bool g_prints = true;

static void print_point(const struct toc_point *p) {
    struct toc_buf text = TOC_BUF_INIT;
    toc_labels_format(p->labels, &text);
    toc_buf_append_char(&text, ' ');
    toc_format_f64(p->value, &text);
    printf("%s\n", toc_buf_cstr(&text));
    toc_buf_fini(&text);
}

static int print_points(struct toc_sink *s, const struct toc_point *points, size_t count,
                        struct toc_write_result *out, struct toc_err *err) {
    (void)s, (void)err;
    for (size_t i = 0; g_prints && i < count; i++)
        print_point(&points[i]);
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

static void print_type(struct toc_sink *s, struct toc_sv metric, enum toc_metric_type type,
                       struct toc_sv help, struct toc_sv unit) {
    (void)s, (void)help, (void)unit;
    if (g_prints)
        printf("# TYPE %.*s %s\n", TOC_SV_ARG(metric),
               type == TOC_METRIC_UNKNOWN ? "untyped" : toc_metric_type_text(type));
}

static int dump_gpus(const char *library, struct toc_sink *sink) {
    struct toc_nvml *n = toc_nvml_new(&(struct toc_nvml_options){.library = library});
    struct toc_err err = {0};
    int rc = toc_nvml_collect(n, toc_clock_now(toc_clock_system()), sink, &err);
    printf("# %u GPUs\n", toc_nvml_device_count(n));
    toc_nvml_free(&n);
    return rc ? 1 : 0;
}

int main(int argc, char **argv) {
    long cycles = argc > 2 && strcmp(argv[1], "--cost") == 0 ? strtol(argv[2], NULL, 10) : 0;
    struct toc_sink sink = {print_points, print_type};
    if (argc > 1 && strcmp(argv[1], "--gpu") == 0)
        return dump_gpus(argc > 2 ? argv[2] : NULL, &sink);
    struct toc_host *h = toc_host_new(&(struct toc_host_options){.vfs = NULL});
    struct toc_err err = {0};
    g_prints = cycles == 0;
    double before = toc_process_cpu_s();
    for (long i = 0; i < (cycles ? cycles : 1); i++)
        if (toc_host_collect(h, toc_clock_now(toc_clock_system()), &sink, &err))
            return 1;
    if (cycles)
        printf("%.0f us of CPU per cycle\n", (toc_process_cpu_s() - before) / (double)cycles * 1e6);
    toc_host_free(&h);
    return 0;
}
