#include <math.h>

#include "base/num.h"
#include "codec/json_scan_priv.h"
#include "codec/utf8_priv.h"

enum { DEPTH_MAX = 64 };

/* What may come next. */
enum expectation { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COMMA_OR_END };

struct scan {
    struct toc_sv text;
    size_t at;
    int depth, max_depth;
    bool is_object[DEPTH_MAX];
    enum expectation want;
    size_t keys_seen, stop_at_key;
    bool stopped;
    const char *what;
    int code;
};

static bool fail(struct scan *s, size_t at, int code, const char *what) {
    s->at = at;
    s->code = code;
    s->what = what;
    return false;
}

static char peek(const struct scan *s) {
    return s->at < s->text.n ? s->text.p[s->at] : '\0';
}

static void skip_blank(struct scan *s) {
    while (s->at < s->text.n && strchr(" \t\r\n", s->text.p[s->at]) && s->text.p[s->at])
        s->at++;
}

static int hex4(const struct scan *s, size_t at) {
    int v = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = i < s->text.n ? s->text.p[i] : '\0';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

static bool scan_unicode_escape(struct scan *s) {
    int unit = hex4(s, s->at + 2);
    if (unit < 0)
        return fail(s, s->at, TOC_EPARSE, "\\u needs four hexadecimal digits");
    if (unit >= 0xdc00 && unit < 0xe000)
        return fail(s, s->at, TOC_EPARSE, "a low surrogate without its high surrogate");
    if (unit >= 0xd800 && unit < 0xdc00) {
        int low =
            s->text.n - s->at > 7 && s->text.p[s->at + 6] == '\\' && s->text.p[s->at + 7] == 'u'
                ? hex4(s, s->at + 8)
                : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return fail(s, s->at, TOC_EPARSE, "a high surrogate without its low surrogate");
        s->at += 6;
    }
    s->at += 6;
    return true;
}

static bool scan_escape(struct scan *s) {
    char c = s->at + 1 < s->text.n ? s->text.p[s->at + 1] : '\0';
    if (c == 'u')
        return scan_unicode_escape(s);
    if (!c || !strchr("\"\\/bfnrt", c))
        return fail(s, s->at, TOC_EPARSE, "unknown escape in a string");
    s->at += 2;
    return true;
}

static bool scan_string(struct scan *s) {
    size_t open = s->at++;
    while (s->at < s->text.n) {
        uint8_t c = (uint8_t)s->text.p[s->at];
        uint32_t rune;
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return fail(s, s->at, TOC_EPARSE, "a control character in a string must be escaped");
        size_t len = c == '\\' ? 0 : toc_utf8_read(s->text, s->at, &rune);
        if (c != '\\' && !len)
            return fail(s, s->at, TOC_EPARSE, "not valid UTF-8");
        if (c == '\\' && !scan_escape(s))
            return false;
        s->at += len;
    }
    return fail(s, open, TOC_EPARSE, "this string is never closed");
}

static size_t scan_digits(struct scan *s) {
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->at++;
    return s->at - start;
}

static bool scan_number(struct scan *s) {
    size_t start = s->at;
    s->at += peek(s) == '-';
    size_t whole = s->at, digits = scan_digits(s);
    bool is_integer = true;
    if (!digits)
        return fail(s, start, TOC_EPARSE, "expected a value");
    if (digits > 1 && s->text.p[whole] == '0')
        return fail(s, start, TOC_EPARSE, "a number must not begin with 0");
    if (peek(s) == '.') {
        is_integer = false;
        s->at++;
        if (!scan_digits(s))
            return fail(s, s->at, TOC_EPARSE, "expected a digit behind the decimal point");
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        is_integer = false;
        s->at++;
        s->at += peek(s) == '+' || peek(s) == '-';
        if (!scan_digits(s))
            return fail(s, s->at, TOC_EPARSE, "expected a digit in the exponent");
    }
    double v = 0;
    uint64_t u;
    int64_t i;
    struct toc_sv number = toc_sv_sub(s->text, start, s->at - start);
    if (is_integer ? toc_parse_u64(number, &u) && toc_parse_i64(number, &i)
                   : !toc_parse_f64(number, &v) && isinf(v))
        return fail(s, start, TOC_EPARSE, "this number is out of range");
    return true;
}

static bool scan_word(struct scan *s) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(words); i++) {
        struct toc_sv w = toc_sv_cstr(words[i]);
        if (toc_sv_starts_with(toc_sv_sub(s->text, s->at, w.n), w)) {
            s->at += w.n;
            return true;
        }
    }
    return fail(s, s->at, TOC_EPARSE,
                s->at >= s->text.n ? "the text ends where a value was expected"
                                   : "expected a value");
}

