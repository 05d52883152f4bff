/* Oracle: a hostile index is refused or read to its end; symbols lie inside of it. The bytes are
 * the series section of an index whose frame is right. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "promtsdb/index_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_prom_index x = {.bytes = TOC_BUF_INIT};
    struct toc_prom_series s = {0};
    uint64_t at = 0, damaged, last = 0;
    static const char *const texts[] = {"__name__", "a", "b", "instance"};
    toc_buf_append(&x.bytes, data, size);
    for (size_t i = 0; i < 4; i++)
        TOC_VEC_PUSH(&x.symbols, toc_sv_cstr(texts[i]));
    x.series_end = size;
    while (toc_prom_index_next(&x, &at, &s, &damaged)) {
        if (at <= last || at > size || damaged > size)
            abort();
        for (size_t i = 0; i < s.labels.count; i++)
            if (!s.labels.items[i].name.n || !s.labels.items[i].value.n)
                abort();
        last = at;
    }
    if (at != size)
        abort();
    toc_prom_series_fini(&s);
    toc_prom_index_fini(&x);
    return 0;
}
