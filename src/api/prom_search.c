/* search/metric_names, search/label_names, search/label_values: names for completion, as NDJSON. */
#include <stdio.h>
#include <stdlib.h>

#include "api/feature.h"
#include "api/fuzzy.h"
#include "api/prom_match.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/text.h"

enum { WINDOW_MS = 3600 * 1000, LIMIT_DEFAULT = 100, SEARCHES_MAX = 32 };

enum order { ORDER_ALPHA, ORDER_ALPHA_DESC, ORDER_SCORE };

struct search_term {
    struct toc_sv text; /* folded unless case matters */
    struct toc_runes runes;
};

struct search {
    struct toc_api_call *c;
    const char *endpoint;
    struct toc_prom_matches matches;
    struct search_term terms[SEARCHES_MAX];
    size_t term_count;
    double threshold;
    bool is_jaro_winkler, is_case_sensitive, includes_score, includes_metadata;
    enum order order;
    size_t limit, batch_size;
};

struct hit {
    struct toc_sv name;
    double score;
};

struct hits {
    struct search *search;
    struct toc_map seen;
    TOC_VEC_FIELDS(struct hit)
};

/* ------------------------------------------------------------------------------------------
 * judging one name */

static struct toc_sv fold(struct toc_api_call *c, struct toc_sv s) {
    struct toc_sv copy = toc_arena_dup_sv(c->req->arena, s);
    for (size_t i = 0; i < copy.n; i++)
        if (copy.p[i] >= 'A' && copy.p[i] <= 'Z')
            ((char *)(uintptr_t)copy.p)[i] = (char)(copy.p[i] - 'A' + 'a');
    return copy;
}

static size_t decode(struct toc_sv s, uint32_t out[TOC_FUZZY_LENGTH_MAX]) {
    size_t n = 0, at = 0;
    while (at < s.n && n < TOC_FUZZY_LENGTH_MAX)
        at += toc_utf8_decode(s, at, &out[n++]);
    return n;
}

/* Negative: it does not fit. */
static double score_term(const struct search *s, const struct search_term *t, struct toc_sv name) {
    uint32_t runes[TOC_FUZZY_LENGTH_MAX];
    if (toc_sv_starts_with(name, t->text)) /* an empty term fits everything */
        return 1;
    if (s->is_jaro_winkler && toc_sv_find(name, t->text) != SIZE_MAX)
        return 0.9;
    if (s->is_jaro_winkler && s->threshold == 0)
        return -1;
    struct toc_runes text = {runes, decode(name, runes)};
    double score = s->is_jaro_winkler ? toc_fuzzy_jaro_winkler(t->runes, text)
                                      : toc_fuzzy_subsequence(t->runes, text);
    bool fits = score >= s->threshold && (s->is_jaro_winkler || score > 0);
    return fits ? score : -1;
}

static double score_name(const struct search *s, struct toc_sv name) {
    double best = s->term_count ? -1 : 1;
    for (size_t i = 0; i < s->term_count; i++) {
        double score = score_term(s, &s->terms[i], name);
        best = score > best ? score : best;
    }
    return best;
}

static int keep_hit(void *ctx, struct toc_sv name) {
    struct hits *all = ctx;
    struct search *s = all->search;
    if (toc_map_has(&all->seen, name))
        return 0;
    toc_map_put(&all->seen, name, all);
    double score = score_name(s, s->is_case_sensitive ? name : fold(s->c, name));
    if (score < 0)
        return 0;
    struct hit hit = {toc_arena_dup_sv(s->c->req->arena, name), score};
    if (s->c->req->arena->overflowed)
        return TOC_ELIMIT;
    TOC_VEC_PUSH(all, hit);
    return 0;
}

static int by_name(const void *a, const void *b) {
    return toc_sv_cmp(((const struct hit *)a)->name, ((const struct hit *)b)->name);
}
static int by_name_desc(const void *a, const void *b) {
    return by_name(b, a);
}
static int by_score(const void *a, const void *b) {
    double x = ((const struct hit *)a)->score, y = ((const struct hit *)b)->score;
    return x > y ? -1 : x < y ? 1 : by_name(a, b);
}

/* ------------------------------------------------------------------------------------------
 * writing */

