#include "sys/machine.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

int toc_uname(struct toc_uname *out) {
    struct utsname u;
    if (uname(&u))
        return -errno;
    snprintf(out->sysname, sizeof out->sysname, "%s", u.sysname);
    snprintf(out->release, sizeof out->release, "%s", u.release);
    snprintf(out->version, sizeof out->version, "%s", u.version);
    snprintf(out->machine, sizeof out->machine, "%s", u.machine);
    snprintf(out->nodename, sizeof out->nodename, "%s", u.nodename);
    snprintf(out->domainname, sizeof out->domainname, "%s", u.domainname);
    return 0;
}

int toc_fs_stat(const char *path, struct toc_fs_stat *out) {
    struct statfs s;
    if (statfs(path, &s))
        return -errno;
    uint64_t block = (uint64_t)s.f_bsize;
    *out = (struct toc_fs_stat){
        .size_bytes = s.f_blocks * block,
        .free_bytes = s.f_bfree * block,
        .avail_bytes = s.f_bavail * block,
        .files = s.f_files,
        .files_free = s.f_ffree,
    };
    return 0;
}

void toc_local_time_zone(int64_t unix_s, struct toc_time_zone *out) {
    time_t t = (time_t)unix_s;
    struct tm local;
    *out = (struct toc_time_zone){.name = "UTC"};
    if (!localtime_r(&t, &local))
        return;
    out->offset_s = local.tm_gmtoff;
    if (local.tm_zone)
        snprintf(out->name, sizeof out->name, "%s", local.tm_zone);
}

int64_t toc_page_size_bytes(void) {
    return sysconf(_SC_PAGESIZE);
}

static uint64_t read_number(const char *path, const char *form) {
    unsigned long long n = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    int got = fscanf(f, form, &n);
    fclose(f);
    return got == 1 ? n : 0;
}

uint64_t toc_machine_memory_bytes(void) {
    uint64_t most = read_number("/proc/meminfo", "MemTotal: %llu") * 1024;
    static const char *const groups[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        uint64_t n = read_number(groups[i], "%llu"); /* "max" is no number */
        if (n && (n < most || !most))
            most = n;
    }
    return most;
}
