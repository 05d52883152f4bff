/* series, labels, label values, metadata: what is there, without its samples. */
#include <stdlib.h>

#include "api/prom_priv.h"
#include "base/map.h"
#include "base/num.h"
#include "promql/promql.h"

enum { MATCH_MAX = 64, NO_LIMIT = 0 };

/* The selectors of `match[]`, each a parsed expression whose matchers are borrowed. */
struct match_set {
    struct toc_promql_expr *exprs[MATCH_MAX];
    struct toc_select selects[MATCH_MAX];
    size_t count;
};

static void keep_matchers(void *ctx, const struct toc_matcher *m, size_t count) {
    struct toc_select *s = ctx;
    s->matchers = m;
    s->matcher_count = count;
}

static void fini_matches(struct match_set *set) {
    for (size_t i = 0; i < set->count; i++)
        toc_promql_expr_free(&set->exprs[i]);
}

static bool add_match(struct toc_api_call *c, struct match_set *set, struct toc_sv text) {
    struct toc_err err = {0};
    if (set->count == MATCH_MAX) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "more than %d match[] parameters", MATCH_MAX);
        return false;
    }
    struct toc_promql_expr *expr = NULL;
    if (toc_promql_parse(text, &expr, &err) < 0) {
        toc_prom_error(c, TOC_PROM_BAD_DATA,
                       "invalid parameter \"match[]\": %d:%d: parse error: %s", err.line,
                       err.column, err.message);
        return false;
    }
    struct toc_select *s = &set->selects[set->count];
    *s = (struct toc_select){0};
    toc_promql_visit_selectors(expr, keep_matchers, s);
    set->exprs[set->count++] = expr;
    if (toc_promql_expr_type(expr) != TOC_PROMQL_VECTOR || s->matcher_count == 0) {
        toc_prom_error(c, TOC_PROM_BAD_DATA,
                       "invalid parameter \"match[]\": \"%.*s\" is not a series selector",
                       TOC_SV_ARG(text));
        return false;
    }
    return true;
}

static bool read_matches(struct toc_api_call *c, bool is_required, struct match_set *set) {
    int64_t start, end;
    set->count = 0;
    if (!toc_prom_time(c, "start", INT64_MIN / 2, &start) ||
        !toc_prom_time(c, "end", INT64_MAX / 2, &end))
        return false;
    for (size_t i = 0; i < c->req->param_count; i++)
        if (toc_sv_eq(c->req->params[i].name, TOC_SV("match[]")) &&
            !add_match(c, set, c->req->params[i].value)) {
            fini_matches(set);
            return false;
        }
    if (set->count == 0 && is_required) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "no match[] parameter provided");
        return false;
    }
    if (set->count == 0) { /* everything */
        set->exprs[0] = NULL;
        set->selects[set->count++] = (struct toc_select){0};
    }
    for (size_t i = 0; i < set->count; i++) {
        set->selects[i].min_ms = start;
        set->selects[i].max_ms = end;
        set->selects[i].labels_only = true;
    }
    return true;
}

static bool read_limit(struct toc_api_call *c, size_t *out) {
    struct toc_sv text = toc_api_param(c, "limit");
    uint64_t n = NO_LIMIT;
    if (text.n && toc_parse_u64(text, &n) < 0) {
        toc_prom_error(c, TOC_PROM_BAD_DATA,
                       "invalid parameter \"limit\": \"%.*s\" is not a whole number",
                       TOC_SV_ARG(text));
        return false;
    }
    *out = (size_t)n;
    return true;
}

/* Collects distinct sorted things over several selections. */
struct collected {
    struct toc_arena arena;
    struct toc_map seen;
    TOC_VEC_FIELDS(struct toc_labels)
    TOC_VEC(struct toc_sv) strings;
};

static int keep_series(void *ctx, const struct toc_series_view *series) {
    struct collected *all = ctx;
    uint64_t hash = toc_labels_hash(series->labels);
    if (toc_map_has(&all->seen, toc_map_u64(&hash)))
        return 0;
    struct toc_labels copy = toc_labels_dup_arena(series->labels, &all->arena);
    if (all->arena.overflowed)
        return TOC_ELIMIT;
    toc_map_put(&all->seen, toc_map_u64(&hash), all);
    TOC_VEC_PUSH(all, copy);
    return 0;
}

