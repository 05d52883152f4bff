/* Oracles: an answer gives names and addresses that are text, or there is a reason. */
#include <stdlib.h>

#include "sys/resolver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena a;
    struct toc_err err = {0};
    const struct toc_dns_record *records = NULL;
    size_t count = 0;
    bool has_name = false;
    toc_arena_init(&a, 64 << 20);
    int rc =
        toc_dns_parse(toc_sv_make((const char *)data, size), &a, &records, &count, &has_name, &err);
    if (rc && !err.message[0])
        abort();
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (!toc_sv_is_ascii(records[i].target) || records[i].type >= TOC_DNS_TYPE_COUNT)
            abort();
    toc_arena_fini(&a);
    return 0;
}
