/*
 * The rules of a group at one time. Those of one level (rule_deps.c) are taken together:
 *
 *   1. their distinct queries are collected: rules that ask for the same text share one task, and
 *      so do rules that compare the same left side with different numbers;
 *   2. the tasks run, on several threads when there is an executor;
 *   3. second stages run for those rules that have a result;
 *   4. results are applied in the order of the file, and written in one go.
 */
#include "base/alloc.h"
#include "base/executor.h"
#include "rules/rules_priv.h"

enum { RULES_PER_PASS = 512 };

struct task {
    const struct toc_promql_expr *expr;
    size_t users;
    struct toc_promql_result result;
    struct elements found;
    int rc;
    struct toc_err err;
    double seconds;
};

/* Where a rule's query gets its elements from. */
struct use {
    size_t task;  /* SIZE_MAX: nowhere */
    bool is_left; /* the task has the left side only: compare */
};

struct planned {
    struct rule_state *s;
    struct use query, confirm, recover;
};

struct batch {
    struct rule_pass pass;
    struct planned *rules;
    size_t count;
    TOC_VEC(struct task) tasks;
    size_t tasks_done;
    struct toc_map by_text; /* → index of the task + 1 */
    struct toc_map uses;    /* text that is asked for → how often */
};

static void count_text(struct batch *b, struct toc_sv text) {
    uintptr_t n = (uintptr_t)toc_map_get(&b->uses, text);
    toc_map_put(&b->uses, text, (void *)(n + 1));
}

/* A query asks for its left side, or, without one, for itself. Whoever has answers has them for
 * whole expressions. */
static void count_uses(struct batch *b, const struct rule_query *q) {
    if (q->expr && !b->pass.m->options.answers)
        count_text(b, q->left ? q->left_text : q->text);
}

static size_t task_of(struct batch *b, struct toc_sv text, const struct toc_promql_expr *expr) {
    uintptr_t known = (uintptr_t)toc_map_get(&b->by_text, text);
    if (!known) {
        TOC_VEC_PUSH(&b->tasks, ((struct task){.expr = expr}));
        known = b->tasks.count;
        toc_map_put(&b->by_text, text, (void *)known);
    }
    b->tasks.items[known - 1].users++;
    return known - 1;
}

static struct use plan_query(struct batch *b, const struct rule_query *q) {
    bool is_shared = q->left && (uintptr_t)toc_map_get(&b->uses, q->left_text) > 1;
    if (!q->expr)
        return (struct use){SIZE_MAX, false};
    return is_shared ? (struct use){task_of(b, q->left_text, q->left), true}
                     : (struct use){task_of(b, q->text, q->expr), false};
}

static void plan(struct batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        const struct rule_state *s = b->rules[i].s;
        count_uses(b, &s->query);
        if (s->active.count)
            count_uses(b, &s->recover);
    }
    for (size_t i = 0; i < b->count; i++) {
        struct planned *r = &b->rules[i];
        r->query = plan_query(b, &r->s->query);
        r->confirm = r->recover = (struct use){SIZE_MAX, false};
        if (r->s->active.count)
            r->recover = plan_query(b, &r->s->recover);
    }
}

/* ---------------------------------------------------------------------------------------- running
 */

struct run {
    struct batch *b;
    struct toc_executor *inner; /* for the query itself */
};

static void run_task(void *arg, size_t i, size_t worker) {
    struct run *r = arg;
    struct batch *b = r->b;
    struct task *t = &b->tasks.items[b->tasks_done + i];
    int64_t began = toc_rules_mono(b->pass.m);
    (void)worker;
    t->rc = toc_rule_query_run(b->pass.m, t->expr, b->pass.at, r->inner, &t->result, &t->found,
                               &t->err);
    t->seconds = (double)(toc_rules_mono(b->pass.m) - began) / 1e9;
}

/* Threads go to different queries; a lone query may use them itself. */
static void run_tasks(struct batch *b) {
    struct toc_executor *x = b->pass.m->options.executor;
    size_t n = b->tasks.count - b->tasks_done;
    struct run r = {b, n == 1 ? x : NULL};
    toc_execute(x, n, run_task, &r);
    b->tasks_done = b->tasks.count;
}

/* ------------------------------------------------------------------------------------- collecting
 */

static int filter(struct rule_pass *p, const struct rule_query *q, const struct elements *all,
                  struct elements *out) {
    struct toc_rule_sample *kept =
        TOC_ARENA_NEW_ARRAY(&p->arena, struct toc_rule_sample, all->count + 1);
    *out = (struct elements){kept, 0};
    if (!kept)
        return TOC_ENOMEM;
    for (size_t i = 0; i < all->count; i++) {
        const struct toc_rule_sample *e = &all->items[i];
        /* A histogram has no order with a number. */
        if (!e->histogram && toc_rule_op_holds(q->op, e->value, q->number))
            kept[out->count++] = *e;
    }
    return 0;
}

