#include "remote/otlp_labels.h"

#include <stdlib.h>

#define SERVICE_NAME TOC_SV("service.name")
#define SERVICE_NAMESPACE TOC_SV("service.namespace")
#define SERVICE_INSTANCE TOC_SV("service.instance.id")

void otlp_labels_fini(struct otlp_labels *l) {
    TOC_VEC_FINI(&l->promoted);
    TOC_VEC_FINI(&l->scope);
    TOC_VEC_FINI(&l->point);
    TOC_VEC_FINI(&l->order);
}

/* --- lists of labels --- */

static struct toc_label *find(struct otlp_label_list *l, struct toc_sv name) {
    for (size_t i = 0; i < l->count; i++)
        if (toc_sv_eq(l->items[i].name, name))
            return &l->items[i];
    return NULL;
}

static void set(struct otlp_label_list *l, struct toc_sv name, struct toc_sv value) {
    struct toc_label *old = find(l, name);
    if (old)
        old->value = value;
    else
        TOC_VEC_PUSH(l, ((struct toc_label){name, value}));
}

static struct toc_sv joined(struct toc_sv a, char separator, struct toc_sv b,
                            struct toc_arena *arena) {
    char *p = toc_arena_alloc(arena, a.n + b.n + 2);
    if (!p)
        return TOC_SV_NULL;
    if (a.n)
        memcpy(p, a.p, a.n);
    p[a.n] = separator;
    if (b.n)
        memcpy(p + a.n + 1, b.p, b.n);
    return toc_sv_make(p, a.n + b.n + 1);
}

static int by_name(const void *a, const void *b) {
    return toc_sv_cmp(((const struct toc_label *)a)->name, ((const struct toc_label *)b)->name);
}

static void sort(struct otlp_label_list *l) {
    for (size_t i = 1; i < l->count; i++)
        if (by_name(&l->items[i - 1], &l->items[i]) > 0) {
            qsort(l->items, l->count, sizeof *l->items, by_name);
            return;
        }
}

/* --- attributes --- */

static int by_key(const void *a, const void *b) {
    const struct otlp_attribute *const *x = a, *const *y = b;
    int order = toc_sv_cmp((*x)->key, (*y)->key);
    return order ? order : *x < *y ? -1 : *x > *y;
}

/* l->order: the attributes by key. */
static void put_in_order(struct otlp_labels *l, const struct otlp_attributes *a) {
    bool is_sorted = true;
    l->order.count = 0;
    for (size_t i = 0; i < a->count; i++) {
        is_sorted = is_sorted && (!i || toc_sv_cmp(a->items[i - 1].key, a->items[i].key) <= 0);
        TOC_VEC_PUSH(&l->order, &a->items[i]);
    }
    if (!is_sorted)
        qsort(l->order.items, l->order.count, sizeof *l->order.items, by_key);
}

static struct toc_sv value_of(const struct otlp_attributes *a, struct toc_sv key) {
    for (size_t i = 0; i < a->count; i++)
        if (toc_sv_eq(a->items[i].key, key))
            return a->items[i].value.p ? a->items[i].value : TOC_SV("");
    return TOC_SV_NULL;
}

static bool is_identifying(struct toc_sv key) {
    return toc_sv_eq(key, SERVICE_NAME) || toc_sv_eq(key, SERVICE_NAMESPACE) ||
           toc_sv_eq(key, SERVICE_INSTANCE);
}

/* {NULL,0}: no name, or a text that is no UTF-8. */
static struct toc_sv good_name(const struct toc_otlp_options *o, const struct otlp_attribute *a,
                               struct toc_arena *arena) {
    if (!toc_sv_is_utf8(a->value) || !toc_sv_is_utf8(a->key))
        return TOC_SV_NULL;
    return toc_otlp_label_name(&o->naming, a->key, arena);
}

