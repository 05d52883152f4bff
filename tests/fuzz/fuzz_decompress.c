/* First byte: the kind. Oracles: never more than the limit comes out; what is compressed comes
 * back. */
#include <stdlib.h>

#include "codec/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MAX_BYTES = 1 << 16 };
    if (!size)
        return 0;
    enum toc_compression kind = (enum toc_compression)(data[0] % (TOC_COMPRESSION_SNAPPY + 1));
    struct toc_sv in = toc_sv_make((const char *)data + 1, size - 1);
    struct toc_buf out = TOC_BUF_INIT, packed = TOC_BUF_INIT;
    struct toc_err err = {0};
    int rc = toc_decompress(kind, in, MAX_BYTES, &out, &err);
    if (rc == 0 && out.n > MAX_BYTES)
        abort();
    if (rc && rc != TOC_ENOMEM && !err.message[0])
        abort();
    toc_buf_reset(&out);
    if (toc_compress(kind, in, &packed) ||
        toc_decompress(kind, toc_buf_sv(&packed), in.n, &out, &err) ||
        !toc_sv_eq(toc_buf_sv(&out), in))
        abort();
    toc_buf_fini(&out);
    toc_buf_fini(&packed);
    return 0;
}
