#include "collect/run_shape_priv.h"

#include "base/alloc.h"
#include "base/num.h"
#include "base/vec.h"

enum {
    SHAPES = 4,        /* kept: reports, layers, evaluations, ends */
    ITEMS_MAX = 16384, /* of a line with more none is kept */
    SHAPE_BYTES = TOC_RUN_LINE_MAX_BYTES,
    PATIENCE_MAX = 256, /* lines without a known shape before one is learned again */
};

/* What becomes of a value. */
enum use {
    USE_FIELD,  /* by its meaning */
    USE_NUMBER, /* a number whose series no other field has: simply put */
    USE_STAT,
    USE_SCALAR,
    USE_LABEL,
    USE_LAYER, /* no value: a layer begins */
};

struct item {
    uint32_t before; /* bytes between the value before and this one */
    enum use use;
    struct toc_sv name; /* owned by the arena: field, statistic, tag, label or layer */
    struct toc_run_meaning meaning;
    size_t count; /* USE_LAYER: statistics */
    struct toc_run_memo memo;
};

struct shape {
    struct toc_arena arena;
    struct toc_buf between; /* all that is not a value, one after the other */
    struct {
        TOC_VEC_FIELDS(struct item)
    } items;
    size_t fields, layers, scalars;
    uint64_t used;
};

struct toc_run_shapes {
    struct shape *kept[SHAPES];
    size_t latest; /* of them: the next line is most often like the last one */
    uint64_t clock;
    unsigned patience, unknown; /* lines to pass, and passed, before a shape is learned */
};

struct toc_run_shapes *toc_run_shapes_new(void) {
    struct toc_run_shapes *s = TOC_NEW(struct toc_run_shapes);
    s->patience = 1;
    return s;
}

static void shape_free(struct shape *s) {
    if (!s)
        return;
    toc_arena_fini(&s->arena);
    toc_buf_fini(&s->between);
    TOC_VEC_FINI(&s->items);
    toc_free(s);
}

void toc_run_shapes_free(struct toc_run_shapes **shapes) {
    if (!shapes || !*shapes)
        return;
    for (size_t i = 0; i < SHAPES; i++)
        shape_free((*shapes)->kept[i]);
    toc_free(*shapes);
    *shapes = NULL;
}

/* --- values --- */

/* Text between quotes that needs no look: ASCII without escapes. */
static size_t read_text(struct toc_sv s, struct toc_run_raw *out) {
    size_t n = 1;
    while (n < s.n && (unsigned char)(s.p[n] - 0x20) < 0x5f && s.p[n] != '"' && s.p[n] != '\\')
        n++;
    *out = (struct toc_run_raw){.type = TOC_RUN_RAW_TEXT, .text = toc_sv_sub(s, 1, n - 1)};
    return n < s.n && s.p[n] == '"' ? n + 1 : 0;
}

/* Words, among them those that Python's json module writes. X(word, raw value) */
#define WORDS(X)                                                   \
    X("true", {.type = TOC_RUN_RAW_BOOL, .boolean = true})         \
    X("false", {.type = TOC_RUN_RAW_BOOL})                         \
    X("null", {.type = TOC_RUN_RAW_OTHER})                         \
    X("NaN", {.type = TOC_RUN_RAW_TEXT, .text = {"NaN", 3}})       \
    X("Infinity", {.type = TOC_RUN_RAW_TEXT, .text = {"+Inf", 4}}) \
    X("-Infinity", {.type = TOC_RUN_RAW_TEXT, .text = {"-Inf", 4}})

static size_t read_word(struct toc_sv s, struct toc_run_raw *out) {
#define X(word, ...)                            \
    if (toc_sv_starts_with(s, TOC_SV(word))) {  \
        *out = (struct toc_run_raw)__VA_ARGS__; \
        return sizeof word - 1;                 \
    }
    WORDS(X)
#undef X
    return 0;
}

