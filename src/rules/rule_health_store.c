/*
 * The stored health of one rule:
 *
 *   u8 version · string key · zigzag known_since, last_fired, dead_since · varint n × {string
 *   selector, zigzag since, last_seen, dead_since, string job, string suggestion, u8 name known}
 */
#include "base/alloc.h"
#include "rules/rules_priv.h"

enum { HEALTH_VERSION = 1 };

static void append_string(struct toc_buf *out, struct toc_sv s) {
    toc_buf_append_varint(out, s.n);
    toc_buf_append_sv(out, s);
}

void toc_rule_health_encode(const struct rule_state *s, struct toc_buf *out) {
    const struct rule_health *h = &s->watch;
    toc_buf_append_u8(out, HEALTH_VERSION);
    append_string(out, s->key);
    toc_buf_append_zigzag(out, h->known_since.ms);
    toc_buf_append_zigzag(out, h->last_fired.ms);
    toc_buf_append_zigzag(out, h->dead_since.ms);
    toc_buf_append_varint(out, h->count);
    for (size_t i = 0; i < h->count; i++) {
        const struct watched *w = &h->items[i];
        append_string(out, w->text);
        toc_buf_append_zigzag(out, w->since.ms);
        toc_buf_append_zigzag(out, w->last_seen.ms);
        toc_buf_append_zigzag(out, w->dead_since.ms);
        append_string(out, toc_sv_cstr(w->seen_job ? w->seen_job : ""));
        append_string(out, toc_sv_cstr(w->suggestion ? w->suggestion : ""));
        toc_buf_append_u8(out, w->is_name_known);
    }
}

static void take(struct rule_health *h, struct toc_sv text, const struct watched *stored,
                 struct toc_sv job, struct toc_sv suggestion) {
    for (size_t i = 0; i < h->count; i++) {
        struct watched *w = &h->items[i];
        if (!toc_sv_eq(w->text, text))
            continue;
        w->since = stored->since;
        w->last_seen = stored->last_seen;
        w->dead_since = stored->dead_since;
        w->is_name_known = stored->is_name_known;
        w->seen_job = stored->last_seen.ms ? toc_sv_dup_cstr(job) : NULL;
        w->suggestion = suggestion.n ? toc_sv_dup_cstr(suggestion) : NULL;
    }
}

int toc_rule_health_decode(struct toc_sv bytes, struct rule_state *s) {
    struct toc_reader r = toc_reader_make(bytes);
    struct rule_health *h = &s->watch;
    if (toc_read_u8(&r) != HEALTH_VERSION || !toc_sv_eq(toc_read_string(&r), s->key))
        return TOC_ECORRUPT;
    struct toc_ts known = {toc_read_zigzag(&r)}, fired = {toc_read_zigzag(&r)};
    struct toc_ts dead = {toc_read_zigzag(&r)};
    for (uint64_t n = toc_read_varint(&r); n > 0 && !r.error; n--) {
        struct watched w = {0};
        struct toc_sv text = toc_read_string(&r);
        w.since.ms = toc_read_zigzag(&r);
        w.last_seen.ms = toc_read_zigzag(&r);
        w.dead_since.ms = toc_read_zigzag(&r);
        struct toc_sv job = toc_read_string(&r), suggestion = toc_read_string(&r);
        w.is_name_known = toc_read_u8(&r) != 0;
        if (!r.error)
            take(h, text, &w, job, suggestion);
    }
    if (r.error)
        return TOC_ECORRUPT;
    h->known_since = known;
    h->last_fired = fired;
    h->dead_since = dead;
    return 0;
}
