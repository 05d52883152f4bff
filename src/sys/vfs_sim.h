/*
 * A simulated disk for tests: files and folders in memory, each with what is durable and what is
 * not yet. Power can be lost before any call. Each un-synced write is then dropped or kept,
 * whatever became of those before and behind it; or torn: cut at a byte, some of its sectors
 * missing or never written (zeros), its end garbage. Un-synced names (created, renamed, removed)
 * come back or go at random. Any call can be made to fail.
 *
 * Model: a write becomes durable by sync of its file; a name by sync_dir of its folder.
 * Thread-safe.
 */
#ifndef TOC_SYS_VFS_SIM_H
#define TOC_SYS_VFS_SIM_H

#include "sys/vfs.h"

struct toc_vfs_sim;

/* Kinds of calls that can be made to fail. */
enum toc_sim_call {
    TOC_SIM_OPEN = 1,
    TOC_SIM_READ = 2,
    TOC_SIM_WRITE = 4,
    TOC_SIM_SYNC = 8,
    TOC_SIM_TRUNCATE = 16,
    TOC_SIM_RENAME = 32,
    TOC_SIM_REMOVE = 64,
    TOC_SIM_MKDIR = 128,
    TOC_SIM_SYNC_DIR = 256,
    TOC_SIM_LINK = 512,
    TOC_SIM_INFO = 1024, /* of a file, and of the free space */
    TOC_SIM_ANY = 2047,
};
/* In place of a code: the write does a part and returns its size. Other calls succeed. */
enum { TOC_SIM_SHORT = 1 };

struct toc_vfs_sim *toc_vfs_sim_new(uint64_t seed);
void toc_vfs_sim_free(struct toc_vfs_sim **s);
struct toc_vfs *toc_vfs_sim_vfs(struct toc_vfs_sim *s);

/* The nth (1-based) following call of the kinds in `calls` fails with `code`; with `sticky` all
 * after it, too. nth 0 switches it off. A failing write stores a random part first. A failing sync
 * leaves the data in doubt for ever, as on Linux: a later sync of the same file succeeds and does
 * not make it durable. */
void toc_vfs_sim_fail(struct toc_vfs_sim *s, unsigned calls, uint64_t nth, int code, bool sticky);
/* At the nth following call that changes the disk the power goes: it and all calls after it fail
 * with TOC_EIO until toc_vfs_sim_restart. */
void toc_vfs_sim_cut_power_after(struct toc_vfs_sim *s, uint64_t nth);
bool toc_vfs_sim_is_off(struct toc_vfs_sim *s);
/* Decides what survived and gives power back. File handles from before are dead (close them). Works
 * also when the power was on: it is cut now. */
void toc_vfs_sim_restart(struct toc_vfs_sim *s);
/* Bytes that all files together may hold; 0 = no limit. Beyond it writes fail with TOC_ENOSPC. */
void toc_vfs_sim_set_capacity(struct toc_vfs_sim *s, uint64_t bytes);
/* Changing calls so far. */
uint64_t toc_vfs_sim_calls(struct toc_vfs_sim *s);
/* Calls so far that toc_vfs_sim_fail counts under TOC_SIM_ANY. */
uint64_t toc_vfs_sim_all_calls(struct toc_vfs_sim *s);
/* A disk of its own with what this one holds now, all of it durable. */
struct toc_vfs_sim *toc_vfs_sim_clone(struct toc_vfs_sim *s, uint64_t seed);
/* Flips one bit of a file (durable and current content). TOC_ENOENT, TOC_EINVAL beyond the end. */
int toc_vfs_sim_flip_bit(struct toc_vfs_sim *s, const char *path, uint64_t bit) TOC_MUST_CHECK;
/* Takes everything at or below a path away, durably. */
void toc_vfs_sim_remove_tree(struct toc_vfs_sim *s, const char *path);
/* Calls fn for each file with its size, in path order. */
void toc_vfs_sim_each_file(struct toc_vfs_sim *s,
                           void (*fn)(void *ctx, const char *path, uint64_t size), void *ctx);

#endif
