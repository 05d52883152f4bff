#include "collect/host/host_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "shim/regex.h"
#include "sys/env.h"

/* X(name, function, every n-th cycle). Name as in node_exporter where it has the collector. */
#define COLLECTORS(X)                       \
    X("cpu", toc_host_cpu, 1)               \
    X("stat", toc_host_stat, 1)             \
    X("loadavg", toc_host_loadavg, 1)       \
    X("meminfo", toc_host_meminfo, 1)       \
    X("vmstat", toc_host_vmstat, 1)         \
    X("pressure", toc_host_pressure, 1)     \
    X("diskstats", toc_host_diskstats, 1)   \
    X("netdev", toc_host_netdev, 1)         \
    X("sockstat", toc_host_sockstat, 5)     \
    X("filefd", toc_host_filefd, 5)         \
    X("filesystem", toc_host_filesystem, 5) \
    X("processes", toc_host_processes, 15)  \
    X("cgroup", toc_host_cgroup, 1)         \
    X("time", toc_host_time, 1)             \
    X("uname", toc_host_uname, 15)

static const struct {
    const char *name;
    int (*collect)(struct toc_host *h);
    unsigned every;
} collectors[] = {
#define X(name, fn, every) {name, fn, every},
    COLLECTORS(X)
#undef X
};

_Static_assert(TOC_ARRAY_LEN(collectors) < TOC_EMITTER_GROUPS_MAX, "one emitter group each");

/* X(member, pattern): what node_exporter 1.5 leaves out by default. */
#define EXCLUSIONS(X)                                                                        \
    X(disk_exclude, "^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$")                   \
    X(net_exclude, "^lo$")                                                                   \
    X(mount_exclude, "^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|"                      \
                     "var/lib/containers/storage/.+)($|/)")                                  \
    X(fs_type_exclude, "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|" \
                       "fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|"   \
                       "rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$")

static void compile_exclusions(struct toc_host *h) {
    int rc = 0;
#define X(member, pattern) \
    if (!rc)               \
        rc = toc_regex_new(TOC_SV(pattern), TOC_REGEX_SEARCH, &h->member, NULL);
    EXCLUSIONS(X)
#undef X
    TOC_ASSERT(rc == 0);
}

static void free_exclusions(struct toc_host *h) {
#define X(member, pattern) toc_regex_free(&h->member);
    EXCLUSIONS(X)
#undef X
}

static bool is_root_empty(const char *root) {
    return !root || !root[0];
}

struct toc_host *toc_host_new(const struct toc_host_options *o) {
    char hostname[256];
    toc_hostname(hostname, sizeof hostname);
    struct toc_host *h = TOC_NEW(struct toc_host);
    struct toc_label base[] = {
        {TOC_SV("instance"), toc_sv_cstr(o->instance ? o->instance : hostname)},
        {TOC_SV("job"), toc_sv_cstr(o->job ? o->job : "node")},
    };
    toc_emitter_init(&h->out, (struct toc_labels){base, 2});
    toc_procfs_init(&h->fs, o->vfs ? o->vfs : toc_vfs_system(), o->root);
    h->is_real = is_root_empty(o->root);
    h->fs_pool = toc_fs_pool_new();
    compile_exclusions(h);
    return h;
}

void toc_host_free(struct toc_host **h) {
    if (!h || !*h)
        return;
    toc_fs_pool_free(&(*h)->fs_pool);
    toc_host_disk_fini(*h);
    free_exclusions(*h);
    toc_procfs_fini(&(*h)->fs);
    toc_emitter_fini(&(*h)->out);
    toc_free((*h)->cpus);
    toc_free(*h);
    *h = NULL;
}

int toc_host_collect(struct toc_host *h, struct toc_ts now, struct toc_sink *sink,
                     struct toc_err *err) {
    toc_emitter_begin(&h->out, now);
    toc_emitter_group(&h->out, 0);
    toc_host_put(h, "up", TOC_METRIC_GAUGE, 1);
    for (unsigned i = 0; i < TOC_ARRAY_LEN(collectors); i++) {
        if (h->cycle % collectors[i].every)
            continue;
        toc_emitter_group(&h->out, i + 1);
        int rc = collectors[i].collect(h);
        toc_host_put1(h, "node_scrape_collector_success", TOC_METRIC_GAUGE, TOC_SV("collector"),
                      toc_sv_cstr(collectors[i].name), rc ? 0 : 1);
    }
    h->cycle++;
    return toc_emitter_flush(&h->out, sink, err);
}
