/*
 * JSON lines of one program are alike: the same names in the same order between other values. What
 * stands between the values of a line (its shape) is kept with what the names mean; a line that
 * begins like a known one is read by comparing what is between the values and reading these. All
 * else - a new shape, a text with escapes or beyond ASCII, an odd number, a value that is refused -
 * is left to the parser of JSON, whose verdict it is. Names occur once and text is UTF-8, because
 * that was proven of the line that the shape was learned from.
 */
#ifndef TOC_COLLECT_RUN_SHAPE_PRIV_H
#define TOC_COLLECT_RUN_SHAPE_PRIV_H

#include "codec/json.h"
#include "collect/run_line_priv.h"

struct toc_run_shapes *toc_run_shapes_new(void);
void toc_run_shapes_free(struct toc_run_shapes **shapes);
/* True when the line was read; false: nothing is known of it, *out is undefined. */
bool toc_run_shapes_read(struct toc_run_shapes *shapes, const struct toc_run_decoder *d,
                         struct toc_sv text, int number, struct toc_run_line *out);
/* The parser has taken the line. */
void toc_run_shapes_learn(struct toc_run_shapes *shapes, struct toc_sv text,
                          const struct toc_json *root);

#endif
