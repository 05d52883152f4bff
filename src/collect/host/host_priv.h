/* Shared by the parts of the host collector. */
#ifndef TOC_COLLECT_HOST_PRIV_H
#define TOC_COLLECT_HOST_PRIV_H

#include "collect/emitter.h"
#include "collect/host.h"
#include "collect/procfile.h"
#include "sys/machine.h"
#include "sys/thread.h"

enum { TOC_CPUS_MAX = 4096, TOC_CPU_MODES = 10 };

struct toc_host_cpu {
    double ticks[TOC_CPU_MODES];
};

struct toc_regex;
struct toc_fs_pool; /* threads that may hang in statfs */

struct toc_host {
    struct toc_emitter out;
    struct toc_procfs fs;
    bool is_real; /* root is the machine's own: statfs and uname speak about it */
    uint64_t cycle;
    struct toc_host_cpu *cpus;
    size_t cpu_count;
    struct toc_map udev; /* "major:minor" → struct toc_udev_info */
    uint64_t udev_cycle;
    struct toc_fs_pool *fs_pool;
    struct toc_regex *disk_exclude, *net_exclude, *mount_exclude, *fs_type_exclude;
    char cgroup_memory[512], cgroup_cpu[512]; /* own group, "" = not looked up or none */
    bool cgroup_is_v2, cgroup_is_known;
};

/* Each reads its part and puts samples; a negative code says that the part is not there. */
int toc_host_cpu(struct toc_host *h);
int toc_host_stat(struct toc_host *h);
int toc_host_loadavg(struct toc_host *h);
int toc_host_filefd(struct toc_host *h);
int toc_host_uname(struct toc_host *h);
int toc_host_time(struct toc_host *h);
int toc_host_meminfo(struct toc_host *h);
int toc_host_vmstat(struct toc_host *h);
int toc_host_pressure(struct toc_host *h);
int toc_host_diskstats(struct toc_host *h);
int toc_host_netdev(struct toc_host *h);
int toc_host_sockstat(struct toc_host *h);
int toc_host_filesystem(struct toc_host *h);
int toc_host_processes(struct toc_host *h);
int toc_host_cgroup(struct toc_host *h);

void toc_host_disk_fini(struct toc_host *h);
struct toc_fs_pool *toc_fs_pool_new(void);
/* Threads stuck in the kernel are left behind with their memory. */
void toc_fs_pool_free(struct toc_fs_pool **p);

/* A sample without labels of its own. */
static inline void toc_host_put(struct toc_host *h, const char *name, enum toc_metric_type type,
                                double value) {
    toc_emitter_put(&h->out, name, type, NULL, 0, value);
}
/* A sample with one label. */
static inline void toc_host_put1(struct toc_host *h, const char *name, enum toc_metric_type type,
                                 struct toc_sv label, struct toc_sv label_value, double value) {
    struct toc_label l = {label, label_value};
    toc_emitter_put(&h->out, name, type, &l, 1, value);
}

#endif
