#include "codec/exposition.h"

#include <math.h>

#include "base/alloc.h"
#include "base/num.h"
#include "codec/exposition_priv.h"

const struct toc_exposition_limits TOC_EXPOSITION_DEFAULT_LIMITS = {
    .max_labels = 128,
    .max_label_name_bytes = 512,
    .max_label_value_bytes = 4096,
    .max_line_bytes = 65536,
};

struct parse {
    struct toc_exposition_cursor c;
    const struct toc_exposition_handler *handler;
    struct toc_exposition_labels labels;
    struct toc_exposition_labels exemplar_labels;
    bool saw_eof;
    bool has_tails; /* a known series had more than a value behind it */
};

static int fail(struct parse *p, int code, const char *what) {
    return toc_exposition_fail(&p->c, code, what);
}

/* Characters up to the next blank or the end of the line. */
static struct toc_sv read_token(struct toc_exposition_cursor *c) {
    const char *start = c->p;
    while (c->p < c->eol && *c->p != ' ' && *c->p != '\t')
        c->p++;
    return toc_sv_make(start, (size_t)(c->p - start));
}

/* Decimal, infinity or NaN; hexadecimal floats are not part of either format. */
static bool parse_number(struct toc_sv s, double *out) {
    size_t sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
    if (s.n > sign + 1 && s.p[sign] == '0' && (s.p[sign + 1] | 0x20) == 'x')
        return false;
    return toc_parse_f64(s, out) == 0;
}

static int read_value(struct parse *p, double *out) {
    const char *start = p->c.p;
    if (parse_number(read_token(&p->c), out))
        return 0;
    p->c.p = start;
    return fail(p, TOC_EPARSE,
                start == p->c.eol ? "expected a value" : "this value is not a number");
}

static int read_timestamp(struct parse *p, int64_t *out_ms) {
    const char *start = p->c.p;
    struct toc_sv token = read_token(&p->c);
    if (!p->c.is_openmetrics) {
        if (toc_parse_i64(token, out_ms) == 0)
            return 0;
        p->c.p = start;
        return fail(p, TOC_EPARSE, "this timestamp is not a whole number of milliseconds");
    }
    double seconds;
    if (parse_number(token, &seconds) && isfinite(seconds)) {
        double ms =
            fmin(fmax(seconds * 1000, -9e18), 9e18); /* such a time is refused by its reader */
        *out_ms = llround(ms);
        return 0;
    }
    p->c.p = start;
    return fail(p, TOC_EPARSE, "this timestamp is not a number of seconds");
}

/* The blank between two parts of a line: exactly one in OpenMetrics, at least one in the text
 * format. */
static int expect_blank(struct parse *p, const char *what) {
    bool found =
        p->c.is_openmetrics ? toc_exposition_at(&p->c, ' ') : toc_exposition_at_blank(&p->c);
    if (!found)
        return fail(p, TOC_EPARSE, what);
    p->c.p++;
    toc_exposition_skip_blank(&p->c);
    return 0;
}

/* ` # {…} value [timestamp]`, cursor on the '#'. */
static int read_exemplar(struct parse *p, struct toc_exposition_exemplar *out) {
    p->c.p++;
    int rc = expect_blank(p, "expected a blank behind '#'");
    if (!rc && !toc_exposition_at(&p->c, '{'))
        rc = fail(p, TOC_EPARSE, "expected the labels of an exemplar");
    if (!rc)
        rc = toc_exposition_read_labels(&p->c, false, &p->exemplar_labels);
    if (!rc)
        rc = expect_blank(p, "expected a blank before the exemplar's value");
    if (!rc)
        rc = read_value(p, &out->value);
    if (!rc && p->c.p < p->c.eol) {
        rc = expect_blank(p, "expected a blank before the exemplar's timestamp");
        out->has_timestamp = true;
        if (!rc)
            rc = read_timestamp(p, &out->timestamp_ms);
    }
    out->labels = p->exemplar_labels.items;
    out->label_count = p->exemplar_labels.count;
    return rc;
}

