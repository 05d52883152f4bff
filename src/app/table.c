#include "app/table.h"

#include <stdio.h>

#include "base/num.h"
#include "codec/csv.h"
#include "codec/json_writer.h"

void toc_table_init(struct toc_table *t, const char *const *titles, size_t column_count) {
    *t = (struct toc_table){.titles = titles, .column_count = column_count};
}

void toc_table_add(struct toc_table *t, struct toc_sv text) {
    TOC_VEC_PUSH(&t->cells, toc_arena_dup_sv(&t->arena, text));
}

void toc_table_fini(struct toc_table *t) {
    TOC_VEC_FINI(&t->cells);
    toc_arena_fini(&t->arena);
}

/* Columns on a terminal: continuation bytes take none, wide East Asian characters two. */
static size_t width_of(struct toc_sv s) {
    size_t width = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c & 0xc0) == 0x80)
            continue;
        bool is_wide = c >= 0xe3 && c <= 0xed; /* U+3000…U+DFFF: CJK */
        width += is_wide ? 2 : 1;
    }
    return width;
}

static void print_cell(struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        putchar(c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static void print_padded(struct toc_sv s, size_t width, bool is_last) {
    print_cell(s);
    for (size_t w = width_of(s); !is_last && w < width + 2; w++)
        putchar(' ');
}

static void print_table(const struct toc_table *t) {
    size_t widths[TOC_TABLE_COLUMNS_MAX];
    for (size_t c = 0; c < t->column_count; c++) {
        widths[c] = width_of(toc_sv_cstr(t->titles[c]));
        for (size_t i = c; i < t->cells.count; i += t->column_count) {
            size_t w = width_of(t->cells.items[i]);
            widths[c] = w > widths[c] ? w : widths[c];
        }
    }
    for (size_t c = 0; c < t->column_count; c++)
        print_padded(toc_sv_cstr(t->titles[c]), widths[c], c + 1 == t->column_count);
    putchar('\n');
    for (size_t i = 0; i < t->cells.count; i++) {
        size_t c = i % t->column_count;
        print_padded(t->cells.items[i], widths[c], c + 1 == t->column_count);
        if (c + 1 == t->column_count)
            putchar('\n');
    }
}

static void print_csv(const struct toc_table *t) {
    struct toc_buf out = TOC_BUF_INIT;
    for (size_t c = 0; c < t->column_count; c++) {
        toc_csv_write_field(&out, toc_sv_cstr(t->titles[c]));
        toc_buf_append_char(&out, c + 1 == t->column_count ? '\n' : ',');
    }
    for (size_t i = 0; i < t->cells.count; i++) {
        toc_csv_write_field(&out, t->cells.items[i]);
        toc_buf_append_char(&out, (i + 1) % t->column_count == 0 ? '\n' : ',');
    }
    fwrite(out.p, 1, out.n, stdout);
    toc_buf_fini(&out);
}

void toc_table_print(const struct toc_table *t, enum toc_output output) {
    if (output == TOC_OUTPUT_CSV)
        print_csv(t);
    else
        print_table(t);
}

void toc_table_add_json(struct toc_table *t, const struct toc_json *v) {
    struct toc_buf text = TOC_BUF_INIT;
    if (!v || v->type == TOC_JSON_NULL)
        toc_buf_append_char(&text, '-');
    else if (v->type == TOC_JSON_STRING)
        toc_buf_append_sv(&text, v->string);
    else
        toc_json_write(v, &text);
    toc_table_add(t, toc_buf_sv(&text));
    toc_buf_fini(&text);
}

static void write_value(const struct toc_json *v, struct toc_json_writer *w) {
    switch (v->type) {
    case TOC_JSON_NULL:
        toc_json_null(w);
        break;
    case TOC_JSON_BOOL:
        toc_json_bool(w, v->boolean);
        break;
    case TOC_JSON_INT:
        toc_json_int(w, v->integer);
        break;
    case TOC_JSON_DOUBLE:
        toc_json_double(w, v->number);
        break;
    case TOC_JSON_STRING:
        toc_json_string(w, v->string);
        break;
    case TOC_JSON_ARRAY:
        toc_json_begin_array(w);
        for (size_t i = 0; i < v->count; i++)
            write_value(&v->items[i], w);
        toc_json_end_array(w);
        break;
    case TOC_JSON_OBJECT:
        toc_json_begin_object(w);
        for (size_t i = 0; i < v->count; i++) {
            toc_json_key_sv(w, v->items[i].key);
            write_value(&v->items[i], w);
        }
        toc_json_end_object(w);
        break;
    }
}

void toc_json_write(const struct toc_json *v, struct toc_buf *out) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, out);
    write_value(v, &w);
}

void toc_json_print(const struct toc_json *v) {
    struct toc_buf out = TOC_BUF_INIT;
    toc_json_write(v, &out);
    puts(toc_buf_cstr(&out));
    toc_buf_fini(&out);
}
