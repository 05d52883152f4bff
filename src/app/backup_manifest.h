/*
 * What a backup holds: `manifest.json` in its folder.
 *
 *   {"format": 1, "version": "0.1.0", "created_at": "2026-…Z",
 *    "files": [{"path": "state.db", "bytes": 90112, "crc32c": 305419896}, …]}
 */
#ifndef TOC_APP_BACKUP_MANIFEST_H
#define TOC_APP_BACKUP_MANIFEST_H

#include <stdint.h>

#include "base/error.h"
#include "base/time.h"
#include "base/vec.h"
#include "sys/vfs.h"

struct toc_backup_file {
    char *path; /* relative, without ".." */
    uint64_t bytes;
    uint32_t crc;
};

struct toc_backup_manifest {
    TOC_VEC(struct toc_backup_file) files;
    uint64_t bytes; /* of all */
};

void toc_backup_manifest_fini(struct toc_backup_manifest *m);
/* Takes the path. */
void toc_backup_manifest_add(struct toc_backup_manifest *m, char *take_path, uint64_t bytes,
                             uint32_t crc);
int toc_backup_manifest_write(const struct toc_backup_manifest *m, struct toc_vfs *vfs,
                              const char *dir, struct toc_ts now,
                              struct toc_err *err) TOC_MUST_CHECK;
/* TOC_ENOENT: the folder is no backup; TOC_EVERSION, TOC_ECORRUPT. */
int toc_backup_manifest_read(struct toc_vfs *vfs, const char *dir, struct toc_backup_manifest *out,
                             struct toc_err *err) TOC_MUST_CHECK;

#endif