static int write_metadata(void *ctx, const struct toc_metric_metadata *m) {
    struct toc_json_writer *w = ctx;
    toc_json_kv_cstr(w, "type", toc_metric_type_text(m->type));
    if (m->help.n)
        toc_json_kv_string(w, "help", m->help);
    if (m->unit.n)
        toc_json_kv_string(w, "unit", m->unit);
    return 0;
}

static void write_batch(const struct search *s, const struct hit *hits, size_t count) {
    struct toc_json_writer w;
    toc_json_writer_init(&w, &s->c->res->body);
    toc_json_begin_object(&w);
    toc_json_key(&w, "results");
    toc_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        toc_json_begin_object(&w);
        toc_json_kv_string(&w, "name", hits[i].name);
        if (s->includes_score)
            toc_json_kv_double(&w, "score", hits[i].score);
        if (s->includes_metadata)
            toc_metricdb_metadata(s->c->api->parts.metrics, hits[i].name, write_metadata, &w);
        toc_json_end_object(&w);
    }
    toc_json_end_array(&w);
    toc_json_end_object(&w);
    toc_buf_append_char(&s->c->res->body, '\n');
}

static void answer(const struct search *s, struct hits *all) {
    static int (*const orders[])(const void *, const void *) = {by_name, by_name_desc, by_score};
    if (all->count)
        qsort(all->items, all->count, sizeof *all->items, orders[s->order]);
    size_t shown = all->count < s->limit ? all->count : s->limit;
    s->c->res->content_type = "application/x-ndjson; charset=utf-8";
    if (shown == 0)
        write_batch(s, NULL, 0);
    for (size_t at = 0; at < shown; at += s->batch_size)
        write_batch(s, all->items + at, shown - at < s->batch_size ? shown - at : s->batch_size);
    toc_buf_printf(&s->c->res->body, "{\"status\":\"success\",\"has_more\":%s}\n",
                   shown < all->count ? "true" : "false");
}

/* ------------------------------------------------------------------------------------------
 * parameters */

static bool bad(struct toc_api_call *c, const char *fmt, ...) TOC_PRINTF(2, 3);
static bool bad(struct toc_api_call *c, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    toc_prom_error(c, TOC_PROM_BAD_DATA, "%s", text);
    return false;
}

static bool read_bool(struct toc_api_call *c, const char *name, bool fallback, bool *out) {
    struct toc_sv text = toc_api_param(c, name);
    *out = fallback;
    return text.n == 0 || toc_prom_bool_parse(text, out) == 0 ||
           bad(c, "invalid %s %s: must be boolean", name, toc_prom_quote(c, text));
}

/* 0 stands for the default. */
static bool read_count(struct toc_api_call *c, const char *name, size_t *out) {
    struct toc_sv text = toc_api_param(c, name);
    int64_t n = 0;
    if (text.n && (toc_parse_i64(text, &n) < 0 || n < 0))
        return bad(c, "invalid %s %s: must be non-negative integer", name, toc_prom_quote(c, text));
    *out = n ? (size_t)n : LIMIT_DEFAULT;
    return true;
}

static bool read_fuzziness(struct toc_api_call *c, struct search *s) {
    struct toc_sv threshold = toc_api_param(c, "fuzz_threshold");
    struct toc_sv algorithm = toc_api_param(c, "fuzz_alg");
    int64_t n = 0;
    if (threshold.n && (toc_parse_i64(threshold, &n) < 0 || n < 0 || n > 100))
        return bad(c, "invalid fuzz_threshold %s: must be 0-100", toc_prom_quote(c, threshold));
    s->threshold = (double)n / 100.0;
    s->is_jaro_winkler = toc_sv_eq(algorithm, TOC_SV("jarowinkler"));
    return algorithm.n == 0 || s->is_jaro_winkler || toc_sv_eq(algorithm, TOC_SV("subsequence")) ||
           bad(c, "unsupported fuzz_alg %s: must be one of [subsequence jarowinkler]",
               toc_prom_quote(c, algorithm));
}

static bool read_terms(struct toc_api_call *c, struct search *s) {
    for (size_t i = 0; i < c->req->param_count; i++) {
        if (!toc_sv_eq(c->req->params[i].name, TOC_SV("search[]")))
            continue;
        if (s->term_count == SEARCHES_MAX)
            return bad(c, "more than %d search[] parameters", SEARCHES_MAX);
        struct search_term *t = &s->terms[s->term_count++];
        uint32_t *runes = TOC_ARENA_NEW_ARRAY(c->req->arena, uint32_t, TOC_FUZZY_LENGTH_MAX);
        t->text = s->is_case_sensitive ? c->req->params[i].value : fold(c, c->req->params[i].value);
        if (!runes)
            return bad(c, "too many search[] parameters");
        t->runes = (struct toc_runes){runes, decode(t->text, runes)};
    }
    return true;
}

