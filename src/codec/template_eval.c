#include "codec/template_priv.h"

const struct toc_template_limits TOC_TEMPLATE_DEFAULT_LIMITS = {
    .max_output_bytes = 64 << 10,
    .max_steps = 100000,
    .max_memory_bytes = 1 << 20,
};

struct render {
    const struct toc_template *t;
    const struct toc_template_input *input;
    const struct toc_template_limits *limits;
    struct toc_buf *out;
    struct toc_err *err;
    struct toc_arena arena;
    size_t steps;
    TOC_VEC(struct toc_template_value) variables; /* the newest last */
    size_t variable_base;                         /* those of a defined template begin here */
    struct toc_template_value root;               /* {{ $ }} */
    int depth;                                    /* of defined templates */
};

static const struct toc_template_env empty_env;

static int fail_at(struct render *r, size_t offset, int code, const char *what) {
    return toc_template_fail(r->t->text, offset, r->err, code, "%s", what);
}

/* Every node, expression and printed value costs a step; the output is checked with it. */
static int step(struct render *r, size_t offset) {
    if (++r->steps > r->limits->max_steps)
        return fail_at(r, offset, TOC_ELIMIT, "too many steps");
    if (toc_buf_error(r->out))
        return fail_at(r, offset, TOC_ELIMIT, "the result is longer than the limit");
    return 0;
}

static const struct toc_template_value *find(const struct toc_template_value *items, size_t count,
                                             struct toc_sv key) {
    for (size_t i = count; i-- > 0;)
        if (toc_sv_eq(items[i].key, key))
            return &items[i];
    return NULL;
}

/* Alertmanager's methods of a label map. */
static int map_method(struct render *r, const struct toc_template_value *map, struct toc_sv name,
                      struct toc_template_value *out) {
    bool wants_pairs = toc_sv_eq(name, TOC_SV("SortedPairs"));
    bool wants_names = toc_sv_eq(name, TOC_SV("Names"));
    if (!wants_pairs && !wants_names && !toc_sv_eq(name, TOC_SV("Values")))
        return TOC_ENOENT;
    struct toc_template_value *list = TOC_ARENA_NEW_ARRAY(&r->arena, struct toc_template_value,
                                                          map->count * (wants_pairs ? 3 : 1));
    if (!list)
        return TOC_ENOMEM;
    for (size_t i = 0; i < map->count; i++) {
        struct toc_template_value name_value = toc_template_string(map->items[i].key);
        struct toc_template_value *pair = list + map->count + 2 * i;
        list[i] = wants_names ? name_value : map->items[i];
        if (wants_pairs) {
            pair[0] = toc_template_named("Name", name_value);
            pair[1] = toc_template_named("Value", map->items[i]);
            list[i] = toc_template_map(pair, 2);
        }
    }
    *out = toc_template_list(list, map->count);
    return 0;
}

static int get_field(struct render *r, size_t offset, struct toc_sv name,
                     struct toc_template_value *v) {
    if (v->type == TOC_TEMPLATE_NIL)
        return 0;
    if (v->type != TOC_TEMPLATE_MAP && v->type != TOC_TEMPLATE_LIST)
        return toc_template_fail(r->t->text, offset, r->err, TOC_ETYPE,
                                 "there is no .%.*s in a plain value",
                                 TOC_SV_ARG(toc_sv_sub(name, 0, 60)));
    bool is_map = v->type == TOC_TEMPLATE_MAP;
    const struct toc_template_value *found =
        is_map ? find(v->items, v->count, name) : find(v->members, v->member_count, name);
    if (found) {
        *v = *found;
        return 0;
    }
    struct toc_template_value made = {0};
    int rc = is_map ? map_method(r, v, name, &made) : TOC_ENOENT;
    if (rc == TOC_ENOMEM)
        return fail_at(r, offset, TOC_ELIMIT, "too much memory used by this template");
    *v = made;
    return 0;
}

static int get_variable(struct render *r, const struct toc_template_expr *e,
                        struct toc_template_value *out) {
    if (!e->name.n) {
        *out = r->root;
        return 0;
    }
    const struct toc_template_value *v = r->variables.count
                                             ? find(r->variables.items + r->variable_base,
                                                    r->variables.count - r->variable_base, e->name)
                                             : NULL;
    if (!v && !r->depth)
        v = find(r->input->variables, r->input->variable_count, e->name);
    if (!v)
        return toc_template_fail(r->t->text, e->offset, r->err, TOC_ENOENT,
                                 "there is no variable $%.*s",
                                 TOC_SV_ARG(toc_sv_sub(e->name, 0, 60)));
    *out = *v;
    return 0;
}

static int eval(struct render *r, const struct toc_template_expr *e,
                const struct toc_template_value *dot, struct toc_template_value *out);

