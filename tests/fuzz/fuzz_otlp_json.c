/* A message in JSON. Oracle: what is read, written in both encodings, is read as the same message
 * again; a message that is refused says why. */
#include <stdlib.h>
#include <string.h>

#include "../otlp_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void rewrite(bool is_json, const struct toc_buf *body, struct toc_buf *out) {
    struct toc_arena arena;
    struct otlp_message m;
    toc_arena_init(&arena, TOC_OTLP_MESSAGE_BYTES);
    int rc = is_json ? otlp_decode_json(toc_buf_sv(body), &arena, &m, NULL)
                     : otlp_decode_proto(toc_buf_sv(body), &arena, &m, NULL);
    if (rc)
        abort();
    otlp_write_proto(&m, out);
    toc_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena arena;
    struct otlp_message m;
    struct toc_err err = {0};
    struct toc_buf proto = TOC_BUF_INIT, json = TOC_BUF_INIT, a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    toc_arena_init(&arena, 16 << 20);
    int rc = otlp_decode_json(toc_sv_make((const char *)data, size), &arena, &m, &err);
    if (rc && !err.message[0])
        abort();
    if (!rc) {
        otlp_write_proto(&m, &proto);
        otlp_write_json(&m, &json);
        rewrite(false, &proto, &a);
        rewrite(true, &json, &b);
        if (a.n != proto.n || b.n != proto.n || memcmp(a.p ? a.p : "", b.p ? b.p : "", a.n) ||
            memcmp(a.p ? a.p : "", proto.p ? proto.p : "", a.n))
            abort();
    }
    toc_buf_fini(&proto);
    toc_buf_fini(&json);
    toc_buf_fini(&a);
    toc_buf_fini(&b);
    toc_arena_fini(&arena);
    return 0;
}
