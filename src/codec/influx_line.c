#include "codec/influx_line.h"

#include <limits.h>
#include <math.h>

#include "base/num.h"

struct cursor {
    struct toc_influx_reader *r;
    struct toc_arena *a;
    struct toc_err *err;
    size_t begin; /* of the line */
    int line;
};

void toc_influx_reader_init(struct toc_influx_reader *r, struct toc_sv text) {
    *r = (struct toc_influx_reader){.text = text, .next_line = 1};
}

static int peek(const struct cursor *c) {
    return c->r->at < c->r->text.n ? (unsigned char)c->r->text.p[c->r->at] : -1;
}

static bool is_end(int ch) {
    return ch < 0 || ch == '\n';
}

/* A carriage return counts as a line's end only in front of one. */
static bool at_end(const struct cursor *c) {
    const struct toc_influx_reader *r = c->r;
    if (peek(c) == '\r')
        return r->at + 1 >= r->text.n || r->text.p[r->at + 1] == '\n';
    return is_end(peek(c));
}

static int wrong(const struct cursor *c, int code, const char *what) {
    return toc_err_at(c->err, code, c->line, (int)(c->r->at - c->begin) + 1, "%s", what);
}

/* --- names --- */

static bool is_in(const char *set, int ch) {
    return ch > 0 && strchr(set, ch) != NULL;
}

static struct toc_sv unescape(struct cursor *c, struct toc_sv raw, const char *escapable) {
    if (!raw.n || !memchr(raw.p, '\\', raw.n))
        return raw;
    char *p = toc_arena_alloc(c->a, raw.n);
    size_t n = 0;
    for (size_t i = 0; p && i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n && is_in(escapable, raw.p[i + 1]))
            i++;
        p[n++] = raw.p[i];
    }
    return toc_sv_make(p, n);
}

/* Up to one of `stops` that is not escaped, or the line's end. */
static int read_name(struct cursor *c, const char *stops, const char *escapable, const char *empty,
                     struct toc_sv *out) {
    struct toc_influx_reader *r = c->r;
    size_t from = r->at;
    while (!at_end(c) && !is_in(stops, peek(c))) {
        bool is_escape = peek(c) == '\\' && r->at + 1 < r->text.n &&
                         is_in(escapable, (unsigned char)r->text.p[r->at + 1]);
        r->at += is_escape ? 2 : 1;
    }
    struct toc_sv raw = toc_sv_sub(r->text, from, r->at - from);
    if (!raw.n)
        return wrong(c, TOC_EPARSE, empty);
    if (raw.n > TOC_INFLUX_KEY_BYTES_MAX)
        return wrong(c, TOC_ELIMIT, "a name is longer than 65535 bytes");
    *out = unescape(c, raw, escapable);
    return 0;
}

static int read_tag(struct cursor *c, struct toc_influx_tag *out) {
    int rc = read_name(c, "=, ", ",= ", "a tag without a key", &out->key);
    if (rc)
        return rc;
    if (peek(c) != '=')
        return wrong(c, TOC_EPARSE, "a tag without \"=\"");
    c->r->at++;
    return read_name(c, ", ", ",= ", "a tag without a value", &out->value);
}

static int read_tags(struct cursor *c, struct toc_influx_line *out) {
    struct toc_influx_tag tags[TOC_INFLUX_TAGS_MAX];
    size_t n = 0;
    while (peek(c) == ',') {
        c->r->at++;
        if (n == TOC_INFLUX_TAGS_MAX)
            return wrong(c, TOC_ELIMIT, "more than 256 tags");
        int rc = read_tag(c, &tags[n++]);
        if (rc)
            return rc;
    }
    struct toc_influx_tag *kept = TOC_ARENA_NEW_ARRAY(c->a, struct toc_influx_tag, n);
    if (kept && n)
        memcpy(kept, tags, n * sizeof *tags);
    out->tags = kept;
    out->tag_count = kept ? n : 0;
    return 0;
}

/* --- values --- */

static int read_quoted(struct cursor *c, struct toc_influx_field *out) {
    struct toc_influx_reader *r = c->r;
    size_t from = ++r->at;
    while (peek(c) >= 0 && peek(c) != '"') {
        bool is_escape = peek(c) == '\\' && r->at + 1 < r->text.n &&
                         is_in("\"\\", (unsigned char)r->text.p[r->at + 1]);
        r->next_line += peek(c) == '\n';
        r->at += is_escape ? 2 : 1;
    }
    if (peek(c) < 0)
        return wrong(c, TOC_EPARSE, "quoted text without an end");
    out->type = TOC_INFLUX_STRING;
    out->text = unescape(c, toc_sv_sub(r->text, from, r->at - from), "\"\\");
    r->at++;
    return 0;
}

