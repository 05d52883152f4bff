/*
 * A message in protobuf. Oracles: written anew in protobuf and in JSON, it is read as the same
 * message; and the store gets the same from both.
 */
#include <stdlib.h>
#include <string.h>

#include "../otlp_dump.h"
#include "../otlp_writer.h"
#include "remote/otlp.h"
#include "sys/vfs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A store, what it holds afterwards. */
static void store(enum toc_otlp_encoding encoding, struct toc_sv body, unsigned options,
                  struct toc_buf *out) {
    struct toc_clock_virtual clock;
    struct toc_vfs_sim *disk = toc_vfs_sim_new(1);
    struct toc_metricdb *db;
    struct toc_otlp_outcome o;
    toc_clock_virtual_init(&clock, (struct toc_ts){INT64_C(1795744100000)});
    struct toc_metricdb_options where = {
        .vfs = toc_vfs_sim_vfs(disk), .clock = &clock.base, .dir = "/data"};
    struct toc_otlp_options how = {
        .naming.strategy = (enum toc_otlp_strategy)(options % TOC_OTLP_STRATEGY_COUNT),
        .is_promoting_all = options & 4,
        .makes_custom_buckets = options & 8,
        .promotes_scope = options & 16,
        .keeps_identifying = options & 32,
    };
    if (toc_metricdb_open(&where, &db, NULL))
        abort();
    struct toc_otlp *otlp = toc_otlp_new(&how, db, &clock.base);
    int rc = toc_otlp_receive(otlp, encoding, body, &o, NULL);
    if (!rc && o.rejected_points > o.points + TOC_OTLP_POINTS_MAX)
        abort();
    toc_buf_printf(out, "%d %zu %zu %zu %zu\n", rc, o.rejected_points, o.samples, o.exemplars,
                   o.rejected_exemplars);
    if (otlp_dump(db, out))
        abort();
    toc_buf_fini(&o.text);
    toc_otlp_free(&otlp);
    toc_metricdb_close(&db);
    toc_vfs_sim_free(&disk);
}

static void expect_equal(const struct toc_buf *a, const struct toc_buf *b) {
    if (a->n != b->n || memcmp(a->p ? a->p : "", b->p ? b->p : "", a->n) != 0)
        abort();
}

/* Decodes again and writes in protobuf. */
static void rewrite(bool is_json, const struct toc_buf *body, struct toc_buf *out) {
    struct toc_arena arena;
    struct otlp_message m;
    toc_arena_init(&arena, TOC_OTLP_MESSAGE_BYTES);
    int rc = is_json ? otlp_decode_json(toc_buf_sv(body), &arena, &m, NULL)
                     : otlp_decode_proto(toc_buf_sv(body), &arena, &m, NULL);
    if (rc)
        abort();
    otlp_write_proto(&m, out);
    toc_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena arena;
    struct otlp_message m;
    struct toc_buf bufs[6] = {0};
    if (!size)
        return 0;
    struct toc_sv body = toc_sv_make((const char *)data + 1, size - 1);
    toc_arena_init(&arena, 16 << 20);
    if (otlp_decode_proto(body, &arena, &m, NULL) == 0) {
        otlp_write_proto(&m, &bufs[0]);
        rewrite(false, &bufs[0], &bufs[1]);
        expect_equal(&bufs[0], &bufs[1]);
        /* JSON has no texts that are no UTF-8 */
        if (otlp_is_utf8(&m)) {
            otlp_write_json(&m, &bufs[2]);
            rewrite(true, &bufs[2], &bufs[3]);
            expect_equal(&bufs[0], &bufs[3]);
            store(TOC_OTLP_PROTOBUF, body, data[0], &bufs[4]);
            store(TOC_OTLP_JSON, toc_buf_sv(&bufs[2]), data[0], &bufs[5]);
            expect_equal(&bufs[4], &bufs[5]);
        }
    }
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        toc_buf_fini(&bufs[i]);
    toc_arena_fini(&arena);
    return 0;
}
