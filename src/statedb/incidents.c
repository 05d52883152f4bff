#include "statedb/incidents.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "model/incident_json.h"
#include "statedb/changes_priv.h"
#include "statedb/statedb_priv.h"

enum { LIST_LIMIT_DEFAULT = 100, LIST_LIMIT_MAX = 1000 };

static struct toc_statedb *db_of(struct toc_incident_store *s) {
    return TOC_CONTAINER_OF(s, struct toc_incidents, base)->db;
}

/* Columns in the order of the model's tables; everything below is derived from them. */
#define TEXT_COLUMN(name) ", " #name
#define FIXED_COLUMNS "id, kind, severity, state, held_state, verdict, step, reopen_count, lists"
enum { FIXED_COUNT = 9 };
#define ALL_COLUMNS \
    FIXED_COLUMNS TOC_INCIDENT_TEXT_TABLE(TEXT_COLUMN) TOC_INCIDENT_TIME_TABLE(TEXT_COLUMN)

static int read_incident(struct toc_txn *t, struct toc_incident *i) {
    toc_incident_init(i);
    toc_sv_copy(toc_txn_text(t, 0), i->id, sizeof i->id);
    i->kind = toc_kind_parse(toc_txn_text(t, 1));
    i->severity = toc_severity_parse(toc_txn_text(t, 2));
    i->state = toc_incident_state_parse(toc_txn_text(t, 3));
    i->held_state = toc_incident_state_parse(toc_txn_text(t, 4));
    i->verdict = toc_verdict_parse(toc_txn_text(t, 5));
    i->has_step = !toc_txn_is_null(t, 6);
    i->step = toc_txn_int(t, 6);
    i->reopen_count = toc_txn_int(t, 7);
    int column = FIXED_COUNT;
#define X(name) i->name = toc_incident_text(i, toc_txn_text(t, column++));
    TOC_INCIDENT_TEXT_TABLE(X)
#undef X
#define X(name) i->name = toc_txn_ts(t, column++);
    TOC_INCIDENT_TIME_TABLE(X)
#undef X
    if (i->kind == TOC_KIND_COUNT)
        i->kind = TOC_KIND_ANOMALY;
    bool is_known = i->state != TOC_INCIDENT_STATE_COUNT &&
                    i->held_state != TOC_INCIDENT_STATE_COUNT && i->verdict != TOC_VERDICT_COUNT;
    if (!is_known)
        return toc_txn_fail(t, TOC_ECORRUPT, "incident %s: its state is not known here", i->id);
    struct toc_err why = {0};
    if (toc_incident_read_lists(toc_txn_text(t, 8), i, &why))
        return toc_txn_fail(t, TOC_ECORRUPT, "incident %s: %s", i->id, why.message);
    return 0;
}

/* --- writing --- */

static void assign_id(struct toc_txn *t, const struct toc_incident *i, char *out) {
    struct toc_civil c = toc_ts_civil(i->detected_at);
    char day[24];
    snprintf(day, sizeof day, "%04d%02d%02d", (int)(c.year % 10000), c.month, c.day);
    toc_txn_query(t,
                  "INSERT INTO incident_days(day, last) VALUES(?, 1) "
                  "ON CONFLICT(day) DO UPDATE SET last = last + 1 RETURNING last",
                  "s", toc_sv_cstr(day));
    int64_t n = toc_txn_row(t) ? toc_txn_int(t, 0) : 0;
    while (toc_txn_row(t)) {
    }
    snprintf(out, TOC_INCIDENT_ID_MAX, "I-%s-%04" PRId64, day, n);
}

#define QMARK(name) ",?"
#define ASSIGN(name) ", " #name " = excluded." #name
static const char g_upsert[] =
    "INSERT INTO incidents(is_open, " ALL_COLUMNS
    ") VALUES(?,?,?,?,?,?,?,?,?,?" TOC_INCIDENT_TEXT_TABLE(QMARK) TOC_INCIDENT_TIME_TABLE(
        QMARK) ") ON CONFLICT(id) DO UPDATE SET is_open = excluded.is_open, kind = excluded.kind, "
               "severity = excluded.severity, state = excluded.state, held_state = "
               "excluded.held_state, "
               "verdict = excluded.verdict, step = excluded.step, reopen_count = "
               "excluded.reopen_count, "
               "lists = excluded.lists" TOC_INCIDENT_TEXT_TABLE(ASSIGN)
                   TOC_INCIDENT_TIME_TABLE(ASSIGN);

