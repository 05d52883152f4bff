/*
 * Blocks of a Prometheus data directory, read and written: folders with `meta.json`, `index`
 * (version 2), `chunks/NNNNNN` and `tombstones`. Formats:
 * github.com/prometheus/prometheus/tree/main/tsdb/docs/format; docs/design/prometheus-tsdb.md says
 * what of them is used. Nothing in a directory that is read is ever changed.
 */
#ifndef TOC_PROMTSDB_BLOCK_H
#define TOC_PROMTSDB_BLOCK_H

#include <stdint.h>

#include "base/error.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "sys/vfs.h"

enum { TOC_PROM_ULID_BYTES = 26 };

struct toc_prom_block_meta {
    char ulid[TOC_PROM_ULID_BYTES + 1];
    int64_t min_ms, max_ms; /* samples lie in [min, max) */
    uint64_t series, samples, chunks;
};

/* --- reading --- */

struct toc_prom_visitor {
    void *ctx;
    /* The float samples of one series, rising; all borrowed for the call. Non-zero stops. */
    int (*samples)(void *ctx, struct toc_labels labels, const int64_t *t_ms, const double *values,
                   size_t n);
    /* A place that cannot be read; what it held is left out. `file` is relative to the block. */
    void (*damage)(void *ctx, const char *file, uint64_t offset, const char *what);
    /* The same for native histograms, chunk by chunk. */
    int (*histograms)(void *ctx, struct toc_labels labels, const int64_t *t_ms,
                      const struct toc_histogram *h, size_t n);
};

struct toc_prom_block;
/* Reads meta.json, index and tombstones. TOC_ECORRUPT, TOC_EVERSION, TOC_ELIMIT (an index over 1
 * GiB) … with a text. */
int toc_prom_block_open(struct toc_vfs *vfs, const char *path, struct toc_prom_block **out,
                        struct toc_err *err) TOC_MUST_CHECK;
void toc_prom_block_close(struct toc_prom_block **block);
const struct toc_prom_block_meta *toc_prom_block_meta(const struct toc_prom_block *block);
/* Calls the visitor for each series, in label order, with its samples in [min_ms, max_ms] that no
 * tombstone covers. Damage costs a chunk or a series and is told. Returns what the visitor returned
 * when it stopped, or the error of a file that cannot be read at all. */
int toc_prom_block_read(struct toc_prom_block *block, int64_t min_ms, int64_t max_ms,
                        const struct toc_prom_visitor *v, struct toc_err *err) TOC_MUST_CHECK;

/* --- writing --- */

struct toc_prom_block_writer;
/* Begins the block [min_ms, max_ms) in the folder `dir`, beside its final name. */
int toc_prom_block_writer_new(struct toc_vfs *vfs, const char *dir, int64_t min_ms, int64_t max_ms,
                              int64_t now_ms, struct toc_prom_block_writer **out,
                              struct toc_err *err) TOC_MUST_CHECK;
/* Adds a series; series come in label order, samples rising and inside of the block. A sample with
 * an entry in histograms (NULL: there are floats only) is that one. Nothing is written for n == 0.
 */
int toc_prom_block_writer_add(struct toc_prom_block_writer *w, struct toc_labels labels,
                              const int64_t *t_ms, const double *values,
                              const struct toc_histogram *const *histograms,
                              size_t n) TOC_MUST_CHECK;
/* Makes the block durable under its name, or removes it when it has no sample (out_meta->samples
 * 0). Frees *w in every case. */
int toc_prom_block_writer_finish(struct toc_prom_block_writer **w,
                                 struct toc_prom_block_meta *out_meta,
                                 struct toc_err *err) TOC_MUST_CHECK;
void toc_prom_block_writer_abort(struct toc_prom_block_writer **w);

#endif
