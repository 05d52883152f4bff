/* What is wrong with a regular expression, in the words of Go's regexp: RE2 says the same with
 * others. */
#include <string.h>

#include "promql/parser_priv.h"

/* What is shown behind the words. */
enum shown { SHOWN_PART, SHOWN_WHOLE };

static const struct {
    const char *re2, *go;
    enum shown shown;
} g_texts[] = {
    {"missing ): ", "missing closing )", SHOWN_WHOLE},
    {"unexpected ): ", "unexpected )", SHOWN_WHOLE},
    {"missing ]: ", "missing closing ]", SHOWN_PART},
    {"no argument for repetition operator: ", "missing argument to repetition operator",
     SHOWN_PART},
    {"bad repetition operator: ", "invalid nested repetition operator", SHOWN_PART},
    {"invalid repetition size: ", "invalid repeat count", SHOWN_PART},
    {"invalid perl operator: ", "invalid or unsupported Perl syntax", SHOWN_PART},
    {"invalid named capture group: ", "invalid named capture", SHOWN_PART},
    {"invalid character class range: ", "invalid character class range", SHOWN_PART},
    {"invalid escape sequence: ", "invalid escape sequence", SHOWN_PART},
};

int toc_parser_bad_regex(struct toc_parser *p, size_t at, struct toc_sv pattern,
                         const char *reason) {
    for (size_t i = 0; i < sizeof g_texts / sizeof g_texts[0]; i++) {
        const char *found = strstr(reason, g_texts[i].re2);
        if (!found)
            continue;
        if (g_texts[i].shown == SHOWN_WHOLE)
            return toc_parser_fail(p, at, "error parsing regexp: %s: `^(?s:%.*s)$`", g_texts[i].go,
                                   (int)TOC_MIN(pattern.n, (size_t)300), pattern.p);
        return toc_parser_fail(p, at, "error parsing regexp: %s: `%s`", g_texts[i].go,
                               found + strlen(g_texts[i].re2));
    }
    return toc_parser_fail(p, at, "error parsing regexp: %s", reason);
}
