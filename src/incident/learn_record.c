/*
 * What the store holds:
 *
 *     learn.alert   key 16 hex digits of the id
 *         "TLA1" u64 fingerprint, f64 probability, zig-zag first, last, labelled_at, u8 flags, u8
 * label, varint version, varint next_rows, strings scope, rule, labels, actor, incident, varint
 * looks, their floats as u32 bits, CRC learn.model   key SCOPE/0000000001 "TLM1" u8 mode, zig-zag
 * made_at, f64 level, f64 keep, varint labels, 4 varints and 3 f64 of the foretold effect, string
 * actor, the classifier's bytes as a string, CRC learn.scope   key SCOPE: "TLS1" varint active,
 * varint last number, CRC
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "incident/learn_priv.h"

enum { FLAG_OPEN = 1, FLAG_WITHHELD = 2, FLAG_WAS_WITHHELD = 4, FLAG_BLIND = 8, TEXT_MAX = 16384 };

void toc_learn_alert_free(struct learn_alert *a) {
    if (!a)
        return;
    toc_free(a->scope);
    toc_free(a->rule);
    toc_free(a->labels);
    toc_free(a->actor);
    toc_free(a->incident);
    toc_free(a->looks);
    toc_free(a);
}

void toc_learn_version_fini(struct learn_version *v) {
    toc_free(v->actor);
    toc_classifier_free(&v->classifier);
    *v = (struct learn_version){0};
}

/* --- writing --- */

static void append_string(struct toc_buf *b, const char *s) {
    size_t n = strlen(s);
    toc_buf_append_varint(b, n);
    toc_buf_append(b, s, n);
}

static void append_crc(struct toc_buf *b) {
    if (!toc_buf_error(b))
        toc_buf_append_u32(b, toc_crc32c(0, b->p, b->n));
}

static void encode_alert(const struct learn_alert *a, struct toc_buf *b) {
    toc_buf_append_cstr(b, "TLA1");
    toc_buf_append_u64(b, a->fingerprint);
    toc_buf_append_f64(b, a->probability);
    toc_buf_append_zigzag(b, a->first.ms);
    toc_buf_append_zigzag(b, a->last.ms);
    toc_buf_append_zigzag(b, a->labelled_at.ms);
    toc_buf_append_u8(
        b, (uint8_t)((a->is_open ? FLAG_OPEN : 0) | (a->is_withheld ? FLAG_WITHHELD : 0) |
                     (a->was_withheld ? FLAG_WAS_WITHHELD : 0) | (a->is_blind ? FLAG_BLIND : 0)));
    toc_buf_append_u8(b, (uint8_t)a->label);
    toc_buf_append_varint(b, a->version);
    toc_buf_append_varint(b, a->next_rows);
    append_string(b, a->scope);
    append_string(b, a->rule);
    append_string(b, a->labels);
    append_string(b, a->actor);
    append_string(b, a->incident);
    toc_buf_append_varint(b, a->look_count);
    for (size_t i = 0; i < (size_t)a->look_count * TOC_ALERT_FEATURES; i++) {
        uint32_t bits;
        memcpy(&bits, &a->looks[i], sizeof bits);
        toc_buf_append_u32(b, bits);
    }
    append_crc(b);
}

static int put(struct toc_learn *l, const char *ns, struct toc_sv key, struct toc_buf *value,
               struct toc_err *err) {
    struct toc_blob_store *s = l->options.store;
    int rc = toc_buf_error(value);
    if (rc == 0)
        rc = s->put(s, ns, key, toc_buf_sv(value), err);
    if (rc < 0)
        l->stats.store_failures++;
    toc_buf_fini(value);
    return rc;
}

static struct toc_sv alert_key(uint64_t id, char space[20]) {
    return toc_sv_make(space, (size_t)snprintf(space, 20, "%016llx", (unsigned long long)id));
}

int toc_learn_alert_save(struct toc_learn *l, const struct learn_alert *a) {
    struct toc_buf b = TOC_BUF_INIT;
    char space[20];
    encode_alert(a, &b);
    return put(l, LEARN_ALERT_NS, alert_key(a->id, space), &b, NULL);
}

static struct toc_sv version_key(const struct learn_scope *s, uint32_t number, char *space,
                                 size_t size) {
    return toc_sv_make(space, (size_t)snprintf(space, size, "%s/%010u", s->name, number));
}

