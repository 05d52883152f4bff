#include "../cmocka_prelude.h"

#include <string.h>

#include "forward/config.h"

struct loaded {
    struct toc_arena arena;
    struct toc_forward_set *set;
    struct toc_err err;
    int rc;
};

static struct loaded load(const char *text) {
    struct loaded l = {.rc = 0};
    const struct toc_yaml *root;
    struct toc_label external[] = {{TOC_SV("region"), TOC_SV("eu")}};
    l.rc = toc_yaml_parse(toc_sv_cstr(text), &l.arena, &root, &l.err);
    if (!l.rc)
        l.rc = toc_forward_set_read(root, (struct toc_labels){external, 1}, "/etc/tocsin", &l.set,
                                    &l.err);
    return l;
}

static void unload(struct loaded *l) {
    toc_forward_set_unref(&l->set);
    toc_arena_fini(&l->arena);
}

static void defaults_are_those_of_upstream(void **state) {
    (void)state;
    struct loaded l = load("- url: http://user:secret@remote:9090/api/v1/write?x=1\n");
    assert_int_equal(l.rc, 0);
    assert_int_equal(toc_forward_set_count(l.set), 1);
    const struct toc_forward_config *c = toc_forward_set_get(l.set, 0);
    assert_sv_equal(c->name, "http://remote:9090/api/v1/write");
    assert_int_equal(c->remote_timeout_ms, 30000);
    assert_int_equal(c->message, TOC_FORWARD_1);
    assert_false(c->send_exemplars || c->send_native_histograms);
    assert_int_equal(c->queue.capacity, 10000);
    assert_int_equal(c->queue.max_shards, 50);
    assert_int_equal(c->queue.min_shards, 1);
    assert_int_equal(c->queue.max_samples_per_send, 2000);
    assert_int_equal(c->queue.batch_send_deadline, 5000);
    assert_int_equal(c->queue.min_backoff, 30);
    assert_int_equal(c->queue.max_backoff, 5000);
    assert_int_equal(c->queue.sample_age_limit, 0);
    assert_true(c->queue.retry_on_http_429);
    assert_true(c->metadata.send);
    assert_int_equal(c->metadata.send_interval, 60000);
    assert_int_equal(c->metadata.max_samples_per_send, 2000);
    assert_int_equal(c->external_labels.count, 1);
    unload(&l);
}

static void every_key_is_read(void **state) {
    (void)state;
    struct loaded l = load("- url: https://a/w\n"
                           "  name: a\n"
                           "  remote_timeout: 7s\n"
                           "  protobuf_message: io.prometheus.write.v2.Request\n"
                           "  headers: {X-Scope-OrgID: team}\n"
                           "  write_relabel_configs:\n"
                           "  - {source_labels: [__name__], regex: 'go_.*', action: drop}\n"
                           "  send_native_histograms: true\n"
                           "  queue_config: {capacity: 20, max_shards: 3, min_shards: 2,\n"
                           "    max_samples_per_send: 5, batch_send_deadline: 1s,\n"
                           "    min_backoff: 10ms, max_backoff: 20ms, retry_on_http_429: false,\n"
                           "    sample_age_limit: 1h}\n"
                           "  metadata_config: {send: false, send_interval: 2m,\n"
                           "    max_samples_per_send: 9}\n"
                           "  basic_auth: {username: u, password_file: secret}\n"
                           "  tls_config: {ca_file: ca.pem}\n"
                           "- url: http://b/w\n"
                           "  authorization: {credentials: token}\n"
                           "  send_exemplars: true\n");
    if (l.rc)
        fail_msg("%s", l.err.message);
    const struct toc_forward_config *c = toc_forward_set_get(l.set, 0);
    assert_sv_equal(c->key, "a");
    assert_int_equal(c->message, TOC_FORWARD_2);
    assert_int_equal(c->relabel.count, 1);
    assert_int_equal(c->http.header_count, 1);
    assert_sv_equal(c->http.headers[0].value, "team");
    assert_sv_equal(c->http.password_file, "/etc/tocsin/secret");
    assert_sv_equal(c->http.ca_file, "/etc/tocsin/ca.pem");
    assert_int_equal(c->queue.sample_age_limit, 3600000);
    assert_false(c->queue.retry_on_http_429);
    c = toc_forward_set_get(l.set, 1);
    assert_sv_equal(c->key, "http://b/w");
    assert_true(c->send_exemplars);
    unload(&l);
}

static void what_is_not_supported_is_refused_with_a_reason(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"- {}\n", "url"},
        {"- url: remote:9090\n", "must begin with http"},
        {"- {url: 'http://a', oauth2: {}}\n", "oauth2 is not supported"},
        {"- {url: 'http://a', sigv4: {}}\n", "sigv4 is not supported"},
        {"- {url: 'http://a', azuread: {}}\n", "azuread is not supported"},
        {"- {url: 'http://a', round_robin_dns: true}\n", "round_robin_dns is not supported"},
        {"- {url: 'http://a', remote_timeot: 1s}\n", "remote_timeot"},
        {"- {url: 'http://a', protobuf_message: v3}\n", "protobuf_message must be"},
        {"- {url: 'http://a', queue_config: {min_shards: 9, max_shards: 2}}\n", "min_shards"},
        {"- {url: 'http://a', queue_config: {min_backoff: 9s}}\n", "min_backoff"},
        {"- {url: 'http://a', queue_config: {capacity: 0}}\n", "capacity"},
        {"- {url: 'http://a', queue_config: {shards: 1}}\n", "shards"},
        {"- {url: 'http://a', headers: {Content-Type: x}}\n", "Content-Type"},
        {"- {url: 'http://a', headers: {'A b': x}}\n", "A b"},
        {"- {url: 'http://a', headers: {A: \"x\\ny\"}}\n", "control characters"},
        {"- {url: 'http://a', basic_auth: {username: a}, authorization: {credentials: b}}\n",
         "at most one"},
        {"- {url: 'http://a'}\n- {url: 'http://a'}\n", "found multiple remote write configs"},
        {"- {url: 'http://a', name: n}\n- {url: 'http://b', name: n}\n", "with name \"n\""},
        {"- {url: 'http://a', send_exemplars: true,\n"
         "   protobuf_message: io.prometheus.write.v2.Request}\n",
         "send_exemplars"},
        {"url: http://a\n", "a list"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(rows); i++) {
        struct loaded l = load(rows[i].text);
        if (!l.rc || !strstr(l.err.message, rows[i].reason))
            fail_msg("%s gave %d %s", rows[i].text, l.rc, l.err.message);
        assert_true(l.err.line > 0);
        unload(&l);
    }
}

static void a_change_anywhere_changes_the_digest(void **state) {
    (void)state;
    struct loaded a = load("- url: http://a\n"), b = load("- url:    'http://a'\n");
    struct loaded c = load("- {url: 'http://a', queue_config: {capacity: 10001}}\n");
    uint64_t digest = toc_forward_set_get(a.set, 0)->digest;
    assert_true(digest == toc_forward_set_get(b.set, 0)->digest);
    assert_true(digest != toc_forward_set_get(c.set, 0)->digest);
    unload(&a);
    unload(&b);
    unload(&c);
    struct loaded none = load("[]\n");
    assert_int_equal(none.rc, 0);
    assert_int_equal(toc_forward_set_count(none.set), 0);
    unload(&none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_upstream),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(what_is_not_supported_is_refused_with_a_reason),
        cmocka_unit_test(a_change_anywhere_changes_the_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
