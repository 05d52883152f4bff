#include "sys/clock.h"

#include <time.h>

static struct toc_ts system_now(struct toc_clock *self) {
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (struct toc_ts){(int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

static struct toc_mono system_mono(struct toc_clock *self) {
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct toc_mono){(int64_t)t.tv_sec * 1000000000 + t.tv_nsec};
}

struct toc_clock *toc_clock_system(void) {
    static struct toc_clock clock = {system_now, system_mono};
    return &clock;
}

static struct toc_ts virtual_now(struct toc_clock *self) {
    return ((struct toc_clock_virtual *)(void *)self)->wall;
}

static struct toc_mono virtual_mono(struct toc_clock *self) {
    return ((struct toc_clock_virtual *)(void *)self)->monotonic;
}

void toc_clock_virtual_init(struct toc_clock_virtual *v, struct toc_ts start) {
    *v = (struct toc_clock_virtual){.base = {virtual_now, virtual_mono}, .wall = start};
}

void toc_clock_virtual_advance(struct toc_clock_virtual *v, int64_t ms) {
    v->wall.ms += ms;
    v->monotonic.ns += ms * 1000000;
}

void toc_clock_virtual_step_wall(struct toc_clock_virtual *v, int64_t ms) {
    v->wall.ms += ms;
}

void toc_sleep_ms(int64_t ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    if (ms > 0)
        nanosleep(&t, NULL);
}

int64_t toc_thread_cpu_ns(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0)
        return 0;
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double toc_process_cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