static int keep_string(void *ctx, struct toc_sv value) {
    struct collected *all = ctx;
    if (toc_map_has(&all->seen, value))
        return 0;
    struct toc_sv copy = toc_arena_dup_sv(&all->arena, value);
    if (all->arena.overflowed)
        return TOC_ELIMIT;
    toc_map_put(&all->seen, value, all);
    TOC_VEC_PUSH(&all->strings, copy);
    return 0;
}

static void fini_collected(struct collected *all) {
    TOC_VEC_FINI(&all->strings);
    TOC_VEC_FINI(all);
    toc_map_fini(&all->seen);
    toc_arena_fini(&all->arena);
}

static int by_labels(const void *a, const void *b) {
    return toc_labels_cmp(*(const struct toc_labels *)a, *(const struct toc_labels *)b);
}

static int by_bytes(const void *a, const void *b) {
    return toc_sv_cmp(*(const struct toc_sv *)a, *(const struct toc_sv *)b);
}

static void answer_strings(struct toc_api_call *c, struct collected *all, size_t limit) {
    if (all->strings.count)
        qsort(all->strings.items, all->strings.count, sizeof *all->strings.items, by_bytes);
    size_t n = limit && limit < all->strings.count ? limit : all->strings.count;
    toc_prom_begin(c);
    toc_json_begin_array(&c->json);
    for (size_t i = 0; i < n; i++)
        toc_json_string(&c->json, all->strings.items[i]);
    toc_json_end_array(&c->json);
    if (n < all->strings.count) {
        toc_json_key(&c->json, "warnings");
        toc_json_raw(&c->json, TOC_SV("[\"results truncated due to limit\"]"));
    }
    toc_prom_end(c);
}

void toc_api_prom_series(struct toc_api_call *c) {
    struct match_set set;
    size_t limit;
    if (!read_limit(c, &limit) || !read_matches(c, true, &set))
        return;
    struct collected all = {0};
    struct toc_err err = {0};
    struct toc_querier *q = c->api->parts.querier;
    int rc = 0;
    for (size_t i = 0; i < set.count && rc == 0; i++)
        rc = q->select(q, &set.selects[i], keep_series, &all, &err);
    if (rc < 0) {
        toc_prom_error(c, TOC_PROM_EXECUTION, "%s",
                       err.message[0] ? err.message : toc_strerror(rc));
    } else {
        if (all.count)
            qsort(all.items, all.count, sizeof *all.items, by_labels);
        size_t n = limit && limit < all.count ? limit : all.count;
        toc_prom_begin(c);
        toc_json_begin_array(&c->json);
        for (size_t i = 0; i < n; i++)
            toc_json_labels(&c->json, all.items[i]);
        toc_json_end_array(&c->json);
        if (n < all.count) {
            toc_json_key(&c->json, "warnings");
            toc_json_raw(&c->json, TOC_SV("[\"results truncated due to limit\"]"));
        }
        toc_prom_end(c);
    }
    fini_collected(&all);
    fini_matches(&set);
}

static void answer_label_strings(struct toc_api_call *c, const struct toc_sv *name) {
    struct match_set set;
    size_t limit;
    if (!read_limit(c, &limit) || !read_matches(c, false, &set))
        return;
    struct collected all = {0};
    struct toc_err err = {0};
    struct toc_querier *q = c->api->parts.querier;
    int rc = 0;
    for (size_t i = 0; i < set.count && rc == 0; i++)
        rc = name ? q->label_values(q, *name, &set.selects[i], keep_string, &all, &err)
                  : q->label_names(q, &set.selects[i], keep_string, &all, &err);
    if (rc < 0)
        toc_prom_error(c, TOC_PROM_EXECUTION, "%s",
                       err.message[0] ? err.message : toc_strerror(rc));
    else
        answer_strings(c, &all, limit);
    fini_collected(&all);
    fini_matches(&set);
}

void toc_api_prom_labels(struct toc_api_call *c) {
    answer_label_strings(c, NULL);
}

void toc_api_prom_label_values(struct toc_api_call *c) {
    struct toc_sv name = c->params[0];
    if (!toc_sv_is_utf8(name)) {
        toc_prom_error(c, TOC_PROM_BAD_DATA, "invalid label name: not UTF-8");
        return;
    }
    answer_label_strings(c, &name);
}