static int eval_and_or(struct render *r, const struct toc_template_expr *e,
                       const struct toc_template_value *dot, struct toc_template_value *out) {
    bool is_or = toc_template_is_or(e->function);
    int rc = 0;
    for (size_t i = 0; i < e->arg_count && !rc; i++) {
        rc = eval(r, e->args[i], dot, out);
        if (!rc && toc_template_is_true(out) == is_or)
            break;
    }
    return rc;
}

static int eval_call(struct render *r, const struct toc_template_expr *e,
                     const struct toc_template_value *dot, struct toc_template_value *out) {
    if (toc_template_is_or(e->function) || toc_template_is_and(e->function))
        return eval_and_or(r, e, dot, out);
    struct toc_template_value args[TOC_TEMPLATE_ARGS_MAX];
    int rc = 0;
    for (size_t i = 0; i < e->arg_count && !rc; i++)
        rc = eval(r, e->args[i], dot, &args[i]);
    if (rc)
        return rc;
    struct toc_template_call c = {.args = args,
                                  .count = e->arg_count,
                                  .arena = &r->arena,
                                  .max_bytes = r->limits->max_output_bytes,
                                  .err = r->err,
                                  .template = r->t,
                                  .offset = e->offset,
                                  .env = r->input->env ? r->input->env : &empty_env,
                                  .render = r};
    rc = e->function->call(&c);
    if (rc == TOC_ENOMEM)
        return fail_at(r, e->offset, TOC_ELIMIT, "too much memory used by this template");
    if (rc)
        return fail_at(r, e->offset, rc, toc_strerror(rc));
    *out = c.out;
    return 0;
}

static int eval(struct render *r, const struct toc_template_expr *e,
                const struct toc_template_value *dot, struct toc_template_value *out) {
    int rc = step(r, e->offset);
    if (rc)
        return rc;
    switch (e->kind) {
    case TOC_TEMPLATE_EXPR_LITERAL:
        *out = e->literal;
        break;
    case TOC_TEMPLATE_EXPR_DOT:
        *out = *dot;
        break;
    case TOC_TEMPLATE_EXPR_VARIABLE:
        rc = get_variable(r, e, out);
        break;
    case TOC_TEMPLATE_EXPR_GROUP:
        rc = eval(r, e->args[0], dot, out);
        break;
    case TOC_TEMPLATE_EXPR_CALL:
        rc = eval_call(r, e, dot, out);
        break;
    }
    for (size_t i = 0; i < e->field_count && !rc; i++)
        rc = get_field(r, e->offset, e->fields[i], out);
    return rc;
}

static int push_variable(struct render *r, size_t offset, struct toc_sv name,
                         struct toc_template_value v) {
    if (r->variables.count == TOC_TEMPLATE_VARIABLES_MAX)
        return fail_at(r, offset, TOC_ELIMIT, "too many variables");
    v.key = name;
    TOC_VEC_PUSH(&r->variables, v);
    return 0;
}

static int assign(struct render *r, const struct toc_template_node *n,
                  struct toc_template_value v) {
    if (!n->variable_count)
        return 0;
    if (n->declares)
        return push_variable(r, n->offset, n->variables[0], v);
    for (size_t i = r->variables.count; i-- > r->variable_base;) {
        if (toc_sv_eq(r->variables.items[i].key, n->variables[0])) {
            v.key = n->variables[0];
            r->variables.items[i] = v;
            return 0;
        }
    }
    return fail_at(r, n->offset, TOC_ENOENT,
                   "assignment to a variable that was not declared with :=");
}

static int run(struct render *r, const struct toc_template_node *n,
               const struct toc_template_value *dot);

static int run_iteration(struct render *r, const struct toc_template_node *n,
                         struct toc_template_value key, const struct toc_template_value *item) {
    size_t mark = r->variables.count;
    int rc = step(r, n->offset);
    if (!rc && n->variable_count == 2)
        rc = push_variable(r, n->offset, n->variables[0], key);
    if (!rc && n->variable_count)
        rc = push_variable(r, n->offset, n->variables[n->variable_count - 1], *item);
    if (!rc)
        rc = run(r, n->body, item);
    r->variables.count = mark;
    return rc;
}

static int run_range(struct render *r, const struct toc_template_node *n,
                     const struct toc_template_value *dot, const struct toc_template_value *v) {
    bool is_map = v->type == TOC_TEMPLATE_MAP;
    if (v->type != TOC_TEMPLATE_LIST && !is_map && v->type != TOC_TEMPLATE_NIL)
        return fail_at(r, n->offset, TOC_ETYPE, "range needs a list or a map");
    if (v->type == TOC_TEMPLATE_NIL || !v->count)
        return run(r, n->otherwise, dot);
    int rc = 0;
    for (size_t i = 0; i < v->count && !rc; i++)
        rc = run_iteration(
            r, n, is_map ? toc_template_string(v->items[i].key) : toc_template_number((double)i),
            &v->items[i]);
    return rc;
}

