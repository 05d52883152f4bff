#include "base/buf.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/zigzag.h"

char *toc_buf_reserve(struct toc_buf *b, size_t more) {
    if (b->error)
        return NULL;
    size_t limit = b->limit_bytes ? b->limit_bytes : TOC_BUF_DEFAULT_LIMIT_BYTES;
    if (more > limit || b->n > limit - more) {
        b->error = TOC_ELIMIT;
        return NULL;
    }
    size_t need = b->n + more + 1; /* room for the NUL of toc_buf_cstr */
    if (need > b->capacity) {
        size_t grown = TOC_MAX(need, b->capacity + b->capacity / 2 + 32);
        char *p = toc_try_realloc(b->p, grown);
        if (!p) {
            b->error = TOC_ENOMEM;
            return NULL;
        }
        b->p = p;
        b->capacity = grown;
    }
    return b->p + b->n;
}

void toc_buf_append(struct toc_buf *b, const void *p, size_t n) {
    char *to = toc_buf_reserve(b, n);
    if (!to || !n)
        return;
    memcpy(to, p, n);
    b->n += n;
}

void toc_buf_append_sv(struct toc_buf *b, struct toc_sv s) {
    toc_buf_append(b, s.p, s.n);
}
void toc_buf_append_cstr(struct toc_buf *b, const char *s) {
    toc_buf_append(b, s, strlen(s));
}
void toc_buf_append_char(struct toc_buf *b, char c) {
    toc_buf_append(b, &c, 1);
}

void toc_buf_vprintf(struct toc_buf *b, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *to = n < 0 ? NULL : toc_buf_reserve(b, (size_t)n);
    if (to) {
        vsnprintf(to, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void toc_buf_printf(struct toc_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    toc_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void toc_buf_append_u8(struct toc_buf *b, uint8_t v) {
    char *to = toc_buf_reserve(b, 1);
    if (!to)
        return;
    *to = (char)v;
    b->n++;
}

static void append_le(struct toc_buf *b, uint64_t v, size_t bytes) {
    uint8_t raw[8];
    for (size_t i = 0; i < bytes; i++)
        raw[i] = (uint8_t)(v >> (8 * i));
    toc_buf_append(b, raw, bytes);
}

void toc_buf_append_u32(struct toc_buf *b, uint32_t v) {
    append_le(b, v, 4);
}
void toc_buf_append_u64(struct toc_buf *b, uint64_t v) {
    append_le(b, v, 8);
}

void toc_buf_append_f64(struct toc_buf *b, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    append_le(b, bits, 8);
}

void toc_buf_append_varint(struct toc_buf *b, uint64_t v) {
    uint8_t raw[10];
    size_t n = 0;
    if (v < 0x80) {
        toc_buf_append_u8(b, (uint8_t)v);
        return;
    }
    do {
        uint8_t low = (uint8_t)(v & 0x7f);
        v >>= 7;
        raw[n++] = (uint8_t)(low | (v ? 0x80 : 0));
    } while (v);
    toc_buf_append(b, raw, n);
}

void toc_buf_append_zigzag(struct toc_buf *b, int64_t v) {
    toc_buf_append_varint(b, toc_zigzag(v));
}

void toc_buf_reset(struct toc_buf *b) {
    b->n = 0;
    b->error = 0;
}

const char *toc_buf_cstr(struct toc_buf *b) {
    if (b->error || !toc_buf_reserve(b, 0))
        return "";
    b->p[b->n] = '\0';
    return b->p;
}

char *toc_buf_take(struct toc_buf *b, size_t *out_n) {
    char *p = toc_xrealloc(b->p, b->n + 1);
    p[b->n] = '\0';
    if (out_n)
        *out_n = b->n;
    *b = (struct toc_buf){.limit_bytes = b->limit_bytes};
    return p;
}

void toc_buf_fini(struct toc_buf *b) {
    if (!b)
        return;
    toc_free(b->p);
    *b = TOC_BUF_INIT;
}

static const uint8_t *read_raw(struct toc_reader *r, size_t n) {
    if (r->error || toc_reader_left(r) < n) {
        if (!r->error)
            r->error = TOC_ETRUNCATED;
        return NULL;
    }
    const uint8_t *p = r->p + r->at;
    r->at += n;
    return p;
}

static uint64_t read_le(struct toc_reader *r, size_t bytes) {
    const uint8_t *p = read_raw(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; p && i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t toc_read_u8(struct toc_reader *r) {
    return (uint8_t)read_le(r, 1);
}
uint32_t toc_read_u32(struct toc_reader *r) {
    return (uint32_t)read_le(r, 4);
}
uint64_t toc_read_u64(struct toc_reader *r) {
    return read_le(r, 8);
}

double toc_read_f64(struct toc_reader *r) {
    uint64_t bits = read_le(r, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

uint64_t toc_read_varint(struct toc_reader *r) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = toc_read_u8(r);
        if (r->error)
            return 0;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    r->error = TOC_EPARSE;
    return 0;
}

int64_t toc_read_zigzag(struct toc_reader *r) {
    return toc_unzigzag(toc_read_varint(r));
}

struct toc_sv toc_read_bytes(struct toc_reader *r, size_t n) {
    const uint8_t *p = read_raw(r, n);
    return p ? toc_sv_make((const char *)p, n) : TOC_SV_NULL;
}

struct toc_sv toc_read_string(struct toc_reader *r) {
    uint64_t n = toc_read_varint(r);
    if (n > toc_reader_left(r)) {
        if (!r->error)
            r->error = TOC_ETRUNCATED;
        return TOC_SV_NULL;
    }
    return toc_read_bytes(r, (size_t)n);
}
