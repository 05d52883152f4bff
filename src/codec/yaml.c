/*
 * libyaml's events become a tree. Containers under construction live on an explicit stack; a
 * finished one copies its children into the arena. An anchor remembers its node together with the
 * number of nodes under it, so that aliases are charged for what they stand for (a "billion laughs"
 * document hits the limit).
 */
#include "codec/yaml.h"

#include <yaml.h>

#include "base/vec.h"
#include "codec/keys_priv.h"

enum {
    DEPTH_MAX = 64,
    NODES_MAX = 200000,
    TEXT_MAX_BYTES = 4 << 20,
    ANCHORS_MAX = 1000,
    MERGED_KEYS_MAX = 4096
};

struct anchor {
    struct toc_sv name;
    struct toc_yaml node;
    size_t size; /* nodes in it */
};

struct frame {
    struct toc_yaml node; /* without items */
    size_t first_item;    /* into build.items */
    size_t nodes_before;  /* build.nodes when it was opened */
    struct toc_sv anchor;
    struct toc_sv pending_key; /* mapping: key whose value comes next */
    int pending_line, pending_column;
    bool has_key, has_merge;
};

struct build {
    struct toc_arena *arena;
    struct toc_err *err;
    struct frame frames[DEPTH_MAX];
    int depth;
    size_t nodes;
    bool has_root;
    struct toc_yaml root;
    TOC_VEC(struct toc_yaml) items;
    TOC_VEC(struct anchor) anchors;
    TOC_VEC(struct toc_key_ref) keys;
};

/* The key of merge entries points here, which tells them from a quoted "<<". */
static const char merge_key[] = "<<";

static int fail(struct build *b, int code, yaml_mark_t at, const char *what) {
    return toc_err_at(b->err, code, (int)at.line + 1, (int)at.column + 1, "%s", what);
}

static int out_of_memory(struct build *b) {
    return toc_errf(b->err, TOC_ENOMEM, "no memory for this YAML document");
}

static int count_nodes(struct build *b, size_t n, yaml_mark_t at) {
    b->nodes += n;
    return b->nodes <= NODES_MAX
               ? 0
               : fail(b, TOC_ELIMIT, at, "more than 200000 nodes after expanding aliases");
}

static int remember(struct build *b, struct toc_sv name, const struct toc_yaml *n, size_t size) {
    if (!name.n)
        return 0;
    if (b->anchors.count == ANCHORS_MAX)
        return toc_err_at(b->err, TOC_ELIMIT, n->line, n->column, "more than 1000 anchors");
    struct anchor a = {name, *n, size};
    a.node.key = TOC_SV_NULL;
    TOC_VEC_PUSH(&b->anchors, a);
    return 0;
}

static bool is_merge(const struct toc_yaml *n) {
    return n->is_plain && toc_sv_eq_cstr(n->scalar, merge_key);
}

/* Where a finished node goes: the root, a sequence item, a mapping's key or its value. */
static int place(struct build *b, struct toc_yaml n, yaml_mark_t at) {
    if (!b->depth) {
        b->has_root = true;
        b->root = n;
        return 0;
    }
    struct frame *f = &b->frames[b->depth - 1];
    if (f->node.type == TOC_YAML_MAPPING && !f->has_key) {
        if (n.type != TOC_YAML_SCALAR)
            return fail(b, TOC_EPARSE, at, "a mapping key must be a plain text");
        f->has_key = true;
        f->has_merge |= is_merge(&n);
        f->pending_key = is_merge(&n) ? toc_sv_cstr(merge_key) : n.scalar;
        f->pending_line = n.line;
        f->pending_column = n.column;
        return 0;
    }
    n.key = f->has_key ? f->pending_key : TOC_SV_NULL;
    n.key_line = f->has_key ? f->pending_line : 0;
    n.key_column = f->has_key ? f->pending_column : 0;
    f->has_key = false;
    TOC_VEC_PUSH(&b->items, n);
    return 0;
}

static struct toc_sv own(struct build *b, const yaml_char_t *s, size_t n) {
    return s ? toc_arena_dup_sv(b->arena, toc_sv_make((const char *)s, n)) : TOC_SV_NULL;
}

static struct toc_sv own_cstr(struct build *b, const yaml_char_t *s) {
    return own(b, s, s ? strlen((const char *)s) : 0);
}

/* Only the core schema's tags; an application's own tags mean something that we would get wrong. */
static int check_tag(struct build *b, const yaml_char_t *tag, yaml_mark_t at, bool *out_is_string) {
    static const char *const known[] = {"int", "float", "bool", "null", "timestamp", "map", "seq"};
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *t = (const char *)tag;
    *out_is_string = false;
    if (!t || !*t)
        return 0;
    *out_is_string = strcmp(t, "!") == 0;
    if (*out_is_string)
        return 0;
    if (strncmp(t, prefix, sizeof prefix - 1) == 0) {
        t += sizeof prefix - 1;
        *out_is_string = strcmp(t, "str") == 0;
        for (size_t i = 0; i < TOC_ARRAY_LEN(known); i++)
            if (*out_is_string || strcmp(t, known[i]) == 0)
                return 0;
    }
    return fail(b, TOC_EUNSUPPORTED, at, "this tag is not supported: leave it out");
}

