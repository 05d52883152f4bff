/*
 * How unlike anything seen the last points are: the distance of the window to its nearest neighbour
 * among windows kept from the whole past (a uniform sample, Vitter's reservoir, 1985). Windows are
 * averaged piecewise (PAA, Keogh et al. 2001) and keep their amplitude. A window enters the memory
 * two window lengths after it ended, so that nothing is compared with itself or with its own
 * beginning; candidates are the windows at every fourth point, or at every
 * piece where that is shorter.
 *
 * Kept windows are binary16, eight side by side per dimension, so that one vector instruction
 * serves eight windows. The numbers of a single channel are stored as (mean - center) / scale with
 * a power of two as scale, both taken from the stored windows again whenever their number of
 * candidates doubled. The search has a version for AVX2 and F16C and a portable one with the same
 * bits.
 */
#ifndef TOC_DETECT_WINDOW_MEMORY_H
#define TOC_DETECT_WINDOW_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct toc_window_memory;

struct toc_window_shape_options {
    uint32_t
        channels;    /* values per point, at most 4096; for more than one, values within +-60000 */
    uint32_t width;  /* points in a window, at most 4096 */
    uint32_t pieces; /* means per channel and window; divides width */
    uint32_t capacity; /* windows kept, at most 65536 */
    /* An answer with every whole piece only, in between the last one: most rows then touch next to
     * nothing. For pieces of 1, 2 or 4 points. */
    bool is_per_unit;
};

/* TOC_EINVAL for a shape that makes no sense, TOC_ENOMEM. The same points give the same distances:
 * the sampling is seeded by the shape alone. */
int toc_window_memory_new(const struct toc_window_shape_options *shape,
                          struct toc_window_memory **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_window_memory_free(struct toc_window_memory **m);
/* The same in zeroed memory of the caller, aligned to 8, for a shape that is known to make sense;
 * never given to toc_window_memory_free. */
size_t toc_window_memory_bytes_of(const struct toc_window_shape_options *shape);
struct toc_window_memory *toc_window_memory_place(const struct toc_window_shape_options *shape,
                                                  void *place);

/* Root of the mean squared, and mean absolute, distance per point to the nearest windows of each
 * kind, times the root of the width, or the width; -1 until there is one to compare with. The
 * absolute distance is measured for several channels only. */
struct toc_window_distance {
    double squared, absolute;
};
/* Takes the next point (finite values, `channels` of them). */
struct toc_window_distance toc_window_memory_step(struct toc_window_memory *m, const float *point);
/* Forgets the points that were not remembered yet, as after a gap; the memory stays. */
void toc_window_memory_break(struct toc_window_memory *m);
/* Where the part begins that the next step touches beyond those; NULL when it does not. */
const void *toc_window_memory_due(const struct toc_window_memory *m);
/* Bytes from the start of the memory that every step touches. */
size_t toc_window_memory_hot_bytes(const struct toc_window_shape_options *shape);
/* Bytes of state. */
size_t toc_window_memory_bytes(const struct toc_window_memory *m);

/* For tests: the portable search although the machine has a faster one. */
void toc_window_memory_set_portable(struct toc_window_memory *m, bool is_portable);

/* Appends the state. Decoding expects the shape that the memory was made with and refuses others:
 * TOC_ECORRUPT, TOC_ETRUNCATED; the memory is then fit for toc_window_memory_free only. */
void toc_window_memory_encode(const struct toc_window_memory *m, struct toc_buf *out);
int toc_window_memory_decode(struct toc_window_memory *m, struct toc_reader *r) TOC_MUST_CHECK;

#endif
