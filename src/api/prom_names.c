/* Names escaped by values, `U__…`, as clients put them where only classic names fit: `__` is an
 * underscore, `_HEX_` a code point (prometheus.io/docs, UTF-8 escaping schemes). */
#include "api/prom_priv.h"
#include "codec/text.h"

static bool is_classic_char(char ch, bool is_first) {
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' || ch == ':' ||
           (!is_first && ch >= '0' && ch <= '9');
}

static int hex_digit(char ch) {
    return ch >= '0' && ch <= '9'   ? ch - '0'
           : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
           : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                    : -1;
}

/* `HEX_` at *at, which moves behind it. */
static bool take_rune(struct toc_sv s, size_t *at, uint32_t *out) {
    enum { DIGITS_MAX = 6 };
    *out = 0;
    for (int n = 0; *at < s.n && n <= DIGITS_MAX; n++, (*at)++) {
        if (s.p[*at] == '_') {
            (*at)++;
            return n > 0 && *out <= 0x10ffff && (*out < 0xd800 || *out > 0xdfff);
        }
        int digit = hex_digit(s.p[*at]);
        if (digit < 0)
            return false;
        *out = *out * 16 + (uint32_t)digit;
    }
    return false;
}

bool toc_prom_unescape_name(struct toc_sv escaped, struct toc_buf *out) {
    if (!toc_sv_starts_with(escaped, TOC_SV("U__")))
        return false;
    struct toc_sv s = toc_sv_sub(escaped, 3, escaped.n);
    for (size_t at = 0; at < s.n;) {
        uint32_t rune;
        if (!is_classic_char(s.p[at], at == 0))
            return false;
        if (s.p[at] != '_') {
            toc_buf_append_char(out, s.p[at++]);
            continue;
        }
        at++;
        if (at < s.n && s.p[at] == '_') {
            toc_buf_append_char(out, '_');
            at++;
        } else if (take_rune(s, &at, &rune)) {
            toc_utf8_append(out, rune);
        } else {
            return false;
        }
    }
    return true;
}