/* Adds the attributes of l->order, joining what collides. */
static int add_attributes(struct otlp_labels *l, const struct toc_otlp_options *o,
                          bool is_without_identity, struct toc_arena *arena) {
    for (size_t i = 0; i < l->order.count; i++) {
        const struct otlp_attribute *a = l->order.items[i];
        if (is_without_identity && is_identifying(a->key))
            continue;
        struct toc_sv name = good_name(o, a, arena);
        if (!name.n)
            return TOC_EINVAL;
        struct toc_label *old = find(&l->point, name);
        if (old)
            old->value = joined(old->value, ';', a->value, arena);
        else
            TOC_VEC_PUSH(&l->point, ((struct toc_label){name, a->value}));
    }
    return 0;
}

/* --- resource and scope --- */

static bool is_promoted(const struct toc_otlp_options *o, struct toc_sv key) {
    if (o->is_promoting_all)
        return !toc_sv_is_among(o->ignored, o->ignored_count, key);
    return toc_sv_is_among(o->promoted, o->promoted_count, key);
}

static void promote(struct otlp_labels *l, const struct toc_otlp_options *o,
                    const struct otlp_attributes *a, struct toc_arena *arena) {
    put_in_order(l, a);
    for (size_t i = 0; i < l->order.count && !l->is_resource_bad; i++) {
        const struct otlp_attribute *x = l->order.items[i];
        if (!is_promoted(o, x->key))
            continue;
        struct toc_sv name = good_name(o, x, arena);
        if (!name.n)
            l->is_resource_bad = true;
        else if (!find(&l->promoted, name))
            TOC_VEC_PUSH(&l->promoted, ((struct toc_label){name, x->value}));
    }
}

void otlp_labels_set_resource(struct otlp_labels *l, const struct toc_otlp_options *o,
                              const struct otlp_resource *r, struct toc_arena *arena) {
    const struct otlp_attributes *a = &r->attributes;
    struct toc_sv name_space = value_of(a, SERVICE_NAMESPACE);
    l->promoted.count = 0;
    l->job = value_of(a, SERVICE_NAME);
    l->instance = value_of(a, SERVICE_INSTANCE);
    if (l->job.p && name_space.p)
        l->job = joined(name_space, '/', l->job, arena);
    l->is_resource_bad =
        a->count > OTLP_ATTRIBUTES_MAX || !toc_sv_is_utf8(l->job) || !toc_sv_is_utf8(l->instance);
    if (!l->is_resource_bad && (o->is_promoting_all || o->promoted_count))
        promote(l, o, a, arena);
}

static void add_scope_attribute(struct otlp_labels *l, const struct toc_otlp_options *o,
                                const struct otlp_attribute *a, struct toc_arena *arena) {
    struct otlp_attribute named = {joined(TOC_SV("otel_scope"), '_', a->key, arena), a->value};
    struct toc_sv name = good_name(o, &named, arena);
    if (name.n)
        set(&l->scope, name, a->value);
    else
        l->is_scope_bad = true;
}

void otlp_labels_set_scope(struct otlp_labels *l, const struct toc_otlp_options *o,
                           const struct otlp_scope *s, struct toc_arena *arena) {
    l->scope.count = 0;
    l->is_scope_bad = false;
    if (!o->promotes_scope || !s->name.n)
        return;
    l->is_scope_bad = s->attributes.count > OTLP_ATTRIBUTES_MAX || !toc_sv_is_utf8(s->name) ||
                      !toc_sv_is_utf8(s->version) || !toc_sv_is_utf8(s->schema_url);
    for (size_t i = 0; i < s->attributes.count && !l->is_scope_bad; i++)
        add_scope_attribute(l, o, &s->attributes.items[i], arena);
    set(&l->scope, TOC_SV("otel_scope_name"), s->name);
    set(&l->scope, TOC_SV("otel_scope_version"), s->version);
    set(&l->scope, TOC_SV("otel_scope_schema_url"), s->schema_url);
}

