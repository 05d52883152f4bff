/* Label sets in series descriptions. */
#include "promqltest/cursor_priv.h"

static bool is_name_char(char c, bool is_first) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!is_first && c >= '0' && c <= '9');
}

static struct toc_sv read_name(struct cursor *c) {
    size_t from = c->at;
    while (is_name_char(cursor_peek(c), c->at == from))
        c->at++;
    return toc_sv_sub(c->text, from, c->at - from);
}

static int read_string(struct cursor *c, struct toc_sv *out) {
    size_t end = 0;
    int rc = toc_go_string_parse(toc_sv_sub(c->text, c->at, c->text.n), c->arena, out, &end, NULL);
    if (rc)
        return cursor_fail(c, "expected a string in quotes at \"%.*s\"",
                           TOC_SV_ARG(toc_sv_sub(c->text, c->at, 40)));
    c->at += end;
    return 0;
}

static int set_metric(struct cursor *c, struct toc_labels_builder *b, struct toc_sv name) {
    struct toc_sv before = toc_labels_builder_get(b, TOC_METRIC_NAME);
    if (before.n)
        return cursor_fail(c, "metric name must not be set twice: \"%.*s\" or \"%.*s\"",
                           TOC_SV_ARG(before), TOC_SV_ARG(name));
    toc_labels_builder_set(b, TOC_METRIC_NAME, name);
    return 0;
}

/* `label="value"`, `"label"="value"` or `"metric name"`. */
static int read_pair(struct cursor *c, struct toc_labels_builder *b) {
    struct toc_sv name, value;
    bool is_quoted = cursor_peek(c) == '"' || cursor_peek(c) == '\'' || cursor_peek(c) == '`';
    int rc = 0;
    if (is_quoted)
        rc = read_string(c, &name);
    else
        name = read_name(c);
    if (rc)
        return rc;
    if (!name.n)
        return cursor_fail(c, "expected a label name");
    cursor_skip_blanks(c);
    if (!cursor_take(c, TOC_SV("=")))
        return is_quoted ? set_metric(c, b, name) : cursor_fail(c, "expected \"=\"");
    cursor_skip_blanks(c);
    if ((rc = read_string(c, &value)) == 0)
        toc_labels_builder_set(b, name, value);
    return rc;
}

static int read_braces(struct cursor *c, struct toc_labels_builder *b) {
    for (;;) {
        cursor_skip_blanks(c);
        if (cursor_take(c, TOC_SV("}")))
            return 0;
        int rc = read_pair(c, b);
        if (rc)
            return rc;
        cursor_skip_blanks(c);
        if (!cursor_take(c, TOC_SV(",")) && cursor_peek(c) != '}')
            return cursor_fail(c, "expected \",\" or \"}\" in the labels");
    }
}

int cursor_labels(struct cursor *c, struct toc_labels *out) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_sv name = read_name(c);
    int rc = 0;
    if (name.n)
        toc_labels_builder_set(&b, TOC_METRIC_NAME, name);
    else if (cursor_peek(c) != '{')
        rc = cursor_fail(c, "expected a metric name or \"{\"");
    /* "{{" begins a histogram, never labels. */
    if (!rc && !cursor_has(c, TOC_SV("{{")) && cursor_take(c, TOC_SV("{")))
        rc = read_braces(c, &b);
    if (!rc)
        *out = toc_labels_dup_arena(toc_labels_builder_finish(&b), c->arena);
    toc_labels_builder_fini(&b);
    return !rc && c->arena->overflowed ? TOC_ENOMEM : rc;
}

int toc_labels_text_parse(struct toc_sv text, struct toc_arena *arena, struct toc_labels *out,
                          struct toc_err *err) {
    struct cursor c = {toc_sv_trim(text), 0, arena, err};
    int rc = cursor_labels(&c, out);
    return rc || cursor_is_at_end(&c) ? rc : cursor_fail(&c, "unexpected text behind the labels");
}
