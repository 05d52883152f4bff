#include "../cmocka_prelude.h"

#include <stdio.h>
#include <string.h>

#include "../statedb/state_fixture.h"
#include "codec/text.h"
#include "guard/guard.h"
#include "statedb/audit.h"
#include "statedb/tokens.h"
#include "sys/thread.h"

static struct state_fixture g_f;
static struct toc_guard *g_guard;
static char g_admin[TOC_SECRET_TEXT_MAX];
static struct toc_ts g_now = {1795526400000};

static void open_guard(enum toc_loopback_mode mode) {
    static const struct toc_sv hosts[] = {{"mon.example", 11}};
    struct toc_guard_options o = {
        .db = g_f.db, .loopback = mode, .allowed_hosts = hosts, .allowed_host_count = 1};
    toc_guard_free(&g_guard);
    assert_int_equal(toc_guard_new(&o, &g_guard, NULL), 0);
}

static int setup(void **state) {
    (void)state;
    bool is_new = false;
    g_now.ms = 1795526400000;
    state_fixture_setup(&g_f);
    open_guard(TOC_LOOPBACK_READ);
    assert_int_equal(toc_guard_first_token(g_guard, g_now, g_admin, &is_new, NULL), 0);
    assert_true(is_new);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    toc_guard_free(&g_guard);
    state_fixture_teardown(&g_f);
    return 0;
}

static struct toc_credentials local(void) {
    return (struct toc_credentials){.host = TOC_SV("127.0.0.1:9797"),
                                    .peer = TOC_SV("127.0.0.1:5000"),
                                    .peer_is_loopback = true};
}

static struct toc_credentials remote(const char *authorization) {
    return (struct toc_credentials){.host = TOC_SV("mon.example"),
                                    .peer = TOC_SV("192.0.2.7:5000"),
                                    .authorization = toc_sv_cstr(authorization)};
}

static int ask(const struct toc_credentials *c, enum toc_permission p, bool changes) {
    struct toc_principal who;
    struct toc_err err = {0};
    int rc = toc_guard_authorise(g_guard, c, p, changes, g_now, &who, &err);
    assert_true((rc == 0) == (err.message[0] == '\0'));
    return rc;
}

static const char *bearer(const char *secret) {
    static char text[128];
    snprintf(text, sizeof text, "Bearer %s", secret);
    return text;
}

static void make_token(const char *name, enum toc_role role, const char *scopes, int64_t expires_ms,
                       char out[TOC_SECRET_TEXT_MAX]) {
    struct toc_token_request r = {.name = toc_sv_cstr(name),
                                  .role = role,
                                  .scopes = toc_sv_cstr(scopes),
                                  .expires_in_ms = expires_ms,
                                  .created_by = TOC_SV("admin")};
    int64_t id = 0;
    assert_int_equal(toc_guard_token_add(g_guard, &r, g_now, out, &id, NULL), 0);
    assert_true(id > 0);
}

static int see_hash(void *ctx, const struct toc_token_row *row) {
    assert_int_equal(row->hash.n, 32);
    assert_true(toc_sv_find(row->hash, toc_sv_cstr(ctx)) == SIZE_MAX);
    return 0;
}

static void the_first_start_makes_one_admin_token(void **state) {
    (void)state;
    char again[TOC_SECRET_TEXT_MAX] = "";
    bool is_new = true;
    assert_int_equal(strlen(g_admin), 47);
    assert_int_equal(toc_guard_first_token(g_guard, g_now, again, &is_new, NULL), 0);
    assert_false(is_new);
    assert_int_equal(toc_tokens_each(g_f.db, see_hash, g_admin, NULL), 0);
    struct toc_credentials c = remote(bearer(g_admin));
    struct toc_principal who;
    assert_int_equal(toc_guard_authorise(g_guard, &c, TOC_PERM_ADMIN, true, g_now, &who, NULL), 0);
    assert_string_equal(who.name, "admin");
    assert_int_equal(who.method, TOC_AUTH_TOKEN);
    struct toc_err err = {0};
    assert_int_equal(toc_guard_token_remove(g_guard, who.token_id, &err), TOC_ECONFLICT);
    assert_non_null(strstr(err.message, "last admin token"));
}

