/* Oracles: every group of nodes has one target, every target of a job its node; or a reason. */
#include <stdlib.h>

#include "collect/discovery_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int rc, const struct toc_target_group *groups, size_t count, bool is_nodes,
                  const struct toc_err *err) {
    size_t targets = 0;
    if (rc && (!err->message[0] || count))
        abort();
    for (size_t i = 0; i < count; i++) {
        if ((is_nodes && groups[i].target_count != 1) || !groups[i].source.n)
            abort();
        for (size_t k = 0; k < groups[i].target_count; k++)
            if (!toc_sv_ends_with(groups[i].targets[k], TOC_SV(":9100")) ||
                (!is_nodes && groups[i].own[k].count != 2))
                abort();
        targets += groups[i].target_count;
    }
    if (targets > TOC_DISCOVERY_TARGETS_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv text = toc_sv_make((const char *)data, size);
    for (int is_nodes = 0; is_nodes < 2; is_nodes++) {
        struct toc_arena a;
        struct toc_err err = {0};
        const struct toc_target_group *groups = NULL;
        size_t count = 0;
        toc_arena_init(&a, 256 << 20);
        int rc = is_nodes ? toc_slurm_nodes(text, 9100, &a, &groups, &count, &err)
                          : toc_slurm_jobs(text, 9100, &a, &groups, &count, &err);
        check(rc, groups, count, is_nodes, &err);
        toc_arena_fini(&a);
    }
    return 0;
}
