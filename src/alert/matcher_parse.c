#include "alert/matcher_parse.h"

struct cursor {
    struct toc_sv text;
    size_t at;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct cursor *c) {
    while (c->at < c->text.n && is_blank(c->text.p[c->at]))
        c->at++;
}

static char peek(const struct cursor *c) {
    return c->at < c->text.n ? c->text.p[c->at] : '\0';
}

static bool is_reserved(char c) {
    return c == '\0' || is_blank(c) || strchr("{}!=~,\\\"'`", c);
}

static int fail(const struct cursor *c, const char *expected, struct toc_err *err) {
    if (c->at >= c->text.n)
        return toc_errf(err, TOC_EPARSE, "matcher `%.*s`: end of input: expected %s",
                        TOC_SV_ARG(toc_sv_sub(c->text, 0, 200)), expected);
    return toc_err_at(err, TOC_EPARSE, 0, (int)c->at + 1,
                      "matcher `%.*s`: %zu: unexpected %c: expected %s",
                      TOC_SV_ARG(toc_sv_sub(c->text, 0, 200)), c->at, c->text.p[c->at], expected);
}

static bool append_escape(struct toc_buf *out, char c) {
    static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
    const char *found = c ? strchr(from, c) : NULL;
    if (!found)
        return false;
    toc_buf_append_char(out, to[found - from]);
    return true;
}

/* A double-quoted text with Go's simple escapes, appended to out. */
static int parse_quoted(struct cursor *c, struct toc_buf *out, struct toc_err *err) {
    for (c->at++; c->at < c->text.n; c->at++) {
        char ch = c->text.p[c->at];
        if (ch == '"') {
            c->at++;
            return 0;
        }
        if (ch != '\\') {
            toc_buf_append_char(out, ch);
            continue;
        }
        c->at++;
        if (!append_escape(out, peek(c)))
            return fail(c, "a known escape", err);
    }
    return fail(c, "a closing double quote", err);
}

static int parse_word(struct cursor *c, const char *what, struct toc_buf *out,
                      struct toc_err *err) {
    skip_blanks(c);
    if (peek(c) == '"')
        return parse_quoted(c, out, err);
    size_t from = c->at;
    while (c->at < c->text.n && !is_reserved(c->text.p[c->at]))
        c->at++;
    if (c->at == from)
        return fail(c, what, err);
    toc_buf_append(out, c->text.p + from, c->at - from);
    return 0;
}

static int parse_op(struct cursor *c, enum toc_match_op *out, struct toc_err *err) {
    skip_blanks(c);
    char first = peek(c);
    if (first != '=' && first != '!')
        return fail(c, "an operator such as '=', '!=', '=~' or '!~'", err);
    c->at++;
    char second = peek(c);
    if (first == '=' && second != '~') {
        *out = TOC_MATCH_EQ;
        return 0;
    }
    if (second != '~' && second != '=')
        return fail(c, "an operator such as '=', '!=', '=~' or '!~'", err);
    c->at++;
    *out = first == '=' ? TOC_MATCH_RE : second == '=' ? TOC_MATCH_NE : TOC_MATCH_NRE;
    return 0;
}

int toc_matcher_list_add(struct toc_matcher_list *list, enum toc_match_op op, struct toc_sv name,
                         struct toc_sv value, struct toc_err *err) {
    struct toc_matcher m;
    if (list->count >= TOC_MATCHERS_MAX)
        return toc_errf(err, TOC_ELIMIT, "more than %d matchers in one list", TOC_MATCHERS_MAX);
    if (!name.n || !toc_sv_is_utf8(name) || !toc_sv_is_utf8(value))
        return toc_errf(err, TOC_EINVAL, "a matcher needs a label name, and UTF-8 throughout");
    int rc = toc_matcher_init(&m, op, name, value, err);
    if (rc)
        return toc_err_prefix(err, "matcher for \"%.*s\": ", TOC_SV_ARG(name)), rc;
    TOC_VEC_PUSH(list, m);
    return 0;
}

static int parse_one(struct cursor *c, struct toc_matcher_list *list, struct toc_err *err) {
    struct toc_buf name = TOC_BUF_INIT, value = TOC_BUF_INIT;
    enum toc_match_op op = TOC_MATCH_EQ;
    int rc = parse_word(c, "label name", &name, err);
    if (!rc)
        rc = parse_op(c, &op, err);
    if (!rc)
        rc = parse_word(c, "label value", &value, err);
    if (!rc)
        rc = toc_matcher_list_add(list, op, toc_buf_sv(&name), toc_buf_sv(&value), err);
    toc_buf_fini(&name);
    toc_buf_fini(&value);
    return rc;
}

static int parse_utf8(struct toc_sv text, struct toc_matcher_list *list, struct toc_err *err) {
    struct cursor c = {text, 0};
    skip_blanks(&c);
    bool has_brace = peek(&c) == '{';
    c.at += has_brace;
    for (;;) {
        skip_blanks(&c);
        if (c.at >= text.n || (has_brace && peek(&c) == '}'))
            break;
        int rc = parse_one(&c, list, err);
        if (rc)
            return rc;
        skip_blanks(&c);
        if (peek(&c) != ',')
            break;
        c.at++;
    }
    if (has_brace) {
        if (peek(&c) != '}')
            return fail(&c, "a comma or a closing brace", err);
        c.at++;
        skip_blanks(&c);
    }
    return c.at < text.n ? fail(&c, "a comma or the end", err) : 0;
}