static int on_scalar(struct build *b, const yaml_event_t *e) {
    yaml_mark_t at = e->start_mark;
    bool is_string = false;
    int rc = check_tag(b, e->data.scalar.tag, at, &is_string);
    if (!rc)
        rc = count_nodes(b, 1, at);
    if (rc)
        return rc;
    struct toc_yaml n = {
        .type = TOC_YAML_SCALAR,
        .line = (int)at.line + 1,
        .column = (int)at.column + 1,
        .is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !is_string,
        .scalar = own(b, e->data.scalar.value, e->data.scalar.length),
    };
    if (!n.scalar.p)
        return out_of_memory(b);
    rc = remember(b, own_cstr(b, e->data.scalar.anchor), &n, 1);
    return rc ? rc : place(b, n, at);
}

static int on_alias(struct build *b, const yaml_event_t *e) {
    struct toc_sv name = toc_sv_cstr((const char *)e->data.alias.anchor);
    for (size_t i = b->anchors.count; i-- > 0;) {
        const struct anchor *a = &b->anchors.items[i];
        if (!toc_sv_eq(a->name, name))
            continue;
        int rc = count_nodes(b, a->size, e->start_mark);
        struct toc_yaml n = a->node;
        n.line = (int)e->start_mark.line + 1;
        n.column = (int)e->start_mark.column + 1;
        return rc ? rc : place(b, n, e->start_mark);
    }
    return toc_err_at(b->err, TOC_EPARSE, (int)e->start_mark.line + 1,
                      (int)e->start_mark.column + 1, "no anchor &%.*s before this alias",
                      TOC_SV_ARG(toc_sv_sub(name, 0, 60)));
}

static int on_open(struct build *b, const yaml_event_t *e, enum toc_yaml_type type) {
    yaml_mark_t at = e->start_mark;
    bool is_mapping = type == TOC_YAML_MAPPING, is_string;
    const yaml_char_t *tag = is_mapping ? e->data.mapping_start.tag : e->data.sequence_start.tag;
    const yaml_char_t *name =
        is_mapping ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
    int rc = check_tag(b, tag, at, &is_string);
    if (!rc)
        rc = count_nodes(b, 1, at);
    if (rc)
        return rc;
    if (b->depth == DEPTH_MAX)
        return fail(b, TOC_ELIMIT, at, "nested deeper than 64 levels");
    struct frame *f = &b->frames[b->depth];
    *f = (struct frame){
        .first_item = b->items.count, .nodes_before = b->nodes - 1, .anchor = own_cstr(b, name)};
    f->node.type = type;
    f->node.line = (int)at.line + 1;
    f->node.column = (int)at.column + 1;
    b->depth++;
    return 0;
}

static bool has_key_since(const struct build *b, size_t first, struct toc_sv key) {
    for (size_t i = first; i < b->items.count; i++)
        if (toc_sv_eq(b->items.items[i].key, key))
            return true;
    return false;
}

/* Keys of `from` that the mapping does not have yet. */
static int merge_mapping(struct build *b, size_t first, const struct toc_yaml *from,
                         yaml_mark_t at) {
    if (from->type != TOC_YAML_MAPPING)
        return fail(b, TOC_ETYPE, at, "<< needs a mapping or a list of mappings");
    int rc = count_nodes(b, from->count, at);
    if (!rc && b->items.count - first + from->count > MERGED_KEYS_MAX) /* the search is quadratic */
        rc = fail(b, TOC_ELIMIT, at, "more than 4096 keys in a mapping with <<");
    for (size_t i = 0; i < from->count && !rc; i++)
        if (!has_key_since(b, first, from->items[i].key))
            TOC_VEC_PUSH(&b->items, from->items[i]);
    return rc;
}

static int merge_value(struct build *b, size_t first, const struct toc_yaml *v, yaml_mark_t at) {
    if (v->type != TOC_YAML_SEQUENCE)
        return merge_mapping(b, first, v, at);
    int rc = 0;
    for (size_t i = 0; i < v->count && !rc; i++)
        rc = merge_mapping(b, first, &v->items[i], at);
    return rc;
}

/* Replaces `<<` entries by what they bring; the mapping's own keys win. */
static int expand_merges(struct build *b, size_t first, yaml_mark_t at) {
    TOC_VEC(struct toc_yaml) merges = {0};
    for (size_t i = first; i < b->items.count;) {
        struct toc_yaml n = b->items.items[i];
        if (n.key.p == merge_key) {
            TOC_VEC_PUSH(&merges, n);
            TOC_VEC_REMOVE(&b->items, i);
        } else {
            i++;
        }
    }
    int rc = 0;
    for (size_t i = 0; i < merges.count && !rc; i++)
        rc = merge_value(b, first, &merges.items[i], at);
    TOC_VEC_FINI(&merges);
    return rc;
}