static void write_row(struct toc_txn *t, const struct toc_incident *i, const char *id,
                      struct toc_sv lists) {
#define TYPE_S(name) "S"
#define TYPE_T(name) "T"
#define VALUE(name) , i->name
    static const char types[] =
        "issssssIis" TOC_INCIDENT_TEXT_TABLE(TYPE_S) TOC_INCIDENT_TIME_TABLE(TYPE_T);
    toc_txn_exec(
        t, g_upsert, types, (int64_t)toc_incident_state_is_open(i->state), toc_sv_cstr(id),
        toc_sv_cstr(toc_kind_info(i->kind)->name), toc_sv_cstr(toc_severity_text(i->severity)),
        toc_sv_cstr(toc_incident_state_text(i->state)),
        toc_sv_cstr(toc_incident_state_text(i->held_state)),
        toc_sv_cstr(toc_verdict_text(i->verdict)), i->has_step ? &i->step : NULL, i->reopen_count,
        lists TOC_INCIDENT_TEXT_TABLE(VALUE) TOC_INCIDENT_TIME_TABLE(VALUE));
}

static void write_alerts(struct toc_txn *t, const struct toc_incident *i, const char *id) {
    for (size_t n = 0; n < i->alerts.count && t->rc == 0; n++) {
        const struct toc_incident_alert *a = &i->alerts.items[n];
        if (!a->is_changed)
            continue;
        toc_txn_exec(t,
                     "INSERT OR REPLACE INTO incident_alerts(incident_id, fingerprint, kind, "
                     "is_firing, is_suppressed, ends_at) VALUES(?,?,?,?,?,?)",
                     "sisiiT", toc_sv_cstr(id), (int64_t)a->fingerprint,
                     toc_sv_cstr(toc_kind_info(a->kind)->name), (int64_t)a->is_firing,
                     (int64_t)a->is_suppressed, a->ends_at);
    }
}

static void write_entries(struct toc_txn *t, const char *id,
                          const struct toc_timeline_entry *entries, size_t count) {
    for (size_t n = 0; n < count && t->rc == 0; n++)
        toc_txn_exec(t,
                     "INSERT INTO incident_timeline(incident_id, at, actor, type, text) "
                     "VALUES(?,?,?,?,?)",
                     "stsss", toc_sv_cstr(id), entries[n].at, entries[n].actor,
                     toc_sv_cstr(toc_timeline_text(entries[n].type)), entries[n].text);
}

/* Leaves the id, a new one where it had none, in `id`. */
static void write_one(struct toc_txn *t, const struct toc_incident_saving *x,
                      char id[TOC_INCIDENT_ID_MAX]) {
    struct toc_buf lists = TOC_BUF_INIT;
    toc_incident_write_lists(x->i, &lists);
    memcpy(id, x->i->id, TOC_INCIDENT_ID_MAX);
    if (!id[0])
        assign_id(t, x->i, id);
    write_row(t, x->i, id, toc_buf_sv(&lists));
    write_alerts(t, x->i, id);
    write_entries(t, id, x->entries, x->count);
    if (toc_buf_error(&lists))
        toc_txn_fail(t, toc_buf_error(&lists), "incident %s: too large to be stored", id);
    toc_buf_fini(&lists);
}

static void note_saved(struct toc_incident *i, const char id[TOC_INCIDENT_ID_MAX]) {
    memcpy(i->id, id, sizeof i->id);
    for (size_t n = 0; n < i->alerts.count; n++)
        i->alerts.items[n].is_changed = false;
}

static int save(struct toc_incident_store *s, struct toc_incident *i,
                const struct toc_timeline_entry *entries, size_t count,
                const struct toc_change *change, int64_t *out_change_id, struct toc_err *err) {
    char id[TOC_INCIDENT_ID_MAX];
    struct toc_txn t;
    toc_txn_begin_write(&t, db_of(s), err);
    write_one(&t, &(struct toc_incident_saving){i, entries, count}, id);
    int64_t change_id = change ? toc_changes_insert(&t, change) : 0;
    int rc = toc_txn_end(&t);
    if (rc)
        return rc;
    note_saved(i, id);
    if (out_change_id)
        *out_change_id = change_id;
    return 0;
}

