/* The file with a receiver's place in the log. Oracle: what is taken is written back the same. */
#include <stdlib.h>
#include <string.h>

#include "forward/position.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv bytes = toc_sv_make((const char *)data, size);
    struct toc_sv key = TOC_SV("a");
    struct toc_log_position p;
    if (toc_forward_position_decode(bytes, key, &p))
        return 0;
    struct toc_buf again = TOC_BUF_INIT;
    toc_forward_position_encode(&p, key, &again);
    if (again.n != size || memcmp(again.p, data, size))
        abort();
    toc_buf_fini(&again);
    return 0;
}
