/* Text in double quotes with Go's escapes, as strconv.Quote writes it. */
#include <string.h>

#include "codec/text.h"
#include "promql/ast_priv.h"

/* What has no visible form: the categories C and Z of Unicode as far as text meets them. */
static bool is_invisible(uint32_t c) {
    static const uint32_t ranges[][2] = {{0x80, 0xa0},     {0xad, 0xad},       {0x600, 0x605},
                                         {0x61c, 0x61c},   {0x6dd, 0x6dd},     {0x70f, 0x70f},
                                         {0x1680, 0x1680}, {0x180e, 0x180e},   {0x2000, 0x200f},
                                         {0x2028, 0x202f}, {0x205f, 0x206f},   {0x3000, 0x3000},
                                         {0xd800, 0xf8ff}, {0xfeff, 0xfeff},   {0xfff0, 0xfffb},
                                         {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

static void append_rune(uint32_t c, struct toc_sv bytes, struct toc_buf *out) {
    static const char from[] = "\"\\\a\b\f\n\r\t\v", to[] = "\"\\abfnrtv";
    const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (known)
        toc_buf_printf(out, "\\%c", to[known - from]);
    else if (c < 0x20 || c == 0x7f)
        toc_buf_printf(out, "\\x%02x", c);
    else if (is_invisible(c))
        toc_buf_printf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    else
        toc_buf_append_sv(out, bytes);
}

void toc_promql_quote(struct toc_sv s, struct toc_buf *out) {
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        size_t n = toc_utf8_decode(s, i, &c);
        if (n == 1 && c == 0xfffd) /* a byte that is no UTF-8 */
            toc_buf_printf(out, "\\x%02x", (unsigned char)s.p[i]);
        else
            append_rune(c, toc_sv_sub(s, i, n), out);
        i += n;
    }
    toc_buf_append_char(out, '"');
}
