/*
 * Which label of which metric takes on new values now: for "what explodes?". A few rows of the
 * pairs (metric, label) that grow most, each with a sketch that counts its distinct new values of
 * this window and of the one before. A value counts as new when no series of the head carries it.
 *
 * Counting is asked for only when a series is made with a new value or refused. Thread-safe.
 *
 * A row is kept as in the algorithm of Misra and Gries: who has no row takes a point from the
 * smallest one and replaces it at zero, so that a heavy pair stays however many light ones pass.
 * The sketch is a HyperLogLog of 256 registers (Flajolet et al., 2007), within about 7 %.
 */
#ifndef TOC_METRICDB_GROWTH_H
#define TOC_METRICDB_GROWTH_H

#include <stdint.h>

#include "base/sv.h"
#include "sys/thread.h"

enum {
    TOC_GROWTH_ROWS = 32,
    TOC_GROWTH_TEXT_MAX = 96,
    TOC_GROWTH_REGISTERS = 256,
    TOC_GROWTH_WINDOW_S = 600,
};

struct toc_growth {
    struct toc_mutex mutex;
    int64_t window_ns; /* when this window began; 0: not yet */
    struct toc_growth_row {
        uint64_t key; /* 0: free */
        uint32_t points;
        char metric[TOC_GROWTH_TEXT_MAX], label[TOC_GROWTH_TEXT_MAX]; /* cut when longer */
        uint8_t sketch[2][TOC_GROWTH_REGISTERS];                      /* this window, the last */
    } rows[TOC_GROWTH_ROWS];
};

void toc_growth_init(struct toc_growth *g);
void toc_growth_fini(struct toc_growth *g);
void toc_growth_add(struct toc_growth *g, struct toc_sv metric, struct toc_sv label,
                    struct toc_sv value);
/* Begins a new window when it is time. */
void toc_growth_tick(struct toc_growth *g, int64_t mono_ns);

struct toc_label_growth {
    char metric[TOC_GROWTH_TEXT_MAX], label[TOC_GROWTH_TEXT_MAX];
    uint64_t new_values; /* of the larger window */
};
/* The fastest first; returns how many there are. */
size_t toc_growth_list(struct toc_growth *g, struct toc_label_growth *out, size_t max);

#endif
