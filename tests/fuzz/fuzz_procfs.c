/* Feeds one text to every part of the host collector as if it were that kernel file. Oracle: series
 * have a legal name, and no series appears twice in a cycle. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "collect/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file system in which every file has the content at hand. */
static struct toc_sv g_content;

struct toc_file {
    int unused;
};

static int fake_open(struct toc_vfs *v, const char *path, unsigned flags, struct toc_file **out) {
    (void)v, (void)path, (void)flags;
    *out = TOC_NEW(struct toc_file);
    return 0;
}
static void fake_close(struct toc_vfs *v, struct toc_file **f) {
    (void)v;
    toc_free(*f);
    *f = NULL;
}
static int64_t fake_pread(struct toc_vfs *v, struct toc_file *f, void *p, size_t n, uint64_t at) {
    (void)v, (void)f;
    if (at >= g_content.n)
        return 0;
    size_t left = g_content.n - (size_t)at, take = n < left ? n : left;
    memcpy(p, g_content.p + at, take);
    return (int64_t)take;
}
static int fake_list(struct toc_vfs *v, const char *path, int (*fn)(void *ctx, const char *name),
                     void *ctx) {
    (void)v, (void)path;
    return fn(ctx, "1");
}

static int take(struct toc_sink *s, const struct toc_point *points, size_t count,
                struct toc_write_result *out, struct toc_err *err) {
    (void)s, (void)err;
    for (size_t i = 0; i < count; i++) {
        if (!toc_metric_name_is_classic(toc_labels_get(points[i].labels, TOC_METRIC_NAME)))
            abort();
        for (size_t j = 0; count < 300 && j < i; j++)
            if (toc_labels_eq(points[i].labels, points[j].labels))
                abort();
    }
    *out = (struct toc_write_result){.accepted = count};
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_vfs vfs = {
        .open = fake_open, .close = fake_close, .pread = fake_pread, .list = fake_list};
    struct toc_sink sink = {take, NULL};
    struct toc_err err = {0};
    g_content = toc_sv_make((const char *)data, size);
    struct toc_host *h = toc_host_new(&(struct toc_host_options){.vfs = &vfs, .root = "/x"});
    for (int i = 0; i < 2; i++)
        if (toc_host_collect(h, (struct toc_ts){1000 * (i + 1)}, &sink, &err))
            abort();
    toc_host_free(&h);
    return 0;
}
