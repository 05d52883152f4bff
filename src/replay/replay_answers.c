#include "replay/replay_answers.h"

#include <string.h>

#include "base/alloc.h"

enum { SPLIT_STEPS_MIN = 8, RESULT_BYTES_MAX = 512 << 20, BUFFERS = 2 };

/* Results of one stretch, step after step. */
struct stretch {
    struct toc_arena arena; /* labels, histograms */
    struct toc_rule_sample *items;
    uint32_t *first; /* steps + 1 places in items */
    uint8_t *is_known;
    size_t steps;
    int64_t start_ms;
};

/* Who asks: the whole, or what of it is behind a number. */
struct user {
    char op[3]; /* "": the whole */
    double number;
    struct stretch stretches[BUFFERS];
};

/* One evaluation. */
struct query {
    const struct toc_promql_expr *expr;
    struct toc_promql_expr *left; /* owned; NULL: expr is a rule's own */
    struct toc_replay_grid grid;
    TOC_VEC(struct user) users;
    uint64_t runs, samples;
    bool is_thinned;
};

/* Where an expression of a rule finds its results. */
struct place {
    size_t query, user;
};

struct toc_replay_answers {
    struct toc_rule_answers face;
    struct toc_replay_answers_options options;
    TOC_VEC(struct query) queries;
    TOC_VEC(struct place) places;
    struct toc_map by_expr; /* pointer → place + 1 */
    size_t buffer;
    uint64_t asked_known, asked_unknown;
};

/* ----------------------------------------------------------------------------------- preparation
 */

struct reading {
    const struct toc_replay_view *view;
    bool reads_rules;
};

static void look(void *ctx, const struct toc_matcher *m, size_t count) {
    struct reading *r = ctx;
    r->reads_rules = r->reads_rules || toc_replay_view_may_match(r->view, m, count);
}

static bool is_eligible(const struct toc_replay_answers *a, const struct toc_promql_expr *e) {
    struct reading r = {a->options.view, false};
    enum toc_promql_type type = toc_promql_expr_type(e);
    if (type != TOC_PROMQL_VECTOR || !toc_promql_is_stepwise(e))
        return false;
    toc_promql_visit_selectors(e, look, &r);
    return !r.reads_rules;
}

static struct toc_sv text_of(const struct toc_promql_expr *e, struct toc_arena *arena) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_promql_format(e, false, &b);
    struct toc_sv kept = toc_arena_dup_sv(arena, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return kept;
}

/* One group while its queries are collected. */
struct collecting {
    struct toc_replay_answers *a;
    struct toc_arena arena;
    struct toc_map
        second_stage;       /* texts of confirm and recover: the manager asks for those itself */
    struct toc_map lefts;   /* left side → how many rules compare it */
    struct toc_map by_text; /* text that is evaluated → query + 1 */
    struct toc_replay_grid grid;
};

static void note_second_stage(struct collecting *c, const struct toc_promql_expr *e) {
    if (e)
        (void)toc_map_put(&c->second_stage, text_of(e, &c->arena), c);
}

static void count_left(struct collecting *c, const struct toc_promql_expr *e) {
    struct toc_promql_threshold t = {0};
    toc_promql_threshold(e, &t);
    if (t.is_set) {
        struct toc_sv left = toc_buf_sv(&t.left_text);
        uintptr_t n = (uintptr_t)toc_map_get(&c->lefts, left);
        (void)toc_map_put(&c->lefts, left, (void *)(n + 1));
    }
    toc_buf_fini(&t.left_text);
}

static size_t query_of(struct collecting *c, struct toc_sv text, const struct toc_promql_expr *expr,
                       struct toc_promql_expr *take_left) {
    uintptr_t known = (uintptr_t)toc_map_get(&c->by_text, text);
    if (known) {
        toc_promql_expr_free(&take_left);
        return known - 1;
    }
    struct query q = {.expr = take_left ? take_left : expr, .left = take_left, .grid = c->grid};
    TOC_VEC_PUSH(&c->a->queries, q);
    known = c->a->queries.count;
    (void)toc_map_put(&c->by_text, text, (void *)known);
    return known - 1;
}

