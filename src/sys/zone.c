/* TZif version 1 blocks are read (RFC 9636): transitions until 2037, later times keep the last
 * offset of the year before. */
#include "sys/zone.h"

#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "sys/vfs.h"

enum { HEADER_BYTES = 44, ZONE_MAX_BYTES = 1 << 20 };

static uint32_t be32(const char *p) {
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

/* Offset in seconds of the type in force at `seconds`. */
static bool offset_of(struct toc_sv file, int64_t seconds, int *out_s) {
    if (file.n < HEADER_BYTES || memcmp(file.p, "TZif", 4) != 0)
        return false;
    size_t transitions = be32(file.p + 32), types = be32(file.p + 36);
    if (types == 0 || transitions > 10000 || types > 256 ||
        file.n < HEADER_BYTES + transitions * 5 + types * 6)
        return false;
    const char *times = file.p + HEADER_BYTES, *indexes = times + transitions * 4;
    const char *infos = indexes + transitions;
    size_t type = 0;
    for (size_t i = 0; i < transitions && (int32_t)be32(times + i * 4) <= seconds; i++)
        type = (unsigned char)indexes[i];
    if (type >= types)
        return false;
    *out_s = (int32_t)be32(infos + type * 6);
    return true;
}

bool toc_zone_offset(void *unused, struct toc_sv location, struct toc_ts at, int *out_minutes) {
    (void)unused;
    char path[256] = "/etc/localtime";
    bool is_local = toc_sv_eq(location, TOC_SV("Local"));
    if (!is_local) {
        if (location.n == 0 || location.n > 100 || location.p[0] == '/' ||
            toc_sv_find(location, TOC_SV("..")) != SIZE_MAX)
            return false;
        strcpy(path, "/usr/share/zoneinfo/");
        toc_sv_copy(location, path + strlen(path), 200);
    }
    struct toc_buf file = TOC_BUF_INIT;
    int seconds = 0;
    bool is_known = toc_vfs_read_file(toc_vfs_system(), path, ZONE_MAX_BYTES, &file) == 0 &&
                    offset_of(toc_buf_sv(&file), at.ms / 1000, &seconds);
    toc_buf_fini(&file);
    if (!is_known && is_local) /* no zone set: the machine runs on UTC */
        is_known = true;
    *out_minutes = seconds / 60;
    return is_known;
}
