#include <stdlib.h>

#include "codec/keys_priv.h"

static int compare(const void *a, const void *b) {
    const struct toc_key_ref *x = a, *y = b;
    int c = toc_sv_cmp(x->key, y->key);
    return c ? c : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

const struct toc_key_ref *toc_keys_find_duplicate(struct toc_key_ref *refs, size_t count) {
    const struct toc_key_ref *found = NULL;
    if (count < 2)
        return NULL;
    qsort(refs, count, sizeof *refs, compare);
    for (size_t i = 1; i < count; i++)
        if (toc_sv_eq(refs[i - 1].key, refs[i].key) && (!found || refs[i].ordinal < found->ordinal))
            found = &refs[i];
    return found;
}