static int save_all(struct toc_incident_store *s, const struct toc_incident_saving *items,
                    size_t count, struct toc_err *err) {
    char(*ids)[TOC_INCIDENT_ID_MAX] = toc_xcalloc(count, sizeof *ids);
    struct toc_txn t;
    toc_txn_begin_write(&t, db_of(s), err);
    for (size_t n = 0; n < count && t.rc == 0; n++)
        write_one(&t, &items[n], ids[n]);
    int rc = toc_txn_end(&t);
    for (size_t n = 0; n < count && rc == 0; n++)
        note_saved(items[n].i, ids[n]);
    toc_free(ids);
    return rc;
}

static int save_plain(struct toc_incident_store *s, struct toc_incident *i,
                      const struct toc_timeline_entry *entries, size_t count, struct toc_err *err) {
    return save(s, i, entries, count, NULL, NULL, err);
}

/* --- reading --- */

static void read_alerts(struct toc_txn *t, struct toc_incident *i) {
    toc_txn_query(t,
                  "SELECT fingerprint, kind, is_firing, is_suppressed, ends_at "
                  "FROM incident_alerts WHERE incident_id = ?",
                  "s", toc_sv_cstr(i->id));
    while (toc_txn_row(t)) {
        struct toc_incident_alert a = {
            .fingerprint = (uint64_t)toc_txn_int(t, 0),
            .kind = toc_kind_parse(toc_txn_text(t, 1)),
            .is_firing = toc_txn_int(t, 2) != 0,
            .is_suppressed = toc_txn_int(t, 3) != 0,
            .ends_at = toc_txn_ts(t, 4),
        };
        if (a.kind == TOC_KIND_COUNT)
            a.kind = TOC_KIND_ANOMALY;
        TOC_VEC_PUSH(&i->alerts, a);
    }
}

static int load(struct toc_incident_store *s, struct toc_sv id, struct toc_incident *out,
                struct toc_err *err) {
    struct toc_txn t;
    toc_incident_init(out);
    toc_txn_begin_read(&t, db_of(s), err);
    toc_txn_query(&t, "SELECT " ALL_COLUMNS " FROM incidents WHERE id = ?", "s", id);
    if (!toc_txn_row(&t))
        toc_txn_fail(&t, TOC_ENOENT, "there is no incident %.*s", TOC_SV_ARG(id));
    else if (read_incident(&t, out) == 0)
        read_alerts(&t, out);
    int rc = toc_txn_end(&t);
    if (rc)
        toc_incident_fini(out);
    return rc;
}

struct incident_list {
    TOC_VEC_FIELDS(struct toc_incident)
};

/* Hands out after the last row was read, so that alerts can be read in between. */
static int finish_list(struct toc_txn *t, struct incident_list *list, bool has_alerts,
                       toc_on_incident *fn, void *ctx) {
    int stopped = 0;
    for (size_t n = 0; n < list->count && !stopped && t->rc == 0; n++) {
        if (has_alerts)
            read_alerts(t, &list->items[n]);
        if (t->rc == 0)
            stopped = fn(ctx, &list->items[n]);
    }
    int rc = toc_txn_end(t);
    for (size_t n = 0; n < list->count; n++)
        toc_incident_fini(&list->items[n]);
    TOC_VEC_FINI(list);
    return rc ? rc : stopped;
}

static void read_rows(struct toc_txn *t, struct incident_list *list) {
    while (toc_txn_row(t)) {
        struct toc_incident i;
        read_incident(t, &i);
        TOC_VEC_PUSH(list, i);
    }
}

static int load_live(struct toc_incident_store *s, struct toc_ts since, toc_on_incident *fn,
                     void *ctx, struct toc_err *err) {
    struct toc_txn t;
    struct incident_list list = {0};
    toc_txn_begin_read(&t, db_of(s), err);
    toc_txn_query(&t,
                  "SELECT " ALL_COLUMNS " FROM incidents WHERE is_open = 1 OR resolved_at >= ? "
                  "OR id IN (SELECT incident_id FROM incident_alerts WHERE is_firing = 1) "
                  "ORDER BY seq",
                  "t", since);
    read_rows(&t, &list);
    return finish_list(&t, &list, true, fn, ctx);
}

