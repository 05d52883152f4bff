/* A record of the kernel's log: the text is no longer than the record and has no line ending; what
 * is written as a record comes back. The stored place: refused or taken, never half. */
#include <stdlib.h>

#include "collect/kmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(struct toc_sv bytes) {
    struct toc_kmsg_record r, again;
    struct toc_buf room = TOC_BUF_INIT, text = TOC_BUF_INIT, room2 = TOC_BUF_INIT;
    uint64_t usec, usec2;
    char flag, flag2;
    if (toc_kmsg_parse(bytes, &r, &usec, &flag, &room) == 0) {
        if (r.text.n > bytes.n || toc_sv_find_char(r.text, '\n') != SIZE_MAX)
            abort();
        toc_buf_printf(&text, "%d,%llu,%llu,%c;", r.facility << 3 | r.priority,
                       (unsigned long long)r.sequence, (unsigned long long)usec, flag);
        for (size_t i = 0; i < r.text.n; i++)
            toc_buf_printf(&text, "\\x%02x", (unsigned char)r.text.p[i]);
        toc_buf_append_char(&text, '\n');
        if (toc_kmsg_parse(toc_buf_sv(&text), &again, &usec2, &flag2, &room2) < 0 ||
            again.sequence != r.sequence || usec2 != usec || !toc_sv_eq(again.text, r.text))
            abort();
    }
    toc_buf_fini(&room);
    toc_buf_fini(&room2);
    toc_buf_fini(&text);
}

static void check_place(struct toc_sv bytes) {
    struct toc_kmsg *k = toc_kmsg_new(&(struct toc_kmsg_options){0});
    struct toc_buf saved = TOC_BUF_INIT;
    if (toc_kmsg_restore(k, bytes) == 0) {
        toc_kmsg_save(k, &saved);
        if (toc_kmsg_restore(k, toc_buf_sv(&saved)) != 0)
            abort();
    }
    toc_buf_fini(&saved);
    toc_kmsg_free(&k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv bytes = toc_sv_make((const char *)data, size);
    check_record(bytes);
    check_place(bytes);
    return 0;
}
