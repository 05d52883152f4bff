#include "codec/json_writer.h"

#include <math.h>

#include "base/assert.h"
#include "base/num.h"
#include "codec/utf8_priv.h"

void toc_json_writer_init(struct toc_json_writer *w, struct toc_buf *out) {
    *w = (struct toc_json_writer){.out = out};
}

/* Before every value: the comma between siblings, none behind a key. */
static void begin_value(struct toc_json_writer *w) {
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->needs_comma[w->depth])
        toc_buf_append_char(w->out, ',');
    w->needs_comma[w->depth] = true;
}

static void open_container(struct toc_json_writer *w, char sign) {
    begin_value(w);
    TOC_ASSERT(w->depth < TOC_JSON_WRITER_DEPTH_MAX);
    w->needs_comma[++w->depth] = false;
    toc_buf_append_char(w->out, sign);
}

static void close_container(struct toc_json_writer *w, char sign) {
    TOC_ASSERT(w->depth > 0 && !w->after_key);
    w->depth--;
    toc_buf_append_char(w->out, sign);
}

void toc_json_begin_object(struct toc_json_writer *w) {
    open_container(w, '{');
}
void toc_json_end_object(struct toc_json_writer *w) {
    close_container(w, '}');
}
void toc_json_begin_array(struct toc_json_writer *w) {
    open_container(w, '[');
}
void toc_json_end_array(struct toc_json_writer *w) {
    close_container(w, ']');
}

/* 1: stands for itself. ASCII without controls, quotes and what HTML would take for itself. */
static const uint8_t g_plain[256] = {
    [' '] = 1, ['!'] = 1,         ['#' ... '%'] = 1, ['\'' ... ';'] = 1,
    ['='] = 1, ['?' ... '['] = 1, [']' ... '~'] = 1, [0x7f] = 1,
};

static bool is_plain(uint8_t c) {
    return g_plain[c];
}

static size_t plain_prefix(struct toc_sv s) {
    size_t n = 0;
    while (n < s.n && g_plain[(uint8_t)s.p[n]])
        n++;
    return n;
}

static void append_escape(struct toc_buf *out, uint32_t rune) {
    static const char hex[] = "0123456789abcdef";
    const char *found = rune && rune < 0x80 ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", (int)rune) : NULL;
    if (found) { /* pairs: the character itself, then its letter */
        toc_buf_append(out, (char[]){'\\', found[1]}, 2);
        return;
    }
    char text[] = {
        '\\', 'u', hex[rune >> 12 & 15], hex[rune >> 8 & 15], hex[rune >> 4 & 15], hex[rune & 15]};
    toc_buf_append(out, text, sizeof text);
}

static void append_special(struct toc_buf *out, struct toc_sv s, size_t *at) {
    uint32_t rune = 0;
    size_t len = toc_utf8_read(s, *at, &rune);
    if (!len)
        toc_buf_append_cstr(out, "\xef\xbf\xbd");
    else if (rune < 0x80 ? !is_plain((uint8_t)rune) : rune == 0x2028 || rune == 0x2029)
        append_escape(out, rune);
    else
        toc_buf_append(out, s.p + *at, len);
    *at += len ? len : 1;
}

void toc_json_append_string(struct toc_buf *out, struct toc_sv s) {
    size_t at = plain_prefix(s);
    char *p = toc_buf_reserve(out, s.n + 2);
    if (!p)
        return;
    *p++ = '"';
    if (s.n)
        memcpy(p, s.p, at);
    out->n += at + 1;
    if (at == s.n) {
        p[at] = '"';
        out->n++;
        return;
    }
    while (at < s.n) {
        size_t start = at;
        while (at < s.n && is_plain((uint8_t)s.p[at]))
            at++;
        toc_buf_append(out, s.p + start, at - start);
        if (at < s.n)
            append_special(out, s, &at);
    }
    toc_buf_append_char(out, '"');
}

void toc_json_key_sv(struct toc_json_writer *w, struct toc_sv key) {
    TOC_ASSERT(w->depth > 0 && !w->after_key);
    begin_value(w);
    toc_json_append_string(w->out, key);
    toc_buf_append_char(w->out, ':');
    w->after_key = true;
}

void toc_json_key_made(struct toc_json_writer *w, struct toc_sv made) {
    TOC_ASSERT(w->depth > 0 && !w->after_key);
    begin_value(w);
    toc_buf_append_sv(w->out, made);
    w->after_key = true;
}

void toc_json_key(struct toc_json_writer *w, const char *key) {
    toc_json_key_sv(w, toc_sv_cstr(key));
}

void toc_json_string(struct toc_json_writer *w, struct toc_sv s) {
    begin_value(w);
    toc_json_append_string(w->out, s);
}

void toc_json_cstr(struct toc_json_writer *w, const char *s) {
    if (s)
        toc_json_string(w, toc_sv_cstr(s));
    else
        toc_json_null(w);
}

void toc_json_int(struct toc_json_writer *w, int64_t v) {
    char text[TOC_U64_TEXT_MAX];
    begin_value(w);
    if (v < 0)
        toc_buf_append_char(w->out, '-');
    toc_buf_append(w->out, text, toc_u64_text(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, text));
}

void toc_json_uint(struct toc_json_writer *w, uint64_t v) {
    char text[TOC_U64_TEXT_MAX];
    begin_value(w);
    toc_buf_append(w->out, text, toc_u64_text(v, text));
}

void toc_json_double(struct toc_json_writer *w, double v) {
    begin_value(w);
    if (isfinite(v)) {
        toc_format_f64_g(v, w->out);
        if (fabs(v) >= 0x1p63 && fabs(v) < 1e21)
            toc_buf_append_cstr(w->out, "e0"); /* many readers take an integer of this size amiss */
        return;
    }
    toc_buf_append_cstr(w->out, isnan(v) ? "\"NaN\"" : v > 0 ? "\"+Inf\"" : "\"-Inf\"");
}

void toc_json_bool(struct toc_json_writer *w, bool v) {
    begin_value(w);
    toc_buf_append_cstr(w->out, v ? "true" : "false");
}

void toc_json_null(struct toc_json_writer *w) {
    begin_value(w);
    toc_buf_append_cstr(w->out, "null");
}

void toc_json_time(struct toc_json_writer *w, struct toc_ts t) {
    if (!t.ms) {
        toc_json_null(w);
        return;
    }
    begin_value(w);
    toc_buf_append_char(w->out, '"');
    toc_ts_format_rfc3339(t, w->out);
    toc_buf_append_char(w->out, '"');
}

void toc_json_raw(struct toc_json_writer *w, struct toc_sv json) {
    begin_value(w);
    toc_buf_append_sv(w->out, json);
}

#define DEFINE_KV(name, c_type, call)                                                   \
    void toc_json_kv_##name(struct toc_json_writer *w, const char *key, c_type value) { \
        toc_json_key(w, key);                                                           \
        call(w, value);                                                                 \
    }
DEFINE_KV(string, struct toc_sv, toc_json_string)
DEFINE_KV(cstr, const char *, toc_json_cstr)
DEFINE_KV(int, int64_t, toc_json_int)
DEFINE_KV(double, double, toc_json_double)
DEFINE_KV(bool, bool, toc_json_bool)
DEFINE_KV(time, struct toc_ts, toc_json_time)
