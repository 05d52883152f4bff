/* The control group this process (and a job started beside it) lives in: version 2, or version
 * 1's memory controller. The machine's memory says nothing about a container's limit; this does. */
#include "collect/host/host_priv.h"

#include <math.h>
#include <stdio.h>

/* "0::/user.slice" (v2) or "4:memory:/docker/1234" (v1) */
static void read_group_line(struct toc_host *h, struct toc_sv line) {
    struct toc_sv controllers;
    if (!toc_sv_split(&line, ':', &controllers) || !toc_sv_split(&line, ':', &controllers) ||
        line.n == 0 || line.n > 400)
        return;
    struct toc_sv path = toc_sv_eq_cstr(line, "/") ? TOC_SV_NULL : line;
    if (controllers.n == 0 && !h->cgroup_memory[0]) {
        h->cgroup_is_v2 = true;
        snprintf(h->cgroup_memory, sizeof h->cgroup_memory, "/sys/fs/cgroup%.*s", TOC_SV_ARG(path));
        snprintf(h->cgroup_cpu, sizeof h->cgroup_cpu, "/sys/fs/cgroup%.*s", TOC_SV_ARG(path));
    } else if (toc_sv_eq_cstr(controllers, "memory")) {
        h->cgroup_is_v2 = false;
        snprintf(h->cgroup_memory, sizeof h->cgroup_memory, "/sys/fs/cgroup/memory%.*s",
                 TOC_SV_ARG(path));
        h->cgroup_cpu[0] = '\0';
    }
}

static void find_group(struct toc_host *h) {
    struct toc_sv text, line;
    h->cgroup_is_known = true;
    if (toc_procfs_read_once(&h->fs, "/proc/self/cgroup", &text))
        return;
    while (toc_text_line(&text, &line))
        read_group_line(h, line);
}

static bool read_in(struct toc_host *h, const char *dir, const char *file, struct toc_sv *out) {
    char path[600];
    if (!dir[0] || snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path ||
        toc_procfs_read(&h->fs, path, out))
        return false;
    *out = toc_sv_trim(*out);
    return true;
}

static bool put_bytes(struct toc_host *h, const char *file, const char *metric) {
    /* Version 1 writes "no limit" as the largest multiple of the page size. */
    static const double v1_unlimited = 9.2e18;
    struct toc_sv text;
    double value;
    if (!read_in(h, h->cgroup_memory, file, &text))
        return false;
    if (toc_sv_eq_cstr(text, "max"))
        value = INFINITY;
    else if (!toc_text_number(&text, &value))
        return false;
    toc_host_put(h, metric, TOC_METRIC_GAUGE, value >= v1_unlimited ? INFINITY : value);
    return true;
}

/* "oom_kill 0" per line. */
static void put_events(struct toc_host *h, const char *file) {
    struct toc_sv text, line, key;
    double value;
    if (!read_in(h, h->cgroup_memory, file, &text))
        return;
    while (toc_text_line(&text, &line))
        if (toc_text_word(&line, &key) && toc_text_number(&line, &value))
            toc_host_put1(h, "tocsin_cgroup_memory_events_total", TOC_METRIC_COUNTER,
                          TOC_SV("event"), key, value);
}

/* X(key in cpu.stat, metric, scale) */
#define CPU_FIELDS(X)                                                 \
    X("usage_usec", "tocsin_cgroup_cpu_usage_seconds_total", 1e-6)    \
    X("user_usec", "tocsin_cgroup_cpu_user_seconds_total", 1e-6)      \
    X("system_usec", "tocsin_cgroup_cpu_system_seconds_total", 1e-6)  \
    X("nr_periods", "tocsin_cgroup_cpu_periods_total", 1)             \
    X("nr_throttled", "tocsin_cgroup_cpu_throttled_periods_total", 1) \
    X("throttled_usec", "tocsin_cgroup_cpu_throttled_seconds_total", 1e-6)

static void put_cpu_line(struct toc_host *h, struct toc_sv line) {
    static const struct {
        const char *key;
        const char *metric;
        double scale;
    } fields[] = {
#define X(key, metric, scale) {key, metric, scale},
        CPU_FIELDS(X)
#undef X
    };
    struct toc_sv key;
    double value;
    if (!toc_text_word(&line, &key) || !toc_text_number(&line, &value))
        return;
    for (size_t i = 0; i < TOC_ARRAY_LEN(fields); i++)
        if (toc_sv_eq_cstr(key, fields[i].key))
            toc_host_put(h, fields[i].metric, TOC_METRIC_COUNTER, value * fields[i].scale);
}

int toc_host_cgroup(struct toc_host *h) {
    if (!h->cgroup_is_known)
        find_group(h);
    bool v2 = h->cgroup_is_v2;
    /* The root group has no memory files: then there is no limit to know about. */
    bool has_memory = put_bytes(h, v2 ? "memory.current" : "memory.usage_in_bytes",
                                "tocsin_cgroup_memory_current_bytes");
    put_bytes(h, v2 ? "memory.max" : "memory.limit_in_bytes", "tocsin_cgroup_memory_max_bytes");
    if (v2)
        put_events(h, "memory.events");
    struct toc_sv text, line;
    if (!read_in(h, h->cgroup_cpu, "cpu.stat", &text))
        return has_memory ? 0 : TOC_ENOENT;
    while (toc_text_line(&text, &line))
        put_cpu_line(h, line);
    return 0;
}