static int refuse_duplicates(struct build *b, size_t first) {
    b->keys.count = 0;
    for (size_t i = first; i < b->items.count; i++) {
        struct toc_key_ref ref = {b->items.items[i].key, i};
        TOC_VEC_PUSH(&b->keys, ref);
    }
    const struct toc_key_ref *twice = toc_keys_find_duplicate(b->keys.items, b->keys.count);
    if (!twice)
        return 0;
    const struct toc_yaml *n = &b->items.items[twice->ordinal];
    return toc_err_at(b->err, TOC_EPARSE, n->key_line, n->key_column,
                      "the key \"%.*s\" is given twice", TOC_SV_ARG(toc_sv_sub(n->key, 0, 100)));
}

static int on_close(struct build *b, const yaml_event_t *e) {
    struct frame *f = &b->frames[b->depth - 1];
    struct toc_yaml n = f->node;
    int rc = 0;
    if (n.type == TOC_YAML_MAPPING) {
        rc = refuse_duplicates(b, f->first_item);
        if (!rc && f->has_merge)
            rc = expand_merges(b, f->first_item, e->start_mark);
    }
    if (rc)
        return rc;
    n.count = b->items.count - f->first_item;
    n.items = TOC_ARENA_NEW_ARRAY(b->arena, struct toc_yaml, n.count);
    if (!n.items)
        return out_of_memory(b);
    if (n.count)
        memcpy(n.items, b->items.items + f->first_item, n.count * sizeof *n.items);
    b->items.count = f->first_item;
    b->depth--;
    rc = remember(b, f->anchor, &n, b->nodes - f->nodes_before);
    return rc ? rc : place(b, n, e->start_mark);
}

static int on_event(struct build *b, const yaml_event_t *e) {
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->has_root ? fail(b, TOC_EPARSE, e->start_mark, "more than one YAML document") : 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e);
    case YAML_ALIAS_EVENT:
        return on_alias(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, e, TOC_YAML_SEQUENCE);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, e, TOC_YAML_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_close(b, e);
    default:
        return 0;
    }
}

static int parser_failed(const yaml_parser_t *p, struct toc_err *err) {
    int line = (int)p->problem_mark.line + 1, column = (int)p->problem_mark.column + 1;
    if (p->error == YAML_MEMORY_ERROR)
        return toc_errf(err, TOC_ENOMEM, "no memory for this YAML document");
    if (p->error == YAML_READER_ERROR)
        return toc_errf(err, TOC_EPARSE, "bad YAML: %s at byte %zu",
                        p->problem ? p->problem : "unreadable text", p->problem_offset);
    return toc_err_at(err, TOC_EPARSE, line, column, "bad YAML: %s%s%s",
                      p->problem ? p->problem : "syntax error", p->context ? " " : "",
                      p->context ? p->context : "");
}

static int run_parser(struct build *b, yaml_parser_t *p) {
    for (bool at_end = false; !at_end;) {
        yaml_event_t e;
        if (!yaml_parser_parse(p, &e))
            return parser_failed(p, b->err);
        int rc = on_event(b, &e);
        at_end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
        if (rc)
            return rc;
    }
    return 0;
}

int toc_yaml_parse(struct toc_sv text, struct toc_arena *a, const struct toc_yaml **out,
                   struct toc_err *err) {
    struct build b = {.arena = a, .err = err};
    yaml_parser_t parser;
    if (text.n > TEXT_MAX_BYTES)
        return toc_errf(err, TOC_ELIMIT, "YAML document of %zu bytes: the limit is 4 MiB", text.n);
    if (!yaml_parser_initialize(&parser))
        return out_of_memory(&b);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    int rc = run_parser(&b, &parser);
    yaml_parser_delete(&parser);
    struct toc_yaml *root = rc ? NULL : TOC_ARENA_NEW(a, struct toc_yaml);
    if (!rc && !root)
        rc = out_of_memory(&b);
    if (root) {
        *root = b.root;
        if (!b.has_root || toc_yaml_is_null(root))
            *root = (struct toc_yaml){.type = TOC_YAML_MAPPING, .line = 1, .column = 1};
        *out = root;
    }
    TOC_VEC_FINI(&b.items);
    TOC_VEC_FINI(&b.anchors);
    TOC_VEC_FINI(&b.keys);
    return rc;
}

const struct toc_yaml *toc_yaml_get(const struct toc_yaml *mapping, const char *key) {
    if (!mapping || mapping->type != TOC_YAML_MAPPING)
        return NULL;
    struct toc_sv want = toc_sv_cstr(key);
    for (size_t i = 0; i < mapping->count; i++)
        if (toc_sv_eq(mapping->items[i].key, want))
            return &mapping->items[i];
    return NULL;
}
