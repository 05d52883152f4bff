#include "app/pressure.h"

#include <stdio.h>

#include "base/alloc.h"
#include "metricdb/metricdb.h"
#include "sys/log.h"
#include "sys/machine.h"

enum {
    PIECE_BYTES = 1 << 20,
    ROOM_KEPT = 4,     /* ballasts that are free when it is first made */
    LOOKS_TO_TRIM = 5, /* of one a second, when more memory is in use than at the last one */
    LOOKS_TO_TRIM_ANYWAY = 30, /* a look walks over all free pieces: milliseconds */
    RISE_BYTES = 1 << 20,
    UNUSED_BYTES_MAX = 4 << 20
};

void toc_pressure_init(struct toc_pressure *p, struct toc_vfs *vfs, const char *dir,
                       const struct toc_pressure_limits *l) {
    p->vfs = vfs;
    p->limits = *l;
    snprintf(p->path, sizeof p->path, "%s/ballast", dir);
    if (!p->limits.memory_bytes)
        p->limits.memory_bytes = toc_machine_memory_bytes() / 2;
    struct toc_file_info info;
    p->has_ballast = vfs->info(vfs, p->path, &info) == 0 && info.size_bytes > 0;
    if (p->has_ballast && info.size_bytes != l->ballast_bytes) /* made for another limit */
        p->has_ballast = vfs->remove(vfs, p->path) != 0;
}

/* --- disk --- */

/* Written, not only reserved: a file system may promise more than it has. */
static int fill(struct toc_pressure *p, struct toc_file *f) {
    char *piece = toc_xcalloc(1, PIECE_BYTES);
    int rc = 0;
    for (uint64_t at = 0; at < p->limits.ballast_bytes && !rc;) {
        size_t n = (size_t)TOC_MIN((uint64_t)PIECE_BYTES, p->limits.ballast_bytes - at);
        int64_t put = p->vfs->append(p->vfs, f, piece, n);
        rc = put == (int64_t)n ? 0 : put < 0 ? (int)put : TOC_ENOSPC;
        at += n;
    }
    toc_free(piece);
    return rc ? rc : p->vfs->sync(p->vfs, f);
}

static void make_ballast(struct toc_pressure *p) {
    struct toc_file *f;
    unsigned flags = TOC_OPEN_WRITE | TOC_OPEN_CREATE | TOC_OPEN_TRUNCATE | TOC_OPEN_APPEND;
    int rc = toc_file_open(p->vfs, p->path, flags, &f);
    if (!rc) {
        rc = fill(p, f);
        toc_file_close(p->vfs, &f);
    }
    p->has_ballast = rc == 0;
    if (rc && p->vfs->remove(p->vfs, p->path))
        toc_log(TOC_LOG_WARN, "storage", "the half-made ballast %s cannot be removed", p->path);
}

static void release_ballast(struct toc_pressure *p) {
    int rc = p->has_ballast ? p->vfs->remove(p->vfs, p->path) : 0;
    if (rc)
        toc_log(TOC_LOG_ERROR, "storage", "the ballast %s cannot be removed: %s", p->path,
                toc_strerror(rc));
    p->ballast_releases += p->has_ballast && !rc;
    p->has_ballast = p->has_ballast && rc;
}

static void look_at_disk(struct toc_pressure *p, const struct toc_pressure_input *in) {
    uint64_t size = p->limits.ballast_bytes;
    if (!size)
        return;
    if (!p->is_disk_full &&
        ((in->has_write_failed && in->free_bytes < 2 * size) || in->free_bytes < size / 16)) {
        toc_log(
            TOC_LOG_ERROR, "storage",
            "the disk is full: no samples are written, the ballast %s is released for incidents "
            "and notifications; free some space and it goes on by itself",
            p->path);
        p->is_disk_full = true;
        release_ballast(p);
    } else if (p->is_disk_full && in->free_bytes >= 2 * size) {
        toc_log(TOC_LOG_INFO, "storage", "there is space on the disk again: samples are written");
        p->is_disk_full = false;
        make_ballast(p);
    } else if (!p->is_disk_full && !p->has_ballast && in->free_bytes >= ROOM_KEPT * size) {
        make_ballast(p);
    }
}

/* --- memory --- */

static unsigned memory_level(const struct toc_pressure *p, uint64_t rss) {
    uint64_t budget = p->limits.memory_bytes;
    if (!budget)
        return 0;
    if (rss > budget / 10 * 9)
        return TOC_SHORT_OF_MEMORY | TOC_NO_MEMORY_AT_ALL;
    return rss > budget / 4 * 3 ? TOC_SHORT_OF_MEMORY : 0;
}

static unsigned look_at_memory(struct toc_pressure *p, const struct toc_pressure_input *in) {
    unsigned before = p->shortage & (TOC_SHORT_OF_MEMORY | TOC_NO_MEMORY_AT_ALL);
    unsigned level = memory_level(p, in->rss_bytes);
    if (level)
        toc_alloc_trim();
    if (level == before)
        return level;
    toc_log(level ? TOC_LOG_WARN : TOC_LOG_INFO, "memory",
            "%llu of %llu MiB of the memory budget are in use: %s",
            (unsigned long long)(in->rss_bytes >> 20),
            (unsigned long long)(p->limits.memory_bytes >> 20),
            level & TOC_NO_MEMORY_AT_ALL ? "writes and queries are refused until it is less"
            : level                      ? "no new series are made"
                                         : "everything is accepted again");
    return level;
}

/* A heap of many threads keeps a tenth and more of what it once had. */
static void look_at_heap(struct toc_pressure *p, uint64_t rss_bytes) {
    p->least_rss_bytes = TOC_MIN(p->least_rss_bytes, rss_bytes);
    bool has_risen = rss_bytes - p->least_rss_bytes >= RISE_BYTES;
    bool is_soon = has_risen || p->has_risen;
    if (++p->looks < (is_soon ? LOOKS_TO_TRIM : LOOKS_TO_TRIM_ANYWAY))
        return;
    p->looks = 0;
    p->has_risen = has_risen; /* a look may fall into the burst: what it frees is met by the next */
    p->least_rss_bytes = rss_bytes;
    if (toc_alloc_unused_bytes() >= UNUSED_BYTES_MAX)
        toc_alloc_trim();
}

bool toc_pressure_step(struct toc_pressure *p, const struct toc_pressure_input *in) {
    unsigned before = p->shortage;
    unsigned memory = look_at_memory(p, in);
    look_at_heap(p, in->rss_bytes);
    look_at_disk(p, in);
    p->shortage = memory | (p->is_disk_full ? TOC_SHORT_OF_DISK : 0);
    return p->shortage != before;
}
