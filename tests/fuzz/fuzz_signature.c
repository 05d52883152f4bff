/* Oracle: chunked = whole; literals then expression = expression alone, for ASCII lines. */
#include <stdlib.h>

#include "diagnose/signature.h"
#include "shim/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct toc_signature_table *g_table;

struct seen {
    uint64_t hash;
    bool ids[TOC_SIGNATURES_MAX];
};

static void note(void *ctx, const struct toc_signature_hit *hit) {
    struct seen *s = ctx;
    size_t i = (size_t)(hit->signature - toc_signature_table_get(g_table, 0));
    s->hash = (s->hash ^ (i + hit->line_number * 256)) * 0x100000001b3u;
    s->hash = (s->hash ^ hit->line.n) * 0x100000001b3u;
    s->ids[i] = true;
}

static struct toc_log_scan scan(struct toc_sv log, size_t step, struct seen *seen) {
    struct toc_log_scan s;
    toc_log_scan_init(&s, g_table, TOC_LOG_ANY, note, seen);
    for (size_t at = 0; at < log.n; at += step)
        toc_log_scan_feed(&s, toc_sv_sub(log, at, step));
    toc_log_scan_finish(&s);
    toc_log_scan_fini(&s);
    return s;
}

static void check_line(struct toc_sv line) {
    struct seen seen = {0};
    for (size_t i = 0; i < line.n; i++)
        if ((unsigned char)line.p[i] >= 0x80)
            return;
    (void)toc_signature_match(g_table, line, TOC_LOG_ANY, note, &seen);
    for (size_t i = 0; i < toc_signature_table_count(g_table); i++)
        if (toc_regex_matches(toc_signature_table_get(g_table, i)->regex, line) != seen.ids[i])
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv log = toc_sv_make((const char *)data, size), rest = log, line;
    struct seen whole = {0}, cut = {0};
    if (!size)
        return 0;
    if (!g_table && toc_signature_table_builtin(&g_table, NULL) < 0)
        abort();
    struct toc_log_scan a = scan(log, size, &whole), b = scan(log, 1 + data[0] % 31, &cut);
    if (a.lines != b.lines || a.hits != b.hits || a.cut_lines != b.cut_lines ||
        whole.hash != cut.hash)
        abort();
    while (toc_sv_split(&rest, '\n', &line))
        check_line(line);
    return 0;
}
