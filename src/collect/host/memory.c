#include "collect/host/host_priv.h"

#include <stdio.h>

enum { NAME_MAX_BYTES = 128 };

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* "Active(anon)" → "node_memory_Active_anon"; false for a key that gives no legal name. */
static bool memory_name(struct toc_sv key, char *out, size_t out_size) {
    int n = snprintf(out, out_size, "node_memory_");
    for (size_t i = 0; i < key.n && n < (int)out_size - 8; i++) {
        char c = key.p[i] == '(' ? '_' : key.p[i];
        if (c == ')')
            continue;
        if (!is_word(c))
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return key.n > 0;
}

/* "MemTotal:       16315108 kB" or "HugePages_Free:        0" */
static void put_memory_line(struct toc_host *h, struct toc_sv line) {
    char name[NAME_MAX_BYTES];
    struct toc_sv key, unit;
    double value;
    if (!toc_text_word(&line, &key) || key.p[key.n - 1] != ':' || !toc_text_number(&line, &value))
        return;
    key.n--;
    if (key.n > NAME_MAX_BYTES - 24 || !memory_name(key, name, sizeof name))
        return;
    if (toc_text_word(&line, &unit)) {
        if (!toc_sv_eq_cstr(unit, "kB"))
            return;
        value *= 1024;
        size_t n = strlen(name);
        snprintf(name + n, sizeof name - n, "_bytes");
    }
    toc_host_put(h, name, TOC_METRIC_GAUGE, value);
}

int toc_host_meminfo(struct toc_host *h) {
    struct toc_sv text, line;
    int rc = toc_procfs_read(&h->fs, "/proc/meminfo", &text);
    while (!rc && toc_text_line(&text, &line))
        put_memory_line(h, line);
    return rc;
}

/* node_exporter's default selection: ^(oom_kill|pgpg|pswp|pg.*fault).* */
static bool is_vmstat_wanted(struct toc_sv key) {
    if (toc_sv_starts_with(key, TOC_SV("oom_kill")) || toc_sv_starts_with(key, TOC_SV("pgpg")) ||
        toc_sv_starts_with(key, TOC_SV("pswp")))
        return true;
    return toc_sv_starts_with(key, TOC_SV("pg")) &&
           toc_sv_find(toc_sv_sub(key, 2, SIZE_MAX), TOC_SV("fault")) != SIZE_MAX;
}

int toc_host_vmstat(struct toc_host *h) {
    struct toc_sv text, line, key;
    char name[NAME_MAX_BYTES];
    double value;
    int rc = toc_procfs_read(&h->fs, "/proc/vmstat", &text);
    while (!rc && toc_text_line(&text, &line)) {
        if (!toc_text_word(&line, &key) || !is_vmstat_wanted(key) || key.n > 64 ||
            !toc_text_number(&line, &value))
            continue;
        snprintf(name, sizeof name, "node_vmstat_%.*s", TOC_SV_ARG(key));
        toc_host_put(h, name, TOC_METRIC_UNKNOWN, value);
    }
    return rc;
}

/* X(resource, line, metric). The share of CPU time in which everything stalled is always 0 for a
 * machine. */
#define PRESSURE_FIELDS(X)                                            \
    X("cpu", "some", "node_pressure_cpu_waiting_seconds_total")       \
    X("io", "some", "node_pressure_io_waiting_seconds_total")         \
    X("io", "full", "node_pressure_io_stalled_seconds_total")         \
    X("memory", "some", "node_pressure_memory_waiting_seconds_total") \
    X("memory", "full", "node_pressure_memory_stalled_seconds_total")

static const struct {
    const char *resource;
    const char *line;
    const char *metric;
} pressure_fields[] = {
#define X(resource, line, metric) {resource, line, metric},
    PRESSURE_FIELDS(X)
#undef X
};

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345" (microseconds) */
static bool pressure_total(struct toc_sv text, const char *wanted, double *out_s) {
    struct toc_sv line, word;
    while (toc_text_line(&text, &line)) {
        if (!toc_text_word(&line, &word) || !toc_sv_eq_cstr(word, wanted))
            continue;
        while (toc_text_word(&line, &word)) {
            if (!toc_sv_starts_with(word, TOC_SV("total=")))
                continue;
            struct toc_sv digits = toc_sv_sub(word, 6, SIZE_MAX);
            bool is_number = toc_text_number(&digits, out_s);
            *out_s /= 1e6;
            return is_number;
        }
    }
    return false;
}

int toc_host_pressure(struct toc_host *h) {
    int found = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(pressure_fields); i++) {
        char path[64];
        struct toc_sv text;
        double seconds = 0;
        snprintf(path, sizeof path, "/proc/pressure/%s", pressure_fields[i].resource);
        if (toc_procfs_read(&h->fs, path, &text) ||
            !pressure_total(text, pressure_fields[i].line, &seconds))
            continue;
        toc_host_put(h, pressure_fields[i].metric, TOC_METRIC_COUNTER, seconds);
        found++;
    }
    return found ? 0 : TOC_ENOENT;
}
