/*
 * The stored state of one alert rule:
 *
 *   u8 version · string key · varint n × {labels, source, annotations, u8 state, f64 value,
 *   f64 confirm value, f64 lower, f64 upper, zigzag active_at, fired_at, resolved_at, last_sent,
 *   keep_since} · zigzag grace_until
 */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "rules/rules_priv.h"

enum { STATE_VERSION = 3 };

static void encode_alert(const struct active_alert *a, struct toc_buf *out) {
    toc_labels_encode(a->labels, out);
    toc_labels_encode(a->source, out);
    toc_labels_encode(a->annotations, out);
    toc_buf_append_u8(out, (uint8_t)a->state);
    toc_buf_append_f64(out, a->value);
    toc_buf_append_f64(out, a->confirm_value);
    toc_buf_append_f64(out, a->expected_lower);
    toc_buf_append_f64(out, a->expected_upper);
    toc_buf_append_zigzag(out, a->active_at.ms);
    toc_buf_append_zigzag(out, a->fired_at.ms);
    toc_buf_append_zigzag(out, a->resolved_at.ms);
    toc_buf_append_zigzag(out, a->last_sent.ms);
    toc_buf_append_zigzag(out, a->keep_since.ms);
    toc_buf_append_zigzag(out, a->held_since.ms);
}

void toc_rule_state_encode(const struct rule_state *s, struct toc_buf *out) {
    toc_buf_append_u8(out, STATE_VERSION);
    toc_buf_append_varint(out, s->key.n);
    toc_buf_append_sv(out, s->key);
    toc_buf_append_varint(out, s->active.count);
    for (size_t i = 0; i < s->active.count; i++)
        encode_alert(&s->active.items[i], out);
    toc_buf_append_zigzag(out, s->grace_until_ms);
    if (s->active.count)
        return;
    toc_buf_append_varint(out, s->series.count);
    for (size_t i = 0; i < s->series.count; i++)
        toc_labels_encode(s->series.items[i], out);
}

static int decode_alert(struct toc_reader *r, struct toc_arena *arena, struct active_alert *out) {
    struct toc_labels labels, source, annotations;
    struct active_alert a = {0};
    int rc = toc_labels_decode(r, arena, &labels);
    if (!rc)
        rc = toc_labels_decode(r, arena, &source);
    if (!rc)
        rc = toc_labels_decode(r, arena, &annotations);
    uint8_t state = toc_read_u8(r);
    a.value = toc_read_f64(r);
    a.confirm_value = toc_read_f64(r);
    a.expected_lower = toc_read_f64(r);
    a.expected_upper = toc_read_f64(r);
    a.active_at.ms = toc_read_zigzag(r);
    a.fired_at.ms = toc_read_zigzag(r);
    a.resolved_at.ms = toc_read_zigzag(r);
    a.last_sent.ms = toc_read_zigzag(r);
    a.keep_since.ms = toc_read_zigzag(r);
    a.held_since.ms = toc_read_zigzag(r);
    if (rc || r->error || state > TOC_RULE_FIRING)
        return TOC_ECORRUPT;
    a.state = (enum toc_rule_alert_state)state;
    a.labels = toc_labels_dup(labels);
    a.source = toc_labels_dup(source);
    a.annotations = toc_labels_dup(annotations);
    *out = a;
    return 0;
}

static int compare_alerts(const void *a, const void *b) {
    return toc_labels_cmp(((const struct active_alert *)a)->labels,
                          ((const struct active_alert *)b)->labels);
}

struct toc_sv toc_rule_state_key(struct toc_sv bytes) {
    struct toc_reader r = toc_reader_make(bytes);
    if (toc_read_u8(&r) != STATE_VERSION)
        return TOC_SV_NULL;
    struct toc_sv key = toc_read_string(&r);
    return r.error ? TOC_SV_NULL : key;
}

static int decode_series(struct toc_reader *r, struct toc_arena *arena, struct rule_state *s) {
    struct toc_labels labels;
    int rc = 0;
    for (uint64_t n = toc_read_varint(r); n > 0 && !rc && !r->error; n--) {
        rc = toc_labels_decode(r, arena, &labels);
        if (!rc)
            TOC_VEC_PUSH(&s->series, toc_labels_dup(labels));
    }
    return rc;
}

int toc_rule_state_decode(struct toc_sv bytes, struct rule_state *s) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_arena arena = TOC_ARENA_INIT;
    int rc = toc_read_u8(&r) == STATE_VERSION ? 0 : TOC_EVERSION;
    if (!rc && !toc_sv_eq(toc_read_string(&r), s->key))
        rc = TOC_ECORRUPT;
    uint64_t count = rc ? 0 : toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !rc; i++) {
        struct active_alert a;
        rc = decode_alert(&r, &arena, &a);
        if (!rc)
            TOC_VEC_PUSH(&s->active, a);
    }
    s->grace_until_ms = rc ? 0 : toc_read_zigzag(&r);
    if (!rc && s->active.count)
        toc_rule_series_assume_alerts(s);
    else if (!rc)
        rc = decode_series(&r, &arena, s);
    if (!rc && (r.error || toc_reader_left(&r)))
        rc = TOC_ECORRUPT;
    if (!rc && s->active.count)
        qsort(s->active.items, s->active.count, sizeof *s->active.items, compare_alerts);
    if (rc) {
        toc_alert_rule_drop_all(s);
        toc_rule_series_forget(s);
    }
    toc_arena_fini(&arena);
    return rc;
}

uint64_t toc_rule_state_hash(const struct rule_state *s) {
    struct toc_buf bytes = TOC_BUF_INIT;
    if (!toc_rule_has_state(s))
        return 0;
    toc_rule_state_encode(s, &bytes);
    uint64_t hash = toc_hash64(bytes.p, bytes.n, 1);
    toc_buf_fini(&bytes);
    return hash;
}
