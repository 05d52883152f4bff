/* Texts with samples into a store, the first byte chooses the format. Oracle: no line is lost: what
 * is not stored is counted; what the store then holds is what was counted as stored. */
#include <stdlib.h>
#include <string.h>

#include "metricdb/metricdb.h"
#include "remote/import.h"
#include "sys/vfs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_samples(void *ctx, const struct toc_series_view *v) {
    *(size_t *)ctx += v->count;
    return 0;
}

static void check(const struct toc_import_outcome *o, struct toc_metricdb *db) {
    size_t refused = 0, stored = 0;
    struct toc_querier *q = toc_metricdb_querier(db);
    struct toc_select all = {.min_ms = INT64_MIN / 2, .max_ms = INT64_MAX / 2};
    for (size_t i = 0; i < TOC_IMPORT_REFUSAL_COUNT; i++)
        refused += o->refused[i];
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        refused += o->rejected[i];
    if (o->rejected_lines > o->lines || o->rejected_lines > refused ||
        (refused > 0) != (o->rejected_lines > 0) || (refused > 0) != (o->text.n > 0))
        abort();
    /* equal samples of equal times count as stored, once each */
    if (q->select(q, &all, count_samples, &stored, NULL) || stored > o->samples ||
        (o->samples > 0) != (stored > 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_influx_options influx = {.separator = "_", .keeps_names = size > 1 && data[1] & 1};
    struct toc_csv_columns columns;
    struct toc_import_options options = {.columns = &columns};
    struct toc_import_outcome out;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    toc_clock_virtual_init(&clock, (struct toc_ts){1760000400000});
    struct toc_metricdb_options o = {
        .vfs = toc_vfs_sim_vfs(disk), .clock = &clock.base, .dir = "/data"};
    if (!size || toc_metricdb_open(&o, &db, NULL) ||
        toc_csv_columns_parse(TOC_SV("2:metric:a,3:metric:b,1:label:l,4:time:unix_s"), &columns,
                              NULL))
        goto out;
    struct toc_import *im = toc_import_new(&influx, db, &clock.base);
    if (toc_import_receive(im, data[0] % TOC_IMPORT_FORMAT_COUNT, &options,
                           toc_sv_make((const char *)data + 1, size - 1), &out, NULL))
        abort();
    check(&out, db);
    toc_buf_fini(&out.text);
    toc_import_free(&im);
    toc_metricdb_close(&db);
out:
    toc_vfs_sim_free(&disk);
    return 0;
}