/* The value that s begins with: its length, 0 for one that is left to the parser. */
static size_t read_value(struct toc_sv s, struct toc_run_raw *out) {
    if (s.n && s.p[0] == '"')
        return read_text(s, out);
    *out = (struct toc_run_raw){.type = TOC_RUN_RAW_NUMBER};
    size_t n = toc_read_json_number(s, &out->number);
    return n ? n : read_word(s, out);
}

/* --- reading --- */

static struct toc_run_layer *begin_layer(const struct toc_run_decoder *d, struct toc_run_line *line,
                                         const struct item *i) {
    struct toc_run_layer *l = &line->layers[line->layer_count++];
    l->name = i->name;
    l->stats = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_value, i->count + 1);
    return l->stats ? l : NULL;
}

static struct toc_run_layer *last_layer(struct toc_run_line *line) {
    return &line->layers[line->layer_count - 1];
}

static void put_number(struct toc_run_line *line, struct item *i, double number) {
    struct toc_run_value *v = &line->values[line->value_count++];
    *v = i->meaning.value;
    v->value = number;
    v->memo = &i->memo;
    line->has_loss |= v->kind == TOC_RUN_VALUE_LOSS;
}

static void put_stat(struct toc_run_line *line, struct item *i, double number) {
    struct toc_run_layer *l = last_layer(line);
    struct toc_run_value *v = &l->stats[l->count++];
    *v = i->meaning.value;
    v->value = number;
    v->memo = &i->memo;
}

/* All but plain numbers. */
static int use_value(const struct toc_run_decoder *d, struct toc_run_line *line,
                     const struct item *i, const struct toc_run_raw *raw) {
    switch (i->use) {
    case USE_STAT:
        return toc_run_add_stat(d, line, last_layer(line), i->name, raw);
    case USE_SCALAR:
        return toc_run_add_scalar(d, line, i->name, raw);
    case USE_LABEL:
        return raw->type == TOC_RUN_RAW_TEXT ? toc_run_add_label(d, line, i->name, raw->text)
                                             : TOC_EPARSE;
    default:
        return toc_run_set_meant(d, line, i->name, &i->meaning, raw);
    }
}

static int take_value(const struct toc_run_decoder *d, struct toc_run_line *line, struct item *i,
                      const struct toc_run_raw *raw) {
    if (raw->type == TOC_RUN_RAW_OTHER) /* null */
        return 0;
    if (raw->type != TOC_RUN_RAW_NUMBER || i->use == USE_FIELD)
        return use_value(d, line, i, raw);
    if (i->use == USE_NUMBER)
        put_number(line, i, raw->number);
    else if (i->use == USE_STAT)
        put_stat(line, i, raw->number);
    else if (i->use == USE_SCALAR)
        line->scalars[line->scalar_count++] =
            (struct toc_run_scalar){i->name, raw->number, &i->memo};
    else
        return use_value(d, line, i, raw);
    return 0;
}

static bool begin_line(const struct shape *s, const struct toc_run_decoder *d, int number,
                       struct toc_run_line *out) {
    if (toc_run_line_init(d, number, s->fields, s->layers, out))
        return false;
    if (s->scalars)
        out->scalars = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_scalar, s->scalars);
    return !s->scalars || out->scalars;
}

static bool read_by(struct shape *s, const struct toc_run_decoder *d, struct toc_sv text,
                    int number, struct toc_run_line *out) {
    const char *between = s->between.p, *at = text.p, *end = text.p + text.n;
    struct item *items = s->items.items;
    if (!begin_line(s, d, number, out))
        return false;
    for (size_t k = 0; k < s->items.count; k++) {
        struct item *i = &items[k];
        struct toc_run_raw raw;
        if ((size_t)(end - at) < i->before || memcmp(at, between, i->before) != 0)
            return false;
        between += i->before;
        at += i->before;
        if (i->use == USE_LAYER) {
            if (!begin_layer(d, out, i))
                return false;
            continue;
        }
        size_t n = read_value(toc_sv_make(at, (size_t)(end - at)), &raw);
        if (!n || take_value(d, out, i, &raw))
            return false;
        at += n;
    }
    size_t left = (size_t)(s->between.p + s->between.n - between);
    return (size_t)(end - at) == left && memcmp(at, between, left) == 0;
}

