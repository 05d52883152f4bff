/* Packets of StatsD. Oracle: a line that was read, written again, is read as the same; every line
 * is taken or refused with a reason; there are no more series than allowed. */
#include <stdlib.h>
#include <string.h>

#include "metricdb/metricdb.h"
#include "remote/statsd_state.h"
#include "sys/vfs_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct toc_sv text) {
    struct toc_statsd_line a, b;
    struct toc_buf first = TOC_BUF_INIT, second = TOC_BUF_INIT;
    if (toc_statsd_parse(text, &a))
        return;
    toc_statsd_write(&a, &first);
    if (toc_statsd_parse(toc_buf_sv(&first), &b))
        abort();
    toc_statsd_write(&b, &second);
    if (!toc_sv_eq(toc_buf_sv(&first), toc_buf_sv(&second)) || a.type != b.type ||
        a.rate != b.rate || a.tag_count != b.tag_count)
        abort();
    toc_buf_fini(&first);
    toc_buf_fini(&second);
}

static int discard(struct toc_sink *s, const struct toc_point *points, size_t count,
                   struct toc_write_result *out, struct toc_err *err) {
    (void)s;
    (void)err;
    *out = (struct toc_write_result){.accepted = count};
    for (size_t i = 0; i < count; i++)
        if (points[i].histogram && toc_histogram_validate(points[i].histogram, NULL))
            abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sink sink = {.write = discard};
    struct toc_clock_virtual clock;
    struct toc_statsd_stats x;
    uint64_t refused = 0, values = 0, lines = 0;
    struct toc_sv packet = toc_sv_make((const char *)data, size), rest = packet, line;
    toc_clock_virtual_init(&clock, (struct toc_ts){1760000400000});
    struct toc_statsd *s =
        toc_statsd_new(&(struct toc_statsd_limits){.max_series = 3}, &sink, &clock.base);
    toc_statsd_take(s, packet);
    if (toc_statsd_flush(s, NULL))
        abort();
    toc_statsd_stats(s, &x);
    for (int i = 0; i < TOC_STATSD_FAULT_COUNT; i++)
        refused += x.refused[i];
    for (int i = 0; i < TOC_STATSD_TYPE_COUNT; i++)
        values += x.values[i];
    while (rest.n && toc_sv_split(&rest, '\n', &line)) {
        lines += toc_sv_trim(line).n > 0;
        check_line(toc_sv_trim(line));
    }
    if (x.lines != lines || refused > lines || x.series > 3 || values < lines - refused)
        abort();
    toc_statsd_free(&s);
    return 0;
}
