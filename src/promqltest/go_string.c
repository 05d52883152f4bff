/* Strings in quotes as Go and PromQL write them. */
#include "promqltest/cursor_priv.h"

static int digit_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

/* `count` digits of a base at the cursor. */
static int read_digits(struct cursor *c, int count, uint32_t base, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < count; i++) {
        int value = digit_value(cursor_peek(c));
        if (value >= (int)base)
            return cursor_fail(c, "broken escape in a string");
        *out = *out * base + (uint32_t)value;
        c->at++;
    }
    return 0;
}

static int append_rune(struct cursor *c, uint32_t rune, struct toc_buf *out) {
    if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        return cursor_fail(c, "escape is no Unicode character");
    if (rune < 0x80) {
        toc_buf_append_char(out, (char)rune);
        return 0;
    }
    int more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    toc_buf_append_char(out, (char)(leads[more] | rune >> (6 * more)));
    while (more-- > 0)
        toc_buf_append_char(out, (char)(0x80 | (rune >> (6 * more) & 0x3f)));
    return 0;
}

/* Behind the backslash. */
static int read_escape(struct cursor *c, char quote, struct toc_buf *out) {
    static const char letters[] = "abfnrtv\\", values[] = "\a\b\f\n\r\t\v\\";
    uint32_t value = 0;
    char letter = cursor_peek(c);
    const char *simple = letter ? strchr(letters, letter) : NULL;
    if (simple || letter == quote) {
        toc_buf_append_char(out, simple ? values[simple - letters] : quote);
        c->at++;
        return 0;
    }
    bool is_octal = letter >= '0' && letter <= '7';
    if (!is_octal)
        c->at++;
    int digits = is_octal ? 3 : letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    if (!digits)
        return cursor_fail(c, "unknown escape in a string");
    int rc = read_digits(c, digits, is_octal ? 8 : 16, &value);
    if (rc || digits > 3)
        return rc ? rc : append_rune(c, value, out);
    if (value > 255)
        return cursor_fail(c, "octal escape is greater than 255");
    toc_buf_append_char(out, (char)value);
    return 0;
}

static int read_body(struct cursor *c, char quote, struct toc_buf *out) {
    while (!cursor_is_at_end(c)) {
        char one = c->text.p[c->at++];
        if (one == quote)
            return 0;
        if (one == '\n' && quote != '`')
            break;
        if (one == '\\' && quote != '`') {
            int rc = read_escape(c, quote, out);
            if (rc)
                return rc;
        } else {
            toc_buf_append_char(out, one);
        }
    }
    return cursor_fail(c, "string is not closed");
}

int toc_go_string_parse(struct toc_sv text, struct toc_arena *arena, struct toc_sv *out,
                        size_t *out_end, struct toc_err *err) {
    struct cursor c = {text, 0, arena, err};
    struct toc_buf body = TOC_BUF_INIT;
    char quote = cursor_peek(&c);
    if (quote != '"' && quote != '\'' && quote != '`')
        return cursor_fail(&c, "expected a string in quotes");
    c.at++;
    int rc = read_body(&c, quote, &body);
    if (!rc)
        *out = toc_arena_dup_sv(arena, toc_buf_sv(&body));
    *out_end = c.at;
    toc_buf_fini(&body);
    return rc;
}
