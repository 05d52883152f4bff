#include "forward/series.h"

#include "base/alloc.h"
#include "codec/protobuf.h"

enum { SCRATCH_BYTES = 8 << 20 };

void toc_forward_series_unref(struct toc_forward_series **sp) {
    struct toc_forward_series *s = *sp;
    *sp = NULL;
    if (s && --s->refs == 0)
        toc_free(s);
}

bool toc_forward_next_label(struct toc_sv *io_rest, struct toc_label *out) {
    struct toc_pb_reader r = toc_pb_reader_make(*io_rest);
    struct toc_pb_field f, part;
    if (!toc_pb_next(&r, &f))
        return false;
    struct toc_pb_reader inner = toc_pb_reader_make(f.bytes);
    *out = (struct toc_label){TOC_SV(""), TOC_SV("")};
    while (toc_pb_next(&inner, &part)) {
        if (part.number == 1)
            out->name = part.bytes;
        else
            out->value = part.bytes;
    }
    *io_rest = toc_sv_make((const char *)r.p, (size_t)(r.end - r.p));
    return true;
}

struct toc_sv toc_forward_series_name(const struct toc_forward_series *s) {
    struct toc_sv rest = toc_forward_series_labels(s);
    for (struct toc_label l; toc_forward_next_label(&rest, &l);)
        if (toc_sv_eq(l.name, TOC_METRIC_NAME))
            return l.value;
    return TOC_SV("");
}

void toc_forward_table_init(struct toc_forward_table *t, const struct toc_relabel *relabel,
                            struct toc_labels external) {
    *t = (struct toc_forward_table){.relabel = relabel, .external = external};
    toc_arena_init(&t->scratch, SCRATCH_BYTES);
}

void toc_forward_table_clear(struct toc_forward_table *t) {
    for (size_t i = 0; i < t->capacity; i++)
        toc_forward_series_unref(&t->items[i]);
}

void toc_forward_table_fini(struct toc_forward_table *t) {
    toc_forward_table_clear(t);
    toc_free(t->items);
    toc_labels_builder_fini(&t->builder);
    toc_buf_fini(&t->bytes);
    toc_arena_fini(&t->scratch);
}

/* External labels come first, as upstream does it: the rules see them. */
static bool relabel(struct toc_forward_table *t, struct toc_labels labels, struct toc_labels *out) {
    struct toc_labels_builder *b = &t->builder;
    toc_labels_builder_reset(b);
    toc_arena_reset(&t->scratch);
    toc_labels_builder_add_all(b, labels);
    for (size_t i = 0; i < t->external.count; i++)
        if (!toc_labels_has(labels, t->external.items[i].name))
            toc_labels_builder_set(b, t->external.items[i].name, t->external.items[i].value);
    bool is_kept =
        !t->relabel || !t->relabel->count || toc_relabel_apply(t->relabel, b, &t->scratch);
    *out = is_kept ? toc_labels_builder_finish(b) : TOC_LABELS_EMPTY;
    return out->count > 0;
}

static void encode(struct toc_labels labels, struct toc_buf *out) {
    toc_buf_reset(out);
    for (size_t i = 0; i < labels.count; i++) {
        size_t mark = toc_pb_begin(out, 1);
        toc_pb_put_bytes(out, 1, labels.items[i].name);
        toc_pb_put_bytes(out, 2, labels.items[i].value);
        toc_pb_end(out, mark);
    }
}

struct toc_forward_series *toc_forward_table_make(struct toc_forward_table *t,
                                                  struct toc_labels labels) {
    struct toc_labels sent;
    bool is_kept = relabel(t, labels, &sent);
    encode(sent, &t->bytes);
    struct toc_forward_series *s = toc_xcalloc(1, sizeof *s + t->bytes.n);
    s->refs = 1;
    s->is_dropped = !is_kept;
    s->source = toc_labels_hash(labels);
    s->hash = toc_labels_hash(sent);
    s->label_bytes = (uint32_t)t->bytes.n;
    if (t->bytes.n)
        memcpy(s->labels, t->bytes.p, t->bytes.n);
    t->dropped += !is_kept;
    return s;
}

static void make_room(struct toc_forward_table *t, uint32_t id) {
    if (id < t->capacity)
        return;
    size_t capacity = (size_t)id + id / 2 + 1024;
    t->items = toc_xrealloc(t->items, capacity * sizeof *t->items);
    memset(t->items + t->capacity, 0, (capacity - t->capacity) * sizeof *t->items);
    t->capacity = capacity;
}

void toc_forward_table_define(struct toc_forward_table *t, uint32_t id, struct toc_labels labels) {
    make_room(t, id);
    struct toc_forward_series *old = t->items[id];
    if (old && old->source == toc_labels_hash(labels))
        return; /* each series is defined twice in a segment */
    toc_forward_series_unref(&t->items[id]);
    t->items[id] = toc_forward_table_make(t, labels);
}
