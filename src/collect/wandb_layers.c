#include "collect/wandb_layers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/json.h"
#include "collect/layer_stats_priv.h"

enum {
    HISTOGRAMS_MAX = 3072, /* of a row */
    BUCKETS_MAX = 10000,
    ROW_BYTES = 32 << 20,
    LAYERS_PER_LINE = 128, /* three parts of 350 bytes each stay below half a line's limit */
};

/* Members of the JSON, each as text; `whole` is all of it. */
enum member { WHOLE, TYPE, VALUES, BINS, PACKED, PACKED_MIN, PACKED_SIZE, PACKED_COUNT, MEMBERS };
static const char *const g_suffixes[MEMBERS] = {
    "",
    "._type",
    ".values",
    ".bins",
    ".packedBins",
    ".packedBins.min",
    ".packedBins.size",
    ".packedBins.count",
};

struct toc_wandb_histogram {
    struct toc_sv key;
    struct toc_sv members[MEMBERS];
};

struct toc_wandb_layer {
    struct toc_sv name, part; /* part: "grad", "param" or "activation" */
    size_t order;             /* in the row */
    struct toc_layer_stats stats;
};

void toc_wandb_layers_init(struct toc_wandb_layers *l, const struct toc_alias_table *aliases) {
    *l = (struct toc_wandb_layers){.aliases = aliases};
    toc_arena_init(&l->arena, ROW_BYTES);
}

void toc_wandb_layers_fini(struct toc_wandb_layers *l) {
    toc_arena_fini(&l->arena);
    TOC_VEC_FINI(&l->read);
    TOC_VEC_FINI(l);
}

void toc_wandb_layers_reset(struct toc_wandb_layers *l) {
    l->count = l->read.count = 0;
    toc_arena_reset(&l->arena);
}

/* ----------------------------------------------------------------------------------- histograms */

static bool is_number(const struct toc_json *v) {
    return v->type == TOC_JSON_INT || v->type == TOC_JSON_DOUBLE;
}

/* Edges as they are listed, or computed of the packed form. */
struct edges {
    const struct toc_json *listed;
    double min, width;
};

static double edge_at(const struct edges *e, size_t i) {
    return e->listed ? e->listed->items[i].number : e->min + e->width * (double)i;
}

static bool read_edges(const struct toc_json *root, size_t buckets, struct edges *out) {
    const struct toc_json *packed = toc_json_get(root, "packedBins");
    const struct toc_json *bins = toc_json_get(root, "bins");
    *out = (struct edges){.listed = bins && bins->type == TOC_JSON_ARRAY ? bins : NULL};
    if (out->listed)
        return out->listed->count == buckets + 1;
    int64_t count = 0;
    return packed && toc_json_get_double(packed, "min", NAN, &out->min, NULL) == 0 &&
           toc_json_get_double(packed, "size", NAN, &out->width, NULL) == 0 &&
           toc_json_get_int(packed, "count", 0, &count, NULL) == 0 && count == (int64_t)buckets &&
           isfinite(out->min) && out->width >= 0;
}

static bool read_buckets(struct toc_wandb_layers *l, const struct toc_json *counts,
                         const struct edges *e, struct toc_tfevents_bucket **out) {
    struct toc_tfevents_bucket *b =
        TOC_ARENA_NEW_ARRAY(&l->arena, struct toc_tfevents_bucket, counts->count);
    for (size_t i = 0; b && i < counts->count; i++) {
        bool is_good = is_number(&counts->items[i]) && counts->items[i].number >= 0 &&
                       (!e->listed ||
                        (is_number(&e->listed->items[i]) && is_number(&e->listed->items[i + 1])));
        if (!is_good)
            return false;
        b[i] =
            (struct toc_tfevents_bucket){edge_at(e, i), edge_at(e, i + 1), counts->items[i].number};
        if (!(b[i].left <= b[i].right))
            return false;
    }
    *out = b;
    return b != NULL;
}

/* Mean and deviation of the centres: the sums are not told. The range is that of the edges, between
 * which the package spreads its buckets. */
