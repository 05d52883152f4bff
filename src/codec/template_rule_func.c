/* The functions that only templates of rules have: samples of queries, links, times. */
#include <math.h>

#include "base/time.h"
#include "codec/template_priv.h"
#include "codec/text.h"

int toc_template_query(struct toc_template_call *c) {
    const struct toc_template_env *env = c->env;
    struct toc_sv expr;
    struct toc_err why = {0};
    int rc = toc_template_to_text(c, 0, &expr);
    c->out = toc_template_list(NULL, 0);
    if (!rc && env->query && (rc = env->query(env->ctx, expr, c->arena, &c->out, &why)))
        rc = toc_template_call_fail(c, rc, why.code ? why.message : toc_strerror(rc));
    return rc;
}

/* A member of a sample, NULL when v is none. */
static const struct toc_template_value *member(const struct toc_template_value *v,
                                               struct toc_sv name) {
    for (size_t i = 0; v->type == TOC_TEMPLATE_MAP && i < v->count; i++)
        if (toc_sv_eq(v->items[i].key, name))
            return &v->items[i];
    return NULL;
}

static struct toc_sv label_of(const struct toc_template_value *sample, struct toc_sv name) {
    const struct toc_template_value *labels = member(sample, TOC_SV("Labels"));
    const struct toc_template_value *v = labels ? member(labels, name) : NULL;
    return v ? v->string : TOC_SV("");
}

static int label_into(struct toc_template_call *c, struct toc_sv name,
                      const struct toc_template_value *sample) {
    if (!member(sample, TOC_SV("Labels")))
        return toc_template_call_fail(c, TOC_ETYPE, "this function needs a sample of a query");
    c->out = toc_template_string(label_of(sample, name));
    return 0;
}

int toc_template_label(struct toc_template_call *c) {
    struct toc_sv name;
    int rc = toc_template_to_text(c, 0, &name);
    return rc ? rc : label_into(c, name, &c->args[1]);
}

int toc_template_strvalue(struct toc_template_call *c) {
    return label_into(c, TOC_SV("__value__"), &c->args[0]);
}

int toc_template_value_of(struct toc_template_call *c) {
    const struct toc_template_value *v = member(&c->args[0], TOC_SV("Value"));
    if (!v)
        return toc_template_call_fail(c, TOC_ETYPE, "value needs a sample of a query");
    c->out = *v;
    return 0;
}

/* Merge of two sorted halves: stable. */
static void merge(const struct toc_template_value *from, struct toc_template_value *to, size_t left,
                  size_t count, struct toc_sv label) {
    size_t a = 0, b = left;
    for (size_t i = 0; i < count; i++) {
        bool takes_b = a == left || (b < count && toc_sv_cmp(label_of(&from[b], label),
                                                             label_of(&from[a], label)) < 0);
        to[i] = takes_b ? from[b++] : from[a++];
    }
}

int toc_template_sort_by_label(struct toc_template_call *c) {
    struct toc_sv label;
    const struct toc_template_value *list = &c->args[1];
    int rc = toc_template_to_text(c, 0, &label);
    if (rc)
        return rc;
    if (list->type != TOC_TEMPLATE_LIST)
        return toc_template_call_fail(c, TOC_ETYPE, "sortByLabel needs a label and a list");
    size_t n = list->count;
    struct toc_template_value *from =
        TOC_ARENA_NEW_ARRAY(c->arena, struct toc_template_value, 2 * n + 1);
    if (!from)
        return TOC_ENOMEM;
    struct toc_template_value *to = from + n;
    for (size_t i = 0; i < n; i++)
        from[i] = list->items[i];
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t at = 0; at < n; at += 2 * width)
            merge(from + at, to + at, TOC_MIN(width, n - at), TOC_MIN(2 * width, n - at), label);
        struct toc_template_value *swap = from;
        from = to;
        to = swap;
    }
    c->out = toc_template_list(from, n);
    return 0;
}