static size_t user_of(struct query *q, const char *op, double number) {
    for (size_t i = 0; i < q->users.count; i++)
        if (!strcmp(q->users.items[i].op, op) &&
            (!op[0] || !memcmp(&q->users.items[i].number, &number, sizeof number)))
            return i;
    struct user u = {.number = number};
    memcpy(u.op, op, TOC_MIN(strlen(op), sizeof u.op - 1));
    TOC_VEC_PUSH(&q->users, u);
    return q->users.count - 1;
}

/* As the manager does it: a left side that several rules compare is evaluated once. */
static void add_rule(struct collecting *c, const struct toc_promql_expr *e) {
    struct toc_replay_answers *a = c->a;
    struct toc_promql_threshold t = {0};
    struct toc_promql_expr *left = NULL;
    struct toc_sv text = text_of(e, &c->arena);
    if (toc_map_has(&c->second_stage, text) || !is_eligible(a, e))
        return;
    toc_promql_threshold(e, &t);
    bool is_shared = t.is_set && (uintptr_t)toc_map_get(&c->lefts, toc_buf_sv(&t.left_text)) > 1;
    if (is_shared &&
        toc_promql_parse_with(toc_buf_sv(&t.left_text), TOC_PROMQL_ALL_FEATURES, &left, NULL))
        is_shared = false;
    size_t q = query_of(c, is_shared ? toc_buf_sv(&t.left_text) : text, e, left);
    struct place p = {q, user_of(&a->queries.items[q], is_shared ? t.op : "", t.threshold)};
    TOC_VEC_PUSH(&a->places, p);
    (void)toc_map_put(&a->by_expr, toc_sv_make((const char *)&e, sizeof e),
                      (void *)(uintptr_t)a->places.count);
    toc_buf_fini(&t.left_text);
}

void toc_replay_answers_add_group(struct toc_replay_answers *a, const struct toc_rule_group *g,
                                  struct toc_replay_grid grid) {
    struct collecting c = {.a = a, .grid = grid};
    for (size_t i = 0; i < g->rule_count; i++) {
        note_second_stage(&c, g->rules[i].confirm);
        note_second_stage(&c, g->rules[i].recover_expr);
        count_left(&c, g->rules[i].expr);
    }
    for (size_t i = 0; i < g->rule_count; i++)
        add_rule(&c, g->rules[i].expr);
    toc_map_fini(&c.second_stage);
    toc_map_fini(&c.lefts);
    toc_map_fini(&c.by_text);
    toc_arena_fini(&c.arena);
}

size_t toc_replay_answers_count(const struct toc_replay_answers *a) {
    return a->queries.count;
}

/* --------------------------------------------------------------------------------------- filling
 */

static void stretch_reset(struct stretch *s) {
    toc_free(s->items);
    toc_free(s->first);
    toc_free(s->is_known);
    toc_arena_fini(&s->arena);
    *s = (struct stretch){0};
}

static bool holds(const struct user *u, const struct toc_promql_point *p) {
    double v = p->value, n = u->number;
    if (!u->op[0])
        return true;
    if (p->histogram) /* has no order with a number */
        return false;
    bool is_equal = u->op[1] == '=';
    switch (u->op[0]) {
    case '>':
        return is_equal ? v >= n : v > n;
    case '<':
        return is_equal ? v <= n : v < n;
    case '=':
        return v == n;
    default:
        return v != n;
    }
}

/* A part of the steps as evaluated: the series in the order of their labels. */
struct part {
    struct toc_promql_result result;
    size_t first_step, steps;
    bool is_known;
};

struct parts {
    TOC_VEC_FIELDS(struct part)
};

static bool has_histograms(const struct toc_promql_result *r) {
    for (size_t i = 0; i < r->series_count; i++)
        for (size_t k = 0; k < r->series[i].count; k++)
            if (r->series[i].points[k].histogram)
                return true;
    return false;
}