int toc_learn_version_save(struct toc_learn *l, const struct learn_scope *s,
                           const struct learn_version *v, struct toc_err *err) {
    struct toc_buf b = TOC_BUF_INIT, model = TOC_BUF_INIT;
    char space[TOC_LEARN_NAME_MAX + 16];
    toc_buf_append_cstr(&b, "TLM1");
    toc_buf_append_u8(&b, (uint8_t)v->mode);
    toc_buf_append_zigzag(&b, v->made_at.ms);
    toc_buf_append_f64(&b, v->level);
    toc_buf_append_f64(&b, v->keep);
    toc_buf_append_varint(&b, v->labels);
    toc_buf_append_varint(&b, v->foretold.alerts);
    toc_buf_append_varint(&b, v->foretold.true_alerts);
    toc_buf_append_varint(&b, v->foretold.withheld);
    toc_buf_append_varint(&b, v->foretold.true_withheld);
    toc_buf_append_f64(&b, v->foretold.precision_before);
    toc_buf_append_f64(&b, v->foretold.precision_after);
    toc_buf_append_f64(&b, v->foretold.recall);
    append_string(&b, v->actor);
    toc_classifier_encode(v->classifier, &model);
    toc_buf_append_varint(&b, model.n);
    toc_buf_append_sv(&b, toc_buf_sv(&model));
    if (toc_buf_error(&model))
        b.error = toc_buf_error(&model);
    toc_buf_fini(&model);
    append_crc(&b);
    return put(l, LEARN_MODEL_NS, version_key(s, v->number, space, sizeof space), &b, err);
}

void toc_learn_version_remove(struct toc_learn *l, struct learn_scope *s, size_t index) {
    struct toc_blob_store *store = l->options.store;
    char space[TOC_LEARN_NAME_MAX + 16];
    struct toc_sv key = version_key(s, s->versions.items[index].number, space, sizeof space);
    if (store->remove(store, LEARN_MODEL_NS, key, NULL) < 0)
        l->stats.store_failures++;
    toc_learn_version_fini(&s->versions.items[index]);
    TOC_VEC_REMOVE(&s->versions, index);
}

int toc_learn_scope_save(struct toc_learn *l, const struct learn_scope *s, struct toc_err *err) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_append_cstr(&b, "TLS1");
    toc_buf_append_varint(&b, s->active);
    toc_buf_append_varint(&b, s->last_number);
    append_crc(&b);
    return put(l, LEARN_SCOPE_NS, toc_sv_cstr(s->name), &b, err);
}

/* --- reading --- */

/* The inside of a record whose magic and checksum are right. */
static bool open_record(struct toc_sv bytes, const char *magic, struct toc_reader *out) {
    if (bytes.n < 8 || memcmp(bytes.p, magic, 4) != 0)
        return false;
    struct toc_reader tail = toc_reader_make(toc_sv_sub(bytes, bytes.n - 4, 4));
    *out = toc_reader_make(toc_sv_sub(bytes, 4, bytes.n - 8));
    return toc_read_u32(&tail) == toc_crc32c(0, bytes.p, bytes.n - 4);
}

static char *read_text(struct toc_reader *r, size_t most) {
    struct toc_sv s = toc_read_string(r);
    if (s.n > most)
        r->error = TOC_ELIMIT;
    return toc_sv_dup_cstr(r->error ? TOC_SV_NULL : s);
}

static void read_looks(struct toc_reader *r, struct learn_alert *a) {
    uint64_t count = toc_read_varint(r);
    if (r->error || count > TOC_LEARN_LOOKS_MAX ||
        toc_reader_left(r) != count * TOC_ALERT_FEATURES * 4) {
        r->error = r->error ? r->error : TOC_ECORRUPT;
        return;
    }
    a->look_count = (unsigned)count;
    a->looks = TOC_NEW_ARRAY(float, TOC_LEARN_LOOKS_MAX *TOC_ALERT_FEATURES);
    for (size_t i = 0; i < count * TOC_ALERT_FEATURES; i++) {
        uint32_t bits = toc_read_u32(r);
        memcpy(&a->looks[i], &bits, sizeof bits);
        if (isinf(a->looks[i]))
            r->error = TOC_ECORRUPT;
    }
}

static bool parse_id(struct toc_sv key, uint64_t *out) {
    *out = 0;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'f';
        if (!is_digit && !is_letter)
            return false;
        *out = *out << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return key.n == 16 && *out > 0;
}

