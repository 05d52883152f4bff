/* Folders as wholes: what is in them, removed, and files copied with a checksum. */
#ifndef TOC_APP_FILE_TREE_H
#define TOC_APP_FILE_TREE_H

#include <stdint.h>

#include "app/progress.h"
#include "base/vec.h"
#include "sys/vfs.h"

enum { TOC_TREE_ENTRIES_MAX = 1 << 20 };

struct toc_tree_file {
    char *path; /* relative to the root */
    uint64_t bytes;
};

struct toc_tree {
    TOC_VEC(struct toc_tree_file) files;
    TOC_VEC(char *) dirs; /* relative, parents first; the root is "" */
    uint64_t bytes;       /* of all files */
};

/* Everything below root. TOC_ELIMIT over TOC_TREE_ENTRIES_MAX. */
int toc_tree_list(struct toc_vfs *vfs, const char *root, struct toc_tree *out) TOC_MUST_CHECK;
void toc_tree_fini(struct toc_tree *t);
/* As far as it can be. */
void toc_tree_remove(struct toc_vfs *vfs, const char *root);

/* What copies share. */
struct toc_tree_copy {
    struct toc_vfs *vfs;
    struct toc_progress *progress;
    uint64_t done; /* bytes so far, for the progress */
};
/* Makes `to` (durable when it returns 0), or only reads when it is NULL; tells size and CRC-32C. */
int toc_tree_copy_file(struct toc_tree_copy *c, const char *from, const char *to,
                       uint64_t *out_bytes, uint32_t *out_crc) TOC_MUST_CHECK;

/* The folder that holds `path`: to be freed with toc_free. */
char *toc_tree_parent(const char *path);

#endif