static struct toc_hash128 mixed(struct toc_hash128 h, struct toc_sv name, struct toc_sv value) {
    struct toc_hash128 parts[3] = {h, toc_hash128(name.p, name.n, 1),
                                   toc_hash128(value.p, value.n, value.p ? 2 : 3)};
    return toc_hash128(parts, sizeof parts, 0);
}

struct toc_hash128 otlp_labels_common_key(const struct otlp_labels *l, uint64_t seed) {
    struct toc_hash128 h = {seed, l->promoted.count};
    h = mixed(h, l->job, l->instance);
    h = mixed(h, l->instance, l->job);
    for (size_t i = 0; i < l->promoted.count; i++)
        h = mixed(h, l->promoted.items[i].name, l->promoted.items[i].value);
    for (size_t i = 0; i < l->scope.count; i++)
        h = mixed(h, l->scope.items[i].name, l->scope.items[i].value);
    return h;
}

/* --- points --- */

static void add_identity(struct otlp_labels *l) {
    if (l->job.p)
        set(&l->point, TOC_SV("job"), l->job);
    if (l->instance.p)
        set(&l->point, TOC_SV("instance"), l->instance);
}

int otlp_labels_set_point(struct otlp_labels *l, const struct toc_otlp_options *o,
                          const struct otlp_attributes *a, struct toc_arena *arena) {
    l->point.count = 0;
    if (l->is_resource_bad || l->is_scope_bad)
        return TOC_EINVAL;
    if (a->count > OTLP_ATTRIBUTES_MAX)
        return TOC_ELIMIT;
    put_in_order(l, a);
    int rc = add_attributes(l, o, false, arena);
    size_t own = l->point.count;
    for (size_t i = 0; i < l->promoted.count && !rc; i++) {
        struct otlp_label_list mine = {l->point.items, own, 0};
        if (!find(&mine, l->promoted.items[i].name))
            TOC_VEC_PUSH(&l->point, l->promoted.items[i]);
    }
    for (size_t i = 0; i < l->scope.count && !rc; i++)
        set(&l->point, l->scope.items[i].name, l->scope.items[i].value);
    add_identity(l);
    sort(&l->point);
    return rc;
}

int otlp_labels_set_target(struct otlp_labels *l, const struct toc_otlp_options *o,
                           const struct otlp_resource *r, struct toc_arena *arena) {
    const struct otlp_attributes *a = &r->attributes;
    bool says_more = false;
    l->point.count = 0;
    if (l->is_resource_bad)
        return TOC_EINVAL;
    for (size_t i = 0; i < a->count; i++)
        says_more = says_more || !is_identifying(a->items[i].key);
    if (!says_more || (!l->job.n && !l->instance.n))
        return TOC_ENODATA;
    put_in_order(l, a);
    int rc = add_attributes(l, o, !o->keeps_identifying, arena);
    add_identity(l);
    sort(&l->point);
    return rc;
}

/* Puts a label in its place among sorted ones, instead of one of the same name. */
static size_t insert(struct toc_label *items, size_t count, struct toc_label x) {
    size_t at = count;
    while (at && toc_sv_cmp(items[at - 1].name, x.name) >= 0)
        at--;
    if (at < count && toc_sv_eq(items[at].name, x.name)) {
        items[at] = x;
        return count;
    }
    memmove(items + at + 1, items + at, (count - at) * sizeof *items);
    items[at] = x;
    return count + 1;
}

struct toc_labels otlp_labels_series(const struct otlp_labels *l, struct toc_sv metric,
                                     struct toc_label extra, struct toc_arena *arena) {
    struct toc_label *items = toc_arena_calloc(arena, l->point.count + 2, sizeof *items);
    size_t count = 0;
    if (!items)
        return TOC_LABELS_EMPTY;
    for (size_t i = 0; i < l->point.count; i++)
        if (l->point.items[i].value.n)
            items[count++] = l->point.items[i];
    count = insert(items, count, (struct toc_label){TOC_METRIC_NAME, metric});
    if (extra.name.n)
        count = insert(items, count, extra);
    return (struct toc_labels){items, count};
}