/* Token: clients of InfluxDB. Basic: the password is the token. */
static void the_token_comes_in_several_schemes(void **state) {
    (void)state;
    struct toc_buf pair = TOC_BUF_INIT, text = TOC_BUF_INIT;
    static const char *const schemes[] = {"Bearer %s", "bearer  %s", "Token %s"};
    char header[160];
    for (size_t i = 0; i < 3; i++) {
        snprintf(header, sizeof header, schemes[i], g_admin);
        struct toc_credentials c = remote(header);
        assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), 0);
    }
    toc_buf_append_cstr(&text, "Basic ");
    toc_buf_printf(&pair, "any:%s", g_admin);
    toc_base64_encode(toc_buf_sv(&pair), &text);
    struct toc_credentials basic = remote(toc_buf_cstr(&text));
    assert_int_equal(ask(&basic, TOC_PERM_ADMIN, true), 0);
    static const char *const bad[] = {"Bearer", "Digest x", "Basic !", "Basic YW55",
                                      "Basic YW55Og=="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct toc_credentials c = remote(bad[i]);
        assert_int_equal(ask(&c, TOC_PERM_READ, false), TOC_EAUTH);
    }
    toc_buf_fini(&pair);
    toc_buf_fini(&text);
}

/* Every role against every permission, from outside. */
static void roles_allow_what_the_table_says(void **state) {
    (void)state;
    static const char *const want[] = {
        /* READ INGEST RESPOND EDIT ADMIN AUDIT */
        "r-----", "rir---", "rire--", "rireaa", "r----a",
    };
    for (int role = 0; role < TOC_ROLE_COUNT; role++) {
        char secret[TOC_SECRET_TEXT_MAX];
        char name[16];
        snprintf(name, sizeof name, "role-%d", role);
        make_token(name, (enum toc_role)role, "", 0, secret);
        struct toc_credentials c = remote(bearer(secret));
        for (int p = 0; p < TOC_PERM_COUNT; p++) {
            int rc = ask(&c, (enum toc_permission)p, true);
            assert_int_equal(rc, want[role][p] == '-' ? TOC_EFORBIDDEN : 0);
        }
    }
    struct toc_credentials nobody = remote(NULL);
    for (int p = 0; p < TOC_PERM_COUNT; p++)
        assert_int_equal(ask(&nobody, (enum toc_permission)p, false), TOC_EAUTH);
}

static void scopes_and_expiry_limit_a_token(void **state) {
    (void)state;
    char secret[TOC_SECRET_TEXT_MAX];
    make_token("job", TOC_ROLE_EDITOR, "ingest", 60000, secret);
    struct toc_credentials c = remote(bearer(secret));
    assert_int_equal(ask(&c, TOC_PERM_INGEST, false), 0);
    assert_int_equal(ask(&c, TOC_PERM_READ, false), TOC_EFORBIDDEN);
    g_now.ms += 60000;
    assert_int_equal(ask(&c, TOC_PERM_INGEST, false), TOC_EAUTH);
    struct toc_token_request bad = {.name = TOC_SV("x y"), .role = TOC_ROLE_VIEWER};
    assert_int_equal(toc_guard_token_add(g_guard, &bad, g_now, secret, NULL, NULL), TOC_EINVAL);
    bad.name = TOC_SV("admin");
    assert_int_equal(toc_guard_token_add(g_guard, &bad, g_now, secret, NULL, NULL), TOC_EDUPLICATE);
    bad.name = TOC_SV("ok");
    bad.scopes = TOC_SV("read,fly");
    assert_int_equal(toc_guard_token_add(g_guard, &bad, g_now, secret, NULL, NULL), TOC_EINVAL);
}

static void loopback_modes(void **state) {
    (void)state;
    struct toc_credentials c = local();
    assert_int_equal(ask(&c, TOC_PERM_READ, false), 0);
    assert_int_equal(ask(&c, TOC_PERM_INGEST, false), 0);
    assert_int_equal(ask(&c, TOC_PERM_RESPOND, true), TOC_EAUTH);
    open_guard(TOC_LOOPBACK_TOKEN);
    assert_int_equal(ask(&c, TOC_PERM_READ, false), TOC_EAUTH);
    open_guard(TOC_LOOPBACK_OPEN);
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), 0);
    struct toc_credentials far = remote(NULL);
    assert_int_equal(ask(&far, TOC_PERM_READ, false), TOC_EAUTH);
}

