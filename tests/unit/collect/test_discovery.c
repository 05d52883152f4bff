/* Sources of targets: what their answers become, what they keep, how they come and go. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "collect/discovery.h"
#include "collect/discovery_priv.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "sys/thread.h"

/* ------------------------------------------------------------------------------------------------
 * groups */

static void a_shared_group_is_a_copy(void **state) {
    (void)state;
    char address[] = "h:1", name[] = "a", value[] = "b";
    struct toc_sv targets[] = {{address, 3}, TOC_SV("h:2")};
    struct toc_label label = {{name, 1}, {value, 1}}, own = {TOC_SV("x"), TOC_SV("y")};
    struct toc_labels owns[] = {{&own, 1}, {NULL, 0}};
    struct toc_target_group g = {TOC_SV("s"), targets, owns, 2, &label, 1};
    struct toc_shared_group *s = toc_shared_group_new(&g), *twice = toc_shared_group_ref(s);
    assert_true(toc_target_group_eq(&g, toc_shared_group_get(s)));
    address[0] = name[0] = value[0] = '?';
    const struct toc_target_group *copy = toc_shared_group_get(s);
    assert_false(toc_target_group_eq(&g, copy));
    assert_string_equal(copy->targets[0].p, "h:1");
    assert_string_equal(copy->labels[0].value.p, "b");
    assert_string_equal(copy->own[0].items[0].value.p, "y");
    assert_int_equal(copy->own[1].count, 0);
    toc_shared_group_unref(&s);
    assert_null(s);
    assert_string_equal(toc_shared_group_get(twice)->source.p, "s");
    toc_shared_group_unref(&twice);
}

/* ------------------------------------------------------------------------------------------------
 * answers of http_sd */

static int parse(const char *text, struct toc_arena *a, const struct toc_target_group **out,
                 size_t *count, struct toc_err *err) {
    return toc_discovery_http_parse(toc_sv_cstr(text), TOC_SV("http://u"), a, out, count, err);
}

static void a_list_becomes_groups(void **state) {
    (void)state;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    const struct toc_target_group *g;
    size_t count;
    assert_int_equal(parse("[{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"x\": \"1\", "
                           "\"__meta_url\": \"no\"}}, {\"labels\": null, \"targets\": null}]",
                           &a, &g, &count, &err),
                     0);
    assert_int_equal(count, 2);
    assert_int_equal(g[0].target_count, 2);
    assert_true(toc_sv_eq_cstr(g[0].targets[1], "b:2"));
    assert_int_equal(g[0].label_count, 3);
    assert_true(toc_sv_eq_cstr(g[0].labels[2].name, "__meta_url"));
    assert_true(toc_sv_eq_cstr(g[0].labels[2].value, "http://u")); /* the last of a name wins */
    assert_true(toc_sv_eq_cstr(g[0].source, ":0"));
    assert_true(toc_sv_eq_cstr(g[1].source, ":1"));
    assert_int_equal(g[1].target_count, 0);
    assert_int_equal(parse("null", &a, &g, &count, &err), 0);
    assert_int_equal(count, 0);
    toc_arena_fini(&a);
}

static void a_bad_list_says_why(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", ""},
        {"[", ""},
        {"{}", "a list of groups"},
        {"[null]", "group 0: an object"},
        {"[{}, 1]", "group 1: an object"},
        {"[{\"targets\": 1}]", "targets: a list of texts"},
        {"[{\"targets\": [null]}]", "target 0 is no text"},
        {"[{\"labels\": []}]", "labels: name: text"},
        {"[{\"labels\": {\"a\": null}}]", "label a is no text"},
        {"[{\"labels\": {\"\": \"x\"}}]", "not a valid label name"},
        {"[{\"target\": []}]", "unknown field \"target\""},
        {"[{\"targets\": [], \"targets\": []}]", ""},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_target_group *g;
        size_t count;
        assert_true(parse(cases[i].text, &a, &g, &count, &err) < 0);
        if (!err.message[0] || !strstr(err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].text, err.message);
        toc_arena_fini(&a);
    }
}

static void too_many_targets_are_refused(void **state) {
    (void)state;
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_err err = {0};
    struct toc_buf text = TOC_BUF_INIT;
    const struct toc_target_group *g;
    size_t count;
    toc_buf_append_cstr(&text, "[{\"targets\": [\"\"");
    for (int i = 0; i < TOC_DISCOVERY_TARGETS_MAX; i++)
        toc_buf_append_cstr(&text, ",\"\"");
    toc_buf_append_cstr(&text, "]}]");
    assert_int_equal(toc_discovery_http_parse(toc_buf_sv(&text), TOC_SV("u"), &a, &g, &count, &err),
                     TOC_ELIMIT);
    assert_non_null(strstr(err.message, "more than 500000 targets"));
    toc_buf_fini(&text);
    toc_arena_fini(&a);
}

