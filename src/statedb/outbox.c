#include "statedb/outbox.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/assert.h"
#include "statedb/statedb_priv.h"

enum {
    DUE_LIMIT_DEFAULT = 100,
    LIST_LIMIT_DEFAULT = 100,
    LIST_LIMIT_MAX = 10000,
    ATTEMPTS_SHOWN_MAX = 100,
    PAYLOAD_MAX_BYTES = 4 << 20,
    DETAIL_MAX_BYTES = 2048,
};

const char *toc_outbox_state_text(enum toc_outbox_state state) {
    switch (state) {
#define X(name, text) \
    case name:        \
        return text;
        TOC_OUTBOX_STATE_TABLE(X)
#undef X
    }
    TOC_UNREACHABLE();
}

static enum toc_outbox_state parse_state(struct toc_sv s) {
#define X(name, text)               \
    if (toc_sv_eq(s, TOC_SV(text))) \
        return name;
    TOC_OUTBOX_STATE_TABLE(X)
#undef X
    return TOC_OUTBOX_FAILED; /* the table's CHECK allows nothing else */
}

static int check_new(const struct toc_outbox_new *i, struct toc_err *err) {
    if (!i->idempotency_key.n || !i->receiver.n || !i->channel.n || !i->order_key.n)
        return toc_errf(err, TOC_EINVAL,
                        "outbox: an item needs an idempotency key, a receiver, a channel and an "
                        "order key");
    if (i->payload.n > PAYLOAD_MAX_BYTES)
        return toc_errf(err, TOC_ELIMIT, "outbox: a payload of %zu bytes is over the limit of %d",
                        i->payload.n, PAYLOAD_MAX_BYTES);
    return 0;
}

int toc_outbox_add(struct toc_statedb *db, const struct toc_outbox_new *item, struct toc_ts now,
                   int64_t *out_id, bool *out_is_new, struct toc_err *err) {
    int rc = check_new(item, err);
    if (rc)
        return rc;
    struct toc_txn t;
    int64_t id = 0;
    toc_txn_begin_write(&t, db, err);
    toc_txn_query(&t, "SELECT id FROM outbox WHERE idempotency_key = ?", "s",
                  item->idempotency_key);
    bool is_new = !toc_txn_row(&t);
    if (!is_new)
        id = toc_txn_int(&t, 0);
    if (is_new && t.rc == 0) {
        toc_txn_exec(
            &t,
            "INSERT INTO outbox(idempotency_key, receiver, channel, incident_id, order_key, "
            "subject, payload, state, attempt_count, created_at, next_at) "
            "VALUES(?,?,?,?,?,?,?,'pending',0,?,?)",
            "sssSssbtt", item->idempotency_key, item->receiver, item->channel, item->incident_id,
            item->order_key, item->subject, item->payload, now, now);
        id = toc_txn_last_id(&t);
    }
    rc = toc_txn_end(&t);
    if (rc == 0) {
        *out_id = id;
        if (out_is_new)
            *out_is_new = is_new;
    }
    return rc;
}

#define ITEM_COLUMNS                                                                   \
    "id, idempotency_key, receiver, channel, incident_id, order_key, subject, state, " \
    "attempt_count, created_at, next_at, finished_at"

static struct toc_outbox_item read_item(const struct toc_txn *t) {
    struct toc_outbox_item i = {
        .id = toc_txn_int(t, 0),
        .idempotency_key = toc_txn_text(t, 1),
        .receiver = toc_txn_text(t, 2),
        .channel = toc_txn_text(t, 3),
        .incident_id = toc_txn_text(t, 4),
        .order_key = toc_txn_text(t, 5),
        .subject = toc_txn_text(t, 6),
        .state = parse_state(toc_txn_text(t, 7)),
        .attempt_count = toc_txn_int(t, 8),
        .created_at = toc_txn_ts(t, 9),
        .next_at = toc_txn_ts(t, 10),
    };
    if (i.state == TOC_OUTBOX_DELIVERED)
        i.delivered_at = toc_txn_ts(t, 11);
    return i;
}

