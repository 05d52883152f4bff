#include "collect/host/host_priv.h"

#include <stdio.h>

/* X(key in /proc/stat, metric, type): the first number behind the key. */
#define STAT_FIELDS(X)                                           \
    X("intr", "node_intr_total", TOC_METRIC_COUNTER)             \
    X("ctxt", "node_context_switches_total", TOC_METRIC_COUNTER) \
    X("processes", "node_forks_total", TOC_METRIC_COUNTER)       \
    X("btime", "node_boot_time_seconds", TOC_METRIC_GAUGE)       \
    X("procs_running", "node_procs_running", TOC_METRIC_GAUGE)   \
    X("procs_blocked", "node_procs_blocked", TOC_METRIC_GAUGE)

static const struct {
    const char *key;
    const char *metric;
    enum toc_metric_type type;
} stat_fields[] = {
#define X(key, metric, type) {key, metric, type},
    STAT_FIELDS(X)
#undef X
};

static void put_stat_line(struct toc_host *h, struct toc_sv line) {
    struct toc_sv key;
    double value;
    if (!toc_text_word(&line, &key))
        return;
    for (size_t i = 0; i < TOC_ARRAY_LEN(stat_fields); i++)
        if (toc_sv_eq_cstr(key, stat_fields[i].key) && toc_text_number(&line, &value))
            toc_host_put(h, stat_fields[i].metric, stat_fields[i].type, value);
}

int toc_host_stat(struct toc_host *h) {
    /* The CPU part has just read the file, but its text may be gone; a second read costs
     * microseconds. */
    struct toc_sv text, line;
    int rc = toc_procfs_read(&h->fs, "/proc/stat", &text);
    if (rc)
        return rc;
    while (toc_text_line(&text, &line))
        put_stat_line(h, line);
    return 0;
}

int toc_host_loadavg(struct toc_host *h) {
    static const char *const names[] = {"node_load1", "node_load5", "node_load15"};
    struct toc_sv text;
    double value;
    int rc = toc_procfs_read(&h->fs, "/proc/loadavg", &text);
    for (size_t i = 0; !rc && i < TOC_ARRAY_LEN(names); i++) {
        if (!toc_text_number(&text, &value))
            return TOC_EPARSE;
        toc_host_put(h, names[i], TOC_METRIC_GAUGE, value);
    }
    return rc;
}

int toc_host_filefd(struct toc_host *h) {
    struct toc_sv text;
    double allocated, unused, maximum;
    int rc = toc_procfs_read(&h->fs, "/proc/sys/fs/file-nr", &text);
    if (rc)
        return rc;
    text = toc_sv_trim(text);
    if (!toc_text_number(&text, &allocated) || !toc_text_number(&text, &unused) ||
        !toc_text_number(&text, &maximum))
        return TOC_EPARSE;
    toc_host_put(h, "node_filefd_allocated", TOC_METRIC_GAUGE, allocated);
    toc_host_put(h, "node_filefd_maximum", TOC_METRIC_GAUGE, maximum);
    return 0;
}

int toc_host_uname(struct toc_host *h) {
    struct toc_uname u;
    int rc = toc_uname(&u);
    if (rc)
        return rc;
    struct toc_label labels[] = {
        {TOC_SV("domainname"), toc_sv_cstr(u.domainname)},
        {TOC_SV("machine"), toc_sv_cstr(u.machine)},
        {TOC_SV("nodename"), toc_sv_cstr(u.nodename)},
        {TOC_SV("release"), toc_sv_cstr(u.release)},
        {TOC_SV("sysname"), toc_sv_cstr(u.sysname)},
        {TOC_SV("version"), toc_sv_cstr(u.version)},
    };
    toc_emitter_put(&h->out, "node_uname_info", TOC_METRIC_GAUGE, labels, TOC_ARRAY_LEN(labels), 1);
    return 0;
}

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/"

static void put_clocksources(struct toc_host *h, const char *path, const char *metric) {
    struct toc_sv text, word;
    if (toc_procfs_read(&h->fs, path, &text))
        return;
    text = toc_sv_trim(text);
    while (toc_text_word(&text, &word)) {
        struct toc_label labels[] = {{TOC_SV("clocksource"), word},
                                     {TOC_SV("device"), TOC_SV("0")}};
        toc_emitter_put(&h->out, metric, TOC_METRIC_GAUGE, labels, 2, 1);
    }
}

int toc_host_time(struct toc_host *h) {
    int64_t now_ms = h->out.now.ms;
    struct toc_time_zone zone;
    toc_local_time_zone(now_ms / 1000, &zone);
    toc_host_put(h, "node_time_seconds", TOC_METRIC_GAUGE, (double)now_ms / 1000);
    toc_host_put1(h, "node_time_zone_offset_seconds", TOC_METRIC_GAUGE, TOC_SV("time_zone"),
                  toc_sv_cstr(zone.name), (double)zone.offset_s);
    put_clocksources(h, CLOCKSOURCE "available_clocksource",
                     "node_time_clocksource_available_info");
    put_clocksources(h, CLOCKSOURCE "current_clocksource", "node_time_clocksource_current_info");
    return 0;
}
