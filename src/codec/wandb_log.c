#include "codec/wandb_log.h"

#include <string.h>

#include "base/alloc.h"

enum chunk_type { CHUNK_FULL = 1, CHUNK_FIRST = 2, CHUNK_MIDDLE = 3, CHUNK_LAST = 4 };
enum { VERSION_MAX = 1 };

static const uint8_t ident[] = {':', 'W', '&', 'B', 0xe1, 0xbe};

/* CRC-32 with the reflected polynomial 0xedb88320, four bits at a time. */
static uint32_t crc_add(uint32_t crc, uint8_t byte) {
    static const uint32_t nibbles[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                         0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                         0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                         0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    crc = nibbles[(crc ^ byte) & 15] ^ crc >> 4;
    return nibbles[(crc ^ byte >> 4) & 15] ^ crc >> 4;
}

uint32_t toc_wandb_crc(uint8_t type, struct toc_sv data) {
    uint32_t crc = crc_add(UINT32_MAX, type);
    for (size_t i = 0; i < data.n; i++)
        crc = crc_add(crc, (uint8_t)data.p[i]);
    return ~crc;
}

void toc_wandb_log_fini(struct toc_wandb_log *l) {
    toc_buf_fini(&l->record);
}

int toc_wandb_log_check_header(struct toc_sv start) {
    size_t n = TOC_MIN(start.n, sizeof ident);
    if (n && memcmp(start.p, ident, n) != 0)
        return TOC_EPARSE;
    if (start.n < TOC_WANDB_HEADER_BYTES)
        return TOC_ETRUNCATED;
    return (uint8_t)start.p[sizeof ident] <= VERSION_MAX ? 0 : TOC_EVERSION;
}

static void drop_record(struct toc_wandb_log *l) {
    l->counters.torn += l->is_open && !l->is_too_long;
    l->is_open = l->is_too_long = false;
    toc_buf_reset(&l->record);
}

static void add(struct toc_wandb_log *l, struct toc_sv data) {
    if (l->is_too_long)
        return;
    if (l->record.n + data.n > TOC_WANDB_RECORD_BYTES_MAX) {
        l->counters.too_long++;
        l->is_too_long = true;
        toc_buf_reset(&l->record);
        return;
    }
    toc_buf_append_sv(&l->record, data);
}

static void take_chunk(struct toc_wandb_log *l, enum chunk_type type, struct toc_sv data,
                       void (*fn)(void *ctx, struct toc_sv record), void *ctx) {
    bool begins = type == CHUNK_FULL || type == CHUNK_FIRST;
    bool ends = type == CHUNK_FULL || type == CHUNK_LAST;
    if (begins) {
        drop_record(l);
        l->is_open = true;
        l->record_at = l->at;
    } else if (!l->is_open) { /* its beginning was damaged */
        l->counters.torn += ends;
        return;
    }
    add(l, data);
    if (!ends)
        return;
    bool is_kept = !l->is_too_long && !toc_buf_error(&l->record);
    l->counters.records += is_kept;
    if (is_kept)
        fn(ctx, toc_buf_sv(&l->record));
    l->is_open = l->is_too_long = false;
    toc_buf_reset(&l->record);
}

/* The rest of the block cannot be believed. */
static size_t skip_block(struct toc_wandb_log *l, size_t left) {
    drop_record(l);
    l->counters.bytes_skipped += left;
    return left;
}

/* One step at l->at: bytes done with, 0 when more are needed. */
static size_t step(struct toc_wandb_log *l, struct toc_sv bytes,
                   void (*fn)(void *ctx, struct toc_sv record), void *ctx) {
    size_t left = TOC_WANDB_BLOCK_BYTES - (size_t)(l->at % TOC_WANDB_BLOCK_BYTES);
    if (l->at < TOC_WANDB_HEADER_BYTES)
        return bytes.n >= TOC_WANDB_HEADER_BYTES - l->at ? (size_t)(TOC_WANDB_HEADER_BYTES - l->at)
                                                         : 0;
    if (left < TOC_WANDB_CHUNK_HEADER_BYTES)
        return bytes.n >= left ? left : 0;
    if (bytes.n < TOC_WANDB_CHUNK_HEADER_BYTES)
        return 0;
    struct toc_reader r = toc_reader_make(toc_sv_sub(bytes, 0, TOC_WANDB_CHUNK_HEADER_BYTES));
    uint32_t crc = toc_read_u32(&r);
    uint32_t low = toc_read_u8(&r), high = toc_read_u8(&r);
    size_t length = low | high << 8;
    uint8_t type = toc_read_u8(&r);
    size_t whole = TOC_WANDB_CHUNK_HEADER_BYTES + length;
    bool is_possible = type >= CHUNK_FULL && type <= CHUNK_LAST && whole <= left;
    if (is_possible && bytes.n < whole)
        return 0;
    struct toc_sv data = toc_sv_sub(bytes, TOC_WANDB_CHUNK_HEADER_BYTES, length);
    if (is_possible && toc_wandb_crc(type, data) == crc) {
        take_chunk(l, (enum chunk_type)type, data, fn, ctx);
        return whole;
    }
    if (bytes.n < left) /* a block that is still being written: wait for all of it */
        return 0;
    l->counters.bad_crc += is_possible;
    l->counters.bad_chunks += !is_possible;
    return skip_block(l, left);
}

size_t toc_wandb_log_push(struct toc_wandb_log *l, struct toc_sv bytes,
                          void (*fn)(void *ctx, struct toc_sv record), void *ctx) {
    size_t done = 0, n;
    while ((n = step(l, toc_sv_sub(bytes, done, SIZE_MAX), fn, ctx)) > 0) {
        done += n;
        l->at += n;
        if (!l->is_open)
            l->record_at = l->at;
    }
    return done;
}
