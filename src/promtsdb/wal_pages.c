#include "promtsdb/wal_pages.h"

#include "base/hash.h"
#include "codec/compress.h"
#include "promtsdb/big_endian.h"

enum {
    PAGE_BYTES = 32 * 1024,
    FRAGMENT_HEADER_BYTES = 7,
    RECORD_BYTES_MAX = 256 << 20,
    KIND_MASK = 7,
    IS_SNAPPY = 8,
    IS_ZSTD = 16,
};
enum { PAGE_END, WHOLE, FIRST, MIDDLE, LAST };

void toc_prom_wal_pages_init(struct toc_prom_wal_pages *p, struct toc_sv segment) {
    *p = (struct toc_prom_wal_pages){.bytes = segment};
    p->packed.limit_bytes = p->record.limit_bytes = RECORD_BYTES_MAX;
}

void toc_prom_wal_pages_fini(struct toc_prom_wal_pages *p) {
    toc_buf_fini(&p->packed);
    toc_buf_fini(&p->record);
}

static size_t page_end(size_t at) {
    return at / PAGE_BYTES * PAGE_BYTES + PAGE_BYTES;
}

static void pass_over(struct toc_prom_wal_pages *p, const char *what) {
    if (!p->has_damage) {
        p->has_damage = true;
        p->damage_at = p->at;
        p->damage = what;
    }
    p->at = page_end(p->at);
    p->packed.n = 0;
}

struct fragment {
    unsigned kind, flags;
    struct toc_sv data;
};

/* The fragment at p->at, which moves behind it; false at the end of the segment. */
static bool next_fragment(struct toc_prom_wal_pages *p, struct fragment *out) {
    while (p->at < p->bytes.n) {
        size_t left = TOC_MIN(page_end(p->at), p->bytes.n) - p->at;
        struct toc_reader r = toc_reader_make(toc_sv_sub(p->bytes, p->at, left));
        unsigned head = toc_read_u8(&r);
        if ((head & KIND_MASK) == PAGE_END) {
            p->at = page_end(p->at);
            continue;
        }
        size_t length = (size_t)toc_read_u8(&r) << 8;
        length |= toc_read_u8(&r);
        uint32_t crc = toc_get_be32(&r);
        out->data = toc_read_bytes(&r, length);
        if (r.error && page_end(p->at) > p->bytes.n)
            return false; /* an unfinished write */
        if (r.error || toc_crc32c(0, out->data.p, out->data.n) != crc) {
            pass_over(p, "a record is damaged");
            continue;
        }
        out->kind = head & KIND_MASK;
        out->flags = head & ~(unsigned)KIND_MASK;
        p->at += FRAGMENT_HEADER_BYTES + length;
        return true;
    }
    return false;
}

static bool unpack(struct toc_prom_wal_pages *p, unsigned flags, struct toc_sv *out) {
    enum toc_compression c = flags & IS_SNAPPY ? TOC_COMPRESSION_SNAPPY
                             : flags & IS_ZSTD ? TOC_COMPRESSION_ZSTD
                                               : TOC_COMPRESSION_NONE;
    *out = toc_buf_sv(&p->packed);
    if (c == TOC_COMPRESSION_NONE)
        return !p->packed.error;
    toc_buf_reset(&p->record);
    int rc = toc_decompress(c, *out, RECORD_BYTES_MAX, &p->record, NULL);
    *out = toc_buf_sv(&p->record);
    return !rc;
}

bool toc_prom_wal_pages_next(struct toc_prom_wal_pages *p, struct toc_sv *out) {
    struct fragment f;
    bool is_begun = false;
    unsigned flags = 0;
    p->has_damage = false;
    toc_buf_reset(&p->packed);
    for (;;) {
        size_t at = p->at;
        bool had_damage = p->has_damage;
        if (!next_fragment(p, &f))
            return false;
        is_begun = is_begun && p->has_damage == had_damage; /* a part in between is lost */
        if (f.kind == WHOLE || f.kind == FIRST) {
            toc_buf_reset(&p->packed);
            is_begun = true;
            flags = f.flags;
            p->record_at = at;
        }
        if (!is_begun) /* the rest of a record whose beginning is lost */
            continue;
        toc_buf_append_sv(&p->packed, f.data);
        if ((f.kind == WHOLE || f.kind == LAST)) {
            if (unpack(p, flags, out))
                return true;
            is_begun = false;
            pass_over(p, "a record cannot be unpacked");
        }
    }
}
