/* Oracle: records written with toc_csv_write_field read back the same. */
#include <stdlib.h>

#include "codec/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(const struct toc_sv *fields, size_t count) {
    struct toc_buf line = TOC_BUF_INIT;
    struct toc_arena a = TOC_ARENA_INIT;
    for (size_t i = 0; i < count; i++) {
        if (i)
            toc_buf_append_char(&line, ',');
        toc_csv_write_field(&line, fields[i]);
    }
    toc_buf_append_char(&line, '\n');
    struct toc_csv_reader r;
    const struct toc_sv *again;
    size_t n = 0;
    toc_csv_reader_init(&r, toc_buf_sv(&line));
    int rc = toc_csv_read(&r, &a, &again, &n, NULL);
    bool is_lone_empty = count == 1 && !fields[0].n; /* an empty line is no record */
    bool has_mark = toc_sv_starts_with(toc_buf_sv(&line), TOC_SV("\xef\xbb\xbf"));
    if (!is_lone_empty && !has_mark) {
        if (rc || n != count)
            abort();
        for (size_t i = 0; i < n; i++)
            if (!toc_sv_eq(fields[i], again[i]))
                abort();
    }
    toc_arena_fini(&a);
    toc_buf_fini(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_csv_reader r;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_sv *fields;
    size_t count;
    int rc, line = 0;
    toc_csv_reader_init(&r, toc_sv_make((const char *)data, size));
    while ((rc = toc_csv_read(&r, &a, &fields, &count, &err)) == 0) {
        if (r.line <= line)
            abort();
        line = r.line;
        check_round_trip(fields, count);
    }
    if (rc != TOC_EEND && err.line < 1)
        abort();
    toc_arena_fini(&a);
    return 0;
}