int toc_template_args(struct toc_template_call *c) {
    struct toc_template_value *items =
        TOC_ARENA_NEW_ARRAY(c->arena, struct toc_template_value, c->count + 1);
    if (!items)
        return TOC_ENOMEM;
    for (size_t i = 0; i < c->count; i++) {
        char name[] = {'a', 'r', 'g', (char)('0' + i / 10), (char)('0' + i % 10)};
        items[i] = c->args[i];
        if (i < 10)
            name[3] = name[4];
        items[i].key = toc_arena_dup_sv(c->arena, toc_sv_make(name, i < 10 ? 4 : 5));
    }
    c->out = toc_template_map(items, c->count);
    return 0;
}

int toc_template_tmpl(struct toc_template_call *c) {
    struct toc_sv name;
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    int rc = toc_template_to_text(c, 0, &name);
    if (!rc)
        rc = toc_template_run_define(c, name, &c->args[1], &b);
    if (!rc)
        return toc_template_return(c, &b);
    toc_buf_fini(&b);
    return rc;
}

int toc_template_now(struct toc_template_call *c) {
    c->out = toc_template_number((double)c->env->now_ms / 1000);
    return 0;
}

/* Go's text of a duration: 1h2m3.5s, 1.5ms, 0s. */
static void append_go_duration(struct toc_buf *b, double seconds) {
    double v = fabs(seconds);
    if (seconds < 0)
        toc_buf_append_char(b, '-');
    if (v == 0) {
        toc_buf_append_cstr(b, "0s");
    } else if (v < 1) {
        const char *unit = v < 1e-6 ? "ns" : v < 1e-3 ? "µs" : "ms";
        toc_buf_printf(b, "%.9g%s", v * (v < 1e-6 ? 1e9 : v < 1e-3 ? 1e6 : 1e3), unit);
    } else {
        long long whole = (long long)fmin(v, 9e15), minutes = whole / 60;
        if (minutes >= 60)
            toc_buf_printf(b, "%lldh", minutes / 60);
        if (minutes)
            toc_buf_printf(b, "%lldm", minutes % 60);
        toc_buf_printf(b, "%.11gs", (double)(whole % 60) + (v - floor(v)));
    }
}

int toc_template_to_duration(struct toc_template_call *c) {
    double seconds;
    struct toc_buf b = TOC_BUF_INIT;
    int rc = toc_template_to_number(c, &c->args[0], &seconds);
    if (!rc && !isfinite(seconds))
        rc = toc_template_call_fail(c, TOC_EINVAL, "toDuration needs a finite number");
    if (rc)
        return rc;
    append_go_duration(&b, seconds);
    return toc_template_return(c, &b);
}

int toc_template_external_url(struct toc_template_call *c) {
    c->out = toc_template_string(c->env->external_url);
    return 0;
}

/* The path of the external URL. */
int toc_template_path_prefix(struct toc_template_call *c) {
    struct toc_sv url = c->env->external_url;
    size_t scheme = toc_sv_find(url, TOC_SV("://"));
    struct toc_sv rest = scheme == SIZE_MAX ? url : toc_sv_sub(url, scheme + 3, url.n);
    size_t slash = toc_sv_find_char(rest, '/');
    struct toc_sv path = slash == SIZE_MAX ? TOC_SV("") : toc_sv_sub(rest, slash, rest.n);
    size_t end = toc_sv_find_char(path, '?');
    c->out = toc_template_string(toc_sv_sub(path, 0, TOC_MIN(end, path.n)));
    return 0;
}

static int escaped(struct toc_template_call *c, const char *before, const char *after) {
    struct toc_sv text;
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    int rc = toc_template_to_text(c, 0, &text);
    if (rc)
        return rc;
    toc_buf_append_cstr(&b, before);
    toc_query_encode(text, &b);
    toc_buf_append_cstr(&b, after);
    return toc_template_return(c, &b);
}

int toc_template_query_escape(struct toc_template_call *c) {
    return escaped(c, "", "");
}
int toc_template_graph_link(struct toc_template_call *c) {
    return escaped(c, "/graph?g0.expr=", "&g0.tab=0");
}
int toc_template_table_link(struct toc_template_call *c) {
    return escaped(c, "/graph?g0.expr=", "&g0.tab=1");
}
