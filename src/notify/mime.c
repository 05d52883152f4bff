#include "notify/mime.h"

#include "codec/text.h"

static bool is_printable_ascii(struct toc_sv s) {
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < 0x20 || (uint8_t)s.p[i] > 0x7e)
            return false;
    return toc_sv_find(s, TOC_SV("=?")) == SIZE_MAX;
}

void toc_mime_words(struct toc_sv text, const char *separator, struct toc_buf *out) {
    enum { WORD_BYTES = 45 }; /* 60 characters of base64 and 12 around them */
    if (is_printable_ascii(text)) {
        toc_buf_append_sv(out, text);
        return;
    }
    for (size_t at = 0; at < text.n;) {
        size_t n = TOC_MIN(text.n - at, (size_t)WORD_BYTES);
        while (n > 1 && at + n < text.n && ((uint8_t)text.p[at + n] & 0xc0) == 0x80)
            n--;
        if (at)
            toc_buf_append_cstr(out, separator);
        toc_buf_append_cstr(out, "=?UTF-8?B?");
        toc_base64_encode(toc_sv_sub(text, at, n), out);
        toc_buf_append_cstr(out, "?=");
        at += n;
    }
}

/* Breaks at blanks so that no line is much longer than 76 characters. */
static void append_folded(struct toc_sv text, size_t column, struct toc_buf *out) {
    enum { LINE_MAX_CHARS = 76 };
    for (size_t at = 0; at < text.n;) {
        size_t word = at + 1;
        while (word < text.n && text.p[word] != ' ')
            word++;
        bool can_break = at > 0 && text.p[at] == ' ';
        if (can_break && column + (word - at) > LINE_MAX_CHARS) {
            toc_buf_append_cstr(out, "\r\n");
            column = 0;
        }
        toc_buf_append_sv(out, toc_sv_sub(text, at, word - at));
        column += word - at;
        at = word;
    }
}

void toc_mime_header(const char *name, struct toc_sv text, struct toc_buf *out) {
    struct toc_buf clean = TOC_BUF_INIT, words = TOC_BUF_INIT;
    for (size_t i = 0; i < text.n; i++)
        toc_buf_append_char(&clean,
                            (uint8_t)text.p[i] < 0x20 || text.p[i] == 0x7f ? ' ' : text.p[i]);
    toc_mime_words(toc_sv_trim(toc_buf_sv(&clean)), " ", &words);
    toc_buf_printf(out, "%s: ", name);
    append_folded(toc_buf_sv(&words), strlen(name) + 2, out);
    toc_buf_append_cstr(out, "\r\n");
    toc_buf_fini(&clean);
    toc_buf_fini(&words);
}

static void append_qp_byte(uint8_t c, struct toc_buf *out) {
    static const char hex[] = "0123456789ABCDEF";
    toc_buf_append(out, (char[]){'=', hex[c >> 4], hex[c & 15]}, 3);
}

static void append_qp_line(struct toc_sv line, struct toc_buf *out) {
    enum { LINE_MAX_CHARS = 75 }; /* one more for the soft break */
    size_t column = 0;
    for (size_t i = 0; i < line.n; i++) {
        uint8_t c = (uint8_t)line.p[i];
        bool is_last_blank = (c == ' ' || c == '\t') && i + 1 == line.n;
        bool is_plain = (c == '\t' || (c >= 0x20 && c < 0x7f)) && c != '=' && !is_last_blank;
        size_t width = is_plain ? 1 : 3;
        if (column + width > LINE_MAX_CHARS) {
            toc_buf_append_cstr(out, "=\r\n");
            column = 0;
        }
        if (is_plain)
            toc_buf_append_char(out, (char)c);
        else
            append_qp_byte(c, out);
        column += width;
    }
}

void toc_mime_quoted_printable(struct toc_sv text, struct toc_buf *out) {
    for (struct toc_sv rest = text, line; toc_sv_split(&rest, '\n', &line);) {
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!rest.p && !line.n)
            return; /* the text ended with its newline */
        append_qp_line(line, out);
        toc_buf_append_cstr(out, "\r\n");
    }
}

static bool is_address(struct toc_sv s) {
    size_t at = toc_sv_find_char(s, '@');
    if (at == SIZE_MAX || at == 0 || at + 1 == s.n)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= 0x20 || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == ',' ||
            s.p[i] == 0x7f)
            return false;
    return true;
}

int toc_mime_parse_address(struct toc_sv text, struct toc_mime_address *out) {
    struct toc_mime_address a = {.address = toc_sv_trim(text)};
    size_t open = toc_sv_find_char(text, '<');
    if (open != SIZE_MAX) {
        struct toc_sv rest = toc_sv_trim(toc_sv_sub(text, open + 1, text.n));
        if (!toc_sv_ends_with(rest, TOC_SV(">")))
            return TOC_EINVAL;
        a.address = toc_sv_trim(toc_sv_sub(rest, 0, rest.n - 1));
        a.name = toc_sv_trim(toc_sv_sub(text, 0, open));
        if (a.name.n >= 2 && a.name.p[0] == '"' && a.name.p[a.name.n - 1] == '"')
            a.name = toc_sv_sub(a.name, 1, a.name.n - 2);
    }
    if (!is_address(a.address))
        return TOC_EINVAL;
    *out = a;
    return 0;
}

void toc_mime_format_address(const struct toc_mime_address *a, struct toc_buf *out) {
    if (!a->name.n) {
        toc_buf_append_sv(out, a->address);
        return;
    }
    if (is_printable_ascii(a->name)) { /* always quoted: a dot or a comma would need it */
        toc_buf_append_char(out, '"');
        for (size_t i = 0; i < a->name.n; i++) {
            if (a->name.p[i] == '"' || a->name.p[i] == '\\')
                toc_buf_append_char(out, '\\');
            toc_buf_append_char(out, a->name.p[i]);
        }
        toc_buf_append_char(out, '"');
    } else {
        toc_mime_words(a->name, " ", out);
    }
    toc_buf_printf(out, " <%.*s>", TOC_SV_ARG(a->address));
}
