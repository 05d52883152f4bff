/* The inside of the script parser. */
#ifndef TOC_PROMQLTEST_SCRIPT_PRIV_H
#define TOC_PROMQLTEST_SCRIPT_PRIV_H

#include "promqltest/script.h"

struct lines {
    struct toc_sv *items; /* trimmed; a comment is an empty line */
    size_t count;
    size_t at; /* of the next line */
    struct toc_arena *arena;
    struct toc_err *err;
};

/* TOC_EPARSE at the line that was taken last. */
int lines_fail(struct lines *l, const char *fmt, ...) TOC_PRINTF(2, 3);
/* Passes an error of a line's text on with its line. */
int lines_fail_with(struct lines *l, const struct toc_err *why);
/* The next line of the block, or false at its end. */
bool lines_next(struct lines *l, struct toc_sv *out);

/* The first word, and the text behind it without leading blanks. */
struct toc_sv take_word(struct toc_sv *text);
/* `keyword DURATION` in front of the text. */
int take_time(struct lines *l, struct toc_sv *text, const char *keyword, int64_t *out_ms);
/* `from A to B step C` in front of the text. */
int take_times(struct lines *l, struct toc_sv *text, struct toc_test_times *out);

/* script_eval.c, script_load.c; `head` is the first line. */
int parse_eval(struct lines *l, struct toc_sv head, struct toc_test_eval *out);
int parse_load(struct lines *l, struct toc_sv head, struct toc_test_load *out);
void eval_fini(struct toc_test_eval *e);

#endif