bool toc_run_shapes_read(struct toc_run_shapes *shapes, const struct toc_run_decoder *d,
                         struct toc_sv text, int number, struct toc_run_line *out) {
    struct toc_run_decoder quiet = *d; /* what is wrong the parser tells */
    quiet.err = NULL;
    for (size_t k = 0; k < SHAPES; k++) {
        size_t place = (shapes->latest + k) % SHAPES;
        struct shape *s = shapes->kept[place];
        if (!s || !read_by(s, &quiet, text, number, out))
            continue;
        shapes->latest = place;
        s->used = ++shapes->clock;
        shapes->patience = 1;
        return true;
    }
    return false;
}

/* --- learning --- */

struct learning {
    struct shape *shape;
    struct toc_sv text;
    size_t at, from; /* in the text; where the bytes begin that no item has yet */
    bool is_odd;
};

static void skip_to(struct learning *l, const char *signs) {
    while (l->at < l->text.n && !memchr(signs, l->text.p[l->at], strlen(signs)))
        l->at++;
}

/* Behind the string that begins at l->at. */
static void skip_string(struct learning *l) {
    for (l->at++; l->at < l->text.n && l->text.p[l->at] != '"'; l->at++)
        l->at += l->text.p[l->at] == '\\';
    l->at++;
}

/* Behind the name and the colon and what blanks are there. */
static void skip_key(struct learning *l) {
    skip_to(l, "\"");
    skip_string(l);
    skip_to(l, ":");
    l->at++;
    while (l->at < l->text.n && (l->text.p[l->at] == ' ' || l->text.p[l->at] == '\t'))
        l->at++;
}

static void add_item(struct learning *l, enum use use, struct toc_sv name, size_t count) {
    struct shape *s = l->shape;
    struct item i = {.use = use, .count = count, .name = toc_arena_dup_sv(&s->arena, name)};
    size_t n = l->at > l->from && l->at <= l->text.n ? l->at - l->from : 0;
    i.before = (uint32_t)n;
    toc_buf_append_sv(&s->between, toc_sv_sub(l->text, l->from, n));
    l->from = l->at;
    l->is_odd |= s->items.count >= ITEMS_MAX || !i.name.p;
    if (use == USE_FIELD)
        i.meaning = toc_run_meaning_of(&s->arena, i.name);
    else if (use == USE_STAT)
        i.meaning.value = toc_run_stat_of(&s->arena, i.name);
    TOC_VEC_PUSH(&s->items, i);
}

static void learn_value(struct learning *l, enum use use, const struct toc_json *v) {
    struct toc_run_raw raw;
    add_item(l, use, v->key, 0);
    size_t n = read_value(toc_sv_sub(l->text, l->at, SIZE_MAX), &raw);
    l->is_odd |= !n;
    l->at += n;
    l->from = l->at;
}

static void learn_layer(struct learning *l, const struct toc_json *layer) {
    l->is_odd |= layer->type != TOC_JSON_OBJECT || layer->count > TOC_RUN_STATS_MAX;
    if (l->is_odd)
        return;
    skip_to(l, "{");
    add_item(l, USE_LAYER, layer->key, layer->count);
    for (size_t i = 0; !l->is_odd && i < layer->count; i++) {
        skip_key(l);
        l->is_odd |= !layer->items[i].key.n || layer->items[i].key.n > TOC_RUN_FIELD_MAX_BYTES;
        learn_value(l, USE_STAT, &layer->items[i]);
    }
    skip_to(l, "}");
    l->at++;
}

