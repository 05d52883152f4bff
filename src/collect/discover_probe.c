#include "collect/discover_priv.h"

#include "base/num.h"
#include "collect/discover.h"
#include "collect/procfile.h"

#define X(kind, name, prefix, path, port, other) {kind, name, prefix, path, {port, other}},
const struct discover_row toc_discover_rows[] = {TOC_DISCOVER_TABLE(X)};
#undef X
const size_t toc_discover_row_count = TOC_ARRAY_LEN(toc_discover_rows);

/* -----------------------------------------------------------------------------------------------
 * listeners */

static bool parse_hex(struct toc_sv s, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit > 15)
            return false;
        v = v << 4 | digit;
    }
    *out = v;
    return s.n > 0 && s.n <= 16;
}

/* The kernel prints addresses as 32-bit words in the order of the machine. */
static bool reaches_v4(struct toc_sv host) {
    bool is_mapped = toc_sv_starts_with(host, TOC_SV("0000000000000000FFFF0000"));
    struct toc_sv v4 = host.n == 8 ? host : toc_sv_sub(host, 24, 8);
    if (host.n == 32 && !is_mapped)
        return toc_sv_eq(host, TOC_SV("00000000000000000000000000000000"));
    return toc_sv_eq(v4, TOC_SV("00000000")) || toc_sv_eq(v4, TOC_SV("0100007F")) ||
           toc_sv_eq(v4, TOC_SV("7F000001"));
}

static bool reaches_v6(struct toc_sv host) {
    return toc_sv_eq(host, TOC_SV("00000000000000000000000001000000")) ||
           toc_sv_eq(host, TOC_SV("00000000000000000000000000000001"));
}

void toc_discover_parse_listeners(struct toc_sv text, bool is_v6,
                                  void (*fn)(void *ctx, struct discover_port p), void *ctx) {
    struct toc_sv line, number, local, remote, state;
    uint64_t port;
    while (toc_text_line(&text, &line)) {
        bool is_whole = toc_text_word(&line, &number) && toc_text_word(&line, &local) &&
                        toc_text_word(&line, &remote) && toc_text_word(&line, &state);
        size_t colon = is_whole ? toc_sv_find_char(local, ':') : SIZE_MAX;
        if (colon == SIZE_MAX || !toc_sv_eq(state, TOC_SV("0A")))
            continue;
        struct toc_sv host = toc_sv_sub(local, 0, colon);
        if (host.n != (is_v6 ? 32 : 8) ||
            !parse_hex(toc_sv_sub(local, colon + 1, local.n), &port) || port > 65535)
            continue;
        bool is_v4 = reaches_v4(host);
        if (is_v4 || (is_v6 && reaches_v6(host)))
            fn(ctx, (struct discover_port){(uint16_t)port, is_v4});
    }
}

/* ---------------------------------------------------------------------------------------------
 * recognition */

struct recognising {
    int row; /* best so far */
    bool is_metrics;
};

static void judge(struct recognising *r, struct toc_sv metric) {
    int end = r->row < 0 ? (int)toc_discover_row_count : r->row;
    for (int i = 0; i < end; i++)
        if (toc_sv_starts_with(metric, toc_sv_cstr(toc_discover_rows[i].prefix))) {
            r->row = i;
            return;
        }
}

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    struct recognising *r = ctx;
    r->is_metrics = true;
    judge(r, s->metric);
    return 0;
}

/* Many engines announce their metrics before they have a sample. */
static int on_meta(void *ctx, const struct toc_exposition_meta *m) {
    struct recognising *r = ctx;
    if (m->type.n) {
        r->is_metrics = true;
        judge(r, m->metric);
    }
    return 0;
}

int toc_discover_recognise(enum toc_exposition_format format, struct toc_sv body,
                           bool *out_is_metrics) {
    struct recognising r = {.row = -1};
    const struct toc_exposition_handler handler = {.sample = on_sample, .meta = on_meta, .ctx = &r};
    struct toc_err err = {0};
    int rc = toc_exposition_parse(format, body, NULL, &handler, &err);
    *out_is_metrics = rc == 0 && r.is_metrics;
    return *out_is_metrics ? r.row : -1;
}
