/* The cursor over one line of an exposition, shared by the files that parse it. */
#ifndef TOC_CODEC_EXPOSITION_PRIV_H
#define TOC_CODEC_EXPOSITION_PRIV_H

#include "codec/exposition.h"

struct toc_exposition_cursor {
    const char *p;   /* next character of the line */
    const char *eol; /* behind its last one */
    const char *line_start;
    int line;
    bool is_openmetrics;
    struct toc_sv text; /* the whole text */
    /* The whole text needs no UTF-8 check. Found out when a line is read that nobody knows. */
    bool is_ascii, is_looked_through;
    const struct toc_exposition_limits *limits;
    struct toc_err *err;
    struct toc_buf scratch; /* unescaped strings of this line; never moves while the line is read */
};

struct toc_exposition_labels {
    struct toc_exposition_label *items; /* room for limits->max_labels */
    size_t count;
    struct toc_sv metric; /* a quoted name found between the braces */
};

/* Is a part of the text, unescaped so far, UTF-8? */
bool toc_exposition_is_utf8(struct toc_exposition_cursor *c, struct toc_sv part);
/* An error at the cursor. */
int toc_exposition_fail(struct toc_exposition_cursor *c, int code, const char *what);
/* A quoted string, cursor on the quote. */
int toc_exposition_quoted(struct toc_exposition_cursor *c, struct toc_sv *out) TOC_MUST_CHECK;
/* `{…}`, cursor on the brace. A metric name is only taken when may_have_name. */
int toc_exposition_read_labels(struct toc_exposition_cursor *c, bool may_have_name,
                               struct toc_exposition_labels *out) TOC_MUST_CHECK;
/* Longest prefix that is a classic metric name; empty when there is none. */
struct toc_sv toc_exposition_metric_name(struct toc_exposition_cursor *c);
/* Resolves \\ and \n (and \" when is_quoted) of a text without quotes into the scratch space. */
int toc_exposition_unescape(struct toc_exposition_cursor *c, struct toc_sv raw, bool is_quoted,
                            struct toc_sv *out) TOC_MUST_CHECK;

static inline bool toc_exposition_at_blank(const struct toc_exposition_cursor *c) {
    return c->p < c->eol && (*c->p == ' ' || *c->p == '\t');
}
/* The text format allows any number of blanks between tokens, OpenMetrics none. */
static inline void toc_exposition_skip_blank(struct toc_exposition_cursor *c) {
    while (toc_exposition_at_blank(c) && !c->is_openmetrics)
        c->p++;
}
static inline bool toc_exposition_at(const struct toc_exposition_cursor *c, char sign) {
    return c->p < c->eol && *c->p == sign;
}

#endif
