#include "model/labels.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"

static size_t find_index(struct toc_labels l, struct toc_sv name) {
    size_t low = 0, high = l.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = toc_sv_cmp(l.items[middle].name, name);
        if (c == 0)
            return middle;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

struct toc_sv toc_labels_get(struct toc_labels l, struct toc_sv name) {
    size_t i = find_index(l, name);
    return i == SIZE_MAX ? TOC_SV_NULL : l.items[i].value;
}

bool toc_labels_has(struct toc_labels l, struct toc_sv name) {
    return find_index(l, name) != SIZE_MAX;
}

bool toc_labels_eq(struct toc_labels a, struct toc_labels b) {
    if (a.count != b.count)
        return false;
    for (size_t i = 0; i < a.count; i++)
        if (!toc_sv_eq(a.items[i].name, b.items[i].name) ||
            !toc_sv_eq(a.items[i].value, b.items[i].value))
            return false;
    return true;
}

int toc_labels_cmp(struct toc_labels a, struct toc_labels b) {
    size_t n = TOC_MIN(a.count, b.count);
    for (size_t i = 0; i < n; i++) {
        int c = toc_sv_cmp(a.items[i].name, b.items[i].name);
        if (!c)
            c = toc_sv_cmp(a.items[i].value, b.items[i].value);
        if (c)
            return c;
    }
    return (a.count > b.count) - (a.count < b.count);
}

uint64_t toc_labels_hash(struct toc_labels l) {
    uint64_t h = l.count;
    for (size_t i = 0; i < l.count; i++) {
        h = toc_hash_mix(h, toc_hash64(l.items[i].name.p, l.items[i].name.n, 1));
        h = toc_hash_mix(h, toc_hash64(l.items[i].value.p, l.items[i].value.n, 2));
    }
    return h;
}

uint64_t toc_labels_fingerprint(struct toc_labels l) {
    static const char separator = (char)0xff;
    uint64_t h = TOC_FNV1A64_INIT;
    for (size_t i = 0; i < l.count; i++) {
        h = toc_fnv1a64(l.items[i].name.p, l.items[i].name.n, h);
        h = toc_fnv1a64(&separator, 1, h);
        h = toc_fnv1a64(l.items[i].value.p, l.items[i].value.n, h);
        h = toc_fnv1a64(&separator, 1, h);
    }
    return h;
}

static size_t payload_bytes(struct toc_labels l) {
    size_t n = 0;
    for (size_t i = 0; i < l.count; i++)
        n += l.items[i].name.n + l.items[i].value.n;
    return n;
}

static struct toc_sv put_bytes(char **to, struct toc_sv s) {
    struct toc_sv copy = {*to, s.n};
    if (s.n)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

/* Lays out pairs, then bytes, in `block`. */
static struct toc_labels copy_into(struct toc_labels l, void *block) {
    struct toc_label *items = block;
    char *bytes = (char *)(items + l.count);
    for (size_t i = 0; i < l.count; i++) {
        items[i].name = put_bytes(&bytes, l.items[i].name);
        items[i].value = put_bytes(&bytes, l.items[i].value);
    }
    return (struct toc_labels){items, l.count};
}

struct toc_labels toc_labels_dup(struct toc_labels l) {
    if (!l.count)
        return TOC_LABELS_EMPTY;
    return copy_into(l, toc_xalloc(l.count * sizeof *l.items + payload_bytes(l)));
}

void toc_labels_free(struct toc_labels *l) {
    if (!l)
        return;
    toc_free((void *)(uintptr_t)l->items);
    *l = TOC_LABELS_EMPTY;
}

struct toc_labels toc_labels_dup_arena(struct toc_labels l, struct toc_arena *a) {
    if (!l.count)
        return TOC_LABELS_EMPTY;
    void *block = toc_arena_alloc(a, l.count * sizeof *l.items + payload_bytes(l));
    return block ? copy_into(l, block) : TOC_LABELS_EMPTY;
}

static void append_escaped(struct toc_buf *out, struct toc_sv s) {
    toc_buf_append_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\\')
            toc_buf_append_char(out, '\\');
        if (c == '\n')
            toc_buf_append_cstr(out, "\\n");
        else
            toc_buf_append_char(out, c);
    }
    toc_buf_append_char(out, '"');
}

void toc_labels_format(struct toc_labels l, struct toc_buf *out) {
    struct toc_sv name = toc_labels_get(l, TOC_METRIC_NAME);
    bool name_in_front = name.n && toc_metric_name_is_classic(name);
    if (name_in_front)
        toc_buf_append_sv(out, name);
    if (name_in_front && l.count == 1)
        return;
    toc_buf_append_char(out, '{');
    bool first = true;
    for (size_t i = 0; i < l.count; i++) {
        if (name_in_front && toc_sv_eq(l.items[i].name, TOC_METRIC_NAME))
            continue;
        if (!first)
            toc_buf_append_cstr(out, ", ");
        first = false;
        if (toc_label_name_is_classic(l.items[i].name))
            toc_buf_append_sv(out, l.items[i].name);
        else
            append_escaped(out, l.items[i].name);
        toc_buf_append_char(out, '=');
        append_escaped(out, l.items[i].value);
    }
    toc_buf_append_char(out, '}');
}

enum { VARINT_BYTES_MAX = 10 };

static char *put_varint(char *p, uint64_t u) {
    for (; u >= 0x80; u >>= 7)
        *p++ = (char)(u | 0x80);
    *p++ = (char)u;
    return p;
}

static char *put_text(char *p, struct toc_sv text) {
    p = put_varint(p, text.n);
    if (text.n)
        memcpy(p, text.p, text.n);
    return p + text.n;
}

/* Room is made once: the log does this for every series and segment. */
void toc_labels_encode(struct toc_labels l, struct toc_buf *out) {
    size_t most = VARINT_BYTES_MAX;
    for (size_t i = 0; i < l.count; i++)
        most += 2 * (size_t)VARINT_BYTES_MAX + l.items[i].name.n + l.items[i].value.n;
    char *start = toc_buf_reserve(out, most), *p = start;
    if (!start)
        return;
    p = put_varint(p, l.count);
    for (size_t i = 0; i < l.count; i++) {
        p = put_text(p, l.items[i].name);
        p = put_text(p, l.items[i].value);
    }
    out->n += (size_t)(p - start);
}

int toc_labels_decode(struct toc_reader *r, struct toc_arena *a, struct toc_labels *out) {
    uint64_t count = toc_read_varint(r);
    if (r->error)
        return r->error;
    if (count > toc_reader_left(r) / 2) /* each pair takes at least two length bytes */
        return TOC_ECORRUPT;
    struct toc_label *items = TOC_ARENA_NEW_ARRAY(a, struct toc_label, (size_t)count);
    if (!items)
        return TOC_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        items[i].name = toc_read_string(r);
        items[i].value = toc_read_string(r);
        if (r->error)
            return r->error;
        if (i && toc_sv_cmp(items[i - 1].name, items[i].name) >= 0)
            return TOC_ECORRUPT;
    }
    *out = (struct toc_labels){items, (size_t)count};
    return 0;
}