/* What may follow the value: a timestamp, and in OpenMetrics an exemplar. */
static int read_tail(struct parse *p, struct toc_exposition_sample *s,
                     struct toc_exposition_exemplar *exemplar) {
    int rc = 0;
    toc_exposition_skip_blank(&p->c);
    if (p->c.p == p->c.eol)
        return 0;
    if (p->c.is_openmetrics)
        rc = expect_blank(p, "expected a blank behind the value");
    if (!rc && !toc_exposition_at(&p->c, '#')) {
        s->has_timestamp = true;
        rc = read_timestamp(p, &s->timestamp_ms);
        toc_exposition_skip_blank(&p->c);
        if (rc || p->c.p == p->c.eol)
            return rc;
        if (p->c.is_openmetrics)
            rc = expect_blank(p, "expected a blank behind the timestamp");
    }
    if (rc)
        return rc;
    if (!p->c.is_openmetrics || !toc_exposition_at(&p->c, '#'))
        return fail(p, TOC_EPARSE, "something follows the end of this sample");
    s->exemplar = exemplar;
    rc = read_exemplar(p, exemplar);
    return rc || p->c.p == p->c.eol ? rc : fail(p, TOC_EPARSE, "something follows the exemplar");
}

/* `name`, `name{…}` or `{"name", …}`. */
static int read_series(struct parse *p, struct toc_exposition_sample *s) {
    const char *start = p->c.p;
    s->metric = toc_exposition_metric_name(&p->c);
    p->labels.count = 0;
    const char *name_end = p->c.p;
    toc_exposition_skip_blank(&p->c);
    if (toc_exposition_at(&p->c, '{')) {
        int rc = toc_exposition_read_labels(&p->c, !s->metric.n, &p->labels);
        if (rc)
            return rc;
        if (!s->metric.n)
            s->metric = p->labels.metric;
    } else {
        p->c.p = name_end;
    }
    if (!s->metric.n)
        return fail(p, TOC_EPARSE, "expected a metric name");
    s->labels = p->labels.items;
    s->label_count = p->labels.count;
    s->series_text = toc_sv_make(start, (size_t)(p->c.p - start));
    return 0;
}

/* What stands behind the series. */
static int read_measurement(struct parse *p, struct toc_exposition_sample *s) {
    struct toc_exposition_exemplar exemplar = {0};
    toc_exposition_skip_blank(&p->c);
    int rc = read_value(p, &s->value);
    if (!rc)
        rc = read_tail(p, s, &exemplar);
    return rc ? rc : p->handler->sample(p->handler->ctx, s);
}

static int read_sample(struct parse *p) {
    struct toc_exposition_sample s = {.line = p->c.line};
    int rc = read_series(p, &s);
    if (!rc && s.metric.n > p->c.limits->max_label_value_bytes)
        rc = fail(p, TOC_ELIMIT, "this metric name is longer than the limit");
    if (!rc && (p->c.is_openmetrics || p->c.p[-1] != '}'))
        rc = expect_blank(p, "expected a blank and a value behind the series");
    return rc ? rc : read_measurement(p, &s);
}

/* Is one blank and a number all that is left of the line? So it is mostly; an answer whose lines
 * have more, such as timestamps, is not asked again. */
static bool is_value_alone(struct parse *p, double *out) {
    const char *number = p->c.p + 1;
    if (p->has_tails || number >= p->c.eol || p->c.p[0] != ' ')
        return false;
    bool is_alone = parse_number(toc_sv_make(number, (size_t)(p->c.eol - number)), out);
    p->has_tails = !is_alone;
    return is_alone;
}