static struct toc_tfevents_histogram histogram_of(const struct toc_tfevents_bucket *b, size_t n) {
    double count = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        count += b[i].count;
        sum += b[i].count * (b[i].left + b[i].right) / 2;
    }
    for (size_t i = 0; i < n; i++) {
        double off = (b[i].left + b[i].right) / 2 - sum / count;
        squares += b[i].count * off * off;
    }
    return (struct toc_tfevents_histogram){.count = count,
                                           .min = b[0].left,
                                           .max = b[n - 1].right,
                                           .mean = sum / count,
                                           .std = sqrt(squares / count),
                                           .is_estimated = true,
                                           .sum_squares = NAN,
                                           .buckets = b,
                                           .bucket_count = n};
}

static bool read_stats(struct toc_wandb_layers *l, struct toc_sv json,
                       struct toc_layer_stats *out) {
    const struct toc_json *root = NULL;
    if (toc_json_parse(json, &l->arena, &root, NULL))
        return false;
    const struct toc_json *type = toc_json_get(root, "_type"),
                          *counts = toc_json_get(root, "values");
    struct toc_tfevents_bucket *buckets = NULL;
    struct edges edges;
    if (!type || !toc_sv_eq_cstr(type->string, "histogram") || !counts ||
        counts->type != TOC_JSON_ARRAY || counts->count == 0 || counts->count > BUCKETS_MAX ||
        !read_edges(root, counts->count, &edges) || !read_buckets(l, counts, &edges, &buckets))
        return false;
    struct toc_tfevents_histogram h = histogram_of(buckets, counts->count);
    *out = toc_layer_stats_of(&h);
    out->has_nonfinite_ratio =
        false; /* the package takes out what is not finite and does not say */
    return h.count > 0;
}

/* ---------------------------------------------------------------------------------------- items */

static enum member member_of(struct toc_sv key, struct toc_sv json) {
    for (int m = TYPE; m < MEMBERS; m++)
        if (toc_sv_ends_with(key, toc_sv_cstr(g_suffixes[m])))
            return (enum member)m;
    return json.n && json.p[0] == '{' ? WHOLE : MEMBERS;
}

/* The parts of one follow each other, as the package writes them. */
static struct toc_wandb_histogram *histogram_at(struct toc_wandb_layers *l, struct toc_sv key) {
    for (size_t i = l->read.count; i-- > 0;)
        if (toc_sv_eq(l->read.items[i]->key, key))
            return l->read.items[i];
    struct toc_wandb_histogram *h = l->read.count < HISTOGRAMS_MAX
                                        ? TOC_ARENA_NEW(&l->arena, struct toc_wandb_histogram)
                                        : NULL;
    if (!h)
        return NULL;
    *h = (struct toc_wandb_histogram){.key = toc_arena_dup_sv(&l->arena, key)};
    TOC_VEC_PUSH(&l->read, h);
    return h;
}

/* The part of a key that names the histogram; empty when it is of none: a key that does not say
 * what it shows may show anything. */
static struct toc_sv tag_of(const struct toc_wandb_layers *l, struct toc_sv key, enum member m) {
    struct toc_sv part, tag = toc_sv_sub(key, 0, key.n - strlen(g_suffixes[m]));
    struct toc_sv name = toc_alias_layer_of_tag(l->aliases, tag, &part);
    return name.n && name.n < tag.n ? tag : TOC_SV_NULL;
}

bool toc_wandb_layers_is_part(const struct toc_wandb_layers *l, struct toc_sv key) {
    enum member m = member_of(key, TOC_SV_NULL);
    return m != MEMBERS && tag_of(l, key, m).n > 0;
}

bool toc_wandb_layers_take(struct toc_wandb_layers *l, struct toc_sv key, struct toc_sv json) {
    enum member m = member_of(key, json);
    if (m == MEMBERS || !toc_sv_is_utf8(key))
        return false;
    struct toc_sv tag = tag_of(l, key, m);
    struct toc_wandb_histogram *h = tag.n ? histogram_at(l, tag) : NULL;
    if (!h)
        return false;
    h->members[m] = toc_arena_dup_sv(&l->arena, json);
    return true;
}

static void append_member(struct toc_buf *out, const char *before, struct toc_sv json) {
    toc_buf_append_cstr(out, before);
    toc_buf_append_sv(out, json.n ? json : TOC_SV("null"));
}

