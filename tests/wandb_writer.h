/* Writes run files of Weights & Biases for tests and the fuzz target. */
#ifndef TOC_TESTS_WANDB_WRITER_H
#define TOC_TESTS_WANDB_WRITER_H

#include <stdio.h>

#include "codec/protobuf.h"
#include "codec/wandb_log.h"

static inline void wbw_begin(struct toc_buf *out) {
    static const char header[] = {':', 'W', '&', 'B', (char)0xe1, (char)0xbe, 0};
    toc_buf_append(out, header, sizeof header);
}

static inline void wbw_chunk(struct toc_buf *out, uint8_t type, struct toc_sv data) {
    toc_buf_append_u32(out, toc_wandb_crc(type, data));
    toc_buf_append_u8(out, (uint8_t)(data.n & 0xff));
    toc_buf_append_u8(out, (uint8_t)(data.n >> 8));
    toc_buf_append_u8(out, type);
    toc_buf_append_sv(out, data);
}

/* A record in as many chunks as blocks ask for; `out` is the file from its start. */
static inline void wbw_record(struct toc_buf *out, struct toc_sv data) {
    bool is_first = true;
    do {
        size_t left = TOC_WANDB_BLOCK_BYTES - out->n % TOC_WANDB_BLOCK_BYTES;
        if (left < TOC_WANDB_CHUNK_HEADER_BYTES) {
            toc_buf_append(out, "\0\0\0\0\0\0", left);
            left = TOC_WANDB_BLOCK_BYTES;
        }
        size_t n = TOC_MIN(data.n, left - TOC_WANDB_CHUNK_HEADER_BYTES);
        bool is_last = n == data.n;
        wbw_chunk(out, (uint8_t)(is_first ? (is_last ? 1 : 2) : (is_last ? 4 : 3)),
                  toc_sv_sub(data, 0, n));
        data = toc_sv_sub(data, n, SIZE_MAX);
        is_first = false;
        if (is_last)
            return;
    } while (true);
}

static inline void wbw_item(struct toc_buf *m, uint32_t number, const char *key, const char *json) {
    size_t item = toc_pb_begin(m, number);
    toc_pb_put_bytes(m, 2, toc_sv_cstr(key));
    toc_pb_put_bytes(m, 16, toc_sv_cstr(json));
    toc_pb_end(m, item);
}

/* Ends the message of kind `number` begun in `m` and writes its record. */
static inline void wbw_message(struct toc_buf *out, uint32_t number, struct toc_buf *m) {
    struct toc_buf record = TOC_BUF_INIT;
    toc_pb_put_bytes(&record, number, toc_buf_sv(m));
    wbw_record(out, toc_buf_sv(&record));
    toc_buf_fini(&record);
    toc_buf_fini(m);
}

static inline void wbw_run(struct toc_buf *out, const char *id, const char *name, int64_t start_s) {
    struct toc_buf m = TOC_BUF_INIT;
    toc_pb_put_bytes(&m, 1, toc_sv_cstr(id));
    toc_pb_put_bytes(&m, 3, TOC_SV("lab"));
    size_t config = toc_pb_begin(&m, 4);
    wbw_item(&m, 1, "model", "\"tiny\"");
    toc_pb_end(&m, config);
    toc_pb_put_bytes(&m, 8, toc_sv_cstr(name));
    toc_pb_put_bytes(&m, 13, TOC_SV("node-1"));
    size_t start = toc_pb_begin(&m, 17);
    toc_pb_put_u64(&m, 1, (uint64_t)start_s);
    toc_pb_end(&m, start);
    wbw_message(out, 17, &m);
}

/* One row: `_step`, `_timestamp` and a loss as JSON. */
static inline void wbw_row(struct toc_buf *out, int64_t step, double t_s, const char *loss) {
    struct toc_buf m = TOC_BUF_INIT;
    char text[40];
    (void)snprintf(text, sizeof text, "%lld", (long long)step);
    wbw_item(&m, 1, "_step", text);
    (void)snprintf(text, sizeof text, "%.6f", t_s);
    wbw_item(&m, 1, "_timestamp", text);
    wbw_item(&m, 1, "train/loss", loss);
    wbw_item(&m, 1, "my.number", "7");
    wbw_item(&m, 1, "picture", "{\"_type\":\"image-file\"}");
    wbw_message(out, 2, &m);
}

static inline void wbw_exit(struct toc_buf *out, int code) {
    struct toc_buf m = TOC_BUF_INIT;
    toc_pb_put_u64(&m, 1, (uint64_t)code);
    wbw_message(out, 18, &m);
}

#endif
