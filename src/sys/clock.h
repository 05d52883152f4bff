/*
 * Clocks. The program reads time only through `struct toc_clock`, so hours of `for:`, grouping and
 * escalation run in milliseconds under the virtual clock of the tests.
 */
#ifndef TOC_SYS_CLOCK_H
#define TOC_SYS_CLOCK_H

#include "base/time.h"

struct toc_clock {
    struct toc_ts (*now)(struct toc_clock *self);
    struct toc_mono (*mono)(struct toc_clock *self);
};

static inline struct toc_ts toc_clock_now(struct toc_clock *c) {
    return c->now(c);
}
static inline struct toc_mono toc_clock_mono(struct toc_clock *c) {
    return c->mono(c);
}

/* The machine's clocks; a process-wide object, any thread. */
struct toc_clock *toc_clock_system(void);

/* A clock that stands still until told to move. Not thread-safe. `base` is its first member. */
struct toc_clock_virtual {
    struct toc_clock base;
    struct toc_ts wall;
    struct toc_mono monotonic;
};
void toc_clock_virtual_init(struct toc_clock_virtual *v, struct toc_ts start);
/* Moves both clocks forward. */
void toc_clock_virtual_advance(struct toc_clock_virtual *v, int64_t ms);
/* Moves the wall clock only, in either direction (an NTP step, a wrong RTC). */
void toc_clock_virtual_step_wall(struct toc_clock_virtual *v, int64_t ms);

/* Sleeps the calling thread on the monotonic clock; returns early on a signal. */
void toc_sleep_ms(int64_t ms);
/* CPU time used by this process, in seconds. */
double toc_process_cpu_s(void);
/* CPU time of the calling thread so far, in nanoseconds. */
int64_t toc_thread_cpu_ns(void);

#endif
