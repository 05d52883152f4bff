/* Tables for the terminal, JSON lines and CSV from the same rows. */
#ifndef TOC_APP_TABLE_H
#define TOC_APP_TABLE_H

#include <stddef.h>

#include "app/client.h"
#include "base/sv.h"
#include "base/vec.h"

enum { TOC_TABLE_COLUMNS_MAX = 16 };

struct toc_table {
    const char *const *titles; /* static */
    size_t column_count;
    struct toc_arena arena;
    TOC_VEC(struct toc_sv) cells; /* row after row */
};

void toc_table_init(struct toc_table *t, const char *const *titles, size_t column_count);
/* One cell; control characters are shown as "?" in tables. */
void toc_table_add(struct toc_table *t, struct toc_sv text);
/* Table or CSV on stdout. */
void toc_table_print(const struct toc_table *t, enum toc_output output);
void toc_table_fini(struct toc_table *t);

/* A JSON value as a cell: strings as they are, numbers, "-" for null. */
void toc_table_add_json(struct toc_table *t, const struct toc_json *v);
/* A parsed value written again (for --output ndjson). */
void toc_json_write(const struct toc_json *v, struct toc_buf *out);
/* The same on stdout, with a newline. */
void toc_json_print(const struct toc_json *v);

#endif
