/* Native histograms as test files write them: `{{schema:1 count:6 buckets:[1 2] offset:3}}`. */
#include <stdint.h>

#include "base/num.h"
#include "promqltest/cursor_priv.h"

enum { LIST_MAX = 100000, INDEX_LIMIT = 1 << 30 };

struct list {
    double *items;
    size_t count;
};

enum key { SCHEMA, SUM, COUNT, Z_BUCKET, Z_BUCKET_W, OFFSET, N_OFFSET, NUMBER_KEYS };
static const char *const g_number_keys[NUMBER_KEYS] = {
    "schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset"};
enum { BUCKETS, N_BUCKETS, CUSTOM_VALUES, LIST_KEYS };
static const char *const g_list_keys[LIST_KEYS] = {"buckets", "n_buckets", "custom_values"};
enum { HINT_KEY = NUMBER_KEYS + LIST_KEYS };

struct parts {
    double numbers[NUMBER_KEYS];
    struct list lists[LIST_KEYS];
    enum toc_reset_hint hint;
    unsigned seen; /* bit per key, the hint's last */
};

static int find_key(struct toc_sv name) {
    for (int i = 0; i < NUMBER_KEYS; i++)
        if (toc_sv_eq_cstr(name, g_number_keys[i]))
            return i;
    for (int i = 0; i < LIST_KEYS; i++)
        if (toc_sv_eq_cstr(name, g_list_keys[i]))
            return NUMBER_KEYS + i;
    return toc_sv_eq_cstr(name, "counter_reset_hint") ? HINT_KEY : -1;
}

static size_t count_words(struct toc_sv text) {
    size_t n = 1;
    for (size_t i = 0; i < text.n && text.p[i] != ']'; i++)
        n += cursor_is_blank(text.p[i]);
    return n;
}

static int read_list(struct cursor *c, struct list *out) {
    if (!cursor_take(c, TOC_SV("[")))
        return cursor_fail(c, "expected \"[\" in a histogram");
    size_t most = count_words(toc_sv_sub(c->text, c->at, c->text.n));
    out->items = most > LIST_MAX ? NULL : TOC_ARENA_NEW_ARRAY(c->arena, double, most);
    if (!out->items)
        return cursor_fail(c, "too many buckets");
    for (cursor_skip_blanks(c); !cursor_take(c, TOC_SV("]")); cursor_skip_blanks(c)) {
        if (out->count == most)
            return cursor_fail(c, "expected a blank between bucket values");
        int rc = cursor_number(c, &out->items[out->count++]);
        if (rc)
            return rc;
    }
    return 0;
}

static int read_hint(struct cursor *c, enum toc_reset_hint *out) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_RESET_HINT_TABLE(X)
#undef X
    };
    struct toc_sv word = cursor_word(c, "}");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (toc_sv_eq_cstr(word, texts[i])) {
            *out = (enum toc_reset_hint)i;
            return 0;
        }
    return cursor_fail(c, "unknown counter_reset_hint \"%.*s\"", TOC_SV_ARG(word));
}

static int read_field(struct cursor *c, struct parts *p) {
    struct toc_sv name = cursor_word(c, ":}");
    int key = find_key(name);
    if (key < 0 || !cursor_take(c, TOC_SV(":")))
        return cursor_fail(c, "unknown key \"%.*s\" in a histogram", TOC_SV_ARG(name));
    if (p->seen & 1u << key)
        return cursor_fail(c, "duplicate key \"%.*s\" in histogram", TOC_SV_ARG(name));
    p->seen |= 1u << key;
    if (key == HINT_KEY)
        return read_hint(c, &p->hint);
    return key < NUMBER_KEYS ? cursor_number(c, &p->numbers[key])
                             : read_list(c, &p->lists[key - NUMBER_KEYS]);
}

static int read_parts(struct cursor *c, struct parts *p) {
    if (!cursor_take(c, TOC_SV("{{")))
        return cursor_fail(c, "expected a histogram in \"{{\" and \"}}\"");
    for (cursor_skip_blanks(c); !cursor_take(c, TOC_SV("}}")); cursor_skip_blanks(c)) {
        if (cursor_is_at_end(c))
            return cursor_fail(c, "histogram is not closed by \"}}\"");
        int rc = read_field(c, p);
        if (rc)
            return rc;
    }
    return 0;
}