static void learn_members(struct learning *l, enum use use, const struct toc_json *object) {
    l->is_odd |= object->type != TOC_JSON_OBJECT;
    for (size_t i = 0; !l->is_odd && i < object->count; i++) {
        skip_key(l);
        if (use == USE_LAYER)
            learn_layer(l, &object->items[i]);
        else
            learn_value(l, use, &object->items[i]);
    }
    skip_to(l, "}");
    l->at++;
}

static void learn_member(struct learning *l, const struct toc_json *v) {
    struct shape *s = l->shape;
    skip_key(l);
    if (toc_sv_eq(v->key, TOC_SV("layers"))) {
        s->layers = v->count;
        l->is_odd |= v->count > TOC_RUN_LAYERS_MAX;
        learn_members(l, USE_LAYER, v);
    } else if (toc_sv_eq(v->key, TOC_SV("scalars"))) {
        s->scalars = v->count;
        l->is_odd |= v->count > TOC_RUN_SCALARS_MAX;
        learn_members(l, USE_SCALAR, v);
    } else if (toc_sv_eq(v->key, TOC_SV("labels"))) {
        learn_members(l, USE_LABEL, v);
    } else {
        l->is_odd |= v->type == TOC_JSON_OBJECT || v->type == TOC_JSON_ARRAY;
        if (!l->is_odd)
            learn_value(l, USE_FIELD, v);
    }
}

static bool is_metric_of_another(const struct shape *s, size_t k) {
    struct toc_sv metric = toc_run_meaning_metric(&s->items.items[k].meaning);
    for (size_t i = 0; i < s->items.count; i++)
        if (i != k && s->items.items[i].use <= USE_NUMBER &&
            toc_sv_eq(metric, toc_run_meaning_metric(&s->items.items[i].meaning)))
            return true;
    return false;
}

/* Which fields are values that no other field of the line can be in the way of. */
static void find_numbers(struct shape *s) {
    for (size_t k = 0; k < s->items.count; k++) {
        struct item *i = &s->items.items[k];
        if (i->use == USE_FIELD && toc_run_meaning_metric(&i->meaning).n &&
            !is_metric_of_another(s, k)) {
            i->meaning.is_only = true;
            i->use = USE_NUMBER;
        }
    }
}

static struct shape *learn(struct toc_sv text, const struct toc_json *root) {
    struct shape *s = TOC_NEW(struct shape);
    struct learning l = {.shape = s, .text = text};
    toc_arena_init(&s->arena, 4 * SHAPE_BYTES);
    s->fields = root->count;
    l.is_odd = root->count > TOC_RUN_VALUES_MAX;
    for (size_t i = 0; !l.is_odd && i < root->count; i++)
        learn_member(&l, &root->items[i]);
    if (!l.is_odd)
        toc_buf_append_sv(&s->between, toc_sv_sub(text, l.from, SIZE_MAX));
    if (l.is_odd || toc_buf_error(&s->between)) {
        shape_free(s);
        return NULL;
    }
    find_numbers(s);
    return s;
}

/* Lines that are all different are not worth it: then a shape is learned of ever fewer. */
static bool is_worth_it(struct toc_run_shapes *shapes) {
    if (++shapes->unknown < shapes->patience)
        return false;
    shapes->unknown = 0;
    shapes->patience = TOC_MIN(shapes->patience * 2, (unsigned)PATIENCE_MAX);
    return true;
}

static uint64_t last_use(const struct shape *s) {
    return s ? s->used : 0;
}

void toc_run_shapes_learn(struct toc_run_shapes *shapes, struct toc_sv text,
                          const struct toc_json *root) {
    struct shape *s = is_worth_it(shapes) ? learn(text, root) : NULL;
    size_t place = 0;
    if (!s)
        return;
    for (size_t k = 0; k < SHAPES; k++)
        if (last_use(shapes->kept[k]) < last_use(shapes->kept[place]))
            place = k;
    shape_free(shapes->kept[place]);
    s->used = ++shapes->clock;
    shapes->kept[place] = s;
}
