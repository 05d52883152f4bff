/* A progress line on standard error, on a terminal only and at most ten times a second. */
#ifndef TOC_APP_PROGRESS_H
#define TOC_APP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct toc_progress {
    const char *what; /* static */
    uint64_t total;   /* 0: unknown */
    bool is_shown;
    int64_t next_ms, started_ms;
};

void toc_progress_begin(struct toc_progress *p, const char *what, uint64_t total);
/* `detail` stands behind the bar. */
void toc_progress_at(struct toc_progress *p, uint64_t done, const char *detail);
/* Takes the line away. */
void toc_progress_end(struct toc_progress *p);

#endif
