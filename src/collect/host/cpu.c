#include "collect/host/host_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

/* /proc/stat's columns; the last two are time given to guests, which the first two contain as
 * well. */
static const char *const modes[TOC_CPU_MODES] = {"user", "nice",    "system", "idle", "iowait",
                                                 "irq",  "softirq", "steal",  "user", "nice"};
enum { MODE_IDLE = 3, MODE_GUEST = 8 };

/* /proc counts in USER_HZ, which is 100 on every Linux architecture. */
static const double seconds_per_tick = 0.01;
/* An idle counter that falls by more than this is a CPU that was taken offline and came back. */
static const double hotplug_ticks = 300;

/* The kernel's per-mode counters may step back a little (idle and iowait are estimates): a
 * counter that falls would look like a restart to rate(), so the highest value is kept. */
static void keep_rising(struct toc_host_cpu *kept, const struct toc_host_cpu *seen) {
    if (kept->ticks[MODE_IDLE] - seen->ticks[MODE_IDLE] >= hotplug_ticks)
        *kept = (struct toc_host_cpu){0};
    for (int m = 0; m < TOC_CPU_MODES; m++)
        if (seen->ticks[m] > kept->ticks[m])
            kept->ticks[m] = seen->ticks[m];
}

static void put_cpu(struct toc_host *h, struct toc_sv cpu, const struct toc_host_cpu *c) {
    for (int m = 0; m < TOC_CPU_MODES; m++) {
        struct toc_label labels[] = {{TOC_SV("cpu"), cpu}, {TOC_SV("mode"), toc_sv_cstr(modes[m])}};
        const char *name =
            m < MODE_GUEST ? "node_cpu_seconds_total" : "node_cpu_guest_seconds_total";
        toc_emitter_put(&h->out, name, TOC_METRIC_COUNTER, labels, 2,
                        c->ticks[m] * seconds_per_tick);
    }
}

static struct toc_host_cpu *kept_cpu(struct toc_host *h, uint64_t index) {
    if (index >= TOC_CPUS_MAX)
        return NULL;
    if (index >= h->cpu_count) {
        h->cpus = toc_xrealloc(h->cpus, (index + 1) * sizeof *h->cpus);
        memset(h->cpus + h->cpu_count, 0, (index + 1 - h->cpu_count) * sizeof *h->cpus);
        h->cpu_count = index + 1;
    }
    return &h->cpus[index];
}

/* "cpu12 4705 150 …" */
static void read_cpu_line(struct toc_host *h, struct toc_sv line) {
    struct toc_sv word;
    uint64_t index;
    if (!toc_text_word(&line, &word) || word.n < 4)
        return;
    struct toc_sv number = toc_sv_sub(word, 3, SIZE_MAX);
    if (toc_parse_u64(number, &index))
        return;
    struct toc_host_cpu *kept = kept_cpu(h, index);
    if (!kept)
        return;
    struct toc_host_cpu seen = {0};
    for (int m = 0; m < TOC_CPU_MODES && toc_text_number(&line, &seen.ticks[m]); m++)
        ;
    keep_rising(kept, &seen);
    put_cpu(h, number, kept);
}

int toc_host_cpu(struct toc_host *h) {
    struct toc_sv text, line;
    int rc = toc_procfs_read(&h->fs, "/proc/stat", &text);
    if (rc)
        return rc;
    while (toc_text_line(&text, &line) && toc_sv_starts_with(line, TOC_SV("cpu")))
        read_cpu_line(h, line);
    return 0;
}