static bool run_range(const struct toc_replay_answers *a, struct query *q, int64_t start_ms,
                      struct part *p) {
    const struct toc_promql_options o = {.querier = a->options.history,
                                         .lookback_ms = a->options.lookback_ms,
                                         .max_bytes = RESULT_BYTES_MAX,
                                         .features = a->options.features,
                                         .subquery_step_ms = a->options.subquery_step_ms,
                                         .is_stepwise = true};
    int64_t from = start_ms + (int64_t)p->first_step * q->grid.interval_ms;
    int64_t to = from + (int64_t)(p->steps - 1) * q->grid.interval_ms;
    q->runs++;
    int rc = toc_promql_range(q->expr, &o, from, to, q->grid.interval_ms, &p->result, NULL);
    q->samples += p->result.samples_loaded;
    for (size_t i = 0; i < p->result.info_count; i++)
        q->is_thinned |=
            toc_sv_find(p->result.infos[i], toc_sv_cstr(toc_rollup_thinned_text())) != SIZE_MAX;
    /* Whether a native histogram shows a reset may hang on what was read before it. */
    p->is_known = rc == 0 && !has_histograms(&p->result);
    if (!p->is_known)
        toc_promql_result_fini(&p->result);
    return rc == 0;
}

/* A query may fail for a few steps only, or be too large for all at once: halves are tried. */
static void evaluate(const struct toc_replay_answers *a, struct query *q, int64_t start_ms,
                     size_t first, size_t steps, struct parts *out) {
    struct {
        size_t first, steps;
    } todo[64] = {{first, steps}};
    size_t count = 1;
    while (count > 0) {
        struct part p = {.first_step = todo[count - 1].first, .steps = todo[count - 1].steps};
        count--;
        if (!run_range(a, q, start_ms, &p) && p.steps > SPLIT_STEPS_MIN) {
            size_t half = p.steps / 2;
            todo[count].first = p.first_step + half;
            todo[count++].steps = p.steps - half;
            todo[count].first = p.first_step;
            todo[count++].steps = half;
            continue;
        }
        TOC_VEC_PUSH(out, p);
    }
}

static void count_part(const struct user *u, const struct query *q, const struct part *p,
                       struct stretch *s) {
    memset(s->is_known + p->first_step, p->is_known, p->steps);
    for (size_t i = 0; p->is_known && i < p->result.series_count; i++) {
        const struct toc_promql_series *x = &p->result.series[i];
        for (size_t k = 0; k < x->count; k++)
            if (holds(u, &x->points[k]))
                s->first[(x->points[k].t_ms - s->start_ms) / q->grid.interval_ms + 1]++;
    }
}

static void put_part(const struct user *u, const struct query *q, const struct part *p,
                     struct stretch *s, uint32_t *next) {
    for (size_t i = 0; p->is_known && i < p->result.series_count; i++) {
        const struct toc_promql_series *x = &p->result.series[i];
        struct toc_labels labels = TOC_LABELS_EMPTY;
        bool has_labels = false;
        for (size_t k = 0; k < x->count; k++) {
            if (!holds(u, &x->points[k]))
                continue;
            if (!has_labels)
                labels = toc_labels_dup_arena(x->labels, &s->arena);
            has_labels = true;
            size_t step = (size_t)((x->points[k].t_ms - s->start_ms) / q->grid.interval_ms);
            s->items[next[step]++] = (struct toc_rule_sample){labels, x->points[k].value, NULL};
        }
    }
}

static void collect(const struct query *q, struct user *u, const struct parts *parts,
                    struct stretch *s) {
    for (size_t i = 0; i < parts->count; i++)
        count_part(u, q, &parts->items[i], s);
    for (size_t i = 0; i < s->steps; i++)
        s->first[i + 1] += s->first[i];
    s->items = TOC_NEW_ARRAY(struct toc_rule_sample, (size_t)s->first[s->steps] + 1);
    uint32_t *next = toc_xmemdup(s->first, (s->steps + 1) * sizeof *next);
    for (size_t i = 0; i < parts->count; i++)
        put_part(u, q, &parts->items[i], s, next);
    toc_free(next);
    if (s->arena.overflowed)
        memset(s->is_known, 0, s->steps);
}

/* The first slot of the grid at or after t. */
static int64_t on_grid(const struct toc_replay_grid *g, int64_t t) {
    if (t <= g->first_slot_ms)
        return g->first_slot_ms;
    int64_t past = (t - g->first_slot_ms) % g->interval_ms;
    return past ? t + g->interval_ms - past : t;
}