static bool parse_bool(struct toc_sv s, double *out) {
    static const char *const yes[] = {"t", "T", "true", "True", "TRUE"};
    static const char *const no[] = {"f", "F", "false", "False", "FALSE"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        *out = toc_sv_eq_cstr(s, yes[i]);
        if (*out == 1 || toc_sv_eq_cstr(s, no[i]))
            return true;
    }
    return false;
}

/* Digits, a point, an exponent; neither hexadecimal nor infinity nor NaN. */
static bool parse_float(struct toc_sv s, double *out) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_in("0123456789+-.eE", (unsigned char)s.p[i]))
            return false;
    return toc_parse_f64(s, out) == 0 && isfinite(*out);
}

static bool parse_number(struct toc_sv s, struct toc_influx_field *out) {
    struct toc_sv digits = toc_sv_sub(s, 0, s.n - 1);
    int64_t i = 0;
    uint64_t u = 0;
    bool is_good;
    switch (s.p[s.n - 1]) {
    case 'i':
        out->type = TOC_INFLUX_INT;
        is_good = toc_parse_i64(digits, &i) == 0;
        out->number = (double)i;
        return is_good;
    case 'u':
        out->type = TOC_INFLUX_UINT;
        is_good = toc_parse_u64(digits, &u) == 0;
        out->number = (double)u;
        return is_good;
    default:
        out->type = TOC_INFLUX_FLOAT;
        return parse_float(s, &out->number);
    }
}

static int read_bare(struct cursor *c, struct toc_influx_field *out) {
    struct toc_influx_reader *r = c->r;
    size_t from = r->at;
    while (!at_end(c) && peek(c) != ',' && peek(c) != ' ')
        r->at++;
    struct toc_sv s = toc_sv_sub(r->text, from, r->at - from);
    if (!s.n)
        return wrong(c, TOC_EPARSE, "a field without a value");
    if (parse_bool(s, &out->number)) {
        out->type = TOC_INFLUX_BOOL;
        return 0;
    }
    if (parse_number(s, out))
        return 0;
    return toc_err_at(c->err, TOC_EPARSE, c->line, (int)(from - c->begin) + 1,
                      "\"%.*s\" is no number, no boolean and no quoted text",
                      (int)(s.n > 40 ? 40 : s.n), s.p);
}

static int read_field(struct cursor *c, struct toc_influx_field *out) {
    *out = (struct toc_influx_field){0};
    int rc = read_name(c, "=, ", ",= ", "a field without a key", &out->key);
    if (rc)
        return rc;
    if (peek(c) != '=')
        return wrong(c, TOC_EPARSE, "a field without \"=\"");
    c->r->at++;
    return peek(c) == '"' ? read_quoted(c, out) : read_bare(c, out);
}

static size_t grown(size_t capacity) {
    return capacity ? capacity * 2 : 8;
}

static int read_fields(struct cursor *c, struct toc_influx_line *out) {
    struct toc_influx_field *items = NULL;
    size_t n = 0, capacity = 0;
    for (;;) {
        if (n == TOC_INFLUX_FIELDS_MAX)
            return wrong(c, TOC_ELIMIT, "more than 4096 fields");
        if (n == capacity) {
            struct toc_influx_field *more =
                TOC_ARENA_NEW_ARRAY(c->a, struct toc_influx_field, grown(capacity));
            if (!more)
                return wrong(c, TOC_ELIMIT, "the line is too large");
            if (n)
                memcpy(more, items, n * sizeof *items);
            items = more;
            capacity = grown(capacity);
        }
        int rc = read_field(c, &items[n++]);
        if (rc)
            return rc;
        if (peek(c) != ',')
            break;
        c->r->at++;
    }
    out->fields = items;
    out->field_count = n;
    return 0;
}

static void skip_blanks(struct cursor *c) {
    while (peek(c) == ' ')
        c->r->at++;
}

static int read_time(struct cursor *c, struct toc_influx_line *out) {
    size_t from = c->r->at;
    while (!at_end(c) && peek(c) != ' ')
        c->r->at++;
    struct toc_sv s = toc_sv_sub(c->r->text, from, c->r->at - from);
    out->has_time = s.n > 0;
    if (s.n && toc_parse_i64(s, &out->time))
        return toc_err_at(c->err, TOC_EPARSE, c->line, (int)(from - c->begin) + 1,
                          "\"%.*s\" is no timestamp", (int)(s.n > 40 ? 40 : s.n), s.p);
    skip_blanks(c);
    return at_end(c) ? 0 : wrong(c, TOC_EPARSE, "text behind the timestamp");
}