static bool is_name(struct toc_sv s, bool colon_allowed) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (colon_allowed && c == ':');
        if (!letter && !(i && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0;
}

bool toc_label_name_is_classic(struct toc_sv name) {
    return is_name(name, false);
}
bool toc_metric_name_is_classic(struct toc_sv name) {
    return is_name(name, true);
}

void toc_labels_builder_add_all(struct toc_labels_builder *b, struct toc_labels l) {
    for (size_t i = 0; i < l.count; i++)
        toc_labels_builder_set(b, l.items[i].name, l.items[i].value);
}

void toc_labels_builder_set(struct toc_labels_builder *b, struct toc_sv name, struct toc_sv value) {
    for (size_t i = 0; i < b->count; i++) {
        if (toc_sv_eq(b->items[i].name, name)) {
            b->items[i].value = value;
            return;
        }
    }
    TOC_VEC_PUSH(b, ((struct toc_label){name, value}));
}

void toc_labels_builder_del(struct toc_labels_builder *b, struct toc_sv name) {
    toc_labels_builder_set(b, name, TOC_SV_NULL);
}

struct toc_sv toc_labels_builder_get(const struct toc_labels_builder *b, struct toc_sv name) {
    for (size_t i = 0; i < b->count; i++)
        if (toc_sv_eq(b->items[i].name, name))
            return b->items[i].value;
    return TOC_SV_NULL;
}

static int by_name(const void *a, const void *b) {
    return toc_sv_cmp(((const struct toc_label *)a)->name, ((const struct toc_label *)b)->name);
}

struct toc_labels toc_labels_builder_finish(struct toc_labels_builder *b) {
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].value.n)
            b->items[kept++] = b->items[i];
    b->count = kept;
    if (kept > 1)
        qsort(b->items, kept, sizeof *b->items, by_name);
    return (struct toc_labels){b->items, kept};
}

void toc_labels_builder_reset(struct toc_labels_builder *b) {
    b->count = 0;
}
void toc_labels_builder_fini(struct toc_labels_builder *b) {
    TOC_VEC_FINI(b);
}