static void foreign_hosts_and_origins_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *host, *origin, *site;
        bool changes;
        int rc;
    } cases[] = {
        {"localhost:9797", "", "", true, 0},
        {"LOCALHOST", "", "", true, 0},
        {"[::1]:9797", "", "", true, 0},
        {"192.168.1.5:9797", "", "", true, 0},
        {"mon.example:443", "https://mon.example:443", "same-origin", true, 0},
        {"evil.example:9797", "", "", false, TOC_EFORBIDDEN}, /* DNS rebinding */
        {"127.0.0.1.evil.example", "", "", false, TOC_EFORBIDDEN},
        {"localhost.evil.example", "", "", false, TOC_EFORBIDDEN},
        {"localhost:9797", "http://localhost:9797", "", true, 0},
        {"localhost:9797", "http://localhost:3000", "same-site", true, TOC_EFORBIDDEN},
        {"localhost:9797", "https://evil.example", "cross-site", true, TOC_EFORBIDDEN},
        {"localhost:9797", "https://evil.example", "cross-site", false, 0},
        {"localhost:9797", "null", "", true, TOC_EFORBIDDEN},
        {"localhost:9797", "", "cross-site", true, TOC_EFORBIDDEN},
    };
    open_guard(TOC_LOOPBACK_OPEN);
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        struct toc_credentials c = local();
        c.host = toc_sv_cstr(cases[n].host);
        c.origin = toc_sv_cstr(cases[n].origin);
        c.sec_fetch_site = toc_sv_cstr(cases[n].site);
        enum toc_permission p = cases[n].changes ? TOC_PERM_EDIT : TOC_PERM_READ;
        if (ask(&c, p, cases[n].changes) != cases[n].rc)
            fail_msg("case %zu: %s %s", n, cases[n].host, cases[n].origin);
    }
    struct toc_credentials page = local(); /* a web page that posts samples */
    page.origin = TOC_SV("https://evil.example");
    assert_int_equal(ask(&page, TOC_PERM_INGEST, false), TOC_EFORBIDDEN);
}

static struct toc_session login(const char *secret) {
    struct toc_session s;
    struct toc_credentials c = local();
    struct toc_err err = {0};
    assert_int_equal(toc_guard_login(g_guard, &c, toc_sv_cstr(secret), g_now, &s, &err), 0);
    return s;
}

static void a_session_needs_its_csrf_token_and_survives_a_restart(void **state) {
    (void)state;
    struct toc_session s = login(g_admin), again;
    assert_int_equal(strlen(s.cookie), 43);
    assert_string_not_equal(s.cookie, s.csrf);
    toc_guard_free(&g_guard);
    state_fixture_reopen(&g_f);
    open_guard(TOC_LOOPBACK_READ);
    struct toc_credentials c = local();
    c.cookie = toc_sv_cstr(s.cookie);
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), TOC_EFORBIDDEN);
    c.csrf = TOC_SV("wrong");
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), TOC_EFORBIDDEN);
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, false), 0);
    assert_int_equal(toc_guard_session_get(g_guard, &c, g_now, &again, NULL), 0);
    assert_string_equal(again.csrf, s.csrf);
    assert_string_equal(again.principal.name, "admin");
    assert_int_equal(toc_guard_logout(g_guard, &c, g_now, NULL), TOC_EFORBIDDEN);
    c.csrf = toc_sv_cstr(s.csrf);
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), 0);
    assert_int_equal(toc_guard_logout(g_guard, &c, g_now, NULL), 0);
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), TOC_EAUTH);
    assert_int_equal(ask(&c, TOC_PERM_READ, false), 0); /* loopback is still open for reading */
    assert_int_equal(toc_guard_session_get(g_guard, &c, g_now, &again, NULL), TOC_EAUTH);
    assert_int_equal(toc_guard_logout(g_guard, &c, g_now, NULL), 0);
}

static void sessions_end_when_idle_old_or_their_token_goes(void **state) {
    (void)state;
    struct toc_credentials c = local();
    struct toc_session s = login(g_admin);
    c.cookie = toc_sv_cstr(s.cookie);
    c.csrf = toc_sv_cstr(s.csrf);
    for (int hour = 0; hour < 7 * 24 - 7; hour += 7) { /* in use all the time */
        assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), 0);
        g_now.ms += 7 * 3600 * 1000;
    }
    g_now.ms += 7 * 3600 * 1000;
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), TOC_EAUTH); /* seven days */
    s = login(g_admin);
    c.cookie = toc_sv_cstr(s.cookie);
    c.csrf = toc_sv_cstr(s.csrf);
    g_now.ms += 8 * 3600 * 1000 + 1;
    assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), TOC_EAUTH); /* idle */
    char secret[TOC_SECRET_TEXT_MAX];
    make_token("bert", TOC_ROLE_EDITOR, "", 0, secret);
    s = login(secret);
    c.cookie = toc_sv_cstr(s.cookie);
    c.csrf = toc_sv_cstr(s.csrf);
    assert_int_equal(ask(&c, TOC_PERM_EDIT, true), 0);
    assert_int_equal(toc_guard_token_remove(g_guard, s.principal.token_id, NULL), 0);
    assert_int_equal(ask(&c, TOC_PERM_EDIT, true), TOC_EAUTH);
}

