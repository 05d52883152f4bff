/*
 * Alerts as bytes. One form serves for keeping a copy in memory and for the store:
 *
 *   u8 version · labels · annotations · zigzag starts, ends, updated · u8 flags · string url · f64
 * value u8 has_finding [· string kind · u8 severity · strings title, summary, action · u8 has_step
 * · zigzag step · zigzag first_seen · varint n × evidence{3 strings, 4 f64} · varint n ×
 * cause{string, f64, string} · from version 2 on: u8 names_cause · varint n × cascade{strings kind,
 * name, title, zigzag started, zigzag count}]
 *
 * A string is a varint length and its bytes.
 */
#include "alert/manager_priv.h"

enum { CODEC_VERSION = 2, CODEC_WITHOUT_CASCADES = 1, MAX_PARTS = 256 };

static void put_string(struct toc_buf *out, struct toc_sv s) {
    toc_buf_append_varint(out, s.n);
    toc_buf_append_sv(out, s);
}

static void encode_cascades(const struct toc_finding *f, struct toc_buf *out) {
    size_t count = TOC_MIN(f->cascade_count, (size_t)MAX_PARTS);
    toc_buf_append_u8(out, f->names_cause);
    toc_buf_append_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        const struct toc_finding_cascade *c = &f->cascades[i];
        put_string(out, toc_sv_cstr(toc_kind_info(c->kind)->name));
        put_string(out, c->name);
        put_string(out, c->title);
        toc_buf_append_zigzag(out, c->started_at.ms);
        toc_buf_append_zigzag(out, c->count);
    }
}

static void encode_finding(const struct toc_finding *f, struct toc_buf *out) {
    size_t evidence = TOC_MIN(f->evidence_count, (size_t)MAX_PARTS);
    size_t causes = TOC_MIN(f->cause_count, (size_t)MAX_PARTS);
    put_string(out, toc_sv_cstr(toc_kind_info(f->kind)->name));
    toc_buf_append_u8(out, (uint8_t)f->severity);
    put_string(out, f->title);
    put_string(out, f->summary);
    put_string(out, f->action);
    toc_buf_append_u8(out, f->has_step);
    toc_buf_append_zigzag(out, f->step);
    toc_buf_append_zigzag(out, f->first_seen.ms);
    toc_buf_append_varint(out, evidence);
    for (size_t i = 0; i < evidence; i++) {
        const struct toc_evidence *e = &f->evidence[i];
        put_string(out, e->title);
        put_string(out, e->expr);
        put_string(out, e->unit);
        toc_buf_append_f64(out, e->value);
        toc_buf_append_f64(out, e->threshold);
        toc_buf_append_f64(out, e->expected_lower);
        toc_buf_append_f64(out, e->expected_upper);
    }
    toc_buf_append_varint(out, causes);
    for (size_t i = 0; i < causes; i++) {
        put_string(out, f->causes[i].text);
        toc_buf_append_f64(out, f->causes[i].confidence);
        put_string(out, f->causes[i].evidence);
    }
    encode_cascades(f, out);
}

void toc_alert_encode(const struct toc_alert *a, unsigned flags, struct toc_buf *out) {
    toc_buf_append_u8(out, CODEC_VERSION);
    toc_labels_encode(a->labels, out);
    toc_labels_encode(a->annotations, out);
    toc_buf_append_zigzag(out, a->starts_at.ms);
    toc_buf_append_zigzag(out, a->ends_at.ms);
    toc_buf_append_zigzag(out, a->updated_at.ms);
    toc_buf_append_u8(out, (uint8_t)flags);
    put_string(out, a->generator_url);
    toc_buf_append_f64(out, a->value);
    toc_buf_append_u8(out, a->finding != NULL);
    if (a->finding)
        encode_finding(a->finding, out);
}

static int decode_evidence(struct toc_reader *r, struct toc_arena *a, struct toc_finding *f) {
    uint64_t count = toc_read_varint(r);
    if (r->error || count > MAX_PARTS)
        return TOC_ECORRUPT;
    struct toc_evidence *items = TOC_ARENA_NEW_ARRAY(a, struct toc_evidence, (size_t)count + 1);
    if (!items)
        return TOC_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        items[i].title = toc_read_string(r);
        items[i].expr = toc_read_string(r);
        items[i].unit = toc_read_string(r);
        items[i].value = toc_read_f64(r);
        items[i].threshold = toc_read_f64(r);
        items[i].expected_lower = toc_read_f64(r);
        items[i].expected_upper = toc_read_f64(r);
    }
    f->evidence = items;
    f->evidence_count = (size_t)count;
    return r->error;
}

