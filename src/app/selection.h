/* Which samples a command is about: `--match SELECTOR`, `--from T`, `--to T`. */
#ifndef TOC_APP_SELECTION_H
#define TOC_APP_SELECTION_H

#include <stddef.h>
#include <stdint.h>

#include "model/matcher.h"

struct toc_promql_expr;

struct toc_selection {
    const char *match, *from, *to; /* as given, for the table of options; NULL: everything */
    struct toc_promql_expr *expr;  /* owns the matchers */
    const struct toc_matcher *matchers;
    size_t matcher_count;
    int64_t min_ms, max_ms; /* inclusive */
};

#define TOC_SELECTION_OPTIONS(s)                                                                \
    {"match", 0, TOC_OPTION_STRING, &(s)->match}, {"from", 0, TOC_OPTION_STRING, &(s)->from}, { \
        "to", 0, TOC_OPTION_STRING, &(s)->to                                                    \
    }

/* Reads the three texts. 0, or TOC_EXIT_USAGE after a message. Times are RFC 3339 or seconds since
 * the epoch. */
int toc_selection_read(struct toc_selection *s, const char *command);
void toc_selection_fini(struct toc_selection *s);

#endif
