#include "../cmocka_prelude.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "state_fixture.h"
#include "statedb/audit.h"
#include "statedb/blobs.h"
#include "statedb/changes.h"
#include "statedb/silences.h"
#include "statedb/tokens.h"

static struct state_fixture g_f;

static int setup(void **state) {
    (void)state;
    state_fixture_setup(&g_f);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    state_disk_set(DISK_FINE);
    state_fixture_teardown(&g_f);
    return 0;
}

/* Changes the closed file behind Tocsin's back. */
static void run_sql(const char *sql) {
    sqlite3 *raw = NULL;
    char *why = NULL;
    assert_int_equal(sqlite3_open(g_f.path, &raw), SQLITE_OK);
    if (sqlite3_exec(raw, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(raw);
}

static void the_file_belongs_to_its_owner_only(void **state) {
    (void)state;
    struct stat s;
    assert_int_equal(stat(g_f.path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", g_f.path);
    assert_int_equal(stat(wal, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
}

static void a_file_that_is_no_database_is_refused_untouched(void **state) {
    (void)state;
    toc_statedb_close(&g_f.db);
    FILE *f = fopen(g_f.path, "w");
    for (int i = 0; i < 5000; i++)
        fputs("not a database ", f);
    fclose(f);
    struct toc_err err = {0};
    assert_int_equal(state_fixture_open(&g_f, &err), TOC_ECORRUPT);
    assert_non_null(strstr(err.message, g_f.path));
    assert_non_null(strstr(err.message, "restore it from a backup"));
    assert_null(g_f.db);
    struct stat s;
    stat(g_f.path, &s);
    assert_int_equal(s.st_size, 75000);
}

static void a_damaged_page_is_found_on_open(void **state) {
    (void)state;
    struct toc_blobs b;
    toc_blobs_init(&b, g_f.db);
    static char big[40000];
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 20; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(
            b.base.put(&b.base, "ns", toc_sv_cstr(key), toc_sv_make(big, sizeof big), NULL), 0);
    }
    toc_statedb_close(&g_f.db);
    FILE *f = fopen(g_f.path, "r+");
    for (long page = 4; page < 40; page++) { /* b-tree pages of the tables */
        fseek(f, page * 4096, SEEK_SET);
        for (int i = 0; i < 64; i++)
            fputc(0xee, f);
    }
    fclose(f);
    struct toc_err err = {0};
    assert_int_equal(state_fixture_open(&g_f, &err), TOC_ECORRUPT);
    assert_non_null(strstr(err.message, "damaged"));
}

static void a_newer_schema_is_refused(void **state) {
    (void)state;
    toc_statedb_close(&g_f.db);
    run_sql("INSERT INTO schema_migrations VALUES(5, 'future', 1, 1)");
    struct toc_err err = {0};
    assert_int_equal(state_fixture_open(&g_f, &err), TOC_EVERSION);
    assert_non_null(strstr(err.message, "newer release"));
}

static void a_changed_migration_is_refused(void **state) {
    (void)state;
    toc_statedb_close(&g_f.db);
    run_sql("UPDATE schema_migrations SET checksum = 7 WHERE version = 2");
    struct toc_err err = {0};
    assert_int_equal(state_fixture_open(&g_f, &err), TOC_ECORRUPT);
    assert_non_null(strstr(err.message, "step 2 (outbox)"));
}

static void another_programs_database_is_refused(void **state) {
    (void)state;
    toc_statedb_close(&g_f.db);
    unlink(g_f.path);
    run_sql("CREATE TABLE theirs(a)");
    struct toc_err err = {0};
    assert_int_equal(state_fixture_open(&g_f, &err), TOC_ECORRUPT);
    assert_non_null(strstr(err.message, "another program"));
}

static void a_missing_folder_is_one_sentence(void **state) {
    (void)state;
    toc_statedb_close(&g_f.db);
    struct state_fixture other = g_f;
    snprintf(other.path, sizeof other.path, "%s/none/state.db", g_f.folder);
    struct toc_err err = {0};
    assert_int_equal(state_fixture_open(&other, &err), TOC_ENOENT);
    assert_non_null(strstr(err.message, "none/state.db"));
}

static void blobs_live_in_namespaces(void **state) {
    (void)state;
    struct toc_blobs b;
    toc_blobs_init(&b, g_f.db);
    struct toc_blob_store *s = &b.base;
    struct toc_buf out = TOC_BUF_INIT;
    assert_int_equal(s->put(s, "a", TOC_SV("k"),
                            TOC_SV("1\0"
                                   "2"),
                            NULL),
                     0);
    assert_int_equal(s->put(s, "b", TOC_SV("k"), TOC_SV("other"), NULL), 0);
    assert_int_equal(s->put(s, "a", TOC_SV("k"),
                            TOC_SV("3\0"
                                   "4"),
                            NULL),
                     0);
    state_fixture_reopen(&g_f);
    toc_blobs_init(&b, g_f.db);
    assert_int_equal(s->get(s, "a", TOC_SV("k"), &out, NULL), 0);
    assert_sv_equal(toc_buf_sv(&out), "3\0"
                                      "4");
    assert_int_equal(s->remove(s, "a", TOC_SV("k"), NULL), 0);
    assert_int_equal(s->remove(s, "a", TOC_SV("k"), NULL), 0);
    struct toc_err err = {0};
    assert_int_equal(s->get(s, "a", TOC_SV("k"), &out, &err), TOC_ENOENT);
    toc_buf_reset(&out);
    assert_int_equal(s->get(s, "b", TOC_SV("k"), &out, NULL), 0);
    assert_sv_equal(toc_buf_sv(&out), "other");
    toc_buf_fini(&out);
}

static int count_silence(void *ctx, const struct toc_silence_row *r) {
    assert_sv_equal(r->id, "s1");
    assert_sv_equal(r->comment, "second");
    assert_true(r->is_until_resolved);
    ++*(int *)ctx;
    return 0;
}

static void silences_are_replaced_by_id(void **state) {
    (void)state;
    struct toc_silence_row r = {.id = TOC_SV("s1"),
                                .matchers = TOC_SV("m"),
                                .ends_at = {50},
                                .comment = TOC_SV("first"),
                                .is_until_resolved = true};
    assert_int_equal(toc_silences_put(g_f.db, &r, NULL), 0);
    r.comment = TOC_SV("second");
    assert_int_equal(toc_silences_put(g_f.db, &r, NULL), 0);
    int n = 0;
    assert_int_equal(toc_silences_each(g_f.db, count_silence, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(toc_silences_prune(g_f.db, (struct toc_ts){50}, NULL), 0);
    struct toc_err err = {0};
    assert_int_equal(toc_silences_remove(g_f.db, TOC_SV("s1"), NULL), 0);
    assert_int_equal(toc_silences_remove(g_f.db, TOC_SV("s1"), &err), TOC_ENOENT);
    assert_non_null(strstr(err.message, "s1"));
}

static void the_audit_chain_finds_every_change(void **state) {
    (void)state;
    struct toc_audit_entry e = {.at = {1000},
                                .actor = TOC_SV("anna"),
                                .route = TOC_SV("POST x"),
                                .object = TOC_SV("I-1"),
                                .outcome = TOC_SV("ok")};
    for (int i = 0; i < 5; i++)
        assert_int_equal(toc_audit_append(g_f.db, &e, NULL), 0);
    struct toc_audit_head head;
    struct toc_err err = {0};
    assert_int_equal(toc_audit_verify(g_f.db, &head, &err), 0);
    assert_int_equal(head.count, 5);
    toc_statedb_close(&g_f.db);
    run_sql("DROP TRIGGER audit_no_update; UPDATE audit SET actor = 'bert' WHERE seq = 3");
    assert_int_equal(state_fixture_open(&g_f, &err), 0);
    assert_int_equal(toc_audit_verify(g_f.db, &head, &err), TOC_ECORRUPT);
    assert_non_null(strstr(err.message, "row 3"));
    toc_statedb_close(&g_f.db);
    run_sql("UPDATE audit SET actor = 'anna' WHERE seq = 3; DROP TRIGGER audit_no_delete;"
            "DELETE FROM audit WHERE seq = 2");
    toc_err_reset(&err);
    assert_int_equal(state_fixture_open(&g_f, &err), 0);
    assert_int_equal(toc_audit_verify(g_f.db, &head, &err), TOC_ECORRUPT);
    assert_non_null(strstr(err.message, "row 2 is missing"));
}

static void audit_rows_cannot_be_changed_or_removed(void **state) {
    (void)state;
    struct toc_audit_entry e = {.at = {1}, .actor = TOC_SV("a")};
    assert_int_equal(toc_audit_append(g_f.db, &e, NULL), 0);
    toc_statedb_close(&g_f.db);
    sqlite3 *raw = NULL;
    sqlite3_open(g_f.path, &raw);
    assert_int_equal(sqlite3_exec(raw, "DELETE FROM audit", NULL, NULL, NULL), SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_exec(raw, "UPDATE audit SET at=2", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    sqlite3_close(raw);
}

static void a_failing_disk_loses_nothing_and_heals(void **state) {
    (void)state;
    toc_statedb_close(&g_f.db);
    state_disk_install();
    assert_int_equal(state_fixture_open(&g_f, NULL), 0);
    struct toc_blobs b;
    toc_blobs_init(&b, g_f.db);
    struct toc_blob_store *s = &b.base;
    struct toc_buf out = TOC_BUF_INIT;
    struct toc_statedb_health health;
    static const enum disk_fault faults[] = {DISK_FULL, DISK_WRITE_ERROR, DISK_SYNC_ERROR};
    static const int codes[] = {TOC_ENOSPC, TOC_EIO, TOC_EIO};
    assert_int_equal(s->put(s, "a", TOC_SV("k"), TOC_SV("before"), NULL), 0);
    for (int i = 0; i < 3; i++) {
        struct toc_err err = {0};
        state_disk_set(faults[i]);
        assert_int_equal(s->put(s, "a", TOC_SV("k"), TOC_SV("lost"), &err), codes[i]);
        assert_true(err.message[0] != '\0');
        toc_statedb_get_health(g_f.db, &health);
        assert_false(health.is_ok);
        assert_true(health.failing_since.ms > 0);
        state_disk_set(DISK_FINE);
        toc_buf_reset(&out);
        assert_int_equal(s->get(s, "a", TOC_SV("k"), &out, NULL), 0);
        assert_sv_equal(toc_buf_sv(&out), "before");
        assert_int_equal(s->put(s, "a", TOC_SV("k2"), TOC_SV("later"), NULL), 0);
        toc_statedb_get_health(g_f.db, &health);
        assert_true(health.is_ok);
        assert_int_equal(health.write_errors, i + 1);
    }
    toc_buf_fini(&out);
}

static void a_backup_is_a_complete_database(void **state) {
    (void)state;
    struct toc_blobs b;
    toc_blobs_init(&b, g_f.db);
    assert_int_equal(b.base.put(&b.base, "a", TOC_SV("k"), TOC_SV("v"), NULL), 0);
    struct state_fixture copy = g_f;
    snprintf(copy.path, sizeof copy.path, "%s/state.db.copy", g_f.folder);
    struct toc_err err = {0};
    assert_int_equal(toc_statedb_backup(g_f.db, copy.path, &err), 0);
    assert_int_equal(toc_statedb_backup(g_f.db, copy.path, &err), TOC_EEXIST);
    assert_int_equal(toc_statedb_verify(g_f.db, NULL), 0);
    toc_err_reset(&err);
    assert_int_equal(state_fixture_open(&copy, &err), 0);
    struct toc_buf out = TOC_BUF_INIT;
    toc_blobs_init(&b, copy.db);
    assert_int_equal(b.base.get(&b.base, "a", TOC_SV("k"), &out, NULL), 0);
    assert_sv_equal(toc_buf_sv(&out), "v");
    toc_buf_fini(&out);
    toc_statedb_close(&copy.db);
}

static int see_change(void *ctx, const struct toc_change *c) {
    toc_buf_printf(ctx, "%d:%.*s>%.*s ", (int)c->id, TOC_SV_ARG(c->before), TOC_SV_ARG(c->after));
    return 0;
}

static void changes_are_listed_newest_first(void **state) {
    (void)state;
    struct toc_change c = {.kind = TOC_SV("threshold"),
                           .subject = TOC_SV("R"),
                           .before = TOC_SV("1"),
                           .after = TOC_SV("2"),
                           .actor = TOC_SV("anna"),
                           .at = {5}};
    int64_t id = 0;
    assert_int_equal(toc_changes_add(g_f.db, &c, &id, NULL), 0);
    c.before = TOC_SV("2");
    c.after = TOC_SV("3");
    c.incident_id = TOC_SV("I-1");
    assert_int_equal(toc_changes_add(g_f.db, &c, &id, NULL), 0);
    struct toc_buf out = TOC_BUF_INIT;
    assert_int_equal(toc_changes_list(g_f.db, TOC_SV_NULL, 0, see_change, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), "2:2>3 1:1>2 ");
    toc_buf_reset(&out);
    assert_int_equal(toc_changes_list(g_f.db, TOC_SV("I-1"), 0, see_change, &out, NULL), 0);
    assert_string_equal(toc_buf_cstr(&out), "2:2>3 ");
    toc_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(the_file_belongs_to_its_owner_only),
        T(a_file_that_is_no_database_is_refused_untouched),
        T(a_damaged_page_is_found_on_open),
        T(a_newer_schema_is_refused),
        T(a_changed_migration_is_refused),
        T(another_programs_database_is_refused),
        T(a_missing_folder_is_one_sentence),
        T(blobs_live_in_namespaces),
        T(silences_are_replaced_by_id),
        T(the_audit_chain_finds_every_change),
        T(audit_rows_cannot_be_changed_or_removed),
        T(a_backup_is_a_complete_database),
        T(changes_are_listed_newest_first),
        T(a_failing_disk_loses_nothing_and_heals),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
