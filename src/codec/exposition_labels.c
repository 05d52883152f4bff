#include "codec/exposition_priv.h"

enum { IS_NAME = 1, IS_NAME_START = 2, IS_COLON = 4 };

/* Classes of the characters of classic names. */
static const uint8_t classes[256] = {
    ['a' ... 'z'] = IS_NAME | IS_NAME_START,
    ['A' ... 'Z'] = IS_NAME | IS_NAME_START,
    ['_'] = IS_NAME | IS_NAME_START,
    ['0' ... '9'] = IS_NAME,
    [':'] = IS_COLON,
};

int toc_exposition_fail(struct toc_exposition_cursor *c, int code, const char *what) {
    const char *at = TOC_MIN(c->p, c->eol);
    return toc_err_at(c->err, code, c->line, (int)(at - c->line_start) + 1, "%s", what);
}

static struct toc_sv read_name(struct toc_exposition_cursor *c, unsigned extra) {
    const char *start = c->p;
    if (start == c->eol || !(classes[(uint8_t)*start] & (IS_NAME_START | extra)))
        return TOC_SV_NULL;
    while (c->p < c->eol && classes[(uint8_t)*c->p] & (IS_NAME | extra))
        c->p++;
    return toc_sv_make(start, (size_t)(c->p - start));
}

struct toc_sv toc_exposition_metric_name(struct toc_exposition_cursor *c) {
    return read_name(c, IS_COLON);
}

/* What stands behind a backslash; 0 when it is no known escape. */
static char escaped(char c, bool is_quoted) {
    if (c == 'n')
        return '\n';
    return c == '\\' || (c == '"' && is_quoted) ? c : '\0';
}

int toc_exposition_unescape(struct toc_exposition_cursor *c, struct toc_sv raw, bool is_quoted,
                            struct toc_sv *out) {
    /* All strings of a line fit into its length: one reservation keeps earlier views valid. */
    if (!c->scratch.n && !toc_buf_reserve(&c->scratch, (size_t)(c->eol - c->line_start)))
        return toc_exposition_fail(c, TOC_ENOMEM, "no memory for this line");
    char *to = c->scratch.p + c->scratch.n;
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        char plain = raw.p[i] == '\\' && i + 1 < raw.n ? escaped(raw.p[i + 1], is_quoted) : '\0';
        to[n++] = plain ? plain : raw.p[i];
        i += plain != '\0';
    }
    c->scratch.n += n;
    *out = toc_sv_make(to, n);
    return 0;
}

bool toc_exposition_is_utf8(struct toc_exposition_cursor *c, struct toc_sv part) {
    if (!c->is_looked_through)
        c->is_ascii = toc_sv_is_ascii(c->text);
    c->is_looked_through = true;
    return c->is_ascii || toc_sv_is_utf8(part);
}

int toc_exposition_quoted(struct toc_exposition_cursor *c, struct toc_sv *out) {
    const char *start = c->p + 1, *q = start;
    bool has_escape = false;
    while (q < c->eol && *q != '"') {
        has_escape |= *q == '\\';
        q += *q == '\\' ? 2 : 1;
    }
    if (q >= c->eol)
        return toc_exposition_fail(c, TOC_EPARSE, "this quoted string is never closed");
    struct toc_sv raw = toc_sv_make(start, (size_t)(q - start));
    if (!toc_exposition_is_utf8(c, raw))
        return toc_exposition_fail(c, TOC_EPARSE, "this string is not valid UTF-8");
    c->p = q + 1;
    *out = raw;
    return has_escape ? toc_exposition_unescape(c, raw, true, out) : 0;
}

static bool is_repeated(const struct toc_exposition_labels *l, struct toc_sv name) {
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].name.n == name.n && memcmp(l->items[i].name.p, name.p, name.n) == 0)
            return true;
    return false;
}