/* The JSON that the members are of; what is not there is null. */
static void join(const struct toc_wandb_histogram *h, struct toc_buf *out) {
    const struct toc_sv *m = h->members;
    toc_buf_reset(out);
    if (m[WHOLE].n) {
        toc_buf_append_sv(out, m[WHOLE]);
        return;
    }
    append_member(out, "{\"_type\":", m[TYPE]);
    append_member(out, ",\"values\":", m[VALUES]);
    append_member(out, ",\"bins\":", m[BINS]);
    if (m[PACKED].n) {
        append_member(out, ",\"packedBins\":", m[PACKED]);
    } else {
        append_member(out, ",\"packedBins\":{\"min\":", m[PACKED_MIN]);
        append_member(out, ",\"size\":", m[PACKED_SIZE]);
        append_member(out, ",\"count\":", m[PACKED_COUNT]);
        toc_buf_append_char(out, '}');
    }
    toc_buf_append_char(out, '}');
}

static void add_layer(struct toc_wandb_layers *l, const struct toc_wandb_histogram *h,
                      struct toc_sv json) {
    struct toc_wandb_layer *layer = TOC_ARENA_NEW(&l->arena, struct toc_wandb_layer);
    if (!layer)
        return;
    *layer = (struct toc_wandb_layer){.order = l->count};
    layer->name = toc_alias_layer_of_tag(l->aliases, h->key, &layer->part);
    if (read_stats(l, json, &layer->stats))
        TOC_VEC_PUSH(l, layer);
}

/* ------------------------------------------------------------------------------------- a report */

static int by_layer(const void *a, const void *b) {
    const struct toc_wandb_layer *x = *(struct toc_wandb_layer *const *)a,
                                 *y = *(struct toc_wandb_layer *const *)b;
    int names = toc_sv_cmp(x->name, y->name), parts = toc_sv_cmp(x->part, y->part);
    if (names || parts)
        return names ? names : parts;
    return (x->order > y->order) - (x->order < y->order);
}

size_t toc_wandb_layers_finish(struct toc_wandb_layers *l) {
    struct toc_buf json = TOC_BUF_INIT;
    for (size_t i = 0; i < l->read.count; i++) {
        join(l->read.items[i], &json);
        add_layer(l, l->read.items[i], toc_buf_sv(&json));
    }
    toc_buf_fini(&json);
    if (l->count)
        qsort(l->items, l->count, sizeof *l->items, by_layer);
    return l->read.count - l->count;
}

static void put(struct toc_json_writer *w, struct toc_sv part, const char *name, double value) {
    char key[48];
    (void)snprintf(key, sizeof key, "%.*s_%s", TOC_SV_ARG(part), name);
    toc_json_kv_double(w, key, value);
}

static void write_stats(const struct toc_wandb_layer *layer, struct toc_json_writer *w) {
    const struct toc_layer_stats *s = &layer->stats;
    char zero[48];
    (void)snprintf(zero, sizeof zero, "zero_%.*s_ratio", TOC_SV_ARG(layer->part));
    put(w, layer->part, "mean", s->mean);
    put(w, layer->part, "std", s->std);
    put(w, layer->part, "min", s->min);
    put(w, layer->part, "max", s->max);
#define X(member, name, q) put(w, layer->part, name, s->member);
    TOC_LAYER_QUANTILE_TABLE(X)
#undef X
    if (s->has_zero_ratio)
        toc_json_kv_double(w, zero, s->zero_ratio);
}

void toc_wandb_layers_write(const struct toc_wandb_layers *l, size_t *at,
                            struct toc_json_writer *w) {
    size_t layers = 0;
    toc_json_begin_object(w);
    while (*at < l->count && layers++ < LAYERS_PER_LINE) {
        const struct toc_wandb_layer *first = l->items[*at], *last = NULL;
        toc_json_key_sv(w, first->name);
        toc_json_begin_object(w);
        for (; *at < l->count && toc_sv_eq(l->items[*at]->name, first->name); (*at)++) {
            const struct toc_wandb_layer *one = l->items[*at];
            if (!last || !toc_sv_eq(last->part, one->part)) /* of two the first of the row stays */
                write_stats(one, w);
            last = one;
        }
        toc_json_end_object(w);
    }
    toc_json_end_object(w);
}