static int make_buckets(struct cursor *c, const struct list *counts, double offset,
                        struct toc_buckets *out) {
    int32_t *index = TOC_ARENA_NEW_ARRAY(c->arena, int32_t, counts->count + 1);
    if (!index)
        return TOC_ENOMEM;
    if (!(offset > -INDEX_LIMIT && offset < INDEX_LIMIT))
        return cursor_fail(c, "bucket offset is out of range");
    for (size_t i = 0; i < counts->count; i++)
        index[i] = (int32_t)offset + (int32_t)i;
    *out = (struct toc_buckets){index, counts->items, counts->count};
    return 0;
}

int cursor_histogram(struct cursor *c, struct toc_histogram **out, bool *out_has_hint) {
    struct parts p = {0};
    int rc = read_parts(c, &p);
    struct toc_histogram *h = rc ? NULL : TOC_ARENA_NEW(c->arena, struct toc_histogram);
    if (!h)
        return rc ? rc : TOC_ENOMEM;
    double schema = p.numbers[SCHEMA];
    if (!(schema >= -1000 && schema <= 1000) || schema != (int)schema)
        return cursor_fail(c, "histogram schema is no small integer");
    *h = (struct toc_histogram){.schema = (int32_t)schema,
                                .reset_hint = p.hint,
                                .zero_threshold = p.numbers[Z_BUCKET_W],
                                .zero_count = p.numbers[Z_BUCKET],
                                .count = p.numbers[COUNT],
                                .sum = p.numbers[SUM],
                                .custom_bounds = p.lists[CUSTOM_VALUES].items,
                                .custom_bound_count = p.lists[CUSTOM_VALUES].count};
    rc = make_buckets(c, &p.lists[BUCKETS], p.numbers[OFFSET], &h->positive);
    if (!rc)
        rc = make_buckets(c, &p.lists[N_BUCKETS], p.numbers[N_OFFSET], &h->negative);
    *out = h;
    *out_has_hint = p.seen & 1u << HINT_KEY;
    return rc;
}

int toc_histogram_text_parse(struct toc_sv text, struct toc_arena *arena,
                             const struct toc_histogram **out, struct toc_err *err) {
    struct cursor c = {toc_sv_trim(text), 0, arena, err};
    struct toc_histogram *h = NULL;
    bool has_hint;
    int rc = cursor_histogram(&c, &h, &has_hint);
    *out = h;
    return rc || cursor_is_at_end(&c) ? rc : cursor_fail(&c, "unexpected text behind }}");
}

static void append_number(const char *name, double value, struct toc_buf *out) {
    if (value == 0)
        return;
    toc_buf_printf(out, " %s:", name);
    toc_format_f64_go(value, out);
}

static void append_list(const char *name, const double *items, size_t count, struct toc_buf *out) {
    toc_buf_printf(out, " %s:[", name);
    for (size_t i = 0; i < count; i++) {
        toc_buf_append_cstr(out, i ? " " : "");
        toc_format_f64_go(items[i], out);
    }
    toc_buf_append_char(out, ']');
}

/* Counts from the first to the last listed bucket, zeros in the gaps. */
static void append_buckets(const char *name, const char *offset_name, const struct toc_buckets *b,
                           struct toc_buf *out) {
    if (!b->size)
        return;
    append_number(offset_name, b->index[0], out);
    toc_buf_printf(out, " %s:[", name);
    for (size_t i = 0; i < b->size; i++) {
        int64_t gap = i ? (int64_t)b->index[i] - b->index[i - 1] : 1;
        if (gap > LIST_MAX) { /* too far to write out: such a text is for people only */
            toc_buf_append_cstr(out, " …");
            gap = 1;
        }
        for (; gap > 1; gap--)
            toc_buf_append_cstr(out, " 0");
        toc_buf_append_cstr(out, i ? " " : "");
        toc_format_f64_go(b->count[i], out);
    }
    toc_buf_append_char(out, ']');
}

void toc_histogram_text_format(const struct toc_histogram *h, struct toc_buf *out) {
    static const char *const hints[] = {"", "reset", "not_reset", "gauge"};
    toc_buf_printf(out, "{{schema:%d", (int)h->schema);
    append_number("count", h->count, out);
    append_number("sum", h->sum, out);
    append_number("z_bucket", h->zero_count, out);
    append_number("z_bucket_w", h->zero_threshold, out);
    append_buckets("buckets", "offset", &h->positive, out);
    append_buckets("n_buckets", "n_offset", &h->negative, out);
    if (h->custom_bound_count)
        append_list("custom_values", h->custom_bounds, h->custom_bound_count, out);
    if (h->reset_hint != TOC_RESET_UNKNOWN)
        toc_buf_printf(out, " counter_reset_hint:%s", hints[h->reset_hint]);
    toc_buf_append_cstr(out, "}}");
}
