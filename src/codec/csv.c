#include "codec/csv.h"

#include <string.h>

void toc_csv_reader_init(struct toc_csv_reader *r, struct toc_sv text) {
    if (toc_sv_starts_with(text, TOC_SV("\xef\xbb\xbf")))
        text = toc_sv_sub(text, 3, text.n);
    *r = (struct toc_csv_reader){
        .text = text, .separator = ',', .max_fields = 4096, .max_field_bytes = (size_t)1 << 20};
}

struct record {
    struct toc_csv_reader *r;
    struct toc_arena *arena;
    struct toc_err *err;
    size_t line_start;     /* offset of the current line, for columns */
    int line;              /* current line; quoted fields may span several */
    struct toc_sv *fields; /* of the arena */
    size_t count, capacity;
};

static int fail(struct record *c, int code, size_t at, const char *what) {
    return toc_err_at(c->err, code, c->line, (int)(at - c->line_start) + 1, "%s", what);
}

static bool is_line_end(char c) {
    return c == '\n' || c == '\r';
}

static int plain_field(struct record *c, struct toc_sv *out) {
    struct toc_csv_reader *r = c->r;
    size_t start = r->at, at = start, n = r->text.n;
    const char *p = r->text.p;
    const char separator = r->separator;
    /* Most bytes are digits and letters: above all that ends a field. */
    const unsigned char last = (unsigned char)TOC_MAX(separator, '"');
    while (at < n &&
           ((unsigned char)p[at] > last || (p[at] != separator && p[at] != '\n' && p[at] != '"')))
        at++;
    r->at = at;
    if (r->at < r->text.n && r->text.p[r->at] == '"')
        return fail(c, TOC_EPARSE, r->at,
                    "a quote inside an unquoted field: quote the whole field and double the quote");
    size_t end = r->at;
    bool ends_record = r->at == r->text.n || r->text.p[r->at] == '\n';
    if (ends_record && end > start && r->text.p[end - 1] == '\r')
        end--;
    *out = toc_sv_make(r->text.p + start, end - start);
    return 0;
}

/* Finds the closing quote; *out_doubled counts quotes to be halved. */
static int scan_quoted(struct record *c, size_t *out_doubled) {
    struct toc_csv_reader *r = c->r;
    size_t open = r->at - 1, open_line_start = c->line_start;
    int open_line = c->line;
    for (; r->at < r->text.n; r->at++) {
        char ch = r->text.p[r->at];
        if (ch == '\n') {
            c->line++;
            c->line_start = r->at + 1;
        } else if (ch == '"') {
            if (r->at + 1 >= r->text.n || r->text.p[r->at + 1] != '"')
                return 0;
            r->at++;
            ++*out_doubled;
        }
    }
    return toc_err_at(c->err, TOC_EPARSE, open_line, (int)(open - open_line_start) + 1,
                      "this quoted field is never closed");
}

static int halve_quotes(struct record *c, struct toc_sv raw, size_t doubled, struct toc_sv *out) {
    char *to = toc_arena_alloc(c->arena, raw.n - doubled + 1);
    if (!to)
        return fail(c, TOC_ENOMEM, c->r->at, "no memory for this field");
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        to[n++] = raw.p[i];
        i += raw.p[i] == '"';
    }
    *out = toc_sv_make(to, n);
    return 0;
}

static int quoted_field(struct record *c, struct toc_sv *out) {
    struct toc_csv_reader *r = c->r;
    size_t start = ++r->at, doubled = 0;
    int rc = scan_quoted(c, &doubled);
    if (rc)
        return rc;
    *out = toc_sv_make(r->text.p + start, r->at - start);
    r->at++;
    size_t at = r->at;
    if (at < r->text.n && r->text.p[at] == '\r' &&
        (at + 1 == r->text.n || r->text.p[at + 1] == '\n'))
        r->at++;
    else if (at < r->text.n && r->text.p[at] != r->separator && r->text.p[at] != '\n')
        return fail(c, TOC_EPARSE, at,
                    "expected a separator or the end of the line behind a quote");
    return doubled ? halve_quotes(c, *out, doubled, out) : 0;
}

