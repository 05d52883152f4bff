/* SQL of the schema steps; see migrate.c. Times are milliseconds since the epoch, NULL when absent.
 */
#ifndef TOC_STATEDB_SCHEMA_PRIV_H
#define TOC_STATEDB_SCHEMA_PRIV_H

#define TOC_SCHEMA_INCIDENTS                                                                      \
    "CREATE TABLE incident_days(day TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;"             \
    "CREATE TABLE incidents("                                                                     \
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"                            \
    " kind TEXT NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL, held_state TEXT NOT NULL," \
    " verdict TEXT NOT NULL, is_open INTEGER NOT NULL, step INTEGER, reopen_count INTEGER NOT "   \
    "NULL,"                                                                                       \
    " subject_key TEXT, title TEXT, summary TEXT, action TEXT, runbook_url TEXT, rule TEXT,"      \
    " assignee TEXT, acknowledged_by TEXT, resolved_by TEXT, duplicate_of TEXT, suppressed_by "   \
    "TEXT,"                                                                                       \
    " started_at INTEGER, detected_at INTEGER, triggered_at INTEGER, notified_at INTEGER,"        \
    " acknowledged_at INTEGER, mitigated_at INTEGER, monitoring_at INTEGER, resolved_at INTEGER," \
    " reviewed_at INTEGER, updated_at INTEGER, lists TEXT NOT NULL) STRICT;"                      \
    "CREATE INDEX incidents_open ON incidents(is_open, seq);"                                     \
    "CREATE INDEX incidents_resolved ON incidents(resolved_at) WHERE resolved_at IS NOT NULL;"    \
    "CREATE TABLE incident_timeline("                                                             \
    " n INTEGER PRIMARY KEY AUTOINCREMENT,"                                                       \
    " incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,"                      \
    " at INTEGER NOT NULL, actor TEXT NOT NULL, type TEXT NOT NULL, text TEXT NOT NULL) STRICT;"  \
    "CREATE INDEX incident_timeline_incident ON incident_timeline(incident_id, n);"               \
    "CREATE TABLE incident_alerts("                                                               \
    " incident_id TEXT NOT NULL REFERENCES incidents(id) ON DELETE CASCADE,"                      \
    " fingerprint INTEGER NOT NULL, kind TEXT NOT NULL, is_firing INTEGER NOT NULL,"              \
    " is_suppressed INTEGER NOT NULL, ends_at INTEGER,"                                           \
    " PRIMARY KEY(incident_id, fingerprint)) STRICT, WITHOUT ROWID;"                              \
    "CREATE INDEX incident_alerts_firing ON incident_alerts(incident_id) WHERE is_firing = 1;"

#define TOC_SCHEMA_OUTBOX                                                                        \
    "CREATE TABLE outbox("                                                                       \
    " id INTEGER PRIMARY KEY AUTOINCREMENT, idempotency_key TEXT NOT NULL UNIQUE,"               \
    " receiver TEXT NOT NULL, channel TEXT NOT NULL, incident_id TEXT, order_key TEXT NOT NULL," \
    " subject TEXT NOT NULL, payload BLOB NOT NULL, state TEXT NOT NULL"                         \
    "  CHECK(state IN ('pending','delivered','failed')),"                                        \
    " attempt_count INTEGER NOT NULL, created_at INTEGER NOT NULL, next_at INTEGER NOT NULL,"    \
    " finished_at INTEGER) STRICT;"                                                              \
    "CREATE INDEX outbox_pending ON outbox(order_key, id) WHERE state = 'pending';"              \
    "CREATE INDEX outbox_next ON outbox(next_at, id) WHERE state = 'pending';"                   \
    "CREATE INDEX outbox_incident ON outbox(incident_id, id);"                                   \
    "CREATE INDEX outbox_finished ON outbox(finished_at) WHERE finished_at IS NOT NULL;"         \
    "CREATE TABLE outbox_attempts("                                                              \
    " outbox_id INTEGER NOT NULL REFERENCES outbox(id) ON DELETE CASCADE, n INTEGER NOT NULL,"   \
    " at INTEGER NOT NULL, ok INTEGER NOT NULL, is_permanent INTEGER NOT NULL,"                  \
    " detail TEXT NOT NULL, next_at INTEGER, PRIMARY KEY(outbox_id, n)) STRICT, WITHOUT ROWID;"

#define TOC_SCHEMA_SETTINGS                                                                     \
    "CREATE TABLE blobs(ns TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,"              \
    " PRIMARY KEY(ns, key)) STRICT;"                                                            \
    "CREATE TABLE silences(id TEXT PRIMARY KEY, matchers BLOB NOT NULL, starts_at INTEGER NOT " \
    "NULL,"                                                                                     \
    " ends_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, created_by TEXT NOT NULL,"         \
    " comment TEXT NOT NULL, is_until_resolved INTEGER NOT NULL) STRICT;"                       \
    "CREATE TABLE changes(id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"            \
    " subject TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, actor TEXT NOT NULL,"   \
    " at INTEGER NOT NULL, incident_id TEXT) STRICT;"                                           \
    "CREATE INDEX changes_incident ON changes(incident_id, id);"

#define TOC_SCHEMA_ACCESS                                                                       \
    "CREATE TABLE tokens(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"      \
    " role TEXT NOT NULL, scopes TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,"                     \
    " created_at INTEGER NOT NULL, expires_at INTEGER, last_used_at INTEGER,"                   \
    " created_by TEXT NOT NULL) STRICT;"                                                        \
    "CREATE TABLE sessions(hash BLOB PRIMARY KEY,"                                              \
    " token_id INTEGER NOT NULL REFERENCES tokens(id) ON DELETE CASCADE,"                       \
    " created_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL, expires_at INTEGER NOT NULL)" \
    " STRICT, WITHOUT ROWID;"                                                                   \
    "CREATE INDEX sessions_token ON sessions(token_id);"                                        \
    "CREATE TABLE audit(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL,"     \
    " route TEXT NOT NULL, object TEXT NOT NULL, outcome TEXT NOT NULL, hash BLOB NOT NULL) "   \
    "STRICT;"                                                                                   \
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN"                               \
    " SELECT RAISE(ABORT, 'the audit log is append-only'); END;"                                \
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN"                               \
    " SELECT RAISE(ABORT, 'the audit log is append-only'); END;"

#endif
