/* Oracles: a stored notification that can be read is written back the same; its texts are UTF-8,
 * one line where they must be, and an SMS keeps its size. */
#include <stdlib.h>

#include "notify/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_texts(const struct toc_notification *n, enum toc_language l) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_message_subject(n, l, &b);
    if (b.n > 200 || (b.n && memchr(b.p, '\n', b.n)) || !toc_sv_is_utf8(toc_buf_sv(&b)))
        abort();
    toc_buf_reset(&b);
    toc_message_short(n, l, 2, &b);
    if (toc_sms_segments(toc_buf_sv(&b)) > 2 || !toc_sv_is_utf8(toc_buf_sv(&b)))
        abort();
    toc_buf_reset(&b);
    toc_message_text(n, l, &b);
    toc_message_html(n, l, &b);
    if (!toc_sv_is_utf8(toc_buf_sv(&b)) ||
        toc_sv_find(toc_buf_sv(&b), TOC_SV("href=\"java")) != SIZE_MAX)
        abort();
    toc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_notification n, again;
    struct toc_buf first = TOC_BUF_INIT, second = TOC_BUF_INIT;
    if (toc_notification_decode(toc_sv_make((const char *)data, size), &a, &n, NULL) == 0) {
        toc_notification_encode(&n, &first);
        if (toc_notification_decode(toc_buf_sv(&first), &a, &again, NULL))
            abort();
        toc_notification_encode(&again, &second);
        if (!toc_sv_eq(toc_buf_sv(&first), toc_buf_sv(&second)))
            abort();
        check_texts(&n, TOC_LANGUAGE_EN);
        check_texts(&n, TOC_LANGUAGE_ZH);
    }
    toc_buf_fini(&first);
    toc_buf_fini(&second);
    toc_arena_fini(&a);
    return 0;
}