static bool read_order(struct toc_api_call *c, struct search *s) {
    struct toc_sv by = toc_api_param(c, "sort_by"), dir = toc_api_param(c, "sort_dir");
    bool is_score = toc_sv_eq(by, TOC_SV("score")), is_desc = toc_sv_eq(dir, TOC_SV("dsc"));
    if (dir.n && by.n == 0)
        return bad(c, "sort_dir is only valid when sort_by is set");
    if (dir.n && is_score)
        return bad(c, "sort_dir is not supported for sort_by=score");
    if (dir.n && !is_desc && !toc_sv_eq(dir, TOC_SV("asc")))
        return bad(c, "invalid sort_dir %s: must be \"asc\" or \"dsc\"", toc_prom_quote(c, dir));
    if (is_score && s->term_count == 0)
        return bad(c, "sort_by=score requires search[] to be set");
    if (by.n && !is_score && !toc_sv_eq(by, TOC_SV("alpha")))
        return bad(c, "invalid sort_by %s for %s: must be \"alpha\" or \"score\"",
                   toc_prom_quote(c, by), s->endpoint);
    s->order = is_score ? ORDER_SCORE : is_desc ? ORDER_ALPHA_DESC : ORDER_ALPHA;
    return true;
}

static bool read_search(struct toc_api_call *c, struct search *s) {
    int64_t start, end;
    if (!(atomic_load(&c->api->features) & TOC_FEATURE_SEARCH_API)) {
        toc_prom_error(c, TOC_PROM_UNAVAILABLE, "search API disabled");
        return false;
    }
    if (!toc_prom_time(c, "start", c->now.ms - WINDOW_MS, &start) ||
        !toc_prom_time(c, "end", c->now.ms, &end) || !read_fuzziness(c, s) ||
        !read_bool(c, "case_sensitive", true, &s->is_case_sensitive) ||
        !read_bool(c, "include_score", false, &s->includes_score) || !read_terms(c, s) ||
        !read_order(c, s) || !read_count(c, "limit", &s->limit) ||
        !read_count(c, "batch_size", &s->batch_size) ||
        !toc_prom_matches_read_range(c, false, &s->matches))
        return false;
    for (size_t i = 0; i < s->matches.count; i++) {
        s->matches.selects[i].min_ms = start;
        s->matches.selects[i].max_ms = end;
    }
    return true;
}

/* The names of labels when `label` is NULL, its values otherwise. */
static void run(struct search *s, const struct toc_sv *label) {
    struct toc_querier *q = s->c->api->parts.querier;
    struct hits all = {.search = s};
    struct toc_err err = {0};
    int rc = 0;
    for (size_t i = 0; i < s->matches.count && rc == 0; i++)
        rc = label ? q->label_values(q, *label, &s->matches.selects[i], keep_hit, &all, &err)
                   : q->label_names(q, &s->matches.selects[i], keep_hit, &all, &err);
    if (rc < 0)
        toc_prom_fail(s->c, rc, &err);
    else
        answer(s, &all);
    toc_map_fini(&all.seen);
    TOC_VEC_FINI(&all);
    toc_prom_matches_fini(&s->matches);
}

void toc_api_prom_search_metric_names(struct toc_api_call *c) {
    struct search s = {.c = c, .endpoint = "metric_names"};
    if (read_bool(c, "include_metadata", false, &s.includes_metadata) && read_search(c, &s))
        run(&s, &(struct toc_sv){"__name__", 8});
}

void toc_api_prom_search_label_names(struct toc_api_call *c) {
    struct search s = {.c = c, .endpoint = "label_names"};
    if (read_search(c, &s))
        run(&s, NULL);
}

void toc_api_prom_search_label_values(struct toc_api_call *c) {
    struct search s = {.c = c, .endpoint = "label_values"};
    struct toc_sv label = toc_api_param(c, "label");
    if (!read_search(c, &s))
        return;
    if (label.n) {
        run(&s, &label);
        return;
    }
    toc_prom_matches_fini(&s.matches);
    toc_prom_error(c, TOC_PROM_BAD_DATA, "missing required parameter \"label\"");
}
