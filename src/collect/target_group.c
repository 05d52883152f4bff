#include "collect/target_group.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"

struct toc_shared_group {
    atomic_uint refs;
    struct toc_target_group view;
    /* Then targets, labels, own, labels of own, and the bytes of all texts. */
};

/* Where the parts of a copy go. */
struct layout {
    struct toc_sv *targets;
    struct toc_label *labels;
    struct toc_labels *own;
    struct toc_label *own_labels;
    char *bytes;
};

static size_t bytes_of_labels(const struct toc_label *l, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += l[i].name.n + l[i].value.n + 2;
    return n;
}

static size_t own_count(const struct toc_target_group *g) {
    size_t n = 0;
    for (size_t i = 0; g->own && i < g->target_count; i++)
        n += g->own[i].count;
    return n;
}

static size_t text_bytes(const struct toc_target_group *g) {
    size_t n = g->source.n + 1 + bytes_of_labels(g->labels, g->label_count);
    for (size_t i = 0; i < g->target_count; i++) {
        n += g->targets[i].n + 1;
        if (g->own)
            n += bytes_of_labels(g->own[i].items, g->own[i].count);
    }
    return n;
}

static struct toc_sv put(struct layout *l, struct toc_sv s) {
    struct toc_sv copy = {l->bytes, s.n};
    if (s.n)
        memcpy(l->bytes, s.p, s.n);
    l->bytes[s.n] = 0;
    l->bytes += s.n + 1;
    return copy;
}

static void put_labels(struct layout *l, const struct toc_label *from, size_t count,
                       struct toc_label *to) {
    for (size_t i = 0; i < count; i++)
        to[i] = (struct toc_label){put(l, from[i].name), put(l, from[i].value)};
}

static struct layout lay_out(struct toc_shared_group *s, const struct toc_target_group *g) {
    struct layout l;
    l.targets = (struct toc_sv *)(s + 1);
    l.labels = (struct toc_label *)(l.targets + g->target_count);
    l.own = (struct toc_labels *)(l.labels + g->label_count);
    l.own_labels = (struct toc_label *)(l.own + (g->own ? g->target_count : 0));
    l.bytes = (char *)(l.own_labels + own_count(g));
    return l;
}

struct toc_shared_group *toc_shared_group_new(const struct toc_target_group *g) {
    size_t size = sizeof(struct toc_shared_group) + g->target_count * sizeof(struct toc_sv) +
                  (g->label_count + own_count(g)) * sizeof(struct toc_label) +
                  (g->own ? g->target_count : 0) * sizeof(struct toc_labels) + text_bytes(g);
    struct toc_shared_group *s = toc_xalloc(size);
    struct layout l = lay_out(s, g);
    atomic_init(&s->refs, 1);
    s->view = (struct toc_target_group){.source = put(&l, g->source),
                                        .targets = l.targets,
                                        .own = g->own ? l.own : NULL,
                                        .target_count = g->target_count,
                                        .labels = l.labels,
                                        .label_count = g->label_count};
    put_labels(&l, g->labels, g->label_count, l.labels);
    for (size_t i = 0; i < g->target_count; i++) {
        l.targets[i] = put(&l, g->targets[i]);
        if (!g->own)
            continue;
        put_labels(&l, g->own[i].items, g->own[i].count, l.own_labels);
        l.own[i] = (struct toc_labels){l.own_labels, g->own[i].count};
        l.own_labels += g->own[i].count;
    }
    return s;
}

struct toc_shared_group *toc_shared_group_ref(struct toc_shared_group *g) {
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void toc_shared_group_unref(struct toc_shared_group **gp) {
    struct toc_shared_group *g = *gp;
    *gp = NULL;
    /* acq_rel: whoever frees it sees what the others did with it. */
    if (g && atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) == 1)
        toc_free(g);
}

const struct toc_target_group *toc_shared_group_get(const struct toc_shared_group *g) {
    return &g->view;
}

static bool labels_eq(const struct toc_label *a, size_t a_count, const struct toc_label *b,
                      size_t b_count) {
    return toc_labels_eq((struct toc_labels){a, a_count}, (struct toc_labels){b, b_count});
}

bool toc_target_group_eq(const struct toc_target_group *a, const struct toc_target_group *b) {
    if (!toc_sv_eq(a->source, b->source) || a->target_count != b->target_count ||
        !a->own != !b->own || !labels_eq(a->labels, a->label_count, b->labels, b->label_count))
        return false;
    for (size_t i = 0; i < a->target_count; i++)
        if (!toc_sv_eq(a->targets[i], b->targets[i]) ||
            (a->own && !toc_labels_eq(a->own[i], b->own[i])))
            return false;
    return true;
}
