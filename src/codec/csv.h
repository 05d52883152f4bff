/* RFC 4180 records, one at a time: quoting, CRLF or LF, optional byte order mark. */
#ifndef TOC_CODEC_CSV_H
#define TOC_CODEC_CSV_H

#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

struct toc_csv_reader {
    struct toc_sv text; /* borrowed */
    size_t at;
    char separator;         /* default ',' */
    int line;               /* of the record last read, 1-based */
    int next_line;          /* kept by the reader, */
    size_t last_count;      /* as are the fields of the record last read */
    size_t max_fields;      /* default 4096 */
    size_t max_field_bytes; /* default 1 MiB */
};
void toc_csv_reader_init(struct toc_csv_reader *r, struct toc_sv text);
/* Next record; fields live in the arena or in the text. TOC_EEND at the end, TOC_EPARSE with line
 * and column. Empty lines are skipped. */
int toc_csv_read(struct toc_csv_reader *r, struct toc_arena *a, const struct toc_sv **out_fields,
                 size_t *out_count, struct toc_err *err) TOC_MUST_CHECK;
/* What is not read yet; a caller that knows the next record's form may read it there, and passes
 * over its bytes with its line's end. */
struct toc_sv toc_csv_rest(const struct toc_csv_reader *r);
void toc_csv_pass_record(struct toc_csv_reader *r, size_t bytes);
/* Appends one field, quoted when it must be. */
void toc_csv_write_field(struct toc_buf *out, struct toc_sv field);

#endif
