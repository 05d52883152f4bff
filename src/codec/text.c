#include "codec/text.h"

#include "codec/utf8_priv.h"

void toc_utf8_append(struct toc_buf *out, uint32_t rune) {
    char text[4];
    toc_buf_append(out, text, toc_utf8_write(rune, text));
}

size_t toc_utf8_decode(struct toc_sv s, size_t at, uint32_t *out_rune) {
    size_t n = toc_utf8_read(s, at, out_rune);
    if (n == 0)
        *out_rune = 0xfffd;
    return n ? n : 1;
}

static const char base64_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode_64(struct toc_sv in, const char *alphabet, bool is_padded, struct toc_buf *out) {
    const uint8_t *p = (const uint8_t *)in.p;
    for (size_t i = 0; i < in.n; i += 3) {
        size_t have = TOC_MIN(in.n - i, (size_t)3);
        uint32_t bits = (uint32_t)p[i] << 16;
        bits |= have > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= have > 2 ? p[i + 2] : 0;
        char group[4];
        for (unsigned k = 0; k < 4; k++)
            group[k] = k <= have ? alphabet[bits >> (18 - 6 * k) & 63] : '=';
        toc_buf_append(out, group, is_padded ? 4 : have + 1);
    }
}

void toc_base64_encode(struct toc_sv in, struct toc_buf *out) {
    encode_64(in, base64_chars, true, out);
}

void toc_base64url_encode(struct toc_sv in, struct toc_buf *out) {
    encode_64(in, base64url_chars, false, out);
}

static int value_64(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Padding, when there, must complete the last group: at most two signs. */
static int strip_padding(struct toc_sv *in) {
    size_t signs = 0;
    while (signs < in->n && in->p[in->n - 1 - signs] == '=')
        signs++;
    if (signs > 2 || (signs && in->n % 4))
        return TOC_EPARSE;
    in->n -= signs;
    return in->n % 4 == 1 ? TOC_EPARSE : 0;
}

int toc_base64_decode(struct toc_sv in, struct toc_buf *out) {
    if (strip_padding(&in))
        return TOC_EPARSE;
    char *to = toc_buf_reserve(out, in.n / 4 * 3 + 3);
    if (!to)
        return toc_buf_error(out);
    uint32_t bits = 0;
    unsigned have = 0;
    size_t made = 0;
    for (size_t i = 0; i < in.n; i++) {
        int v = value_64(in.p[i]);
        if (v < 0)
            return TOC_EPARSE;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[made++] = (char)(bits >> have & 0xff);
        }
    }
    if (bits & ((1U << have) - 1)) /* two texts for one value: not canonical */
        return TOC_EPARSE;
    out->n += made;
    return 0;
}

static const char hex_upper[] = "0123456789ABCDEF";
static const char hex_lower[] = "0123456789abcdef";

static bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void toc_percent_encode(struct toc_sv in, struct toc_buf *out) {
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = (uint8_t)in.p[i];
        if (is_unreserved(in.p[i]))
            toc_buf_append_char(out, in.p[i]);
        else
            toc_buf_append(out, (char[]){'%', hex_upper[c >> 4], hex_upper[c & 15]}, 3);
    }
}

void toc_query_encode(struct toc_sv in, struct toc_buf *out) {
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == ' ')
            toc_buf_append_char(out, '+');
        else
            toc_percent_encode(toc_sv_sub(in, i, 1), out);
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte behind two hexadecimal digits, or -1. */
static int hex_byte(const char *p) {
    int high = hex_digit(p[0]), low = hex_digit(p[1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int toc_percent_decode(struct toc_sv in, bool plus_is_space, struct toc_buf *out) {
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (c == '%') {
            int byte = in.n - i > 2 ? hex_byte(in.p + i + 1) : -1;
            if (byte < 0)
                return TOC_EPARSE;
            c = (char)byte;
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        toc_buf_append_char(out, c);
    }
    return toc_buf_error(out);
}

void toc_hex_encode(struct toc_sv in, struct toc_buf *out) {
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = (uint8_t)in.p[i];
        toc_buf_append(out, (char[]){hex_lower[c >> 4], hex_lower[c & 15]}, 2);
    }
}

int toc_hex_decode(struct toc_sv in, struct toc_buf *out) {
    if (in.n % 2)
        return TOC_EPARSE;
    for (size_t i = 0; i < in.n; i += 2) {
        int byte = hex_byte(in.p + i);
        if (byte < 0)
            return TOC_EPARSE;
        toc_buf_append_char(out, (char)byte);
    }
    return toc_buf_error(out);
}

void toc_html_escape(struct toc_sv in, struct toc_buf *out) {
    for (size_t i = 0; i < in.n; i++) {
        switch (in.p[i]) {
        case '&':
            toc_buf_append_cstr(out, "&amp;");
            break;
        case '<':
            toc_buf_append_cstr(out, "&lt;");
            break;
        case '>':
            toc_buf_append_cstr(out, "&gt;");
            break;
        case '"':
            toc_buf_append_cstr(out, "&#34;");
            break;
        case '\'':
            toc_buf_append_cstr(out, "&#39;");
            break;
        default:
            toc_buf_append_char(out, in.p[i]);
        }
    }
}
