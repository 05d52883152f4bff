/* What words mean, and how tokens are called in messages. */
#include <string.h>

#include "promql/ast_priv.h"
#include "promql/lexer_priv.h"

static const struct {
    const char *text;
    enum toc_word word;
} g_words[] = {
    {"inf", TOC_WORD_NUMBER},
    {"nan", TOC_WORD_NUMBER},
    {"and", TOC_WORD_OPERATOR},
    {"or", TOC_WORD_OPERATOR},
    {"unless", TOC_WORD_OPERATOR},
    {"atan2", TOC_WORD_OPERATOR},
    {"by", TOC_WORD_KEYWORD},
    {"without", TOC_WORD_KEYWORD},
    {"offset", TOC_WORD_KEYWORD},
    {"anchored", TOC_WORD_KEYWORD},
    {"smoothed", TOC_WORD_KEYWORD},
    {"bool", TOC_WORD_BARE_KEYWORD},
    {"on", TOC_WORD_BARE_KEYWORD},
    {"ignoring", TOC_WORD_BARE_KEYWORD},
    {"group_left", TOC_WORD_BARE_KEYWORD},
    {"group_right", TOC_WORD_BARE_KEYWORD},
    {"start", TOC_WORD_TIME},
    {"end", TOC_WORD_TIME},
    {"step", TOC_WORD_TIME},
    {"range", TOC_WORD_TIME},
};

static bool is_fill(struct toc_sv text) {
    return toc_sv_eq_nocase(text, TOC_SV("fill")) || toc_sv_eq_nocase(text, TOC_SV("fill_left")) ||
           toc_sv_eq_nocase(text, TOC_SV("fill_right"));
}

enum toc_word toc_token_word(const struct toc_token *t) {
    if (t->kind != TOC_TOKEN_IDENTIFIER || t->is_in_braces)
        return TOC_WORD_NAME;
    for (size_t i = 0; i < sizeof g_words / sizeof g_words[0]; i++)
        if (toc_sv_eq_nocase(t->text, toc_sv_cstr(g_words[i].text)))
            return g_words[i].word;
    if (toc_aggregate_find(t->text) >= 0)
        return TOC_WORD_AGGREGATION;
    return t->is_before_paren && is_fill(t->text) ? TOC_WORD_BARE_KEYWORD : TOC_WORD_NAME;
}

/* `string "\"abc"...`: the first ten bytes of a long one, never half a character. */
static void describe_literal(const char *what, struct toc_sv text, struct toc_buf *out) {
    enum { SHOWN_MAX = 10 };
    size_t n = text.n < SHOWN_MAX ? text.n : SHOWN_MAX;
    while (n < text.n && n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    toc_buf_append_cstr(out, what);
    toc_promql_quote(toc_sv_sub(text, 0, n), out);
    toc_buf_append_cstr(out, n < text.n ? "..." : "");
}

static void describe_word(const struct toc_token *t, struct toc_buf *out) {
    static const char *const marks[] = {[TOC_WORD_AGGREGATION] = "aggr:",
                                        [TOC_WORD_OPERATOR] = "op:",
                                        [TOC_WORD_KEYWORD] = "",
                                        [TOC_WORD_BARE_KEYWORD] = ""};
    enum toc_word word = toc_token_word(t);
    if (word == TOC_WORD_NUMBER) {
        describe_literal("number ", t->text, out);
    } else if (word == TOC_WORD_NAME || word == TOC_WORD_TIME) {
        toc_buf_append_cstr(out, word == TOC_WORD_NAME ? "identifier " : "");
        toc_promql_quote(t->text, out);
    } else {
        toc_buf_printf(out, "<%s%.*s>", marks[word], TOC_SV_ARG(t->text));
    }
}

void toc_token_describe(const struct toc_token *t, struct toc_buf *out) {
    switch (t->kind) {
    case TOC_TOKEN_END:
        toc_buf_append_cstr(out, "end of input");
        break;
    case TOC_TOKEN_IDENTIFIER:
        describe_word(t, out);
        break;
    case TOC_TOKEN_METRIC:
        toc_buf_append_cstr(out, "metric identifier ");
        toc_promql_quote(t->text, out);
        break;
    case TOC_TOKEN_NUMBER:
        describe_literal("number ", t->text, out);
        break;
    case TOC_TOKEN_DURATION:
        describe_literal("duration ", t->text, out);
        break;
    case TOC_TOKEN_STRING:
        describe_literal("string ", t->text, out);
        break;
    default:
        toc_buf_printf(out, t->kind >= TOC_TOKEN_AT ? "<op:%.*s>" : "\"%.*s\"",
                       TOC_SV_ARG(t->text));
    }
}
