#include "forward/metadata.h"

void toc_forward_metadata_fini(struct toc_forward_metadata *m) {
    toc_map_fini(&m->by_name);
    TOC_VEC_FINI(&m->rows);
    toc_arena_fini(&m->arena);
}

static int add_row(void *ctx, const struct toc_metric_metadata *row) {
    struct toc_forward_metadata *m = ctx;
    struct toc_metric_metadata copy = {
        .metric = toc_arena_dup_sv(&m->arena, row->metric),
        .help = toc_arena_dup_sv(&m->arena, row->help),
        .unit = toc_arena_dup_sv(&m->arena, row->unit),
        .type = row->type,
    };
    if (!m->arena.overflowed)
        TOC_VEC_PUSH(&m->rows, copy);
    return 0;
}

void toc_forward_metadata_refresh(struct toc_forward_metadata *m, struct toc_metricdb *db) {
    toc_map_fini(&m->by_name);
    m->by_name = TOC_MAP_INIT;
    m->rows.count = 0;
    toc_arena_reset(&m->arena);
    (void)toc_metricdb_metadata(db, TOC_SV(""), add_row, m); /* add_row never stops it */
    for (size_t i = 0; i < m->rows.count; i++)
        toc_map_put(&m->by_name, m->rows.items[i].metric, &m->rows.items[i]);
}

const struct toc_metric_metadata *toc_forward_metadata_find(const struct toc_forward_metadata *m,
                                                            struct toc_sv metric) {
    static const char *const suffixes[] = {"_bucket", "_sum", "_count", "_total", "_created"};
    const struct toc_metric_metadata *row = toc_map_get(&m->by_name, metric);
    for (size_t i = 0; i < TOC_ARRAY_LEN(suffixes) && !row; i++) {
        struct toc_sv suffix = toc_sv_cstr(suffixes[i]);
        if (toc_sv_ends_with(metric, suffix))
            row = toc_map_get(&m->by_name, toc_sv_sub(metric, 0, metric.n - suffix.n));
    }
    return row;
}
