/*
 * What must survive a restart, in the store:
 *
 *   "rule", hash of file, group, name, ordinal → u8 version · string key · varint n × {labels,
 * source, annotations, u8 state, f64 value, f64 lower, f64 upper, zigzag active_at, fired_at,
 * resolved_at, last_sent, keep_since} "rule_group", hash of file and group → u8 version · zigzag
 * time of a recent evaluation
 *
 * A rule is written when anything but its value and annotations changed; a group once a minute.
 */
#include <math.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "rules/rules_priv.h"

enum { STATE_VERSION = 1, GROUP_SAVE_MS = 60000 };

static struct toc_sv hex_key(struct toc_sv key, char out[16]) {
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = toc_hash64(key.p, key.n, 0);
    for (int i = 15; i >= 0; i--, hash >>= 4)
        out[i] = digits[hash & 15];
    return toc_sv_make(out, 16);
}

static void encode_times(const struct active_alert *a, struct toc_buf *out) {
    toc_buf_append_u8(out, (uint8_t)a->state);
    toc_buf_append_zigzag(out, a->active_at.ms);
    toc_buf_append_zigzag(out, a->fired_at.ms);
    toc_buf_append_zigzag(out, a->resolved_at.ms);
    toc_buf_append_zigzag(out, a->last_sent.ms);
    toc_buf_append_zigzag(out, a->keep_since.ms);
}

static uint64_t state_hash(const struct rule_state *s) {
    struct toc_buf bytes = TOC_BUF_INIT;
    for (size_t i = 0; i < s->active.count; i++) {
        toc_labels_encode(s->active.items[i].labels, &bytes);
        encode_times(&s->active.items[i], &bytes);
    }
    uint64_t hash = bytes.n ? toc_hash64(bytes.p, bytes.n, 1) : 0;
    toc_buf_fini(&bytes);
    return hash;
}

static void encode(const struct rule_state *s, struct toc_buf *out) {
    toc_buf_append_u8(out, STATE_VERSION);
    toc_buf_append_varint(out, s->key.n);
    toc_buf_append_sv(out, s->key);
    toc_buf_append_varint(out, s->active.count);
    for (size_t i = 0; i < s->active.count; i++) {
        const struct active_alert *a = &s->active.items[i];
        toc_labels_encode(a->labels, out);
        toc_labels_encode(a->source, out);
        toc_labels_encode(a->annotations, out);
        toc_buf_append_f64(out, a->value);
        toc_buf_append_f64(out, a->expected_lower);
        toc_buf_append_f64(out, a->expected_upper);
        encode_times(a, out);
    }
}

void toc_rule_save(struct toc_rules *m, struct rule_state *s) {
    char key[16];
    struct toc_buf value = TOC_BUF_INIT;
    struct toc_blob_store *store = m->options.store;
    uint64_t hash = state_hash(s);
    if (!store || hash == s->saved_hash)
        return;
    struct toc_sv name = hex_key(s->key, key);
    encode(s, &value);
    int rc = toc_buf_error(&value);
    if (!rc)
        rc = s->active.count ? store->put(store, "rule", name, toc_buf_sv(&value), NULL)
                             : store->remove(store, "rule", name, NULL);
    if (rc)
        m->stats.store_failures++;
    else
        s->saved_hash = hash;
    toc_buf_fini(&value);
}

static int decode_alert(struct toc_reader *r, struct toc_arena *arena, struct active_alert *out) {
    struct toc_labels labels, source, annotations;
    int rc = toc_labels_decode(r, arena, &labels);
    if (!rc)
        rc = toc_labels_decode(r, arena, &source);
    if (!rc)
        rc = toc_labels_decode(r, arena, &annotations);
    struct active_alert a = {.confirm_value = NAN};
    a.value = toc_read_f64(r);
    a.expected_lower = toc_read_f64(r);
    a.expected_upper = toc_read_f64(r);
    uint8_t state = toc_read_u8(r);
    a.active_at.ms = toc_read_zigzag(r);
    a.fired_at.ms = toc_read_zigzag(r);
    a.resolved_at.ms = toc_read_zigzag(r);
    a.last_sent.ms = toc_read_zigzag(r);
    a.keep_since.ms = toc_read_zigzag(r);
    if (rc || r->error || state > TOC_RULE_FIRING)
        return TOC_ECORRUPT;
    a.state = (enum toc_rule_alert_state)state;
    a.labels = toc_labels_dup(labels);
    a.source = toc_labels_dup(source);
    a.annotations = toc_labels_dup(annotations);
    *out = a;
    return 0;
}

static int decode(struct toc_sv bytes, struct rule_state *s, bool drops_pending) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_arena arena = TOC_ARENA_INIT;
    int rc = toc_read_u8(&r) == STATE_VERSION ? 0 : TOC_EVERSION;
    if (!rc && !toc_sv_eq(toc_read_string(&r), s->key))
        rc = TOC_ECORRUPT;
    uint64_t count = rc ? 0 : toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !rc; i++) {
        struct active_alert a;
        rc = decode_alert(&r, &arena, &a);
        if (rc)
            break;
        if (a.state == TOC_RULE_PENDING && drops_pending)
            toc_active_alert_fini(&a);
        else
            TOC_VEC_PUSH(&s->active, a);
    }
    toc_arena_fini(&arena);
    return rc ? rc : toc_reader_left(&r) ? TOC_ECORRUPT : r.error;
}

void toc_rule_load(struct toc_rules *m, struct rule_state *s, int64_t outage_ms) {
    char key[16];
    struct toc_buf value = TOC_BUF_INIT;
    struct toc_blob_store *store = m->options.store;
    int rc = store ? store->get(store, "rule", hex_key(s->key, key), &value, NULL) : TOC_ENOENT;
    if (!rc)
        rc = decode(toc_buf_sv(&value), s, outage_ms > m->options.outage_tolerance_ms);
    if (rc && rc != TOC_ENOENT) {
        m->stats.store_failures++;
        toc_alert_rule_drop_all(s);
    }
    s->saved_hash = state_hash(s);
    /* After a long silence instant queries find nothing at first; that is no recovery. */
    if (s->active.count && outage_ms > m->options.lookback_ms)
        s->grace = 2;
    toc_buf_fini(&value);
}

void toc_group_save_time(struct toc_rules *m, struct group_state *g, struct toc_ts at) {
    char key[16];
    struct toc_buf value = TOC_BUF_INIT;
    struct toc_blob_store *store = m->options.store;
    if (!store || at.ms - g->saved_at.ms < GROUP_SAVE_MS)
        return;
    toc_buf_append_u8(&value, STATE_VERSION);
    toc_buf_append_zigzag(&value, at.ms);
    if (store->put(store, "rule_group", hex_key(g->key, key), toc_buf_sv(&value), NULL))
        m->stats.store_failures++;
    else
        g->saved_at = at;
    toc_buf_fini(&value);
}

struct toc_ts toc_group_load_time(struct toc_rules *m, const struct group_state *g) {
    char key[16];
    struct toc_ts at = {0};
    struct toc_buf value = TOC_BUF_INIT;
    struct toc_blob_store *store = m->options.store;
    if (store && !store->get(store, "rule_group", hex_key(g->key, key), &value, NULL)) {
        struct toc_reader r = toc_reader_make(toc_buf_sv(&value));
        if (toc_read_u8(&r) == STATE_VERSION)
            at.ms = toc_read_zigzag(&r);
        if (r.error)
            at.ms = 0;
    }
    toc_buf_fini(&value);
    return at;
}
