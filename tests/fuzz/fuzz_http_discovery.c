/* Oracles: an answer is groups whose texts are UTF-8 and whose last label is the URL, within the
 * limit on targets, or there is a reason. */
#include <stdlib.h>

#include "collect/discovery_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena a;
    struct toc_err err = {0};
    const struct toc_target_group *groups = NULL;
    size_t count = 0, targets = 0;
    toc_arena_init(&a, 64 << 20);
    int rc = toc_discovery_http_parse(toc_sv_make((const char *)data, size), TOC_SV("http://u/"),
                                      &a, &groups, &count, &err);
    if (rc && (!err.message[0] || err.code != rc))
        abort();
    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct toc_target_group *g = &groups[i];
        targets += g->target_count;
        if (!g->label_count || !toc_sv_eq(g->labels[g->label_count - 1].value, TOC_SV("http://u/")))
            abort();
        for (size_t k = 0; k < g->label_count; k++)
            if (!g->labels[k].name.n || !toc_sv_is_utf8(g->labels[k].value))
                abort();
        struct toc_shared_group *copy = toc_shared_group_new(g);
        if (!toc_target_group_eq(toc_shared_group_get(copy), g))
            abort();
        toc_shared_group_unref(&copy);
    }
    if (targets > TOC_DISCOVERY_TARGETS_MAX)
        abort();
    toc_arena_fini(&a);
    return 0;
}