static int run_branch(struct render *r, const struct toc_template_node *n,
                      const struct toc_template_value *dot) {
    struct toc_template_value v;
    size_t mark = r->variables.count;
    int rc = eval(r, n->expr, dot, &v);
    if (!rc && n->kind == TOC_TEMPLATE_NODE_RANGE)
        return run_range(r, n, dot, &v);
    if (!rc)
        rc = assign(r, n, v);
    if (!rc && toc_template_is_true(&v))
        rc = run(r, n->body, n->kind == TOC_TEMPLATE_NODE_WITH ? &v : dot);
    else if (!rc)
        rc = run(r, n->otherwise, dot);
    r->variables.count = TOC_MIN(mark, r->variables.count);
    return rc;
}

static int run_define(struct render *r, size_t offset, struct toc_sv name,
                      const struct toc_template_value *dot) {
    const struct toc_template_define *d = r->t->defines;
    while (d && !toc_sv_eq(d->name, name))
        d = d->next;
    if (!d)
        return toc_template_fail(r->t->text, offset, r->err, TOC_EINVAL,
                                 "template \"%.*s\" not defined",
                                 TOC_SV_ARG(toc_sv_sub(name, 0, 60)));
    if (r->depth == TOC_TEMPLATE_DEPTH_MAX)
        return fail_at(r, offset, TOC_ELIMIT, "templates call each other too deeply");
    size_t base = r->variable_base, count = r->variables.count;
    struct toc_template_value root = r->root;
    r->variable_base = count;
    r->root = *dot;
    r->depth++;
    int rc = run(r, d->body, dot);
    r->depth--;
    r->root = root;
    r->variable_base = base;
    r->variables.count = count;
    return rc;
}

int toc_template_run_define(struct toc_template_call *c, struct toc_sv name,
                            const struct toc_template_value *dot, struct toc_buf *out) {
    struct render *r = c->render;
    struct toc_buf *outer = r->out;
    r->out = out;
    int rc = run_define(r, c->offset, name, dot);
    r->out = outer;
    return rc;
}

static int run_template(struct render *r, const struct toc_template_node *n,
                        const struct toc_template_value *dot) {
    struct toc_template_value v = {0};
    int rc = n->expr ? eval(r, n->expr, dot, &v) : 0;
    return rc ? rc : run_define(r, n->offset, n->text, &v);
}

static int run_node(struct render *r, const struct toc_template_node *n,
                    const struct toc_template_value *dot) {
    struct toc_template_value v;
    int rc = 0;
    switch (n->kind) {
    case TOC_TEMPLATE_NODE_TEXT:
        toc_buf_append_sv(r->out, n->text);
        return 0;
    case TOC_TEMPLATE_NODE_OUTPUT:
        rc = eval(r, n->expr, dot, &v);
        if (!rc)
            toc_template_print(&v, r->out);
        return rc;
    case TOC_TEMPLATE_NODE_ASSIGN:
        rc = eval(r, n->expr, dot, &v);
        return rc ? rc : assign(r, n, v);
    case TOC_TEMPLATE_NODE_IF:
    case TOC_TEMPLATE_NODE_WITH:
    case TOC_TEMPLATE_NODE_RANGE:
        return run_branch(r, n, dot);
    case TOC_TEMPLATE_NODE_TEMPLATE:
        return run_template(r, n, dot);
    }
    return 0;
}

static int run(struct render *r, const struct toc_template_node *n,
               const struct toc_template_value *dot) {
    size_t mark = r->variables.count;
    int rc = 0;
    for (; n && !rc; n = n->next) {
        rc = step(r, n->offset);
        if (!rc)
            rc = run_node(r, n, dot);
        if (!rc)
            rc = step(r, n->offset);
    }
    r->variables.count = mark;
    return rc;
}

int toc_template_render(const struct toc_template *t, const struct toc_template_input *input,
                        const struct toc_template_limits *limits, struct toc_buf *out,
                        struct toc_err *err) {
    struct render r = {.t = t,
                       .input = input,
                       .out = out,
                       .err = err,
                       .root = input->dot,
                       .limits = limits ? limits : &TOC_TEMPLATE_DEFAULT_LIMITS};
    /* The buffer itself stops what prints a lot in one step; its error is ours, not the caller's.
     */
    size_t caller_limit = out->limit_bytes;
    size_t allowed = out->n + r.limits->max_output_bytes;
    int rc = toc_buf_error(out);
    if (!rc) {
        toc_arena_init(&r.arena, r.limits->max_memory_bytes);
        out->limit_bytes = caller_limit ? TOC_MIN(caller_limit, allowed) : allowed;
        rc = run(&r, t->body, &input->dot);
        out->limit_bytes = caller_limit;
        out->error = 0;
    }
    toc_arena_fini(&r.arena);
    TOC_VEC_FINI(&r.variables);
    return rc;
}

int toc_template_expand(struct toc_sv text, const struct toc_template_input *input,
                        struct toc_buf *out, struct toc_err *err) {
    struct toc_template *t = NULL;
    int rc = toc_template_compile(text, &t, err);
    if (!rc)
        rc = toc_template_render(t, input, NULL, out, err);
    toc_template_free(&t);
    return rc;
}
