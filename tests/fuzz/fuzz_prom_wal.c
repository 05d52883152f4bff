/* Oracle: reading ends, records are no longer than what was given them unpacked, and damage is told
 * for bytes that are no log. */
#include <stdlib.h>
#include <string.h>

#include "promtsdb/wal_pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_prom_wal_pages p;
    struct toc_sv record;
    size_t last = 0;
    toc_prom_wal_pages_init(&p, toc_sv_make((const char *)data, size));
    while (toc_prom_wal_pages_next(&p, &record)) {
        if (p.at <= last || p.record_at >= p.at || (record.n && !record.p))
            abort(); /* it goes forward */
        if (p.has_damage && (p.damage_at >= size || !p.damage))
            abort();
        last = p.at;
    }
    toc_prom_wal_pages_fini(&p);
    return 0;
}
