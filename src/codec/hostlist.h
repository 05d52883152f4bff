/*
 * Slurm's host lists: names joined by commas, runs of numbers in brackets,
 * "gpu[001-003,7]-ib,login".
 */
#ifndef TOC_CODEC_HOSTLIST_H
#define TOC_CODEC_HOSTLIST_H

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

/* All names in the order of the text, in `a`. TOC_EPARSE, TOC_ELIMIT over `most` names. */
int toc_hostlist_expand(struct toc_sv text, size_t most, struct toc_arena *a,
                        const struct toc_sv **out, size_t *out_count,
                        struct toc_err *err) TOC_MUST_CHECK;

#endif