static int read_line(struct cursor *c, struct toc_influx_line *out) {
    int rc = read_name(c, ", ", ", ", "no measurement", &out->measurement);
    if (!rc)
        rc = read_tags(c, out);
    if (!rc && peek(c) != ' ')
        rc = wrong(c, TOC_EPARSE, "no fields");
    if (!rc) {
        skip_blanks(c);
        rc = read_fields(c, out);
    }
    if (!rc && !at_end(c) && peek(c) != ' ')
        rc = wrong(c, TOC_EPARSE, "text behind a field's value");
    if (!rc) {
        skip_blanks(c);
        rc = read_time(c, out);
    }
    return !rc && c->a->overflowed ? wrong(c, TOC_ELIMIT, "the line is too large") : rc;
}

/* Over blank lines and comments; false at the end of the text. */
static bool find_line(struct toc_influx_reader *r) {
    while (r->at < r->text.n) {
        char ch = r->text.p[r->at];
        if (ch == '#') {
            size_t n = toc_sv_find_char(toc_sv_sub(r->text, r->at, SIZE_MAX), '\n');
            r->at = n == SIZE_MAX ? r->text.n : r->at + n;
        } else if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n') {
            r->next_line += ch == '\n';
            r->at++;
        } else {
            return true;
        }
    }
    return false;
}

/* Behind the first line break from the beginning of the bad line: quotes are not trusted. */
static void skip_line(struct cursor *c) {
    struct toc_influx_reader *r = c->r;
    size_t n = toc_sv_find_char(toc_sv_sub(r->text, c->begin, SIZE_MAX), '\n');
    r->at = n == SIZE_MAX ? r->text.n : c->begin + n + 1;
    r->next_line = c->line + 1;
}

int toc_influx_read(struct toc_influx_reader *r, struct toc_arena *a, struct toc_influx_line *out,
                    struct toc_err *err) {
    *out = (struct toc_influx_line){0};
    if (!find_line(r))
        return TOC_EEND;
    struct cursor c = {r, a, err, r->at, r->next_line};
    int rc = read_line(&c, out);
    out->number = c.line;
    if (rc) {
        skip_line(&c);
    } else if (r->at < r->text.n) {
        r->at += r->text.p[r->at] == '\r' && r->at + 1 < r->text.n ? 2 : 1;
        r->next_line++;
    }
    return rc;
}

/* --- writing --- */

static void put_escaped(struct toc_sv s, const char *escapable, struct toc_buf *out) {
    for (size_t i = 0; i < s.n; i++) {
        if (is_in(escapable, (unsigned char)s.p[i]))
            toc_buf_append_char(out, '\\');
        toc_buf_append_char(out, s.p[i]);
    }
}

static void put_value(const struct toc_influx_field *f, struct toc_buf *out) {
    char text[TOC_F64_TEXT_MAX];
    switch (f->type) {
    case TOC_INFLUX_STRING:
        toc_buf_append_char(out, '"');
        put_escaped(f->text, "\"\\", out);
        toc_buf_append_char(out, '"');
        return;
    case TOC_INFLUX_BOOL:
        toc_buf_append_cstr(out, f->number != 0 ? "true" : "false");
        return;
    case TOC_INFLUX_INT: /* the largest integers were rounded up to what is none of their type */
        if (f->number >= 0x1p63)
            toc_buf_printf(out, "%llii", LLONG_MAX);
        else
            toc_buf_printf(out, "%llii", (long long)f->number);
        return;
    case TOC_INFLUX_UINT:
        if (f->number >= 0x1p64)
            toc_buf_printf(out, "%lluu", ULLONG_MAX);
        else
            toc_buf_printf(out, "%lluu", (unsigned long long)f->number);
        return;
    default:
        toc_buf_append(out, text, toc_f64_text(f->number, TOC_F64_PLAIN, text));
    }
}

void toc_influx_write(const struct toc_influx_line *line, struct toc_buf *out) {
    put_escaped(line->measurement, ", ", out);
    for (size_t i = 0; i < line->tag_count; i++) {
        toc_buf_append_char(out, ',');
        put_escaped(line->tags[i].key, ",= ", out);
        toc_buf_append_char(out, '=');
        put_escaped(line->tags[i].value, ",= ", out);
    }
    for (size_t i = 0; i < line->field_count; i++) {
        toc_buf_append_char(out, i ? ',' : ' ');
        put_escaped(line->fields[i].key, ",= ", out);
        toc_buf_append_char(out, '=');
        put_value(&line->fields[i], out);
    }
    if (line->has_time)
        toc_buf_printf(out, " %lld", (long long)line->time);
    toc_buf_append_char(out, '\n');
}