int toc_outbox_due(struct toc_statedb *db, struct toc_ts now, size_t limit, toc_on_outbox_item *fn,
                   void *ctx, struct toc_err *err) {
    struct toc_txn t;
    int stopped = 0;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t,
                  "SELECT " ITEM_COLUMNS ", payload FROM outbox AS o "
                  "WHERE state = 'pending' AND next_at <= ? AND NOT EXISTS("
                  " SELECT 1 FROM outbox AS p WHERE p.state = 'pending'"
                  " AND p.order_key = o.order_key AND p.id < o.id) ORDER BY id LIMIT ?",
                  "ti", now, (int64_t)(limit ? limit : DUE_LIMIT_DEFAULT));
    while (!stopped && toc_txn_row(&t)) {
        struct toc_outbox_item item = read_item(&t);
        item.payload = toc_txn_text(&t, 12);
        stopped = fn(ctx, &item);
    }
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

int toc_outbox_next_due(struct toc_statedb *db, struct toc_ts *out, struct toc_err *err) {
    struct toc_txn t;
    *out = (struct toc_ts){0};
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t,
                  "SELECT min(next_at) FROM outbox WHERE id IN ("
                  " SELECT min(id) FROM outbox WHERE state = 'pending' GROUP BY order_key)",
                  "");
    if (toc_txn_row(&t))
        *out = toc_txn_ts(&t, 0);
    return toc_txn_end(&t);
}

/* False (and the transaction failed) when the item is gone or finished. */
static bool is_pending(struct toc_txn *t, int64_t id, int64_t *out_attempts) {
    toc_txn_query(t, "SELECT state, attempt_count FROM outbox WHERE id = ?", "i", id);
    if (!toc_txn_row(t)) {
        toc_txn_fail(t, TOC_ENOENT, "outbox: there is no item %" PRId64, id);
        return false;
    }
    enum toc_outbox_state state = parse_state(toc_txn_text(t, 0));
    *out_attempts = toc_txn_int(t, 1);
    if (state == TOC_OUTBOX_PENDING)
        return true;
    toc_txn_fail(t, TOC_ECONFLICT, "outbox: item %" PRId64 " is %s already", id,
                 toc_outbox_state_text(state));
    return false;
}

int toc_outbox_attempted(struct toc_statedb *db, int64_t id, const struct toc_outbox_attempt *a,
                         struct toc_err *err) {
    struct toc_txn t;
    int64_t attempts = 0;
    enum toc_outbox_state state = a->ok             ? TOC_OUTBOX_DELIVERED
                                  : a->is_permanent ? TOC_OUTBOX_FAILED
                                                    : TOC_OUTBOX_PENDING;
    bool is_finished = state != TOC_OUTBOX_PENDING;
    struct toc_ts none = {0}, next_at = is_finished ? none : a->next_at;
    toc_txn_begin_write(&t, db, err);
    if (is_pending(&t, id, &attempts)) {
        toc_txn_exec(
            &t,
            "INSERT INTO outbox_attempts(outbox_id, n, at, ok, is_permanent, detail, next_at) "
            "VALUES(?,?,?,?,?,?,?)",
            "iitiisT", id, attempts + 1, a->at, (int64_t)a->ok, (int64_t)a->is_permanent,
            toc_sv_sub(a->detail, 0, DETAIL_MAX_BYTES), next_at);
        toc_txn_exec(&t,
                     "UPDATE outbox SET state = ?, attempt_count = ?, finished_at = ?, "
                     "next_at = coalesce(?, next_at) WHERE id = ?",
                     "siTTi", toc_sv_cstr(toc_outbox_state_text(state)), attempts + 1,
                     is_finished ? a->at : none, next_at, id);
    }
    return toc_txn_end(&t);
}

struct attempts {
    struct toc_outbox_attempt items[ATTEMPTS_SHOWN_MAX];
    size_t count;
};

/* The texts stay valid while their transaction's statement stands on a row, so they are copied. */
static void read_attempts(struct toc_txn *t, int64_t id, struct toc_arena *arena,
                          struct attempts *out) {
    out->count = 0;
    toc_txn_query(
        t,
        "SELECT at, ok, is_permanent, detail, next_at FROM (SELECT * FROM outbox_attempts "
        "WHERE outbox_id = ? ORDER BY n DESC LIMIT ?) ORDER BY n",
        "ii", id, (int64_t)ATTEMPTS_SHOWN_MAX);
    while (toc_txn_row(t) && out->count < ATTEMPTS_SHOWN_MAX)
        out->items[out->count++] = (struct toc_outbox_attempt){
            .at = toc_txn_ts(t, 0),
            .ok = toc_txn_int(t, 1) != 0,
            .is_permanent = toc_txn_int(t, 2) != 0,
            .detail = toc_arena_dup_sv(arena, toc_txn_text(t, 3)),
            .next_at = toc_txn_ts(t, 4),
        };
}

