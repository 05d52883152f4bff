/* How long a text is as an SMS: 3GPP TS 23.038. */
#include "notify/message.h"

/* The GSM 7 bit default alphabet outside ASCII, and the characters that take an escape. */
static const char gsm_extra[] = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";
static const char gsm_escaped[] = "^{}\\[~]|€";

/* ASCII characters that the alphabet lacks or writes with an escape. */
static bool is_plain_gsm(char c) {
    return c == '\n' || c == '\r' || (c >= 0x20 && c < 0x7f && c != '`' && !strchr("^{}\\[~]|", c));
}

static size_t rune_length(uint8_t first) {
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

static bool contains(const char *set, size_t set_bytes, struct toc_sv rune) {
    return toc_sv_find(toc_sv_make(set, set_bytes), rune) != SIZE_MAX;
}

int toc_sms_segments(struct toc_sv text) {
    size_t septets = 0, units = 0;
    bool is_gsm = true;
    for (size_t i = 0; i < text.n;) {
        size_t n = TOC_MIN(rune_length((uint8_t)text.p[i]), text.n - i);
        struct toc_sv rune = toc_sv_sub(text, i, n);
        bool is_escaped = contains(gsm_escaped, sizeof gsm_escaped - 1, rune);
        bool is_extra = n > 1 && contains(gsm_extra, sizeof gsm_extra - 1, rune);
        is_gsm &= is_escaped || is_extra || (n == 1 && is_plain_gsm(text.p[i]));
        septets += is_escaped ? 2 : 1;
        units += n == 4 ? 2 : 1;
        i += n;
    }
    size_t size = is_gsm ? septets : units, alone = is_gsm ? 160 : 70, part = is_gsm ? 153 : 67;
    return size <= alone ? 1 : (int)((size + part - 1) / part);
}