/* The first n bytes of the line are known to the handler. */
static int read_known(struct parse *p, size_t n) {
    if (*p->c.p == '#')
        return 0;
    struct toc_exposition_sample s = {
        .line = p->c.line, .is_known = true, .series_text = {p->c.p, n}};
    p->c.p += n;
    if (is_value_alone(p, &s.value))
        return p->handler->sample(p->handler->ctx, &s);
    return read_measurement(p, &s);
}

/* X(accepted text, text reported, in OpenMetrics, in the text format) */
#define TYPE_TABLE(X)                                 \
    X("counter", "counter", true, true)               \
    X("gauge", "gauge", true, true)                   \
    X("histogram", "histogram", true, true)           \
    X("gaugehistogram", "gaugehistogram", true, true) \
    X("summary", "summary", true, true)               \
    X("info", "info", true, true)                     \
    X("stateset", "stateset", true, true)             \
    X("unknown", "unknown", true, true)               \
    X("untyped", "unknown", false, true)

static int read_type(struct parse *p, struct toc_exposition_meta *m) {
    static const struct {
        struct toc_sv accepted, reported;
        bool in_openmetrics, in_text;
    } types[] = {
#define X(accepted, reported, in_openmetrics, in_text) \
    {{accepted, sizeof accepted - 1}, {reported, sizeof reported - 1}, in_openmetrics, in_text},
        TYPE_TABLE(X)
#undef X
    };
    struct toc_sv text = toc_sv_make(p->c.p, (size_t)(p->c.eol - p->c.p));
    if (!p->c.is_openmetrics)
        text = toc_sv_trim(text);
    for (size_t i = 0; i < TOC_ARRAY_LEN(types); i++) {
        bool is_allowed = p->c.is_openmetrics ? types[i].in_openmetrics : types[i].in_text;
        if (is_allowed && toc_sv_eq(text, types[i].accepted)) {
            m->type = types[i].reported;
            return 0;
        }
    }
    return fail(p, TOC_EPARSE, "unknown metric type");
}

static int read_unit(struct parse *p, struct toc_exposition_meta *m) {
    m->unit = read_token(&p->c); /* a view even when empty: this line says "no unit" */
    return p->c.p == p->c.eol ? 0 : fail(p, TOC_EPARSE, "something follows the unit");
}

static int read_help(struct parse *p, struct toc_exposition_meta *m) {
    struct toc_sv raw = toc_sv_make(p->c.p, (size_t)(p->c.eol - p->c.p));
    if (!toc_exposition_is_utf8(&p->c, raw))
        return fail(p, TOC_EPARSE, "this help text is not valid UTF-8");
    m->help = raw;
    bool has_escape = raw.n && memchr(raw.p, '\\', raw.n);
    return has_escape ? toc_exposition_unescape(&p->c, raw, p->c.is_openmetrics, &m->help) : 0;
}

static int read_meta_name(struct parse *p, struct toc_sv *out) {
    if (toc_exposition_at(&p->c, '"'))
        return toc_exposition_quoted(&p->c, out);
    *out = toc_exposition_metric_name(&p->c);
    return out->n ? 0 : fail(p, TOC_EPARSE, "expected a metric name");
}

typedef int read_meta_rest(struct parse *p, struct toc_exposition_meta *m);

static read_meta_rest *find_keyword(struct toc_sv word, bool is_openmetrics) {
    if (toc_sv_eq(word, TOC_SV("TYPE")))
        return read_type;
    if (toc_sv_eq(word, TOC_SV("HELP")))
        return read_help;
    return is_openmetrics && toc_sv_eq(word, TOC_SV("UNIT")) ? read_unit : NULL;
}

static int read_meta(struct parse *p, read_meta_rest *rest) {
    struct toc_exposition_meta m = {.line = p->c.line};
    int rc = read_meta_name(p, &m.metric);
    if (rc)
        return rc;
    bool is_bare = p->c.p == p->c.eol && rest == read_help && !p->c.is_openmetrics;
    if (!is_bare)
        rc = expect_blank(p, "expected a blank behind the metric name");
    if (!rc)
        rc = rest(p, &m);
    return rc || !p->handler->meta ? rc : p->handler->meta(p->handler->ctx, &m);
}