static int list(struct toc_incident_store *s, const struct toc_incident_filter *f,
                toc_on_incident *fn, void *ctx, struct toc_err *err) {
    size_t limit = f->limit ? TOC_MIN(f->limit, (size_t)LIST_LIMIT_MAX) : LIST_LIMIT_DEFAULT;
    struct toc_txn t;
    struct incident_list rows = {0};
    toc_txn_begin_read(&t, db_of(s), err);
    toc_txn_query(&t,
                  "SELECT " ALL_COLUMNS " FROM incidents WHERE is_open >= ? "
                  "ORDER BY detected_at DESC, seq DESC LIMIT ?",
                  "ii", (int64_t)f->is_open_only, (int64_t)limit);
    read_rows(&t, &rows);
    return finish_list(&t, &rows, false, fn, ctx);
}

static int timeline(struct toc_incident_store *s, struct toc_sv id, toc_on_timeline *fn, void *ctx,
                    struct toc_err *err) {
    struct toc_txn t;
    int stopped = 0;
    toc_txn_begin_read(&t, db_of(s), err);
    toc_txn_query(&t,
                  "SELECT at, actor, type, text FROM incident_timeline WHERE incident_id = ? "
                  "ORDER BY n",
                  "s", id);
    while (!stopped && toc_txn_row(&t)) {
        struct toc_timeline_entry e = {
            .at = toc_txn_ts(&t, 0),
            .actor = toc_txn_text(&t, 1),
            .type = toc_timeline_parse(toc_txn_text(&t, 2)),
            .text = toc_txn_text(&t, 3),
        };
        if (e.type == TOC_TIMELINE_COUNT)
            e.type = TOC_TIMELINE_COMMENT;
        stopped = fn(ctx, &e);
    }
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

static int changes(struct toc_incident_store *s, struct toc_sv id, toc_on_change *fn, void *ctx,
                   struct toc_err *err) {
    struct toc_txn t;
    toc_txn_begin_read(&t, db_of(s), err);
    toc_txn_query(&t,
                  "SELECT " TOC_CHANGE_COLUMNS " FROM changes WHERE incident_id = ? ORDER BY id",
                  "s", id);
    int stopped = toc_changes_read(&t, fn, ctx);
    int rc = toc_txn_end(&t);
    return rc ? rc : stopped;
}

static int stats(struct toc_incident_store *s, struct toc_ts since, struct toc_incident_stats *out,
                 struct toc_err *err) {
    struct toc_txn t;
    *out = (struct toc_incident_stats){0};
    toc_txn_begin_read(&t, db_of(s), err);
    toc_txn_query(&t,
                  "SELECT count(*), count(acknowledged_at), count(resolved_at), "
                  "avg(max(detected_at - started_at, 0)) / 1000.0, "
                  "avg(max(acknowledged_at - detected_at, 0)) / 1000.0, "
                  "avg(max(resolved_at - detected_at, 0)) / 1000.0, "
                  "(SELECT count(*) FROM incidents WHERE is_open = 1) "
                  "FROM incidents WHERE detected_at >= ?",
                  "t", since);
    if (toc_txn_row(&t))
        *out = (struct toc_incident_stats){
            .total_count = (uint64_t)toc_txn_int(&t, 0),
            .acknowledged_count = (uint64_t)toc_txn_int(&t, 1),
            .resolved_count = (uint64_t)toc_txn_int(&t, 2),
            .mean_detect_s = toc_txn_double(&t, 3),
            .mean_acknowledge_s = toc_txn_double(&t, 4),
            .mean_resolve_s = toc_txn_double(&t, 5),
            .open_count = (uint64_t)toc_txn_int(&t, 6),
        };
    return toc_txn_end(&t);
}

void toc_incidents_init(struct toc_incidents *s, struct toc_statedb *db) {
    *s = (struct toc_incidents){
        .base = {.save = save_plain,
                 .save_all = save_all,
                 .save_with_change = save,
                 .load = load,
                 .load_live = load_live,
                 .list = list,
                 .timeline = timeline,
                 .changes = changes,
                 .stats = stats},
        .db = db,
    };
}
