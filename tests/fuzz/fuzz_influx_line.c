/* InfluxDB's line protocol. Oracle: every line that is neither empty nor a comment is read or
 * refused with a reason, the reader always moves on, and a line that was read, written again, is
 * read as the same. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/influx_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct toc_influx_line *line) {
    struct toc_buf first = TOC_BUF_INIT, second = TOC_BUF_INIT;
    struct toc_influx_reader r;
    struct toc_influx_line again;
    struct toc_arena arena;
    toc_arena_init(&arena, 16 << 20);
    toc_influx_write(line, &first);
    toc_influx_reader_init(&r, toc_buf_sv(&first));
    if (toc_influx_read(&r, &arena, &again, NULL) || r.at != first.n)
        abort();
    toc_influx_write(&again, &second);
    if (!toc_sv_eq(toc_buf_sv(&first), toc_buf_sv(&second)))
        abort();
    if (again.tag_count != line->tag_count || again.field_count != line->field_count ||
        again.has_time != line->has_time || again.time != line->time ||
        !toc_sv_eq(again.measurement, line->measurement))
        abort();
    for (size_t i = 0; i < line->field_count; i++)
        if (again.fields[i].number != line->fields[i].number ||
            !toc_sv_eq(again.fields[i].text, line->fields[i].text))
            abort();
    toc_arena_fini(&arena);
    toc_buf_fini(&first);
    toc_buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_influx_reader r;
    struct toc_influx_line line;
    struct toc_arena arena;
    size_t before = 0;
    int last = 0;
    toc_arena_init(&arena, 16 << 20);
    toc_influx_reader_init(&r, toc_sv_make((const char *)data, size));
    for (;;) {
        struct toc_err err = {0};
        toc_arena_reset(&arena);
        int rc = toc_influx_read(&r, &arena, &line, &err);
        if (rc == TOC_EEND)
            break;
        if (r.at <= before || line.number <= last || (rc && !err.message[0]))
            abort();
        before = r.at;
        last = line.number;
        if (!rc)
            check_again(&line);
    }
    if (r.at != size)
        abort();
    toc_arena_fini(&arena);
    return 0;
}
