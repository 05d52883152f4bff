/*
 * The whole course of a series in at most 64 means of equally many values: when all are filled,
 * neighbours are joined and a block holds twice as many. So the resolution is always 1/64 to 1/32
 * of what was seen, in constant memory. Pure; all zero is empty.
 */
#ifndef TOC_DETECT_BLOCK_COURSE_H
#define TOC_DETECT_BLOCK_COURSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { TOC_COURSE_BLOCKS = 64 };

struct toc_block_course {
    double means[TOC_COURSE_BLOCKS];
    uint32_t count;
    uint32_t width;  /* values per block; 0: not begun */
    uint32_t filled; /* values in the block that is being filled */
    double filling;  /* their sum */
};

/* The next finite value; `first_width` is that of the first blocks. True when it completes a block.
 */
bool toc_block_course_add(struct toc_block_course *c, uint32_t first_width, double value);
/* Adds delta to everything held: what came before is seen from a new level. */
void toc_block_course_shift(struct toc_block_course *c, double delta);

void toc_block_course_encode(const struct toc_block_course *c, struct toc_buf *out);
int toc_block_course_decode(struct toc_reader *r, struct toc_block_course *out) TOC_MUST_CHECK;

#endif
