/*
 * The files under the watched folders of runs, folders in them included: listed once per poll for
 * all who follow some of them. One thread at a time.
 */
#ifndef TOC_COLLECT_RUN_DIRS_H
#define TOC_COLLECT_RUN_DIRS_H

#include "base/arena.h"
#include "base/vec.h"
#include "sys/vfs.h"

struct toc_run_dirs_options {
    struct toc_vfs *vfs;     /* NULL: the system's */
    const char *const *dirs; /* copied; one that does not exist is looked for again each time */
    size_t dir_count;
    size_t max_entries; /* of one listing, 0: 20000; more are counted and not looked at */
    size_t max_depth;   /* of folders in folders, 0: 8; deeper ones are counted the same way */
};

/* Valid until the next listing. */
struct toc_run_dirs_file {
    const char *path;
    struct toc_sv relative; /* behind the watched folder: "lr-0.1/events.out.tfevents.1" */
    struct toc_sv root;     /* name of the watched folder */
    struct toc_file_info info;
};

struct toc_run_dirs; /* opaque */
struct toc_run_dirs *toc_run_dirs_new(const struct toc_run_dirs_options *o);
void toc_run_dirs_free(struct toc_run_dirs **d);

struct toc_run_dirs_listing {
    const struct toc_run_dirs_file *files; /* ascending by path */
    size_t count;
    bool is_complete; /* every folder could be read: what is missing is gone */
    size_t over_limit;
};
struct toc_run_dirs_listing toc_run_dirs_list(struct toc_run_dirs *d);

#endif
