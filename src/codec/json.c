#include "codec/json.h"

#include "base/vec.h"
#include "codec/json_scan_priv.h"
#include "codec/keys_priv.h"
#include "shim/json.h"

enum { DEPTH_MAX = 64 };

struct frame {
    struct toc_json *node;
    size_t capacity;
    size_t first_key; /* into build.keys */
};

struct build {
    struct toc_arena *arena;
    struct toc_json root;
    struct frame frames[DEPTH_MAX];
    int depth;
    size_t keys_seen;
    size_t duplicate_ordinal;
    struct toc_sv duplicate;
    TOC_VEC(struct toc_key_ref) keys;
};

/* The place of the next value, with its key filled. */
static struct toc_json *next_node(struct build *b, const struct toc_json_event *e) {
    if (!b->depth)
        return &b->root;
    struct frame *f = &b->frames[b->depth - 1];
    if (f->node->count >= f->capacity)
        return NULL;
    struct toc_json *n = &f->node->items[f->node->count++];
    if (f->node->type != TOC_JSON_OBJECT)
        return n;
    n->key = toc_arena_dup_sv(b->arena, e->key);
    struct toc_key_ref ref = {n->key, b->keys_seen++};
    TOC_VEC_PUSH(&b->keys, ref);
    return n->key.p ? n : NULL;
}

static int open_container(struct build *b, struct toc_json *n, const struct toc_json_event *e) {
    n->type = e->type == TOC_JSON_EVENT_BEGIN_OBJECT ? TOC_JSON_OBJECT : TOC_JSON_ARRAY;
    n->items = TOC_ARENA_NEW_ARRAY(b->arena, struct toc_json, e->count);
    if (!n->items)
        return TOC_ENOMEM;
    b->frames[b->depth++] = (struct frame){n, e->count, b->keys.count};
    return 0;
}

static int close_container(struct build *b) {
    struct frame *f = &b->frames[--b->depth];
    const struct toc_key_ref *twice =
        toc_keys_find_duplicate(b->keys.items + f->first_key, b->keys.count - f->first_key);
    b->keys.count = f->first_key;
    if (!twice)
        return 0;
    b->duplicate = twice->key;
    b->duplicate_ordinal = twice->ordinal;
    return TOC_EDUPLICATE;
}

static int set_scalar(struct build *b, struct toc_json *n, const struct toc_json_event *e) {
    static const enum toc_json_type types[] = {
        [TOC_JSON_EVENT_NULL] = TOC_JSON_NULL,     [TOC_JSON_EVENT_BOOL] = TOC_JSON_BOOL,
        [TOC_JSON_EVENT_INT] = TOC_JSON_INT,       [TOC_JSON_EVENT_DOUBLE] = TOC_JSON_DOUBLE,
        [TOC_JSON_EVENT_STRING] = TOC_JSON_STRING,
    };
    n->type = types[e->type];
    n->integer = e->integer;
    n->number = e->number;
    n->boolean = e->boolean;
    if (n->type == TOC_JSON_STRING) {
        n->string = toc_arena_dup_sv(b->arena, e->string);
        return n->string.p ? 0 : TOC_ENOMEM;
    }
    return 0;
}

static int on_event(void *ctx, const struct toc_json_event *e) {
    struct build *b = ctx;
    if (e->type == TOC_JSON_EVENT_END_ARRAY || e->type == TOC_JSON_EVENT_END_OBJECT)
        return close_container(b);
    struct toc_json *n = next_node(b, e);
    if (!n)
        return TOC_ENOMEM;
    if (e->type == TOC_JSON_EVENT_BEGIN_ARRAY || e->type == TOC_JSON_EVENT_BEGIN_OBJECT)
        return open_container(b, n, e);
    return set_scalar(b, n, e);
}

static int explain(const struct build *b, struct toc_sv text, int rc, struct toc_err *err) {
    if (rc == TOC_ENOMEM)
        return toc_errf(err, rc, "no memory for this JSON document of %zu bytes", text.n);
    if (rc == TOC_EDUPLICATE) {
        struct toc_json_place p = toc_json_scan(text, DEPTH_MAX, b->duplicate_ordinal);
        return toc_err_at(err, TOC_EPARSE, p.line, p.column, "the key \"%.*s\" is given twice",
                          TOC_SV_ARG(toc_sv_sub(b->duplicate, 0, 100)));
    }
    struct toc_json_place p = toc_json_scan(text, DEPTH_MAX, SIZE_MAX);
    return toc_err_at(err, p.what ? p.code : rc, p.line, p.column, "bad JSON: %s",
                      p.what ? p.what : "not one document");
}

int toc_json_parse(struct toc_sv text, struct toc_arena *a, const struct toc_json **out,
                   struct toc_err *err) {
    struct build b = {.arena = a};
    int rc = toc_shim_json_walk(text, DEPTH_MAX, on_event, &b);
    TOC_VEC_FINI(&b.keys);
    struct toc_json *root = rc ? NULL : TOC_ARENA_NEW(a, struct toc_json);
    if (!rc && !root)
        rc = TOC_ENOMEM;
    if (rc)
        return explain(&b, text, rc, err);
    *root = b.root;
    *out = root;
    return 0;
}

const struct toc_json *toc_json_get(const struct toc_json *object, const char *key) {
    if (!object || object->type != TOC_JSON_OBJECT)
        return NULL;
    struct toc_sv want = toc_sv_cstr(key);
    for (size_t i = 0; i < object->count; i++)
        if (toc_sv_eq(object->items[i].key, want))
            return &object->items[i];
    return NULL;
}

/* The member, or NULL when absent or null. */
static const struct toc_json *present(const struct toc_json *object, const char *key) {
    const struct toc_json *m = toc_json_get(object, key);
    return m && m->type != TOC_JSON_NULL ? m : NULL;
}

static int wrong_type(const char *key, const char *expected, struct toc_err *err) {
    return toc_errf(err, TOC_ETYPE, "\"%s\" must be %s", key, expected);
}

int toc_json_get_string(const struct toc_json *object, const char *key, struct toc_sv fallback,
                        struct toc_sv *out, struct toc_err *err) {
    const struct toc_json *m = present(object, key);
    if (m && m->type != TOC_JSON_STRING)
        return wrong_type(key, "a string", err);
    *out = m ? m->string : fallback;
    return 0;
}

int toc_json_get_int(const struct toc_json *object, const char *key, int64_t fallback, int64_t *out,
                     struct toc_err *err) {
    const struct toc_json *m = present(object, key);
    if (m && m->type != TOC_JSON_INT)
        return wrong_type(key, "a whole number", err);
    *out = m ? m->integer : fallback;
    return 0;
}

int toc_json_get_double(const struct toc_json *object, const char *key, double fallback,
                        double *out, struct toc_err *err) {
    const struct toc_json *m = present(object, key);
    if (m && m->type != TOC_JSON_INT && m->type != TOC_JSON_DOUBLE)
        return wrong_type(key, "a number", err);
    *out = m ? m->number : fallback;
    return 0;
}

int toc_json_get_bool(const struct toc_json *object, const char *key, bool fallback, bool *out,
                      struct toc_err *err) {
    const struct toc_json *m = present(object, key);
    if (m && m->type != TOC_JSON_BOOL)
        return wrong_type(key, "true or false", err);
    *out = m ? m->boolean : fallback;
    return 0;
}
