/*
 * The file `exemplars` of a database: what the ring of exemplars got since the file was written
 * anew, so that a start finds them again. Exemplars are no samples: a write is acknowledged whether
 * or not its exemplars could be saved. They survive kill -9 once the write is acknowledged, and a
 * loss of power once the next step of maintenance has synced the file.
 *
 *   file      "TOCEXM01" | u64 salt | u32 crc of the 16 bytes | records
 *   record    u32 0x7be1c4d9 | u32 payload bytes | u32 crc | payload
 *   crc       of the 8 bytes before it and of the payload, begun with the salt's own crc
 *   payload   one after the other: labels of the series, labels of the exemplar
 *             (toc_labels_encode), zigzag ms, 8 bytes of value
 *
 * Example, the payload of {__name__="m"} with {t="x"} at 1000 ms, 2.0:
 *
 *   01 08 5f5f6e616d655f5f 01 6d | 01 01 74 01 78 | d0 0f | 0000000000000040
 *
 * A record that is damaged costs the exemplars in it. The file is written anew, beside and renamed,
 * when it is twice as large as the time before and a megabyte more, and after any failure or
 * damage.
 */
#ifndef TOC_METRICDB_EXEMPLAR_LOG_H
#define TOC_METRICDB_EXEMPLAR_LOG_H

#include "metricdb/exemplar.h"
#include "sys/thread.h"
#include "sys/vfs.h"

struct toc_exemplar_log {
    struct toc_mutex mutex; /* guards is_busy; whoever set that owns the rest */
    struct toc_cond changed;
    bool is_busy;
    struct toc_file *file; /* NULL: the file has to be written anew */
    uint32_t salt_crc;
    uint64_t bytes, bytes_at_first; /* now; when it was written anew */
    uint64_t cursor;                /* exemplars of the ring that are in it */
    bool has_unsynced;
    int code; /* of the last try; while it is none but maintenance tries again */
};

void toc_exemplar_log_init(struct toc_exemplar_log *l);
void toc_exemplar_log_fini(struct toc_metricdb *db);
/* At start: fills the empty ring. Damage is noted as a loss. */
void toc_exemplar_log_load(struct toc_metricdb *db);
/* Saves, syncs, and writes the file anew when that is due. A failure is logged. */
void toc_exemplar_log_maintain(struct toc_metricdb *db);
/* Makes a file like ours with what the ring holds now, synced; its folder is not. No file when
 * there never was an exemplar. Writers go on meanwhile. */
int toc_exemplar_log_copy(struct toc_metricdb *db, const char *path) TOC_MUST_CHECK;

/* Reads a file; views are borrowed for the call. TOC_ENOENT: there is none; TOC_ECORRUPT: it is
 * none. *out_end: how many bytes of it are whole records to the last one. */
struct toc_exemplar_visitor {
    void *ctx;
    toc_on_exemplar *exemplar;
    void (*damage)(void *ctx, uint64_t offset, uint64_t bytes);
};
int toc_exemplar_log_read(struct toc_vfs *vfs, const char *path,
                          const struct toc_exemplar_visitor *v, uint32_t *out_salt_crc,
                          uint64_t *out_end, uint64_t *out_bytes) TOC_MUST_CHECK;

#endif
