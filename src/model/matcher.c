#include "model/matcher.h"

#include "shim/regex.h"

static struct toc_sv own(struct toc_sv s) {
    return toc_sv_make(toc_sv_dup_cstr(s), s.n);
}

int toc_matcher_init(struct toc_matcher *m, enum toc_match_op op, struct toc_sv name,
                     struct toc_sv value, struct toc_err *err) {
    *m = (struct toc_matcher){.op = op};
    if (op == TOC_MATCH_RE || op == TOC_MATCH_NRE) {
        int rc = toc_regex_new(value, TOC_REGEX_ANCHORED, &m->regex, err);
        if (rc)
            return rc;
    }
    m->name = own(name);
    m->value = own(value);
    return 0;
}

void toc_matcher_fini(struct toc_matcher *m) {
    if (!m)
        return;
    toc_free((void *)(uintptr_t)m->name.p);
    toc_free((void *)(uintptr_t)m->value.p);
    toc_regex_free(&m->regex);
    *m = (struct toc_matcher){0};
}

bool toc_matcher_matches(const struct toc_matcher *m, struct toc_sv value) {
    switch (m->op) {
    case TOC_MATCH_EQ:
        return toc_sv_eq(value, m->value);
    case TOC_MATCH_NE:
        return !toc_sv_eq(value, m->value);
    case TOC_MATCH_RE:
        return toc_regex_matches(m->regex, value);
    case TOC_MATCH_NRE:
        return !toc_regex_matches(m->regex, value);
    }
    return false;
}

bool toc_matchers_match(const struct toc_matcher *m, size_t count, struct toc_labels l) {
    for (size_t i = 0; i < count; i++)
        if (!toc_matcher_matches(&m[i], toc_labels_get(l, m[i].name)))
            return false;
    return true;
}

const char *toc_match_op_text(enum toc_match_op op) {
    static const char *const texts[] = {"=", "!=", "=~", "!~"};
    return texts[op];
}

void toc_matcher_format(const struct toc_matcher *m, struct toc_buf *out) {
    toc_buf_append_sv(out, m->name);
    toc_buf_append_cstr(out, toc_match_op_text(m->op));
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < m->value.n; i++) {
        char c = m->value.p[i];
        if (c == '"' || c == '\\')
            toc_buf_append_char(out, '\\');
        if (c == '\n')
            toc_buf_append_cstr(out, "\\n");
        else
            toc_buf_append_char(out, c);
    }
    toc_buf_append_char(out, '"');
}
