#include "app/progress.h"

#include <stdio.h>

#include "base/attrs.h"
#include "sys/clock.h"
#include "sys/env.h"

enum { EVERY_MS = 100, BAR_CHARS = 24, STDERR = 2 };

static int64_t mono_ms(void) {
    return toc_clock_mono(toc_clock_system()).ns / 1000000;
}

void toc_progress_begin(struct toc_progress *p, const char *what, uint64_t total) {
    *p = (struct toc_progress){.what = what,
                               .total = total,
                               .is_shown = toc_fd_is_terminal(STDERR),
                               .started_ms = mono_ms()};
}

void toc_progress_at(struct toc_progress *p, uint64_t done, const char *detail) {
    int64_t now = p->is_shown ? mono_ms() : 0;
    if (!p->is_shown || now < p->next_ms)
        return;
    p->next_ms = now + EVERY_MS;
    double part = p->total ? TOC_MIN((double)done / (double)p->total, 1) : 0;
    int full = (int)(part * BAR_CHARS);
    double seconds = (double)(now - p->started_ms) / 1000;
    fprintf(stderr, "\r%s [%.*s%.*s] %3.0f%%  %.0f s  %s\033[K", p->what, full,
            "########################", BAR_CHARS - full, "........................", part * 100,
            seconds, detail);
    fflush(stderr);
}

void toc_progress_end(struct toc_progress *p) {
    if (p->is_shown)
        fputs("\r\033[K", stderr);
}