static int check_label(struct toc_exposition_cursor *c, const struct toc_exposition_labels *l,
                       const struct toc_exposition_label *label) {
    if (label->name.n > c->limits->max_label_name_bytes)
        return toc_exposition_fail(c, TOC_ELIMIT, "this label name is longer than the limit");
    if (label->value.n > c->limits->max_label_value_bytes)
        return toc_exposition_fail(c, TOC_ELIMIT, "this label value is longer than the limit");
    if (l->count == c->limits->max_labels)
        return toc_exposition_fail(c, TOC_ELIMIT, "more labels on one sample than the limit");
    if (is_repeated(l, label->name))
        return toc_exposition_fail(c, TOC_EPARSE, "this label is given twice");
    return 0;
}

/* Behind a label's name: `="value"`. */
static int read_value(struct toc_exposition_cursor *c, struct toc_sv name,
                      struct toc_exposition_labels *out) {
    struct toc_exposition_label label = {.name = name};
    toc_exposition_skip_blank(c);
    if (!toc_exposition_at(c, '='))
        return toc_exposition_fail(c, TOC_EPARSE, "expected '=' behind the label name");
    c->p++;
    toc_exposition_skip_blank(c);
    if (!toc_exposition_at(c, '"'))
        return toc_exposition_fail(c, TOC_EPARSE, "expected '\"' before the label value");
    int rc = toc_exposition_quoted(c, &label.value);
    if (!rc)
        rc = check_label(c, out, &label);
    if (!rc)
        out->items[out->count++] = label;
    return rc;
}

/* A quoted label name, or the metric name itself (the UTF-8 form `{"my.metric", a="b"}`). */
static int read_quoted_item(struct toc_exposition_cursor *c, bool may_have_name,
                            struct toc_exposition_labels *out) {
    struct toc_sv name;
    int rc = toc_exposition_quoted(c, &name);
    if (rc)
        return rc;
    if (!name.n)
        return toc_exposition_fail(c, TOC_EPARSE, "an empty name");
    toc_exposition_skip_blank(c);
    if (toc_exposition_at(c, '='))
        return read_value(c, name, out);
    if (!may_have_name || out->metric.n)
        return toc_exposition_fail(c, TOC_EPARSE, "expected '=' behind the quoted label name");
    if (name.n > c->limits->max_label_value_bytes)
        return toc_exposition_fail(c, TOC_ELIMIT, "this metric name is longer than the limit");
    out->metric = name;
    return 0;
}

static int read_item(struct toc_exposition_cursor *c, bool may_have_name,
                     struct toc_exposition_labels *out) {
    if (toc_exposition_at(c, '"'))
        return read_quoted_item(c, may_have_name, out);
    struct toc_sv name = read_name(c, 0);
    return name.n ? read_value(c, name, out)
                  : toc_exposition_fail(c, TOC_EPARSE, "expected a label name");
}

int toc_exposition_read_labels(struct toc_exposition_cursor *c, bool may_have_name,
                               struct toc_exposition_labels *out) {
    out->count = 0;
    out->metric = TOC_SV_NULL;
    c->p++;
    toc_exposition_skip_blank(c);
    while (!toc_exposition_at(c, '}')) {
        int rc = read_item(c, may_have_name, out);
        if (rc)
            return rc;
        toc_exposition_skip_blank(c);
        if (toc_exposition_at(c, '}'))
            break;
        if (!toc_exposition_at(c, ','))
            return toc_exposition_fail(c, TOC_EPARSE, "expected ',' or '}' behind the label");
        c->p++;
        toc_exposition_skip_blank(c);
        if (c->is_openmetrics && toc_exposition_at(c, '}'))
            return toc_exposition_fail(c, TOC_EPARSE, "a comma before '}'");
    }
    c->p++;
    return 0;
}

void toc_exposition_put_quoted(struct toc_sv s, struct toc_buf *out) {
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            toc_buf_append_cstr(out, "\\n");
        else if (s.p[i] == '"' || s.p[i] == '\\')
            toc_buf_append(out, (char[]){'\\', s.p[i]}, 2);
        else
            toc_buf_append_char(out, s.p[i]);
    }
    toc_buf_append_char(out, '"');
}