/* Records of one file are alike: room for as many fields as the one before had. */
static int push_field(struct record *c, struct toc_sv field) {
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : TOC_MAX(c->r->last_count, (size_t)1);
        struct toc_sv *more = TOC_ARENA_NEW_ARRAY(c->arena, struct toc_sv, capacity);
        if (!more)
            return fail(c, TOC_ENOMEM, c->r->at, "no memory for this record");
        if (c->count)
            memcpy(more, c->fields, c->count * sizeof *more);
        c->fields = more;
        c->capacity = capacity;
    }
    c->fields[c->count++] = field;
    return 0;
}

static int read_fields(struct record *c) {
    struct toc_csv_reader *r = c->r;
    for (;;) {
        struct toc_sv field = TOC_SV_NULL;
        size_t start = r->at;
        bool is_quoted = r->at < r->text.n && r->text.p[r->at] == '"';
        int rc = is_quoted ? quoted_field(c, &field) : plain_field(c, &field);
        if (rc)
            return rc;
        if (field.n > r->max_field_bytes)
            return fail(c, TOC_ELIMIT, start, "this field is longer than the limit");
        if (c->count == r->max_fields)
            return fail(c, TOC_ELIMIT, start, "more fields in one record than the limit");
        rc = push_field(c, field);
        if (rc)
            return rc;
        if (r->at >= r->text.n)
            return 0;
        if (r->text.p[r->at++] == '\n') {
            c->line++;
            return 0;
        }
    }
}

static void skip_empty_lines(struct toc_csv_reader *r, int *line) {
    for (; r->at < r->text.n && is_line_end(r->text.p[r->at]); r->at++) {
        bool lone_cr =
            r->text.p[r->at] == '\r' && !(r->at + 1 == r->text.n || r->text.p[r->at + 1] == '\n');
        if (lone_cr)
            return;
        *line += r->text.p[r->at] == '\n';
    }
}

/* The reader's line is that of the record last read; the next one starts behind its line ends. */
int toc_csv_read(struct toc_csv_reader *r, struct toc_arena *a, const struct toc_sv **out_fields,
                 size_t *out_count, struct toc_err *err) {
    struct record c = {.r = r, .arena = a, .err = err, .line = r->next_line ? r->next_line : 1};
    skip_empty_lines(r, &c.line);
    r->next_line = c.line; /* a reader of pieces goes on behind empty lines, too */
    if (r->at >= r->text.n)
        return TOC_EEND;
    r->line = c.line;
    c.line_start = r->at;
    int rc = read_fields(&c);
    r->next_line = c.line;
    if (rc)
        return rc;
    r->last_count = *out_count = c.count;
    *out_fields = c.fields;
    return 0;
}

struct toc_sv toc_csv_rest(const struct toc_csv_reader *r) {
    return toc_sv_sub(r->text, r->at, SIZE_MAX);
}

void toc_csv_pass_record(struct toc_csv_reader *r, size_t bytes) {
    r->at += bytes;
    r->line = r->next_line ? r->next_line : 1;
    r->next_line = r->line + 1;
}

void toc_csv_write_field(struct toc_buf *out, struct toc_sv field) {
    bool must_quote = field.n && (field.p[0] == ' ' || field.p[field.n - 1] == ' ');
    for (size_t i = 0; i < field.n && !must_quote; i++)
        must_quote = field.p[i] == ',' || field.p[i] == '"' || is_line_end(field.p[i]) ||
                     field.p[i] == ';' || field.p[i] == '\t';
    if (!must_quote) {
        toc_buf_append_sv(out, field);
        return;
    }
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < field.n; i++) {
        if (field.p[i] == '"')
            toc_buf_append_char(out, '"');
        toc_buf_append_char(out, field.p[i]);
    }
    toc_buf_append_char(out, '"');
}
