/*
 * Growing byte buffer with a limit and a sticky error: after the first failed append all appends
 * are no-ops and the caller tests `toc_buf_error` once at the end.
 */
#ifndef TOC_BASE_BUF_H
#define TOC_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attrs.h"
#include "base/error.h"
#include "base/sv.h"

struct toc_buf {
    char *p;
    size_t n;
    size_t capacity;
    size_t limit_bytes; /* 0 = TOC_BUF_DEFAULT_LIMIT_BYTES */
    int error;          /* 0, TOC_ELIMIT or TOC_ENOMEM; sticky */
};

#define TOC_BUF_DEFAULT_LIMIT_BYTES ((size_t)1 << 30)
#define TOC_BUF_INIT ((struct toc_buf){0})

static inline struct toc_sv toc_buf_sv(const struct toc_buf *b) {
    return toc_sv_make(b->p, b->n);
}
static inline int toc_buf_error(const struct toc_buf *b) {
    return b->error;
}

/* Makes room for `more` bytes and returns where to write them, NULL on (sticky) error. Does not
 * change n. */
char *toc_buf_reserve(struct toc_buf *b, size_t more);
void toc_buf_append(struct toc_buf *b, const void *p, size_t n);
void toc_buf_append_sv(struct toc_buf *b, struct toc_sv s);
void toc_buf_append_cstr(struct toc_buf *b, const char *s);
void toc_buf_append_char(struct toc_buf *b, char c);
void toc_buf_printf(struct toc_buf *b, const char *fmt, ...) TOC_PRINTF(2, 3);
void toc_buf_vprintf(struct toc_buf *b, const char *fmt, va_list ap);
/* Fixed-width little-endian integers. */
void toc_buf_append_u8(struct toc_buf *b, uint8_t v);
void toc_buf_append_u32(struct toc_buf *b, uint32_t v);
void toc_buf_append_u64(struct toc_buf *b, uint64_t v);
void toc_buf_append_f64(struct toc_buf *b, double v);
/* LEB128 unsigned and zig-zag signed integers. */
void toc_buf_append_varint(struct toc_buf *b, uint64_t v);
void toc_buf_append_zigzag(struct toc_buf *b, int64_t v);
/* Keeps the memory, drops the content and the sticky error. */
void toc_buf_reset(struct toc_buf *b);
/* A NUL behind the content (not counted in n); "" when empty or failed. Borrowed until the next
 * change. */
const char *toc_buf_cstr(struct toc_buf *b);
/* Transfers the bytes (NUL-terminated) to the caller, who frees them with toc_free. */
char *toc_buf_take(struct toc_buf *b, size_t *out_n);
void toc_buf_fini(struct toc_buf *b);

/* Reader over borrowed bytes with a sticky error: reads past the end give 0 and set error. */
struct toc_reader {
    const uint8_t *p;
    size_t n;
    size_t at;
    int error; /* 0 or TOC_ETRUNCATED / TOC_EPARSE */
};

static inline struct toc_reader toc_reader_make(struct toc_sv s) {
    return (struct toc_reader){(const uint8_t *)s.p, s.n, 0, 0};
}
static inline size_t toc_reader_left(const struct toc_reader *r) {
    return r->n - r->at;
}
uint8_t toc_read_u8(struct toc_reader *r);
uint32_t toc_read_u32(struct toc_reader *r);
uint64_t toc_read_u64(struct toc_reader *r);
double toc_read_f64(struct toc_reader *r);
uint64_t toc_read_varint(struct toc_reader *r);
int64_t toc_read_zigzag(struct toc_reader *r);
/* A view of the next n bytes, empty on error. */
struct toc_sv toc_read_bytes(struct toc_reader *r, size_t n);
/* varint length followed by that many bytes. */
struct toc_sv toc_read_string(struct toc_reader *r);

#endif
