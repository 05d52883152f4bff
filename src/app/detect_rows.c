#include "app/detect_rows.h"

#include <math.h>
#include <string.h>

#include "app/read_input.h"
#include "base/num.h"
#include "sys/vfs.h"

/* Finds the end of the last complete record: the last line end outside quotes behind `from`. */
static void find_whole(struct toc_detect_rows *r, size_t from) {
    const char *p = r->text.p;
    for (size_t i = from; i < r->text.n; i++) {
        if (p[i] == '"')
            r->is_quoted = !r->is_quoted;
        else if (p[i] == '\n' && !r->is_quoted)
            r->whole = i + 1;
    }
}

/* Bytes read, 0 at the end, or an error. */
static int64_t read_source(struct toc_detect_rows *r, char *to) {
    if (r->is_memory) {
        struct toc_sv part = toc_sv_sub(r->memory, r->offset, r->step_bytes);
        if (part.n)
            memcpy(to, part.p, part.n);
        return (int64_t)part.n;
    }
    if (r->file)
        return toc_vfs_system()->pread(toc_vfs_system(), r->file, to, r->step_bytes, r->offset);
    size_t got = fread(to, 1, r->step_bytes, stdin);
    return got == 0 && ferror(stdin) ? TOC_EIO : (int64_t)got;
}

static int read_step(struct toc_detect_rows *r, struct toc_err *err) {
    size_t before = r->text.n;
    char *to = toc_buf_reserve(&r->text, r->step_bytes);
    int64_t got = to ? read_source(r, to) : toc_buf_error(&r->text);
    if (got < 0)
        return toc_errf(err, (int)got, "cannot read %s: %s", r->name, toc_strerror((int)got));
    r->text.n += (size_t)got;
    r->offset += (uint64_t)got;
    r->is_at_end = got == 0;
    find_whole(r, before);
    if (r->is_at_end)
        r->whole = r->text.n;
    return 0;
}

/* Drops what was read and fetches more, until a complete record is there or the file ends. */
static int refill(struct toc_detect_rows *r, struct toc_err *err) {
    bool is_first = !r->csv.text.p;
    int line = r->csv.next_line;
    size_t used = r->csv.text.p ? (size_t)(r->csv.text.p - r->text.p) + r->csv.at : 0;
    int rc = 0;
    if (used)
        memmove(r->text.p, r->text.p + used, r->text.n - used);
    r->text.n -= used;
    r->whole = 0;
    while (rc == 0 && r->whole == 0 && !r->is_at_end) {
        if (r->text.n > TOC_DETECT_RECORD_BYTES_MAX)
            return toc_err_at(err, TOC_ELIMIT, TOC_MAX(line, 1), 1,
                              "a row of more than %d MiB; is a quote never closed?",
                              TOC_DETECT_RECORD_BYTES_MAX >> 20);
        rc = read_step(r, err);
    }
    size_t last_count = r->csv.last_count;
    toc_csv_reader_init(&r->csv, toc_sv_make(r->text.p, r->whole));
    if (!is_first) { /* a byte order mark is one at the beginning only */
        r->csv.text = toc_sv_make(r->text.p, r->whole);
        r->csv.next_line = line;
        r->csv.last_count = last_count;
    }
    return rc;
}

static int next_record(struct toc_detect_rows *r, struct toc_arena *arena,
                       const struct toc_sv **out, size_t *out_count, struct toc_err *err) {
    for (;;) {
        int rc = toc_csv_read(&r->csv, arena, out, out_count, err);
        if (rc != TOC_EEND || r->is_at_end)
            return rc;
        rc = refill(r, err);
        if (rc < 0)
            return rc;
    }
}

/* Header fields are kept: the text moves on. */
static int read_header(struct toc_detect_rows *r, const char *columns, struct toc_err *err) {
    const struct toc_sv *fields;
    size_t count;
    int rc = next_record(r, &r->head_arena, &fields, &count, err);
    if (rc == TOC_EEND)
        return toc_errf(err, TOC_EPARSE, "the file is empty; its first line must name the columns");
    if (rc < 0)
        return rc;
    struct toc_sv *header = TOC_ARENA_NEW_ARRAY(&r->head_arena, struct toc_sv, count);
    for (size_t i = 0; header && i < count; i++)
        header[i] = toc_arena_dup_sv(&r->head_arena, fields[i]);
    if (!header)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu columns", count);
    rc = toc_detect_columns_choose(&r->columns, header, count, columns, err);
    if (rc == 0)
        r->values = toc_try_calloc(r->columns.chosen.count, sizeof *r->values);
    return rc == 0 && !r->values ? toc_errf(err, TOC_ENOMEM, "no memory for a row") : rc;
}

