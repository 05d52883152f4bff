/* The index of a block: its symbols, and its series one after the other. */
#ifndef TOC_PROMTSDB_INDEX_READ_H
#define TOC_PROMTSDB_INDEX_READ_H

#include "base/buf.h"
#include "base/vec.h"
#include "model/labels.h"
#include "sys/vfs.h"

struct toc_prom_chunk_info {
    int64_t min_ms, max_ms; /* both inclusive */
    uint64_t ref;
};

struct toc_prom_index {
    struct toc_buf bytes; /* the whole file */
    uint64_t series_begin, series_end;
    TOC_VEC(struct toc_sv) symbols;
};

/* One series; reused by the next. */
struct toc_prom_series {
    uint64_t id; /* as tombstones name it */
    TOC_VEC(struct toc_label) labels;
    TOC_VEC(struct toc_prom_chunk_info) chunks;
};

/* TOC_ECORRUPT, TOC_EVERSION, TOC_ELIMIT, or the error of the file. */
int toc_prom_index_load(struct toc_vfs *vfs, const char *path, struct toc_prom_index *out,
                        struct toc_err *err) TOC_MUST_CHECK;
void toc_prom_index_fini(struct toc_prom_index *x);

/* The series at or behind *io_at (begin with series_begin), which moves behind it. False at the
 * end. *out_damaged: offset of bytes that had to be passed over; 0: none. */
bool toc_prom_index_next(const struct toc_prom_index *x, uint64_t *io_at,
                         struct toc_prom_series *out, uint64_t *out_damaged);
void toc_prom_series_fini(struct toc_prom_series *s);

#endif
