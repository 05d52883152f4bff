#include "api/prom_match.h"

#include <stdarg.h>
#include <stdio.h>

static void keep_matchers(void *ctx, const struct toc_matcher *m, size_t count) {
    struct toc_select *s = ctx;
    s->matchers = m;
    s->matcher_count = count;
}

void toc_prom_matches_fini(struct toc_prom_matches *m) {
    for (size_t i = 0; i < m->count; i++)
        toc_promql_expr_free(&m->exprs[i]);
    m->count = 0;
}

/* Everything would match: the union of `match[]` must say what it wants. */
static bool is_unbounded(const struct toc_select *s) {
    for (size_t i = 0; i < s->matcher_count; i++)
        if (!toc_matcher_matches(&s->matchers[i], TOC_SV("")))
            return false;
    return true;
}

/* How the selectors of one parameter are read and refused. */
struct reading {
    struct toc_api_call *c;
    const char *name;
    bool is_named_in_errors, may_be_unbounded;
};

static bool refuse(const struct reading *r, const char *fmt, ...) TOC_PRINTF(2, 3);
static bool refuse(const struct reading *r, const char *fmt, ...) {
    char text[TOC_ERR_MESSAGE_MAX + 64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (r->is_named_in_errors)
        toc_prom_bad(r->c, r->name, "%s", text);
    else
        toc_prom_error(r->c, TOC_PROM_BAD_DATA, "%s", text);
    return false;
}

static bool refuse_unbounded(const struct reading *r) {
    return refuse(r, "match[] must contain at least one non-empty matcher");
}

static bool add(const struct reading *r, struct toc_sv text, struct toc_prom_matches *m) {
    struct toc_err err = {0};
    struct toc_promql_expr *expr = NULL;
    if (m->count == TOC_PROM_MATCH_MAX)
        return refuse(r, "more than %d %s parameters", TOC_PROM_MATCH_MAX, r->name);
    if (toc_promql_parse(text, &expr, &err) < 0) {
        if (strstr(err.message, "must contain at least one non-empty matcher"))
            return refuse_unbounded(r);
        return refuse(r, "%d:%d: parse error: %s", err.line, err.column, err.message);
    }
    struct toc_select *s = &m->selects[m->count];
    *s = (struct toc_select){0};
    m->exprs[m->count++] = expr;
    if (!toc_promql_is_selector(expr))
        return refuse(r, "1:1: parse error: a series selector was expected");
    toc_promql_visit_selectors(expr, keep_matchers, s);
    return r->may_be_unbounded || !is_unbounded(s) || refuse_unbounded(r);
}

static bool read_all(const struct reading *r, struct toc_prom_matches *out) {
    const struct toc_http_request *req = r->c->req;
    out->count = 0;
    for (size_t i = 0; i < req->param_count; i++)
        if (toc_sv_eq_cstr(req->params[i].name, r->name) && !add(r, req->params[i].value, out)) {
            toc_prom_matches_fini(out);
            return false;
        }
    return true;
}

bool toc_prom_matches_read(struct toc_api_call *c, bool names_parameter,
                           struct toc_prom_matches *out) {
    const struct reading r = {c, "match[]", names_parameter, false};
    return read_all(&r, out);
}

bool toc_prom_matches_read_named(struct toc_api_call *c, const char *name,
                                 struct toc_prom_matches *out) {
    const struct reading r = {c, name, true, true};
    return read_all(&r, out);
}

bool toc_prom_matches_read_range(struct toc_api_call *c, bool names_parameter,
                                 struct toc_prom_matches *out) {
    int64_t start, end;
    out->count = 0;
    if (!toc_prom_time_range(c, &start, &end) || !toc_prom_matches_read(c, names_parameter, out))
        return false;
    if (out->count == 0) {
        out->exprs[0] = NULL;
        out->selects[out->count++] = (struct toc_select){0};
    }
    for (size_t i = 0; i < out->count; i++) {
        out->selects[i].min_ms = start;
        out->selects[i].max_ms = end;
        out->selects[i].labels_only = true;
    }
    return true;
}

bool toc_prom_matches_labels(const struct toc_prom_matches *m, struct toc_labels labels) {
    for (size_t i = 0; i < m->count; i++)
        if (toc_matchers_match(m->selects[i].matchers, m->selects[i].matcher_count, labels))
            return true;
    return m->count == 0;
}
