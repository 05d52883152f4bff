#include "codec/table_text.h"

int toc_table_fields(struct toc_sv line, int row, struct toc_sv *out_fields, size_t count,
                     struct toc_err *err) {
    struct toc_sv field;
    size_t n = 0;
    for (; toc_sv_split(&line, '\t', &field); n++)
        if (n < count)
            out_fields[n] = field;
    if (n != count)
        return toc_err_at(err, TOC_EPARSE, row, 1, "%zu columns, expected %zu parted by tabs", n,
                          count);
    return 0;
}

int toc_table_bad(struct toc_err *err, int row, int column, const char *name, const char *what,
                  struct toc_sv got) {
    return toc_err_at(err, TOC_EPARSE, row, column + 1, "column %s: %s, got \"%.*s\"", name, what,
                      (int)(got.n < 100 ? got.n : 100), got.p ? got.p : "");
}

int toc_table_word(const char *const *words, size_t count, struct toc_sv word) {
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq_cstr(word, words[i]))
            return (int)i;
    return -1;
}

int toc_table_each(struct toc_sv text, toc_table_take *take, void *table, struct toc_err *err) {
    struct toc_sv line;
    int rc = 0;
    for (int row = 1; rc == 0 && toc_sv_split(&text, '\n', &line); row++)
        if (line.n && line.p[0] != '#')
            rc = take(table, line, row, err);
    return rc;
}
