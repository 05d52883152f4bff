/*
 * Input: the two files of a checkpoint. Byte 0 chooses: the bytes as one of the files, as they are,
 * or three payloads (two lengths of two bytes, then pairs, series, open parts) of records with
 * right checksums. Oracle: what is accepted can be read in full, times rise, and the shards count
 * every sample.
 */
#include <stdlib.h>
#include <string.h>

#include "metricdb/checkpoint.h"
#include "metricdb/head.h"
#include "sys/vfs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void put_record(struct toc_checkpoint_writer *w, enum toc_checkpoint_type type,
                       unsigned shard, struct toc_sv payload) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_checkpoint_begin(&b);
    toc_buf_append_sv(&b, payload);
    toc_checkpoint_put(w, type, shard, &b);
    toc_buf_fini(&b);
}

static void write_whole(struct toc_vfs *vfs, unsigned shard, uint64_t series,
                        const struct toc_sv parts[3]) {
    struct toc_checkpoint_writer w;
    toc_checkpoint_create(&w, vfs, "/0000000001.chunks", 1);
    put_record(&w, TOC_CHECKPOINT_PAIRS, 0, parts[0]);
    put_record(&w, TOC_CHECKPOINT_SERIES, shard, parts[1]);
    must(!w.error);
    struct toc_checkpoint_end end = {
        .chain = 1, .chain_bytes = w.at, .series = series, .position = {.segment = 1}};
    vfs->close(vfs, &w.file);
    toc_checkpoint_create(&w, vfs, "/0000000002.open", 2);
    put_record(&w, TOC_CHECKPOINT_OPEN, shard, parts[2]);
    struct toc_buf b = TOC_BUF_INIT;
    toc_checkpoint_begin(&b);
    toc_checkpoint_put_end(&b, &end);
    toc_checkpoint_put(&w, TOC_CHECKPOINT_END, 0, &b);
    toc_buf_fini(&b);
    must(!w.error);
    vfs->close(vfs, &w.file);
}

static void write_raw(struct toc_vfs *vfs, const char *path, const uint8_t *data, size_t size) {
    struct toc_file *f = NULL;
    must(vfs->open(vfs, path, TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE, &f) == 0);
    must(vfs->pwrite(vfs, f, data, size, 0) == (int64_t)size);
    vfs->close(vfs, &f);
}

static size_t read_series(const struct toc_series *s) {
    struct toc_series_buffer b = {0};
    must(toc_series_read(s, INT64_MIN, INT64_MAX, &b) == 0);
    size_t n = b.count;
    for (size_t i = 1; i < n; i++)
        must(b.t_ms[i] >= b.t_ms[i - 1]);
    toc_series_buffer_fini(&b);
    return n;
}

static void read_head(const struct toc_head *h) {
    for (int i = 0; i < TOC_HEAD_SHARDS; i++) {
        uint64_t samples = 0;
        const struct toc_head_shard *shard = &h->shards[i];
        for (size_t k = 0; k < shard->slots.count; k++)
            if (shard->slots.items[k].series)
                samples += read_series(shard->slots.items[k].series);
        must(samples <= shard->samples); /* a histogram at the time of a float hides it */
    }
}

static void restore(struct toc_vfs *vfs) {
    struct toc_head *head = TOC_NEW(struct toc_head);
    struct toc_checkpoint_end end;
    toc_head_init(head, 7200000);
    if (toc_checkpoint_restore(vfs, "", 2, head, &end) == 0)
        read_head(head);
    toc_checkpoint_fini_end(&end);
    toc_head_fini(head);
    toc_free(head);
}

/* The length of a part, of what is left. */
static size_t length_at(const uint8_t *p, size_t left) {
    size_t n = (size_t)p[0] | (size_t)p[1] << 8;
    return n < left ? n : left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 6)
        return 0;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_vfs *vfs = toc_vfs_sim_vfs(disk);
    const char *rest = (const char *)data + 6;
    size_t left = size - 6, a = length_at(data + 2, left), b = length_at(data + 4, left - a);
    struct toc_sv parts[3] = {toc_sv_make(rest, a), toc_sv_make(rest + a, b),
                              toc_sv_make(rest + a + b, left - a - b)};
    write_whole(vfs, data[0] % TOC_HEAD_SHARDS, data[1], parts);
    if (data[0] >= 0xf0) /* one of the files as it comes */
        write_raw(vfs, data[0] & 1 ? "/0000000001.chunks" : "/0000000002.open", data + 1, size - 1);
    restore(vfs);
    toc_vfs_sim_free(&disk);
    return 0;
}
