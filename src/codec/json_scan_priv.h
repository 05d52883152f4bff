/* Where a JSON text goes wrong: a slow, exact scanner used only to explain a failure. */
#ifndef TOC_CODEC_JSON_SCAN_PRIV_H
#define TOC_CODEC_JSON_SCAN_PRIV_H

#include <stddef.h>

#include "base/error.h"
#include "base/sv.h"

struct toc_json_place {
    int line, column;
    const char *what; /* static text; NULL when the text is well formed */
    int code;         /* TOC_EPARSE or TOC_ELIMIT (too deep, number out of range) */
};

/* Stops at the first mistake, or at the key with the given ordinal (0-based, SIZE_MAX for none),
 * whose place is then returned with what == NULL. */
struct toc_json_place toc_json_scan(struct toc_sv text, int max_depth, size_t stop_at_key);

#endif
