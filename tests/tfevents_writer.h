/* Writes event files for tests, the fuzz target and the bench. */
#ifndef TOC_TESTS_TFEVENTS_WRITER_H
#define TOC_TESTS_TFEVENTS_WRITER_H

#include "codec/protobuf.h"
#include "codec/tfevents.h"

static inline void tfw_record(struct toc_buf *out, struct toc_sv data) {
    size_t at = out->n;
    toc_buf_append_u64(out, data.n);
    toc_buf_append_u32(out, toc_tfevents_masked_crc(toc_sv_make(out->p + at, 8)));
    toc_buf_append_sv(out, data);
    toc_buf_append_u32(out, toc_tfevents_masked_crc(data));
}

static inline void tfw_put_float(struct toc_buf *out, uint32_t number, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    toc_buf_append_varint(out, number << 3 | TOC_PB_I32);
    toc_buf_append_u32(out, bits);
}

/* An event with one value whose tag is followed by `rest`, encoded fields of Summary.Value. */
static inline void tfw_value(struct toc_buf *out, double wall, int64_t step, const char *tag,
                             struct toc_sv rest) {
    struct toc_buf event = TOC_BUF_INIT;
    toc_pb_put_double(&event, 1, wall);
    toc_pb_put_u64(&event, 2, (uint64_t)step);
    size_t summary = toc_pb_begin(&event, 5), value = toc_pb_begin(&event, 1);
    toc_pb_put_bytes(&event, 1, toc_sv_cstr(tag));
    toc_buf_append_sv(&event, rest);
    toc_pb_end(&event, value);
    toc_pb_end(&event, summary);
    tfw_record(out, toc_buf_sv(&event));
    toc_buf_fini(&event);
}

static inline void tfw_scalar(struct toc_buf *out, double wall, int64_t step, const char *tag,
                              float v) {
    struct toc_buf rest = TOC_BUF_INIT;
    tfw_put_float(&rest, 2, v);
    tfw_value(out, wall, step, tag, toc_buf_sv(&rest));
    toc_buf_fini(&rest);
}

/* A tensor of dims (0 of them: a scalar) whose elements are field `field` = bytes. */
static inline void tfw_tensor(struct toc_buf *out, const char *tag, const char *plugin,
                              uint64_t dtype, const uint64_t *dims, size_t rank, uint32_t field,
                              struct toc_sv bytes) {
    struct toc_buf rest = TOC_BUF_INIT;
    size_t tensor = toc_pb_begin(&rest, 8);
    toc_pb_put_u64(&rest, 1, dtype);
    size_t shape = toc_pb_begin(&rest, 2);
    for (size_t i = 0; i < rank; i++) {
        size_t dim = toc_pb_begin(&rest, 2);
        toc_pb_put_u64(&rest, 1, dims[i]);
        toc_pb_end(&rest, dim);
    }
    toc_pb_end(&rest, shape);
    toc_pb_put_bytes(&rest, field, bytes);
    toc_pb_end(&rest, tensor);
    if (plugin) {
        size_t metadata = toc_pb_begin(&rest, 9), data = toc_pb_begin(&rest, 1);
        toc_pb_put_bytes(&rest, 1, toc_sv_cstr(plugin));
        toc_pb_end(&rest, data);
        toc_pb_end(&rest, metadata);
    }
    tfw_value(out, 1700000000.5, 7, tag, toc_buf_sv(&rest));
    toc_buf_fini(&rest);
}

static inline void tfw_histo(struct toc_buf *out, const char *tag, const double *numbers) {
    struct toc_buf rest = TOC_BUF_INIT;
    size_t histo = toc_pb_begin(&rest, 5);
    for (uint32_t i = 0; i < 5; i++)
        toc_pb_put_double(&rest, i + 1, numbers[i]);
    toc_pb_end(&rest, histo);
    tfw_value(out, 1700000000.5, 7, tag, toc_buf_sv(&rest));
    toc_buf_fini(&rest);
}

#endif
