#include "remote/import_batch.h"
#include "metricdb/ref_write.h"

#include "base/alloc.h"

enum {
    PIECE_LINES = 65536,
    LINE_ARENA_BYTES = 32 << 20,
    ARENA_BYTES = 64 << 20,
    FULL_BYTES = 16 << 20,
};

void import_batch_init(struct import_batch *b, struct toc_metricdb *db,
                       const struct toc_import_options *options, int64_t now_ms,
                       struct toc_import_outcome *out) {
    *b = (struct import_batch){.db = db, .out = out, .options = options, .now_ms = now_ms};
    toc_arena_init(&b->line_arena, LINE_ARENA_BYTES);
    toc_arena_init(&b->arena, ARENA_BYTES);
}

void import_batch_fini(struct import_batch *b) {
    toc_labels_builder_fini(&b->labels);
    toc_arena_fini(&b->line_arena);
    toc_arena_fini(&b->arena);
    TOC_VEC_FINI(&b->lines);
    TOC_VEC_FINI(&b->samples);
    TOC_VEC_FINI(&b->origins);
}

static uint32_t current(const struct import_batch *b) {
    return (uint32_t)b->lines.count - 1;
}

void import_batch_begin_line(struct import_batch *b, int line) {
    b->out->lines++;
    TOC_VEC_PUSH(&b->lines, ((struct import_line){line, false}));
    toc_labels_builder_reset(&b->labels);
}

/* --- refusals --- */

/* A line counts once. */
static void mark_rejected(struct import_batch *b, uint32_t line) {
    b->out->rejected_lines += !b->lines.items[line].is_rejected;
    b->lines.items[line].is_rejected = true;
}

static bool begin_told(struct import_batch *b, uint32_t line) {
    if (b->told >= IMPORT_TEXT_LINES_MAX)
        return false;
    if (b->told++)
        toc_buf_append_char(&b->out->text, '\n');
    toc_buf_printf(&b->out->text, "line %d: ", b->lines.items[line].number);
    return true;
}

void import_batch_refuse(struct import_batch *b, enum toc_import_refusal reason, const char *fmt,
                         ...) {
    va_list ap;
    b->out->refused[reason]++;
    mark_rejected(b, current(b));
    if (!begin_told(b, current(b)))
        return;
    va_start(ap, fmt);
    toc_buf_vprintf(&b->out->text, fmt, ap);
    va_end(ap);
}

static void reject(void *owner, const void *of, enum toc_reject_reason reason) {
    struct import_batch *b = owner;
    const struct import_origin *origin = of;
    b->out->rejected[reason]++;
    mark_rejected(b, origin->line);
    if (!begin_told(b, origin->line))
        return;
    toc_buf_printf(&b->out->text, "%s: ", toc_reject_text(reason));
    toc_labels_format(origin->labels, &b->out->text);
}

/* --- series and samples --- */

static uint64_t reference(void *owner, const void *of) {
    struct import_batch *b = owner;
    const struct import_origin *origin = of;
    enum toc_reject_reason reason = TOC_REJECT_INVALID_LABELS;
    uint64_t ref = 0;
    if (toc_metricdb_series_ref(b->db, origin->labels, &ref, &reason)) {
        reject(b, origin, reason);
        return 0;
    }
    return ref;
}

static bool are_utf8(struct toc_labels l) {
    for (size_t i = 0; i < l.count; i++)
        if (!toc_sv_is_utf8(l.items[i].name) || !toc_sv_is_utf8(l.items[i].value))
            return false;
    return true;
}

uint64_t import_batch_series(struct import_batch *b, struct toc_labels *out_labels) {
    for (size_t i = 0; i < b->options->extra.count; i++)
        toc_labels_builder_set(&b->labels, b->options->extra.items[i].name,
                               b->options->extra.items[i].value);
    struct toc_labels sorted = toc_labels_builder_finish(&b->labels);
    if (!toc_labels_has(sorted, TOC_METRIC_NAME)) {
        import_batch_refuse(b, TOC_IMPORT_BAD_LABELS, "no metric name");
        return 0;
    }
    if (!are_utf8(sorted)) {
        import_batch_refuse(b, TOC_IMPORT_BAD_LABELS, "a name or value that is no UTF-8");
        return 0;
    }
    *out_labels = toc_labels_dup_arena(sorted, &b->arena);
    struct import_origin origin = {*out_labels, current(b)};
    return b->arena.overflowed ? 0 : reference(b, &origin);
}

void import_batch_add(struct import_batch *b, uint64_t ref, struct toc_labels labels, int64_t t_ms,
                      double value) {
    struct toc_metricdb_sample s = {.ref = ref, .t_ms = t_ms, .value = value};
    struct import_origin origin = {labels, current(b)};
    TOC_VEC_PUSH(&b->samples, s);
    TOC_VEC_PUSH(&b->origins, origin);
}

/* --- writing --- */

int import_batch_write(struct import_batch *b, bool is_last, struct toc_err *err) {
    bool is_full = b->samples.count >= IMPORT_PIECE_SAMPLES || b->lines.count >= PIECE_LINES ||
                   b->arena.used_bytes > FULL_BYTES;
    if (!is_last && !is_full)
        return 0;
    if (b->arena.overflowed)
        return toc_errf(err, TOC_ELIMIT, "line %d: its series need more than 64 MiB",
                        b->lines.items[current(b)].number);
    struct toc_ref_write w = {.db = b->db,
                              .samples = b->samples.items,
                              .origins = b->origins.items,
                              .origin_bytes = sizeof b->origins.items[0],
                              .count = b->samples.count,
                              .owner = b,
                              .resolve = reference,
                              .reject = reject};
    int rc = toc_ref_write(&w, &b->out->samples, err);
    if (rc)
        return rc;
    b->samples.count = b->origins.count = b->lines.count = 0;
    toc_arena_reset(&b->arena);
    return 0;
}

/* --- names --- */

static bool is_name_char(char ch, bool is_metric, bool is_first) {
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
           (is_metric && ch == ':') || (!is_first && ch >= '0' && ch <= '9');
}

struct toc_sv import_clean_name(struct toc_sv name, bool is_metric, struct toc_arena *a) {
    bool is_good = is_metric ? toc_metric_name_is_classic(name) : toc_label_name_is_classic(name);
    if (is_good || !name.n)
        return name;
    bool has_digit_first = name.p[0] >= '0' && name.p[0] <= '9';
    char *p = toc_arena_alloc(a, name.n + 1);
    size_t n = 0;
    if (!p)
        return TOC_SV_NULL;
    if (has_digit_first)
        p[n++] = '_';
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        bool is_continuation = ((unsigned char)ch & 0xc0) == 0x80, is_first = n == 0;
        if (!is_continuation) /* one underscore for a whole code point */
            p[n++] = is_name_char(ch, is_metric, is_first) ? ch : '_';
    }
    return toc_sv_make(p, n);
}
