#include "codec/regex_expand.h"

#include <stdbool.h>

#include "base/num.h"

/* The group that a name or number means; empty when there is none. */
static struct toc_sv group_by_name(const struct toc_regex *re, struct toc_sv name,
                                   const struct toc_sv *groups, int count) {
    int64_t number = -1;
    if (toc_parse_i64(name, &number) == 0)
        return number >= 0 && number < count ? groups[number] : TOC_SV_NULL;
    for (int i = 1; i < count; i++)
        if (toc_sv_eq_cstr(name, toc_regex_group_name(re, i)))
            return groups[i];
    return TOC_SV_NULL;
}

static bool is_word(char ch) {
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_';
}

void toc_regex_expand(const struct toc_regex *re, struct toc_sv form, const struct toc_sv *groups,
                      int count, struct toc_buf *out) {
    for (size_t i = 0; i < form.n; i++) {
        if (form.p[i] != '$') {
            toc_buf_append_char(out, form.p[i]);
            continue;
        }
        bool is_braced = i + 1 < form.n && form.p[i + 1] == '{';
        size_t start = i + 1 + is_braced, end = start;
        while (end < form.n && is_word(form.p[end]))
            end++;
        bool is_closed = !is_braced || (end < form.n && form.p[end] == '}');
        if (end == start || !is_closed) {
            toc_buf_append_char(out, '$');
            i += i + 1 < form.n && form.p[i + 1] == '$';
            continue;
        }
        toc_buf_append_sv(out,
                          group_by_name(re, toc_sv_sub(form, start, end - start), groups, count));
        i = end - 1 + is_braced;
    }
}