/* Classic values: optional double quotes with \" \n \\, else anything. */
static int add_classic(struct toc_matcher_list *list, enum toc_match_op op, struct toc_sv name,
                       struct toc_sv raw, struct toc_err *err) {
    struct toc_buf value = TOC_BUF_INIT;
    bool is_quoted = raw.n > 1 && raw.p[0] == '"' && raw.p[raw.n - 1] == '"';
    struct toc_sv inner = is_quoted ? toc_sv_sub(raw, 1, raw.n - 2) : raw;
    int rc = 0;
    for (size_t i = 0; i < inner.n && !rc; i++) {
        char ch = inner.p[i];
        if (ch == '\\' && i + 1 < inner.n && strchr("\"n\\", inner.p[i + 1])) {
            i++;
            toc_buf_append_char(&value, inner.p[i] == 'n' ? '\n' : inner.p[i]);
        } else if (ch == '"') {
            rc = toc_errf(err, TOC_EPARSE, "matcher value contains unescaped double quote: %.*s",
                          TOC_SV_ARG(toc_sv_sub(raw, 0, 200)));
        } else {
            toc_buf_append_char(&value, ch);
        }
    }
    if (!rc)
        rc = toc_matcher_list_add(list, op, name, toc_buf_sv(&value), err);
    toc_buf_fini(&value);
    return rc;
}

static int parse_classic_one(struct toc_sv text, struct toc_matcher_list *list,
                             struct toc_err *err) {
    struct cursor c = {toc_sv_trim(text), 0};
    enum toc_match_op op = TOC_MATCH_EQ;
    while (c.at < c.text.n && !is_reserved(c.text.p[c.at]))
        c.at++;
    struct toc_sv name = toc_sv_sub(c.text, 0, c.at);
    if (!toc_metric_name_is_classic(name))
        return toc_errf(err, TOC_EPARSE, "bad matcher format: %.*s",
                        TOC_SV_ARG(toc_sv_sub(text, 0, 200)));
    int rc = parse_op(&c, &op, err);
    if (rc)
        return rc;
    return add_classic(list, op, name, toc_sv_trim(toc_sv_sub(c.text, c.at, c.text.n)), err);
}

/* End of the classic matcher that starts at `from`: the next comma outside quotes. */
static size_t classic_end(struct toc_sv text, size_t from) {
    bool in_quotes = false;
    size_t i = from;
    for (; i < text.n; i++) {
        if (text.p[i] == '\\')
            i++;
        else if (text.p[i] == '"')
            in_quotes = !in_quotes;
        else if (text.p[i] == ',' && !in_quotes)
            break;
    }
    return TOC_MIN(i, text.n);
}

static int parse_classic(struct toc_sv text, struct toc_matcher_list *list, struct toc_err *err) {
    struct toc_sv rest = toc_sv_trim(text);
    bool opens = toc_sv_starts_with(rest, TOC_SV("{")),
         closes = toc_sv_ends_with(rest, TOC_SV("}"));
    if (opens && closes)
        rest = toc_sv_sub(rest, 1, rest.n - 2);
    else if (opens || closes)
        return toc_errf(err, TOC_EPARSE, "matchers `%.*s`: expected an opening and closing brace",
                        TOC_SV_ARG(toc_sv_sub(text, 0, 200)));
    for (size_t at = 0; at < rest.n;) {
        size_t end = classic_end(rest, at);
        int rc = parse_classic_one(toc_sv_sub(rest, at, end - at), list, err);
        if (rc)
            return rc;
        at = end + 1;
    }
    return 0;
}

static void drop_from(struct toc_matcher_list *list, size_t keep) {
    while (list->count > keep)
        toc_matcher_fini(&list->items[--list->count]);
}

int toc_matcher_list_parse(struct toc_matcher_list *list, struct toc_sv text, struct toc_err *err) {
    size_t before = list->count;
    struct toc_err first = {0}, second = {0};
    if (text.n > TOC_MATCHER_TEXT_MAX)
        return toc_errf(err, TOC_ELIMIT, "matcher text over %d bytes", TOC_MATCHER_TEXT_MAX);
    int rc = parse_utf8(text, list, &first);
    if (!rc)
        return 0;
    drop_from(list, before);
    if (!parse_classic(text, list, &second))
        return 0;
    drop_from(list, before);
    return toc_errf(err, rc, "%s", first.message);
}

bool toc_matcher_list_matches(const struct toc_matcher_list *list, struct toc_labels l) {
    return toc_matchers_match(list->items, list->count, l);
}

void toc_matcher_list_format(const struct toc_matcher_list *list, struct toc_buf *out) {
    toc_buf_append_char(out, '{');
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            toc_buf_append_char(out, ',');
        toc_matcher_format(&list->items[i], out);
    }
    toc_buf_append_char(out, '}');
}

void toc_matcher_list_fini(struct toc_matcher_list *list) {
    drop_from(list, 0);
    TOC_VEC_FINI(list);
}
