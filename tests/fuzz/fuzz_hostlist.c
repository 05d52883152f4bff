/* Oracles: names within the limit, none empty, none with a bracket or a comma; or a reason. */
#include <stdlib.h>

#include "codec/hostlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MOST = 5000 };
    struct toc_arena a;
    struct toc_err err = {0};
    const struct toc_sv *names = NULL;
    size_t count = 0;
    toc_arena_init(&a, 64 << 20);
    int rc =
        toc_hostlist_expand(toc_sv_make((const char *)data, size), MOST, &a, &names, &count, &err);
    if ((rc && (!err.message[0] || count)) || count > MOST)
        abort();
    for (size_t i = 0; i < count; i++)
        if (!names[i].n || toc_sv_find_char(names[i], '[') != SIZE_MAX ||
            toc_sv_find_char(names[i], ',') != SIZE_MAX)
            abort();
    toc_arena_fini(&a);
    return 0;
}