static void failed_logins_are_limited_per_peer(void **state) {
    (void)state;
    struct toc_credentials c = remote(NULL), other = local();
    struct toc_session s;
    for (int n = 0; n < 10; n++) {
        char port[32];
        snprintf(port, sizeof port, "192.0.2.7:%d", 5000 + n);
        c.peer = toc_sv_cstr(port);
        assert_int_equal(toc_guard_login(g_guard, &c, TOC_SV("toc_wrong"), g_now, &s, NULL),
                         TOC_EAUTH);
    }
    struct toc_err err = {0};
    c.peer = TOC_SV("192.0.2.7:6000");
    assert_int_equal(toc_guard_login(g_guard, &c, toc_sv_cstr(g_admin), g_now, &s, &err),
                     TOC_ELIMIT);
    assert_non_null(strstr(err.message, "192.0.2.7"));
    assert_int_equal(toc_guard_login(g_guard, &other, toc_sv_cstr(g_admin), g_now, &s, NULL), 0);
    g_now.ms += 5 * 60 * 1000;
    assert_int_equal(toc_guard_login(g_guard, &c, toc_sv_cstr(g_admin), g_now, &s, NULL), 0);
    for (int n = 0; n < 5000; n++) { /* many addresses do not grow the table without end */
        char peer[32];
        snprintf(peer, sizeof peer, "10.0.%d.%d:1", n / 250, n % 250);
        c.peer = toc_sv_cstr(peer);
        c.authorization = TOC_SV("Bearer toc_wrong");
        struct toc_principal who;
        assert_int_equal(toc_guard_authorise(g_guard, &c, TOC_PERM_READ, false, g_now, &who, NULL),
                         TOC_EAUTH);
    }
    struct toc_guard_counters counters;
    toc_guard_get_counters(g_guard, &counters);
    assert_int_equal(counters.refused_auth, 5000);
    assert_int_equal(counters.refused_limit, 1);
}

static void state_changes_are_audited_with_their_actor(void **state) {
    (void)state;
    struct toc_principal who = {.name = "anna"}, nobody = {0};
    struct toc_audit_head head;
    assert_int_equal(toc_guard_audit(g_guard, &who, TOC_SV("POST incidents/ID/acknowledge"),
                                     TOC_SV("I-1"), TOC_SV("ok"), g_now, NULL),
                     0);
    assert_int_equal(toc_guard_audit(g_guard, &nobody, TOC_SV("POST tokens"), TOC_SV(""),
                                     TOC_SV("not authenticated"), g_now, NULL),
                     0);
    assert_int_equal(toc_audit_verify(g_f.db, &head, NULL), 0);
    assert_int_equal(head.count, 2);
}

struct worker {
    struct toc_thread thread;
    struct toc_session session;
};

static void work(void *ctx) {
    struct worker *w = ctx;
    for (int n = 0; n < 40; n++) {
        struct toc_credentials c = local(), wrong = remote("Bearer toc_wrong");
        c.cookie = toc_sv_cstr(w->session.cookie);
        c.csrf = toc_sv_cstr(w->session.csrf);
        assert_int_equal(ask(&c, TOC_PERM_ADMIN, true), 0);
        int rc = ask(&wrong, TOC_PERM_READ, false);
        assert_true(rc == TOC_EAUTH || rc == TOC_ELIMIT);
    }
}

static void many_threads_ask_at_once(void **state) {
    (void)state;
    struct worker workers[4];
    for (int n = 0; n < 4; n++) {
        workers[n] = (struct worker){.session = login(g_admin)};
        assert_int_equal(toc_thread_start(&workers[n].thread, "asker", work, &workers[n]), 0);
    }
    for (int n = 0; n < 4; n++)
        toc_thread_join(&workers[n].thread);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(the_token_comes_in_several_schemes),
        T(the_first_start_makes_one_admin_token),
        T(roles_allow_what_the_table_says),
        T(scopes_and_expiry_limit_a_token),
        T(loopback_modes),
        T(foreign_hosts_and_origins_are_refused),
        T(a_session_needs_its_csrf_token_and_survives_a_restart),
        T(sessions_end_when_idle_old_or_their_token_goes),
        T(failed_logins_are_limited_per_peer),
        T(state_changes_are_audited_with_their_actor),
        T(many_threads_ask_at_once),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
