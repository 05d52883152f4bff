/*
 * The files that a follower of watched folders knows, by path: looked up once for each file of a
 * listing, kept while a complete listing has them. What a follower keeps about a file begins with a
 * struct toc_followed_file. Not thread-safe.
 */
#ifndef TOC_COLLECT_FOLLOWED_FILES_H
#define TOC_COLLECT_FOLLOWED_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/vec.h"

struct toc_followed_file {
    struct toc_sv path; /* owned; a NUL follows */
    uint64_t inode;
    bool is_seen; /* since toc_followed_files_begin */
};

struct toc_followed_files {
    struct toc_map by_path;
    TOC_VEC_FIELDS(struct toc_followed_file *)
};

/* Ends what the follower keeps about the file, which the set frees then. False: not now, it stays.
 */
typedef bool toc_followed_file_close(void *context, struct toc_followed_file *f);

/* NULL when it is not known. */
struct toc_followed_file *toc_followed_files_get(const struct toc_followed_files *s,
                                                 struct toc_sv path);
/* Takes over `f` (allocated), whose other members are the follower's; path is copied. */
void toc_followed_files_add(struct toc_followed_files *s, struct toc_followed_file *f,
                            struct toc_sv path, uint64_t inode);
/* A poll begins: nothing was seen yet. */
void toc_followed_files_begin(struct toc_followed_files *s);
/* Drops those that were not seen since. */
void toc_followed_files_forget(struct toc_followed_files *s, toc_followed_file_close *close,
                               void *context);
/* Drops all, whatever `close` says. */
void toc_followed_files_fini(struct toc_followed_files *s, toc_followed_file_close *close,
                             void *context);

#endif