static int decode_causes(struct toc_reader *r, struct toc_arena *a, struct toc_finding *f) {
    uint64_t count = toc_read_varint(r);
    if (r->error || count > MAX_PARTS)
        return TOC_ECORRUPT;
    struct toc_cause *items = TOC_ARENA_NEW_ARRAY(a, struct toc_cause, (size_t)count + 1);
    if (!items)
        return TOC_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        items[i].text = toc_read_string(r);
        items[i].confidence = toc_read_f64(r);
        items[i].evidence = toc_read_string(r);
    }
    f->causes = items;
    f->cause_count = (size_t)count;
    return r->error;
}

static enum toc_kind decode_kind(struct toc_reader *r) {
    enum toc_kind kind = toc_kind_parse(toc_read_string(r));
    return kind == TOC_KIND_COUNT ? TOC_KIND_THRESHOLD : kind; /* a kind of a later release */
}

static int decode_cascades(struct toc_reader *r, struct toc_arena *a, struct toc_finding *f) {
    f->names_cause = toc_read_u8(r) != 0;
    uint64_t count = toc_read_varint(r);
    if (r->error || count > MAX_PARTS)
        return TOC_ECORRUPT;
    struct toc_finding_cascade *items =
        TOC_ARENA_NEW_ARRAY(a, struct toc_finding_cascade, (size_t)count + 1);
    if (!items)
        return TOC_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        items[i].kind = decode_kind(r);
        items[i].name = toc_read_string(r);
        items[i].title = toc_read_string(r);
        items[i].started_at.ms = toc_read_zigzag(r);
        items[i].count = toc_read_zigzag(r);
    }
    f->cascades = items;
    f->cascade_count = (size_t)count;
    return r->error;
}

static int decode_finding(struct toc_reader *r, struct toc_arena *a, uint8_t version,
                          struct toc_finding *f) {
    f->kind = decode_kind(r);
    uint8_t severity = toc_read_u8(r);
    f->severity =
        severity < TOC_SEVERITY_CRITICAL ? (enum toc_severity)severity : TOC_SEVERITY_CRITICAL;
    f->title = toc_read_string(r);
    f->summary = toc_read_string(r);
    f->action = toc_read_string(r);
    f->has_step = toc_read_u8(r) != 0;
    f->step = toc_read_zigzag(r);
    f->first_seen.ms = toc_read_zigzag(r);
    int rc = decode_evidence(r, a, f);
    if (!rc)
        rc = decode_causes(r, a, f);
    return rc || version == CODEC_WITHOUT_CASCADES ? rc : decode_cascades(r, a, f);
}

/* Fills e->alert from e->bytes, which it goes on borrowing. */
int toc_alert_decode(struct alert_entry *e) {
    struct toc_reader r = toc_reader_make(toc_buf_sv(&e->bytes));
    struct toc_alert *a = &e->alert;
    uint8_t version = toc_read_u8(&r);
    if (version != CODEC_VERSION && version != CODEC_WITHOUT_CASCADES)
        return TOC_EVERSION;
    int rc = toc_labels_decode(&r, &e->arena, &a->labels);
    if (!rc)
        rc = toc_labels_decode(&r, &e->arena, &a->annotations);
    if (rc)
        return rc;
    a->starts_at.ms = toc_read_zigzag(&r);
    a->ends_at.ms = toc_read_zigzag(&r);
    a->updated_at.ms = toc_read_zigzag(&r);
    e->flags = toc_read_u8(&r);
    a->generator_url = toc_read_string(&r);
    a->value = toc_read_f64(&r);
    if (toc_read_u8(&r)) {
        a->finding = &e->finding;
        rc = decode_finding(&r, &e->arena, version, &e->finding);
    }
    if (!rc)
        rc = r.error;
    e->fingerprint = toc_labels_fingerprint(a->labels);
    return !rc && toc_reader_left(&r) ? TOC_ECORRUPT : rc;
}

void toc_alert_entry_free(struct alert_entry *e) {
    if (!e)
        return;
    toc_buf_fini(&e->bytes);
    toc_arena_fini(&e->arena);
    toc_free(e);
}
