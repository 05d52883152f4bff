#include "diagnose/signature.h"

void toc_log_scan_init(struct toc_log_scan *s, const struct toc_signature_table *table,
                       unsigned sources, toc_signature_fn *fn, void *ctx) {
    *s = (struct toc_log_scan){.table = table, .sources = sources, .fn = fn, .ctx = ctx};
}

static void forward(void *ctx, const struct toc_signature_hit *hit) {
    struct toc_log_scan *s = ctx;
    struct toc_signature_hit numbered = *hit;
    numbered.line_number = s->lines;
    s->fn(s->ctx, &numbered);
}

static void judge(struct toc_log_scan *s, struct toc_sv line) {
    s->lines++;
    if (line.n > TOC_SIGNATURE_LINE_BYTES_MAX) {
        s->cut_lines++;
        line.n = TOC_SIGNATURE_LINE_BYTES_MAX;
    } else if (line.n && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    size_t hits = toc_signature_match_beside(s->table, line, s->sources, s->beside, forward, s);
    s->hits += hits;
    if (hits && s->end_line)
        s->end_line(s->ctx);
}

/* Keeps one byte more than is judged: it tells a line that fits from one that is cut. */
static void keep(struct toc_log_scan *s, struct toc_sv part) {
    size_t room = TOC_SIGNATURE_LINE_BYTES_MAX + 1 - s->partial.n;
    toc_buf_append_sv(&s->partial, toc_sv_sub(part, 0, room));
    s->is_in_line = true;
}

static void end_partial(struct toc_log_scan *s) {
    judge(s, toc_buf_sv(&s->partial));
    toc_buf_reset(&s->partial);
    s->is_in_line = false;
}

void toc_log_scan_feed(struct toc_log_scan *s, struct toc_sv bytes) {
    s->bytes += bytes.n;
    while (bytes.n) {
        const char *end = memchr(bytes.p, '\n', bytes.n);
        size_t n = end ? (size_t)(end - bytes.p) : bytes.n;
        struct toc_sv part = toc_sv_make(bytes.p, n);
        if (s->is_in_line || !end)
            keep(s, part);
        if (end && s->is_in_line)
            end_partial(s);
        else if (end)
            judge(s, part);
        n += end != NULL;
        bytes = toc_sv_make(bytes.p + n, bytes.n - n);
    }
}

void toc_log_scan_finish(struct toc_log_scan *s) {
    if (s->is_in_line)
        end_partial(s);
}

void toc_log_scan_fini(struct toc_log_scan *s) {
    toc_buf_fini(&s->partial);
}