void toc_replay_answers_fill(struct toc_replay_answers *a, size_t i, size_t buffer, int64_t from_ms,
                             int64_t to_ms) {
    struct query *q = &a->queries.items[i];
    struct parts parts = {0};
    int64_t slot_ms = on_grid(&q->grid, from_ms - a->options.late_ms);
    int64_t start_ms = slot_ms - q->grid.offset_ms;
    size_t steps = to_ms > slot_ms ? (size_t)((to_ms - 1 - slot_ms) / q->grid.interval_ms) + 1 : 0;
    if (steps)
        evaluate(a, q, start_ms, 0, steps, &parts);
    for (size_t k = 0; k < q->users.count; k++) {
        struct stretch *s = &q->users.items[k].stretches[buffer];
        stretch_reset(s);
        s->start_ms = start_ms;
        s->steps = steps;
        s->first = TOC_NEW_ARRAY(uint32_t, steps + 1);
        s->is_known = TOC_NEW_ARRAY(uint8_t, steps + 1);
        collect(q, &q->users.items[k], &parts, s);
    }
    for (size_t k = 0; k < parts.count; k++)
        toc_promql_result_fini(&parts.items[k].result);
    TOC_VEC_FINI(&parts);
}

/* ------------------------------------------------------------------------------------- answering
 */

static int find(struct toc_rule_answers *face, const struct toc_promql_expr *e, struct toc_ts at,
                const struct toc_rule_sample **out, size_t *out_count) {
    struct toc_replay_answers *a = TOC_CONTAINER_OF(face, struct toc_replay_answers, face);
    uintptr_t n = (uintptr_t)toc_map_get(&a->by_expr, toc_sv_make((const char *)&e, sizeof e));
    const struct place *p = n ? &a->places.items[n - 1] : NULL;
    const struct query *q = p ? &a->queries.items[p->query] : NULL;
    const struct stretch *s = q ? &q->users.items[p->user].stretches[a->buffer] : NULL;
    int64_t past = s ? at.ms - s->start_ms : -1;
    size_t step = past >= 0 ? (size_t)(past / q->grid.interval_ms) : 0;
    if (past < 0 || past % q->grid.interval_ms || step >= s->steps || !s->is_known[step]) {
        a->asked_unknown++;
        return TOC_ENOENT;
    }
    a->asked_known++;
    *out = s->items + s->first[step];
    *out_count = s->first[step + 1] - s->first[step];
    return 0;
}

void toc_replay_answers_use(struct toc_replay_answers *a, size_t buffer) {
    a->buffer = buffer;
}

struct toc_rule_answers *toc_replay_answers_face(struct toc_replay_answers *a) {
    return &a->face;
}

struct toc_replay_answers_stats toc_replay_answers_stats(const struct toc_replay_answers *a) {
    struct toc_replay_answers_stats s = {.asked_known = a->asked_known,
                                         .asked_unknown = a->asked_unknown};
    for (size_t i = 0; i < a->queries.count; i++) {
        s.range_queries += a->queries.items[i].runs;
        s.samples += a->queries.items[i].samples;
        s.is_thinned |= a->queries.items[i].is_thinned;
    }
    return s;
}

struct toc_replay_answers *toc_replay_answers_new(const struct toc_replay_answers_options *o) {
    struct toc_replay_answers *a = TOC_NEW(struct toc_replay_answers);
    a->options = *o;
    a->face.find = find;
    return a;
}

void toc_replay_answers_free(struct toc_replay_answers **answers) {
    struct toc_replay_answers *a = *answers;
    if (!a)
        return;
    for (size_t i = 0; i < a->queries.count; i++) {
        struct query *q = &a->queries.items[i];
        for (size_t k = 0; k < q->users.count; k++)
            for (size_t b = 0; b < BUFFERS; b++)
                stretch_reset(&q->users.items[k].stretches[b]);
        TOC_VEC_FINI(&q->users);
        toc_promql_expr_free(&q->left);
    }
    TOC_VEC_FINI(&a->queries);
    TOC_VEC_FINI(&a->places);
    toc_map_fini(&a->by_expr);
    toc_free(a);
    *answers = NULL;
}