/* A line that begins with '#'. */
static int read_comment(struct parse *p) {
    p->c.p++;
    if (p->c.is_openmetrics) {
        if (toc_sv_eq(toc_sv_make(p->c.p, (size_t)(p->c.eol - p->c.p)), TOC_SV(" EOF"))) {
            p->saw_eof = true;
            return 0;
        }
        int rc = expect_blank(p, "expected a blank behind '#'");
        if (rc)
            return rc;
    }
    toc_exposition_skip_blank(&p->c);
    read_meta_rest *rest = find_keyword(read_token(&p->c), p->c.is_openmetrics);
    if (p->c.is_openmetrics) {
        if (!rest)
            return fail(p, TOC_EPARSE, "expected HELP, TYPE, UNIT or EOF behind '#'");
        int rc = expect_blank(p, "expected a blank behind the keyword");
        return rc ? rc : read_meta(p, rest);
    }
    toc_exposition_skip_blank(&p->c);
    return rest && p->c.p < p->c.eol ? read_meta(p, rest) : 0;
}

static int read_line(struct parse *p) {
    p->c.scratch.n = 0;
    if (p->c.is_openmetrics && p->saw_eof)
        return fail(p, TOC_EPARSE, "something follows # EOF");
    if ((size_t)(p->c.eol - p->c.p) > p->c.limits->max_line_bytes)
        return fail(p, TOC_ELIMIT, "this line is longer than the limit");
    if (!p->c.is_openmetrics) {
        if (p->c.eol > p->c.p && p->c.eol[-1] == '\r')
            p->c.eol--;
        toc_exposition_skip_blank(&p->c);
        if (p->c.p == p->c.eol)
            return 0;
    }
    struct toc_sv line = {p->c.p, (size_t)(p->c.eol - p->c.p)};
    size_t known = p->handler->known && line.n ? p->handler->known(p->handler->ctx, line) : 0;
    if (known)
        return read_known(p, known);
    return toc_exposition_at(&p->c, '#') ? read_comment(p) : read_sample(p);
}

static int read_lines(struct parse *p, struct toc_sv text) {
    const char *at = text.p, *end = at + text.n;
    int rc = 0;
    while (at < end && !rc) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        p->c.p = p->c.line_start = at;
        p->c.eol = newline ? newline : end;
        p->c.line++;
        rc = read_line(p);
        at = newline ? newline + 1 : end;
    }
    if (!rc && p->c.is_openmetrics && !p->saw_eof)
        rc = toc_err_at(p->c.err, TOC_EPARSE, p->c.line + 1, 1,
                        "the text ends without # EOF: it may be cut off");
    return rc;
}

int toc_exposition_parse(enum toc_exposition_format format, struct toc_sv text,
                         const struct toc_exposition_limits *limits,
                         const struct toc_exposition_handler *handler, struct toc_err *err) {
    if (!limits)
        limits = &TOC_EXPOSITION_DEFAULT_LIMITS;
    struct parse p = {.handler = handler};
    p.c = (struct toc_exposition_cursor){
        .is_openmetrics = format == TOC_EXPOSITION_OPENMETRICS,
        .text = text,
        .limits = limits,
        .err = err,
    };
    struct toc_exposition_label *room = toc_try_calloc(limits->max_labels * 2 + 1, sizeof *room);
    if (!room)
        return toc_errf(err, TOC_ENOMEM, "no memory for the labels of a sample");
    p.labels.items = room;
    p.exemplar_labels.items = room + limits->max_labels;
    int rc = text.n || p.c.is_openmetrics ? read_lines(&p, text.n ? text : TOC_SV("")) : 0;
    toc_free(room);
    toc_buf_fini(&p.c.scratch);
    return rc;
}