static bool open_container(struct scan *s, bool is_object) {
    if (s->depth >= s->max_depth)
        return fail(s, s->at, TOC_ELIMIT, "nested too deeply");
    s->is_object[s->depth++] = is_object;
    s->at++;
    s->want = is_object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return true;
}

static bool close_container(struct scan *s) {
    s->at++;
    s->depth--;
    s->want = WANT_COMMA_OR_END;
    return true;
}

static bool scan_value(struct scan *s) {
    char c = peek(s);
    if (c == '{' || c == '[')
        return open_container(s, c == '{');
    if (c == ']' && s->want == WANT_VALUE_OR_END)
        return close_container(s);
    s->want = WANT_COMMA_OR_END;
    if (c == '"')
        return scan_string(s);
    return c == '-' || (c >= '0' && c <= '9') ? scan_number(s) : scan_word(s);
}

static bool scan_key(struct scan *s) {
    if (peek(s) == '}' && s->want == WANT_KEY_OR_END)
        return close_container(s);
    if (peek(s) != '"')
        return fail(s, s->at, TOC_EPARSE, "expected a quoted key");
    if (s->keys_seen++ == s->stop_at_key) {
        s->stopped = true;
        return false;
    }
    if (!scan_string(s))
        return false;
    skip_blank(s);
    if (peek(s) != ':')
        return fail(s, s->at, TOC_EPARSE, "expected ':' behind the key");
    s->at++;
    s->want = WANT_VALUE;
    return true;
}

static bool scan_separator(struct scan *s) {
    bool in_object = s->is_object[s->depth - 1];
    if (peek(s) == (in_object ? '}' : ']'))
        return close_container(s);
    if (peek(s) != ',')
        return fail(s, s->at, TOC_EPARSE,
                    in_object ? "expected ',' or '}'" : "expected ',' or ']'");
    s->at++;
    s->want = in_object ? WANT_KEY : WANT_VALUE;
    return true;
}

static bool step(struct scan *s) {
    skip_blank(s);
    if (s->want == WANT_COMMA_OR_END)
        return scan_separator(s);
    return s->want == WANT_KEY || s->want == WANT_KEY_OR_END ? scan_key(s) : scan_value(s);
}

struct toc_json_place toc_json_scan(struct toc_sv text, int max_depth, size_t stop_at_key) {
    struct scan s = {.text = text,
                     .max_depth = TOC_MIN(max_depth, (int)DEPTH_MAX),
                     .want = WANT_VALUE,
                     .stop_at_key = stop_at_key};
    bool ok = true;
    while (ok && (s.depth || s.want != WANT_COMMA_OR_END))
        ok = step(&s);
    if (ok)
        skip_blank(&s);
    if (ok && s.at < s.text.n)
        fail(&s, s.at, TOC_EPARSE, "something follows the end of the document");
    struct toc_json_place place = {.line = 1, .column = 1, .what = s.what, .code = s.code};
    for (size_t i = 0; i < s.at && i < text.n; i++) {
        place.column = text.p[i] == '\n' ? 1 : place.column + 1;
        place.line += text.p[i] == '\n';
    }
    return place;
}
