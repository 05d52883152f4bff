/* Reading the built-in tables (packs/NAME.tsv): rows of fields parted by tabs, without quoting, #
 * for comments. */
#ifndef TOC_CODEC_TABLE_TEXT_H
#define TOC_CODEC_TABLE_TEXT_H

#include "base/error.h"
#include "base/sv.h"

/* Splits a line into exactly `count` fields, borrowed from it; TOC_EPARSE with the row otherwise.
 */
int toc_table_fields(struct toc_sv line, int row, struct toc_sv *out_fields, size_t count,
                     struct toc_err *err) TOC_MUST_CHECK;
/* TOC_EPARSE: column `column` (0-based, called `name`) of a row holds `got`. */
int toc_table_bad(struct toc_err *err, int row, int column, const char *name, const char *what,
                  struct toc_sv got);
/* Index of word in words, or -1. */
int toc_table_word(const char *const *words, size_t count, struct toc_sv word);
/* Calls take for each row that is neither empty nor a comment, until one fails; rows count from 1.
 */
typedef int toc_table_take(void *table, struct toc_sv line, int row, struct toc_err *err);
int toc_table_each(struct toc_sv text, toc_table_take *take, void *table,
                   struct toc_err *err) TOC_MUST_CHECK;

#endif