static void keep_item(struct toc_outbox_item *i, struct toc_arena *a) {
    struct toc_sv *texts[] = {&i->idempotency_key, &i->receiver,  &i->channel,
                              &i->incident_id,     &i->order_key, &i->subject};
    for (size_t n = 0; n < TOC_ARRAY_LEN(texts); n++)
        *texts[n] = toc_arena_dup_sv(a, *texts[n]);
}

struct ledger {
    TOC_VEC_FIELDS(struct toc_outbox_item)
    struct toc_arena arena;
};

static void read_ledger(struct toc_txn *t, const struct toc_outbox_filter *f, struct ledger *out) {
    size_t limit = f->limit ? TOC_MIN(f->limit, LIST_LIMIT_MAX) : LIST_LIMIT_DEFAULT;
    struct toc_sv state = f->has_state ? toc_sv_cstr(toc_outbox_state_text(f->state)) : TOC_SV_NULL;
    toc_txn_query(t,
                  "SELECT " ITEM_COLUMNS " FROM outbox WHERE (?1 IS NULL OR incident_id = ?1) "
                  "AND (?2 IS NULL OR receiver = ?2) AND (?3 IS NULL OR state = ?3) "
                  "ORDER BY id DESC LIMIT ?4",
                  "SSSi", f->incident_id, f->receiver, state, (int64_t)limit);
    while (toc_txn_row(t)) {
        struct toc_outbox_item item = read_item(t);
        keep_item(&item, &out->arena);
        TOC_VEC_PUSH(out, item);
    }
}

int toc_outbox_list(struct toc_statedb *db, const struct toc_outbox_filter *f, toc_on_delivery *fn,
                    void *ctx, struct toc_err *err) {
    struct toc_txn t;
    struct ledger items = {0};
    struct toc_arena scratch = TOC_ARENA_INIT;
    int stopped = 0;
    toc_txn_begin_read(&t, db, err);
    read_ledger(&t, f, &items);
    for (size_t i = 0; i < items.count && !stopped && t.rc == 0; i++) {
        struct attempts attempts;
        toc_arena_reset(&scratch);
        read_attempts(&t, items.items[i].id, &scratch, &attempts);
        if (t.rc == 0)
            stopped = fn(ctx, &items.items[i], attempts.items, attempts.count);
    }
    int rc = toc_txn_end(&t);
    toc_arena_fini(&scratch);
    toc_arena_fini(&items.arena);
    TOC_VEC_FINI(&items);
    return rc ? rc : stopped;
}

int toc_outbox_pending(struct toc_statedb *db,
                       int (*fn)(void *ctx, struct toc_sv receiver, uint64_t pending,
                                 uint64_t failed),
                       void *ctx, struct toc_err *err) {
    struct toc_txn t;
    int stopped = 0;
    toc_txn_begin_read(&t, db, err);
    toc_txn_query(&t,
                  "SELECT receiver, sum(state = 'pending'), sum(state = 'failed') FROM outbox "
                  "GROUP BY receiver ORDER BY receiver",
                  "");
    while (!stopped && toc_txn_row(&t))
        stopped = fn(ctx, toc_txn_text(&t, 0), (uint64_t)toc_txn_int(&t, 1),
                     (uint64_t)toc_txn_int(&t, 2));
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

int toc_outbox_prune(struct toc_statedb *db, struct toc_ts before, uint64_t *out_removed,
                     struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_write(&t, db, err);
    toc_txn_exec(&t, "DELETE FROM outbox WHERE finished_at IS NOT NULL AND finished_at < ?", "t",
                 before);
    uint64_t removed = t.rc ? 0 : (uint64_t)toc_txn_changes(&t);
    int rc = toc_txn_end(&t);
    if (out_removed)
        *out_removed = rc ? 0 : removed;
    return rc;
}
