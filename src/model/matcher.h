/* Label matchers: =, !=, =~, !~. Regular expressions are RE2, anchored at both ends. */
#ifndef TOC_MODEL_MATCHER_H
#define TOC_MODEL_MATCHER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"
#include "model/labels.h"

enum toc_match_op { TOC_MATCH_EQ, TOC_MATCH_NE, TOC_MATCH_RE, TOC_MATCH_NRE };

struct toc_regex;

struct toc_matcher {
    enum toc_match_op op;
    struct toc_sv name;      /* owned copy */
    struct toc_sv value;     /* owned copy */
    struct toc_regex *regex; /* owned, NULL for = and != */
};

/* Copies name and value, compiles the expression. TOC_EPARSE with RE2's reason. */
int toc_matcher_init(struct toc_matcher *m, enum toc_match_op op, struct toc_sv name,
                     struct toc_sv value, struct toc_err *err) TOC_MUST_CHECK;
void toc_matcher_fini(struct toc_matcher *m);
/* Does the value (empty when the label is absent) match? */
bool toc_matcher_matches(const struct toc_matcher *m, struct toc_sv value);
/* Do the labels satisfy all matchers? */
bool toc_matchers_match(const struct toc_matcher *m, size_t count, struct toc_labels l);
/* `name=~"value"` */
void toc_matcher_format(const struct toc_matcher *m, struct toc_buf *out);
const char *toc_match_op_text(enum toc_match_op op);

#endif
