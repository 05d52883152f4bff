/* Finding a repeated key in one mapping without hashing hostile input. */
#ifndef TOC_CODEC_KEYS_PRIV_H
#define TOC_CODEC_KEYS_PRIV_H

#include <stddef.h>

#include "base/sv.h"

struct toc_key_ref {
    struct toc_sv key;
    size_t ordinal; /* position in the document, whatever the caller counts */
};

/* Sorts refs by key; the second occurrence of the earliest repeated key, or NULL. */
const struct toc_key_ref *toc_keys_find_duplicate(struct toc_key_ref *refs, size_t count);

#endif