static int take_alert(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct toc_learn *l = ctx;
    struct toc_reader r;
    struct learn_alert *a = TOC_NEW(struct learn_alert);
    bool is_good = parse_id(key, &a->id) && open_record(value, "TLA1", &r);
    if (is_good) {
        a->fingerprint = toc_read_u64(&r);
        a->probability = toc_read_f64(&r);
        a->first.ms = toc_read_zigzag(&r);
        a->last.ms = toc_read_zigzag(&r);
        a->labelled_at.ms = toc_read_zigzag(&r);
        uint8_t flags = toc_read_u8(&r), label = toc_read_u8(&r);
        a->version = (uint32_t)toc_read_varint(&r);
        a->next_rows = (size_t)toc_read_varint(&r);
        a->scope = read_text(&r, TOC_LEARN_NAME_MAX);
        a->rule = read_text(&r, TEXT_MAX);
        a->labels = read_text(&r, TEXT_MAX);
        a->actor = read_text(&r, TEXT_MAX);
        a->incident = read_text(&r, TEXT_MAX);
        read_looks(&r, a);
        a->is_open = flags & FLAG_OPEN;
        a->is_withheld = flags & FLAG_WITHHELD;
        a->was_withheld = flags & FLAG_WAS_WITHHELD;
        a->is_blind = flags & FLAG_BLIND;
        a->label = (enum learn_label)label;
        is_good = r.error == 0 && label <= LEARN_IGNORED && l->alerts.count < TOC_LEARN_ALERTS_MAX;
    }
    if (!is_good) {
        l->stats.store_failures++;
        toc_learn_alert_free(a);
        return 0;
    }
    TOC_VEC_PUSH(&l->alerts, a);
    l->next_id = TOC_MAX(l->next_id, a->id + 1);
    if (a->is_open)
        toc_map_put(&l->open, toc_map_u64(&a->fingerprint), a);
    return 0;
}

static bool read_version(struct toc_reader *r, struct learn_version *v) {
    uint8_t mode = toc_read_u8(r);
    v->mode = (enum toc_learn_mode)mode;
    v->made_at.ms = toc_read_zigzag(r);
    v->level = toc_read_f64(r);
    v->keep = toc_read_f64(r);
    v->labels = (size_t)toc_read_varint(r);
    v->foretold.alerts = (size_t)toc_read_varint(r);
    v->foretold.true_alerts = (size_t)toc_read_varint(r);
    v->foretold.withheld = (size_t)toc_read_varint(r);
    v->foretold.true_withheld = (size_t)toc_read_varint(r);
    v->foretold.precision_before = toc_read_f64(r);
    v->foretold.precision_after = toc_read_f64(r);
    v->foretold.recall = toc_read_f64(r);
    v->actor = read_text(r, TEXT_MAX);
    struct toc_sv model = toc_read_string(r);
    return !r->error && mode < TOC_LEARN_MODE_COUNT && v->level >= 0 && v->level <= 1 &&
           toc_classifier_decode(model, &v->classifier, NULL) == 0 &&
           toc_classifier_columns(v->classifier) == TOC_ALERT_FEATURES;
}

/* Keys come in order, so that versions rise. */
static int take_version(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct toc_learn *l = ctx;
    struct toc_reader r;
    struct learn_version v = {0};
    unsigned number = 0;
    bool is_good = key.n > 11 && key.p[key.n - 11] == '/' && open_record(value, "TLM1", &r);
    for (size_t i = key.n - TOC_MIN(key.n, (size_t)10); is_good && i < key.n; i++)
        number = number * 10 + (unsigned)(key.p[i] - '0');
    struct learn_scope *s =
        is_good ? toc_learn_scope_make(l, toc_sv_sub(key, 0, key.n - 11)) : NULL;
    v.number = number;
    if (!s || !read_version(&r, &v)) {
        l->stats.store_failures++;
        toc_learn_version_fini(&v);
        return 0;
    }
    TOC_VEC_PUSH(&s->versions, v);
    s->last_number = TOC_MAX(s->last_number, number);
    return 0;
}

static int take_scope(void *ctx, struct toc_sv key, struct toc_sv value) {
    struct toc_learn *l = ctx;
    struct toc_reader r;
    struct learn_scope *s = toc_learn_scope_make(l, key);
    if (!s || !open_record(value, "TLS1", &r)) {
        l->stats.store_failures++;
        return 0;
    }
    uint64_t active = toc_read_varint(&r), last = toc_read_varint(&r);
    s->active = 0; /* a version that is gone cannot be in force */
    for (size_t i = 0; !r.error && i < s->versions.count; i++)
        if (s->versions.items[i].number == active)
            s->active = (uint32_t)active;
    if (!r.error && last <= UINT32_MAX)
        s->last_number = TOC_MAX(s->last_number, (uint32_t)last);
    return 0;
}

int toc_learn_load(struct toc_learn *l, struct toc_err *err) {
    struct toc_blob_store *s = l->options.store;
    int rc = s->each(s, LEARN_ALERT_NS, take_alert, l, err);
    if (rc == 0)
        rc = s->each(s, LEARN_MODEL_NS, take_version, l, err);
    if (rc == 0)
        rc = s->each(s, LEARN_SCOPE_NS, take_scope, l, err);
    return rc;
}
