#include "statedb/audit.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "statedb/statedb_priv.h"

enum { AUDIT_LIMIT_DEFAULT = 100, FIELD_MAX_BYTES = 4096 };

/* Every field with its length in front, so that no two rows encode alike. */
static void chain_field(crypto_generichash_state *h, struct toc_sv s) {
    uint64_t n = s.n;
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(n >> (8 * i));
    crypto_generichash_update(h, length, sizeof length);
    crypto_generichash_update(h, (const unsigned char *)(s.n ? s.p : ""), s.n);
}

static void chain_hash(const unsigned char *previous, const struct toc_audit_entry *e,
                       unsigned char *out) {
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, TOC_AUDIT_HASH_BYTES);
    crypto_generichash_update(&h, previous, TOC_AUDIT_HASH_BYTES);
    char numbers[64];
    int n = snprintf(numbers, sizeof numbers, "%" PRId64 " %" PRId64, e->seq, e->at.ms);
    chain_field(&h, toc_sv_make(numbers, (size_t)n));
    chain_field(&h, e->actor);
    chain_field(&h, e->route);
    chain_field(&h, e->object);
    chain_field(&h, e->outcome);
    crypto_generichash_final(&h, out, TOC_AUDIT_HASH_BYTES);
}

static void copy_hash(unsigned char *out, struct toc_sv blob) {
    memset(out, 0, TOC_AUDIT_HASH_BYTES);
    if (blob.n == TOC_AUDIT_HASH_BYTES)
        memcpy(out, blob.p, TOC_AUDIT_HASH_BYTES);
}

int toc_audit_append(struct toc_statedb *db, const struct toc_audit_entry *entry,
                     struct toc_err *err) {
    struct toc_audit_entry e = *entry;
    struct toc_sv *texts[] = {&e.actor, &e.route, &e.object, &e.outcome};
    for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++)
        *texts[i] = toc_sv_sub(*texts[i], 0, FIELD_MAX_BYTES);
    unsigned char previous[TOC_AUDIT_HASH_BYTES] = {0};
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_query(&t, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "");
    e.seq = 1;
    if (toc_txn_row(&t)) {
        e.seq = toc_txn_int(&t, 0) + 1;
        copy_hash(previous, toc_txn_text(&t, 1));
    }
    chain_hash(previous, &e, e.hash);
    toc_txn_exec(&t,
                 "INSERT INTO audit(seq, at, actor, route, object, outcome, hash) "
                 "VALUES(?,?,?,?,?,?,?)",
                 "itssssb", e.seq, e.at, e.actor, e.route, e.object, e.outcome,
                 toc_sv_make((const char *)e.hash, sizeof e.hash));
    return toc_txn_end(&t);
}

static struct toc_audit_entry read_entry(const struct toc_txn *t) {
    struct toc_audit_entry e = {
        .seq = toc_txn_int(t, 0),
        .at = toc_txn_ts(t, 1),
        .actor = toc_txn_text(t, 2),
        .route = toc_txn_text(t, 3),
        .object = toc_txn_text(t, 4),
        .outcome = toc_txn_text(t, 5),
    };
    copy_hash(e.hash, toc_txn_text(t, 6));
    return e;
}

int toc_audit_list(struct toc_statedb *db, size_t limit,
                   int (*fn)(void *ctx, const struct toc_audit_entry *e), void *ctx,
                   struct toc_err *err) {
    struct toc_txn t;
    int stopped = 0;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t,
                  "SELECT seq, at, actor, route, object, outcome, hash FROM audit "
                  "ORDER BY seq DESC LIMIT ?",
                  "i", (int64_t)(limit ? limit : AUDIT_LIMIT_DEFAULT));
    while (!stopped && toc_txn_row(&t)) {
        struct toc_audit_entry e = read_entry(&t);
        stopped = fn(ctx, &e);
    }
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

static void verify_row(struct toc_txn *t, struct toc_audit_head *head) {
    struct toc_audit_entry e = read_entry(t);
    unsigned char want[TOC_AUDIT_HASH_BYTES];
    int64_t seq = head->count + 1;
    chain_hash(head->hash, &e, want);
    if (e.seq != seq)
        toc_txn_fail(t, TOC_ECORRUPT, "audit log: row %" PRId64 " is missing", seq);
    else if (memcmp(want, e.hash, sizeof want) != 0)
        toc_txn_fail(t, TOC_ECORRUPT, "audit log: row %" PRId64 " or one before it was changed",
                     seq);
    head->count = seq;
    memcpy(head->hash, want, sizeof want);
}

int toc_audit_verify(struct toc_statedb *db, struct toc_audit_head *out, struct toc_err *err) {
    struct toc_txn t;
    *out = (struct toc_audit_head){0};
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t, "SELECT seq, at, actor, route, object, outcome, hash FROM audit ORDER BY seq",
                  "");
    while (toc_txn_row(&t))
        verify_row(&t, out);
    return toc_txn_end(&t);
}