/* ------------------------------------------------------------------------------------------------
 * configuration */

static struct toc_scrape_set *read_set(const char *text, struct toc_err *err) {
    struct toc_arena a = TOC_ARENA_INIT;
    struct toc_scrape_global global = toc_scrape_global_default();
    const struct toc_yaml *doc;
    struct toc_scrape_set *set = NULL;
    global.base_dir = "/etc/tocsin";
    int rc = toc_yaml_parse(toc_sv_cstr(text), &a, &doc, err);
    if (rc == 0)
        rc = toc_scrape_set_read(doc, &global, &set, err);
    toc_arena_fini(&a);
    return rc ? NULL : set;
}

static void bad_sources_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"- job_name: a\n  http_sd_configs: [{}]\n", "URL is missing"},
        {"- job_name: a\n  http_sd_configs: [{url: 'ftp://x'}]\n", "must be 'http' or 'https'"},
        {"- job_name: a\n  http_sd_configs: [{url: 'http:///x'}]\n", "host is missing"},
        {"- job_name: a\n  http_sd_configs: [null]\n", "empty or null section"},
        {"- job_name: a\n  http_sd_configs: {url: x}\n", "expected a list"},
        {"- job_name: a\n  http_sd_configs: [{url: 'http://x', refresh_interval: 0s}]\n",
         "longer than 0"},
        {"- job_name: a\n  http_sd_configs: [{url: 'http://x', urls: y}]\n", "urls"},
        {"- job_name: a\n  http_sd_configs: [{url: 'http://x', oauth2: {}}]\n",
         "oauth2 is not supported"},
        {"- job_name: a\n  dns_sd_configs: [{type: A, port: 1}]\n", "at least one SRV record name"},
        {"- job_name: a\n  dns_sd_configs: [{names: [x], type: A}]\n", "a port is required"},
        {"- job_name: a\n  dns_sd_configs: [{names: [x], type: TXT}]\n", "invalid DNS-SD records"},
        {"- job_name: a\n  kubernetes_sd_configs: [{}]\n", "role missing"},
        {"- job_name: a\n  kubernetes_sd_configs: [{role: x}]\n", "unknown Kubernetes SD role"},
        {"- job_name: a\n  kubernetes_sd_configs: [{role: pod, bearer_token: x}]\n",
         "please provide the 'api_server' URL"},
        {"- job_name: a\n  kubernetes_sd_configs: [{role: pod, api_server: 'http://x', "
         "kubeconfig_file: y}]\n",
         "cannot use 'kubeconfig_file' and 'api_server'"},
        {"- job_name: a\n  kubernetes_sd_configs: [{role: pod, api_server: 'http://x', "
         "namespaces: {own_namespace: true}}]\n",
         "cannot use 'api_server' and 'namespaces.own_namespace'"},
        {"- job_name: a\n  kubernetes_sd_configs: [{role: pod, selectors: [{role: node, label: "
         "x}]}]\n",
         "pod role supports no selectors of role node"},
        {"- job_name: a\n  kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: x}, "
         "{role: pod, field: y}]}]\n",
         "duplicated selector role"},
        {"- job_name: a\n  slurm_sd_configs: [{role: x}]\n", "unknown Slurm SD role"},
        {"- job_name: a\n  slurm_sd_configs: [{port: 0}]\n", "port 0 is none"},
        {"- job_name: a\n  slurm_sd_configs: [{scontrol: ''}]\n", "name of a program is empty"},
        {"- job_name: a\n  http_headers: {Host: {values: [x]}}\n", "setting header \"Host\""},
        {"- job_name: a\n  http_headers: {X: {values: [\"a\\nb\"]}}\n", "control characters"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_err err = {0};
        assert_null(read_set(cases[i].text, &err));
        if (!strstr(err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
}

/* Real configurations of upstream are accepted, and written back they are accepted again. */
static void all_kinds_of_sources_are_read(void **state) {
    (void)state;
    struct toc_err err = {0};
    struct toc_buf text = TOC_BUF_INIT, again = TOC_BUF_INIT;
    const char *config =
        "- job_name: a\n"
        "  http_sd_configs: [{url: 'https://h/x', tls_config: {insecure_skip_verify: true}}]\n"
        "  dns_sd_configs: [{names: [a.b, c.], type: A, port: 1}, {names: [_s._tcp.x]}]\n"
        "  kubernetes_sd_configs:\n"
        "  - {role: endpoints, api_server: 'https://k', bearer_token_file: t,\n"
        "     namespaces: {names: [x, y]}, attach_metadata: {node: true},\n"
        "     selectors: [{role: pod, label: 'a in (b,c)', field: spec.nodeName=n}]}\n"
        "  - {role: pod}\n  - {role: node, kubeconfig_file: k.yml}\n"
        "  slurm_sd_configs: [{}, {role: job, squeue: /opt/squeue, port: 1, timeout: 2s}]\n";
    struct toc_scrape_set *set = read_set(config, &err);
    if (!set)
        fail_msg("%d: %s", err.line, err.message);
    assert_int_equal(toc_scrape_set_get(set, 0)->discovery_count, 8);
    toc_buf_append_cstr(&text, "- ");
    toc_scrape_config_format(toc_scrape_set_get(set, 0), &again);
    for (size_t i = 0; i < again.n; i++) {
        toc_buf_append_char(&text, again.p[i]);
        if (again.p[i] == '\n' && i + 1 < again.n)
            toc_buf_append_cstr(&text, "  ");
    }
    toc_scrape_set_unref(&set);
    set = read_set(toc_buf_cstr(&text), &err);
    if (!set)
        fail_msg("%d: %s\n%s", err.line, err.message, toc_buf_cstr(&text));
    assert_int_equal(toc_scrape_set_get(set, 0)->discovery_count, 8);
    toc_scrape_set_unref(&set);
    toc_buf_fini(&text);
    toc_buf_fini(&again);
}

static void a_source_is_written_back_without_secrets(void **state) {
    (void)state;
    struct toc_err err = {0};
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_scrape_set *set = read_set(
        "- job_name: a\n  http_sd_configs:\n  - url: http://me:pw@h/x\n    authorization: "
        "{credentials: tok}\n    http_headers: {A: {values: [v], secrets: [s], files: [f]}}\n",
        &err);
    assert_non_null(set);
    toc_scrape_config_format(toc_scrape_set_get(set, 0), &text);
    const char *yaml = toc_buf_cstr(&text);
    const char *wanted =
        "http_sd_configs:\n- refresh_interval: 1m\n  url: \"http://me:<secret>@h/x\"\n"
        "  follow_redirects: true\n  authorization:\n    type: Bearer\n    credentials: "
        "\"<secret>\"\n  http_headers:\n    A:\n      values:\n      - v\n      secrets:\n      - "
        "\"<secret>\"\n      files:\n      - /etc/tocsin/f\n";
    if (!strstr(yaml, wanted))
        fail_msg("%s", yaml);
    toc_buf_fini(&text);
    toc_scrape_set_unref(&set);
}

/* ------------------------------------------------------------------------------------------------
 * at work */

static struct {
    struct toc_http_server *server;
    struct toc_mutex mutex;
    struct toc_cond changed;
    char body[4096];
    int status, requests, changes;
} w;

static void handle(void *ctx, const struct toc_http_request *req, struct toc_http_response *res) {
    (void)ctx, (void)req;
    toc_mutex_lock(&w.mutex);
    w.requests++;
    res->status = w.status;
    res->content_type = "application/json";
    toc_buf_append_cstr(&res->body, w.body);
    toc_mutex_unlock(&w.mutex);
}

static void answer(int status, const char *body) {
    toc_mutex_lock(&w.mutex);
    w.status = status;
    toc_sv_copy(toc_sv_cstr(body), w.body, sizeof w.body);
    toc_mutex_unlock(&w.mutex);
}

static void on_change(void *ctx) {
    (void)ctx;
    toc_mutex_lock(&w.mutex);
    w.changes++;
    toc_cond_broadcast(&w.changed);
    toc_mutex_unlock(&w.mutex);
}

/* Waits until the groups were changed so many times. */
static void await_changes(int n) {
    toc_mutex_lock(&w.mutex);
    for (int i = 0; i < 200 && w.changes < n; i++)
        toc_cond_wait_ms(&w.changed, &w.mutex, 100);
    assert_true(w.changes >= n);
    toc_mutex_unlock(&w.mutex);
}

static void keep_info(void *ctx, const struct toc_discovery_source_info *i) {
    struct toc_discovery_source_info *out = ctx;
    *out = *i;
}

static struct toc_discovery_source_info info_of(struct toc_discovery *d) {
    struct toc_discovery_source_info info = {0};
    toc_discovery_list(d, keep_info, &info);
    return info;
}

static void await_failure(struct toc_discovery *d) {
    for (int i = 0; i < 500 && info_of(d).failures == 0; i++)
        toc_sleep_ms(20);
    assert_true(info_of(d).failures > 0);
}

static struct toc_scrape_set *set_of(const char *interval) {
    struct toc_err err = {0};
    char text[300];
    snprintf(text, sizeof text,
             "- job_name: j\n  http_sd_configs: [{url: 'http://127.0.0.1:%u/', refresh_interval: "
             "%s}]\n- job_name: k\n  http_sd_configs: [{url: 'http://127.0.0.1:%u/', "
             "refresh_interval: %s}]\n",
             toc_http_server_port(w.server), interval, toc_http_server_port(w.server), interval);
    struct toc_scrape_set *set = read_set(text, &err);
    assert_non_null(set);
    return set;
}

static void unchanged_groups_stay_the_same_object(void **state) {
    (void)state;
    struct toc_discovery *d =
        toc_discovery_new(&(struct toc_discovery_options){.on_change = on_change});
    struct toc_scrape_set *set = set_of("100ms");
    const struct toc_discovery_config *c = &toc_scrape_set_get(set, 0)->discoveries[0];
    struct toc_shared_groups before = {0}, after = {0};
    w.changes = 0;
    answer(200, "[{\"targets\":[\"a:1\"]},{\"targets\":[\"b:1\"]},{\"targets\":[\"c:1\"]}]");
    toc_discovery_apply(d, set);
    toc_discovery_start(d);
    await_changes(1);
    toc_discovery_groups(d, c, &before);
    answer(200, "[{\"targets\":[\"a:1\"]},{\"targets\":[\"b:2\"]}]");
    await_changes(2);
    toc_discovery_groups(d, c, &after);
    assert_int_equal(before.count, 3);
    assert_int_equal(after.count, 2);
    assert_ptr_equal(before.items[0], after.items[0]);
    assert_ptr_not_equal(before.items[1], after.items[1]);
    answer(500, "");
    await_failure(d);
    assert_int_equal(info_of(d).targets, 2);
    assert_int_equal(toc_discovery_counters(d, TOC_DISCOVERY_HTTP).failing, 1);
    assert_int_equal(toc_discovery_counters(d, TOC_DISCOVERY_HTTP).sources, 1); /* two jobs */
    toc_shared_groups_fini(&before);
    toc_shared_groups_fini(&after);
    toc_discovery_free(&d);
    toc_scrape_set_unref(&set);
}

static void a_reload_keeps_what_is_configured_alike(void **state) {
    (void)state;
    struct toc_discovery *d =
        toc_discovery_new(&(struct toc_discovery_options){.on_change = on_change});
    struct toc_scrape_set *set = set_of("1h"), *again = set_of("1h"), *other = set_of("2h");
    struct toc_shared_groups groups = {0};
    w.changes = 0;
    answer(200, "[{\"targets\":[\"a:1\"]}]");
    toc_discovery_apply(d, set);
    toc_discovery_start(d);
    await_changes(1);
    int requests = w.requests;
    toc_scrape_set_unref(&set); /* the source holds what it needs */
    toc_discovery_apply(d, again);
    assert_int_equal(w.requests, requests);
    answer(500, "");
    toc_discovery_apply(d, other); /* begins with what its predecessor found */
    toc_discovery_groups(d, &toc_scrape_set_get(other, 1)->discoveries[0], &groups);
    assert_int_equal(groups.count, 1);
    await_failure(d);
    assert_int_equal(info_of(d).targets, 1);
    assert_non_null(strstr(info_of(d).last_error.p, "HTTP status 500"));
    toc_discovery_apply(d, NULL);
    assert_int_equal(toc_discovery_counters(d, TOC_DISCOVERY_HTTP).sources, 0);
    toc_shared_groups_fini(&groups);
    toc_discovery_free(&d);
    toc_scrape_set_unref(&again);
    toc_scrape_set_unref(&other);
}

static int start(void **state) {
    (void)state;
    struct toc_err err = {0};
    toc_mutex_init(&w.mutex, TOC_LOCK_QUEUE);
    toc_cond_init(&w.changed);
    if (toc_net_init(&err) < 0)
        return -1;
    const struct toc_http_server_options o = {.host = "127.0.0.1", .handler = handle};
    return toc_http_server_start(&o, &w.server, &err);
}

static int stop(void **state) {
    (void)state;
    toc_http_server_stop(&w.server);
    toc_net_fini();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_group_is_a_copy),
        cmocka_unit_test(a_list_becomes_groups),
        cmocka_unit_test(a_bad_list_says_why),
        cmocka_unit_test(too_many_targets_are_refused),
        cmocka_unit_test(bad_sources_are_refused),
        cmocka_unit_test(all_kinds_of_sources_are_read),
        cmocka_unit_test(a_source_is_written_back_without_secrets),
        cmocka_unit_test(unchanged_groups_stay_the_same_object),
        cmocka_unit_test(a_reload_keeps_what_is_configured_alike),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
