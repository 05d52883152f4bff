/* Reports of NCCL's RAS service, as JSON and as text. Oracle: every point has a metric's name, the
 * address and a time; a report that is refused says why. */
#include <stdlib.h>

#include "collect/nccl_ras.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int is_json = 0; is_json < 2; is_json++) {
        struct toc_arena arena;
        struct toc_nccl_ras_points points = {0};
        struct toc_err err = {0};
        uint64_t left_out;
        toc_arena_init(&arena, 8 << 20);
        int rc = toc_nccl_ras_translate(toc_sv_make((const char *)data, size), is_json,
                                        TOC_SV("127.0.0.1:28028"), 1000, &arena, &points, &left_out,
                                        &err);
        if (rc && !err.message[0])
            abort();
        for (size_t i = 0; i < points.count; i++)
            if (points.items[i].t_ms != 1000 ||
                !toc_sv_starts_with(toc_labels_get(points.items[i].labels, TOC_METRIC_NAME),
                                    TOC_SV("nccl_ras_")) ||
                !toc_labels_has(points.items[i].labels, TOC_SV("address")))
                abort();
        TOC_VEC_FINI(&points);
        toc_arena_fini(&arena);
    }
    return 0;
}
