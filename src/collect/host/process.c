#include "collect/host/host_priv.h"

#include <stdio.h>
#include <string.h>

enum { PROCESSES_MAX = 200000 };

struct census {
    struct toc_host *h;
    double pids, threads;
    double by_state[128];
};

/* "123 (name with ) blanks) S 1 … num_threads …": the state follows the last ')'. */
static void count_stat(struct census *c, struct toc_sv text) {
    size_t close = text.n;
    while (close > 0 && text.p[close - 1] != ')')
        close--;
    struct toc_sv rest = toc_sv_sub(text, close, SIZE_MAX), word;
    if (!close || !toc_text_word(&rest, &word))
        return;
    double value = 0;
    enum { FIELDS_UP_TO_THREADS = 17 };
    c->by_state[(unsigned char)word.p[0] & 127]++;
    c->pids++;
    for (int i = 0; i < FIELDS_UP_TO_THREADS; i++)
        if (!toc_text_number(&rest, &value))
            return;
    c->threads += value;
}

static int count_process(void *ctx, const char *name) {
    struct census *c = ctx;
    char path[64];
    struct toc_sv text;
    if (name[0] < '1' || name[0] > '9' || strlen(name) > 12)
        return 0;
    snprintf(path, sizeof path, "/proc/%s/stat", name);
    if (toc_procfs_read_once(&c->h->fs, path, &text) == 0)
        count_stat(c, text);
    return c->pids >= PROCESSES_MAX;
}

static void put_limit(struct toc_host *h, const char *path, const char *metric) {
    struct toc_sv text;
    double value;
    if (toc_procfs_read(&h->fs, path, &text))
        return;
    text = toc_sv_trim(text);
    if (toc_text_number(&text, &value))
        toc_host_put(h, metric, TOC_METRIC_GAUGE, value);
}

int toc_host_processes(struct toc_host *h) {
    struct census c = {.h = h};
    int rc = toc_procfs_list(&h->fs, "/proc", count_process, &c);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 128; i++) {
        char state = (char)i;
        if (c.by_state[i] > 0)
            toc_host_put1(h, "node_processes_state", TOC_METRIC_GAUGE, TOC_SV("state"),
                          toc_sv_make(&state, 1), c.by_state[i]);
    }
    toc_host_put(h, "node_processes_pids", TOC_METRIC_GAUGE, c.pids);
    toc_host_put(h, "node_processes_threads", TOC_METRIC_GAUGE, c.threads);
    put_limit(h, "/proc/sys/kernel/threads-max", "node_processes_max_threads");
    put_limit(h, "/proc/sys/kernel/pid_max", "node_processes_max_processes");
    return 0;
}