int toc_detect_rows_open(struct toc_detect_rows *r, const char *path, const char *columns,
                         struct toc_err *err) {
    *r =
        (struct toc_detect_rows){.name = toc_input_name(path), .step_bytes = TOC_DETECT_STEP_BYTES};
    toc_csv_reader_init(&r->csv, TOC_SV_NULL);
    int rc =
        strcmp(path, "-") == 0 ? 0 : toc_file_open(toc_vfs_system(), path, TOC_OPEN_READ, &r->file);
    if (rc < 0)
        return toc_errf(err, rc, "cannot read %s: %s", r->name, toc_strerror(rc));
    return read_header(r, columns, err);
}

int toc_detect_rows_open_text(struct toc_detect_rows *r, struct toc_sv text, size_t step_bytes,
                              const char *columns, struct toc_err *err) {
    *r = (struct toc_detect_rows){
        .name = "text", .memory = text, .is_memory = true, .step_bytes = step_bytes};
    toc_csv_reader_init(&r->csv, TOC_SV_NULL);
    return read_header(r, columns, err);
}

/* 1-based column of a field in its line; 0 when the field is a copy (it held doubled quotes). */
static int column_of(const struct toc_detect_rows *r, struct toc_sv field) {
    const char *begin = r->text.p, *p = field.p;
    if (!p || p < begin || p > begin + r->text.n)
        return 0;
    while (p > begin && p[-1] != '\n')
        p--;
    return (int)(field.p - p) + 1;
}

/* A loss or a norm of gradients that is not a number is news; elsewhere that is a missing value. */
static bool is_of_training(struct toc_sv name) {
    return toc_sv_find(name, TOC_SV("loss")) != SIZE_MAX ||
           toc_sv_find(name, TOC_SV("grad")) != SIZE_MAX;
}

static int read_value(struct toc_detect_rows *r, size_t i, struct toc_err *err) {
    size_t at = r->columns.chosen.items[i];
    struct toc_sv cell = r->fields[at], text = toc_sv_trim(cell);
    double v;
    int rc = toc_detect_cell_parse(cell, &r->values[i]);
    bool is_number = text.n && toc_parse_f64(text, &v) == 0;
    if (is_number && !isfinite(v) && is_of_training(r->columns.header[at])) {
        r->values[i] = INFINITY;
        return 0;
    }
    return rc >= 0
               ? 0
               : toc_detect_cell_refuse(&r->columns, at, cell, r->line, column_of(r, cell), err);
}

static int read_time(struct toc_detect_rows *r, struct toc_err *err) {
    r->seconds = (double)r->count;
    if (r->columns.time == SIZE_MAX)
        return 0;
    struct toc_sv cell = r->fields[r->columns.time];
    struct toc_err why = {0};
    int rc = toc_detect_time_parse(&r->clock, cell, &r->seconds, &why);
    return rc == 0
               ? 0
               : toc_err_at(err, rc, r->line, TOC_MAX(column_of(r, cell), 1), "%s", why.message);
}

int toc_detect_rows_next(struct toc_detect_rows *r, struct toc_err *err) {
    size_t count;
    toc_arena_reset(&r->arena);
    int rc = next_record(r, &r->arena, &r->fields, &count, err);
    if (rc < 0)
        return rc;
    r->line = r->csv.line;
    if (count != r->columns.header_count)
        return toc_err_at(err, TOC_EPARSE, r->line, 1, "%zu fields, but the header has %zu", count,
                          r->columns.header_count);
    rc = read_time(r, err);
    for (size_t i = 0; rc == 0 && i < r->columns.chosen.count; i++)
        rc = read_value(r, i, err);
    r->count += rc == 0;
    return rc;
}

void toc_detect_rows_fini(struct toc_detect_rows *r) {
    if (r->file)
        toc_file_close(toc_vfs_system(), &r->file);
    toc_detect_columns_fini(&r->columns);
    toc_free(r->values);
    toc_buf_fini(&r->text);
    toc_arena_fini(&r->arena);
    toc_arena_fini(&r->head_arena);
    *r = (struct toc_detect_rows){0};
}