static int collect(struct batch *b, const struct rule_query *q, struct use use,
                   struct elements *out, double *seconds, struct toc_err *err) {
    *out = (struct elements){0};
    if (use.task == SIZE_MAX)
        return 0;
    const struct task *t = &b->tasks.items[use.task];
    *seconds += t->seconds / (double)t->users;
    if (t->rc) {
        *err = t->err;
        return t->rc;
    }
    if (use.is_left)
        return filter(&b->pass, q, &t->found, out);
    *out = t->found;
    return 0;
}

/* Has the first stage a result? */
static bool has_result(struct batch *b, const struct planned *r) {
    const struct task *t = &b->tasks.items[r->query.task];
    const struct rule_query *q = &r->s->query;
    for (size_t i = 0; !t->rc && i < t->found.count; i++)
        if (!r->query.is_left || toc_rule_op_holds(q->op, t->found.items[i].value, q->number))
            return true;
    return false;
}

static void plan_confirm(struct batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        struct planned *r = &b->rules[i];
        if (r->s->confirm.expr && has_result(b, r))
            count_uses(b, &r->s->confirm);
    }
    for (size_t i = 0; i < b->count; i++) {
        struct planned *r = &b->rules[i];
        if (r->s->confirm.expr && has_result(b, r))
            r->confirm = plan_query(b, &r->s->confirm);
    }
}

/* ------------------------------------------------------------------------------------- applying */

static int apply(struct batch *b, struct planned *r, double *seconds, struct toc_err *err) {
    struct rule_state *s = r->s;
    struct elements found, confirm, recover;
    int rc = collect(b, &s->query, r->query, &found, seconds, err);
    if (!rc)
        rc = collect(b, &s->confirm, r->confirm, &confirm, seconds, err);
    if (!rc)
        rc = collect(b, &s->recover, r->recover, &recover, seconds, err);
    if (rc)
        return rc;
    return s->rule->is_alert ? toc_alert_rule_apply(&b->pass, s, &found, &confirm, &recover, err)
                             : toc_record_rule_apply(&b->pass, s, &found, err);
}

static void account(struct batch *b, struct rule_state *s, int rc, const struct toc_err *err) {
    struct group_state *g = b->pass.g;
    s->last_evaluation = b->pass.at;
    s->health = rc ? TOC_RULE_HEALTH_ERR : TOC_RULE_HEALTH_OK;
    (void)toc_sv_copy(toc_sv_cstr(rc && !err->code ? toc_strerror(rc) : err->message),
                      s->last_error, sizeof s->last_error);
    if (!rc && s->last_result_count)
        s->last_match = b->pass.at;
    g->rule_seconds += s->evaluation_s;
    g->rule_evaluations++;
    g->rule_failures += rc != 0;
    s->failures += rc != 0;
    b->pass.m->stats.evaluations++;
    b->pass.m->stats.failures += rc != 0;
    b->pass.m->stats.rule_seconds += s->evaluation_s;
}

static void apply_all(struct batch *b) {
    for (size_t i = 0; i < b->count; i++) {
        struct planned *r = &b->rules[i];
        struct toc_err err = {0};
        double query_seconds = 0;
        int64_t began = toc_rules_mono(b->pass.m);
        int rc = apply(b, r, &query_seconds, &err);
        r->s->evaluation_s = query_seconds + (double)(toc_rules_mono(b->pass.m) - began) / 1e9;
        account(b, r->s, rc, &err);
    }
}

static void send_all(struct batch *b) {
    for (size_t i = 0; i < b->count; i++)
        if (b->rules[i].s->rule->is_alert && b->rules[i].s->health == TOC_RULE_HEALTH_OK)
            toc_rule_send(&b->pass, b->rules[i].s);
}

static void batch_fini(struct batch *b) {
    for (size_t i = 0; i < b->tasks.count; i++)
        toc_promql_result_fini(&b->tasks.items[i].result);
    TOC_VEC_FINI(&b->tasks);
    TOC_VEC_FINI(&b->pass.points);
    toc_map_fini(&b->by_text);
    toc_map_fini(&b->uses);
    toc_arena_fini(&b->pass.arena);
}

static void evaluate_some(struct toc_rules *m, struct group_state *g, struct toc_ts at,
                          struct planned *rules, size_t count) {
    struct batch b = {.pass = {.m = m, .g = g, .at = at}, .rules = rules, .count = count};
    toc_arena_init(&b.pass.arena, (size_t)256 << 20);
    plan(&b);
    run_tasks(&b);
    plan_confirm(&b);
    run_tasks(&b);
    apply_all(&b);
    toc_rule_pass_write(&b.pass);
    send_all(&b);
    batch_fini(&b);
}

void toc_group_evaluate_rules(struct toc_rules *m, struct group_state *g, struct toc_ts at) {
    size_t n = g->group->rule_count;
    struct planned *rules = TOC_NEW_ARRAY(struct planned, n + 1);
    for (size_t level = 0; level < g->level_count; level++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            if (g->rules[i].level == level)
                rules[count++] = (struct planned){.s = &g->rules[i]};
        for (size_t at_rule = 0; at_rule < count; at_rule += RULES_PER_PASS)
            evaluate_some(m, g, at, rules + at_rule,
                          TOC_MIN(count - at_rule, (size_t)RULES_PER_PASS));
    }
    toc_free(rules);
}
