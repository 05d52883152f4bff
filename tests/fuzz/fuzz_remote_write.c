/*
 * First byte: the version of the message. Oracles: a message that is refused stores nothing; what
 * is told as stored is there; the second time a message comes nothing is refused that was not
 * refused before.
 */
#include <stdlib.h>

#include "metricdb/metricdb.h"
#include "remote/remote_write.h"
#include "sys/vfs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t refused(const struct toc_remote_outcome *o) {
    size_t n = 0;
    for (size_t i = 0; i < TOC_REJECT_REASON_COUNT; i++)
        n += o->rejected[i];
    return n;
}

static void run(struct toc_metricdb *db, struct toc_clock *clock, enum toc_remote_message message,
                struct toc_sv body) {
    struct toc_remote_write *rw = toc_remote_write_new(db, clock);
    struct toc_remote_outcome first, second;
    struct toc_metricdb_stats stats;
    int rc = toc_remote_write_receive(rw, message, false, body, &first, NULL);
    toc_metricdb_stats(db, &stats);
    if (stats.samples_total > first.samples + first.histograms)
        abort();
    int again = toc_remote_write_receive(rw, message, true, body, &second, NULL);
    if (again != rc || (!rc && refused(&second) != refused(&first)))
        abort();
    toc_buf_fini(&first.text);
    toc_buf_fini(&second.text);
    toc_remote_write_free(&rw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_clock_virtual clock;
    struct toc_metricdb *db;
    if (!size)
        return 0;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    toc_clock_virtual_init(&clock, (struct toc_ts){INT64_C(1760000400000)});
    struct toc_metricdb_options o = {
        .vfs = toc_vfs_sim_vfs(disk), .clock = &clock.base, .dir = "/data"};
    if (toc_metricdb_open(&o, &db, NULL))
        abort();
    run(db, &clock.base, (enum toc_remote_message)(data[0] % TOC_REMOTE_MESSAGE_COUNT),
        toc_sv_make((const char *)data + 1, size - 1));
    toc_metricdb_close(&db);
    toc_vfs_sim_free(&disk);
    return 0;
}
