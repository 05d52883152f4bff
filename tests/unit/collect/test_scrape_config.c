/* scrape_configs: defaults, every part, and errors with their place. */
#include "../cmocka_prelude.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "collect/scrape_config.h"
#include "sys/vfs.h"

static int read_text(const char *text, struct toc_scrape_set **out, struct toc_err *err) {
    struct toc_arena a = TOC_ARENA_INIT;
    const struct toc_yaml *doc;
    struct toc_scrape_global g = toc_scrape_global_default();
    g.base_dir = "/etc/tocsin";
    int rc = toc_yaml_parse(toc_sv_cstr(text), &a, &doc, err);
    if (rc == 0)
        rc = toc_scrape_set_read(doc, &g, out, err);
    toc_arena_fini(&a);
    return rc;
}

static void defaults_are_upstreams(void **state) {
    (void)state;
    struct toc_scrape_set *s = NULL;
    struct toc_err err = {0};
    assert_int_equal(
        read_text(
            "- job_name: node\n  static_configs: [{targets: ['a:1', 'b:2'], labels: {x: y}}]\n", &s,
            &err),
        0);
    const struct toc_scrape_config *c = toc_scrape_set_get(s, 0);
    assert_sv_equal(c->job_name, "node");
    assert_sv_equal(c->metrics_path, "/metrics");
    assert_sv_equal(c->scheme, "http");
    assert_int_equal(c->interval_ms, 60000);
    assert_int_equal(c->timeout_ms, 10000);
    assert_true(c->honor_timestamps && c->http.follow_redirects && !c->honor_labels);
    assert_int_equal(c->limits.sample_limit, 100000);
    assert_int_equal(c->groups[0].target_count, 2);
    assert_sv_equal(c->groups[0].labels[0].value, "y");
    assert_string_equal(c->accept,
                        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                        "application/openmetrics-text;version=0.0.1;q=0.4,"
                        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
                        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1");
    toc_scrape_set_unref(&s);
}

static void native_histograms_ask_for_protobuf_first(void **state) {
    (void)state;
    struct toc_scrape_set *s = NULL;
    struct toc_err err = {0};
    assert_int_equal(read_text("- job_name: a\n  scrape_native_histograms: true\n"
                               "- job_name: b\n  scrape_native_histograms: true\n"
                               "  always_scrape_classic_histograms: true\n"
                               "  scrape_protocols: [PrometheusText0.0.4, PrometheusProto]\n"
                               "  fallback_scrape_protocol: PrometheusProto\n",
                               &s, &err),
                     0);
    const struct toc_scrape_config *a = toc_scrape_set_get(s, 0), *b = toc_scrape_set_get(s, 1);
    assert_string_equal(a->accept,
                        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                        "encoding=delimited;q=0.6,"
                        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
                        "application/openmetrics-text;version=0.0.1;q=0.4,"
                        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
                        "text/plain;version=0.0.4;q=0.2,*/*;q=0.1");
    assert_true(a->native_histograms && !a->classic_histograms);
    assert_string_equal(b->accept,
                        "text/plain;version=0.0.4;q=0.3,"
                        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
                        "encoding=delimited;q=0.2,*/*;q=0.1");
    assert_true(b->native_histograms && b->classic_histograms);
    assert_int_equal(b->fallback_protocol, TOC_SCRAPE_PROTO);
    toc_scrape_set_unref(&s);
}

static void all_parts_are_read(void **state) {
    (void)state;
    struct toc_scrape_set *s = NULL;
    struct toc_err err = {0};
    int rc = read_text(
        "- job_name: x\n  scrape_interval: 5s\n  params: {module: [a, b]}\n  scheme: https\n"
        "  basic_auth: {username: u, password_file: pw}\n  honor_labels: true\n"
        "  tls_config: {ca_file: ca.pem, insecure_skip_verify: true}\n"
        "  sample_limit: 0\n  body_size_limit: 1MB\n  scrape_protocols: [PrometheusText0.0.4]\n"
        "  file_sd_configs: [{files: ['t/*.json', /abs/x.yml], refresh_interval: 1m}]\n"
        "  relabel_configs: [{source_labels: [a], target_label: b}]\n"
        "  metric_relabel_configs: [{regex: z, action: labeldrop}]\n"
        "- job_name: y\n  authorization: {credentials: tok}\n",
        &s, &err);
    if (rc)
        fail_msg("%d:%d: %s", err.line, err.column, err.message);
    const struct toc_scrape_config *c = toc_scrape_set_get(s, 0);
    assert_int_equal(c->timeout_ms, 5000); /* the global one does not fit the interval */
    assert_int_equal(c->params[0].value_count, 2);
    assert_sv_equal(c->http.user, "u");
    assert_sv_equal(c->http.password_file, "/etc/tocsin/pw");
    assert_sv_equal(c->http.ca_file, "/etc/tocsin/ca.pem");
    assert_int_equal(c->limits.sample_limit, 0);
    assert_int_equal(c->limits.body_size_limit, 1 << 20);
    assert_sv_equal(c->file_sds[0].files[0], "/etc/tocsin/t/*.json");
    assert_sv_equal(c->file_sds[0].files[1], "/abs/x.yml");
    assert_string_equal(c->accept, "text/plain;version=0.0.4;q=0.2,*/*;q=0.1");
    assert_int_equal(c->relabel.count, 1);
    assert_sv_equal(toc_scrape_set_get(s, 1)->http.auth_type, "Bearer");
    assert_sv_equal(toc_scrape_set_get(s, 1)->http.credentials, "tok");
    toc_scrape_set_unref(&s);
}

static void refuse(const char *text, int line, const char *want) {
    struct toc_scrape_set *s = NULL;
    struct toc_err err = {0};
    assert_true(read_text(text, &s, &err) < 0);
    if (!strstr(err.message, want) || err.line != line)
        fail_msg("wanted line %d \"%s\", got line %d \"%s\"", line, want, err.line, err.message);
}

static void errors_say_where_and_why(void **state) {
    (void)state;
    refuse("- scrape_interval: 5s\n", 1, "job_name is empty");
    refuse("- job_name: a\n- job_name: a\n", 2,
           "found multiple scrape configs with job name \"a\"");
    refuse("- job_name: a\n  scrape_interval: 5s\n  scrape_timeout: 6s\n", 1,
           "scrape timeout greater than scrape interval for scrape config with job name \"a\"");
    refuse("- job_name: a\n  scrape_intervall: 5s\n", 2, "did you mean \"scrape_interval\"");
    refuse("- job_name: a\n  static_configs:\n  - targets: ['http://x']\n", 3,
           "is not a valid hostname");
    refuse("- job_name: a\n  ec2_sd_configs: []\n", 2,
           "ec2_sd_configs is not supported by this build");
    refuse("- job_name: a\n  relabel_configs:\n  - {source_labels: [a]}\n", 3,
           "requires 'target_label' value");
    refuse("- ~\n", 1, "empty or null scrape config section");
    refuse("- job_name: a\n  scrape_protocols: [prometheusproto]\n", 2,
           "unknown scrape protocol prometheusproto");
    refuse("- job_name: a\n  basic_auth: {username: a}\n  bearer_token: x\n", 1, "at most one of");
    refuse("- job_name: a\n  file_sd_configs: [{files: [x.txt]}]\n", 2,
           "is not valid for file discovery");
    refuse("job_name: a\n", 1, "expected a list of scrape configs");
    refuse("- job_name: a\n  tls_config: {cert_file: x}\n", 2,
           "cert_file and key_file belong together");
    refuse("- job_name: a\n  label_limit: -1\n", 1, "label_limit must not be negative");
}

/* Upstream's own configurations, when they are there: what it rejects in a scrape section, we do
 * too. */
static void upstreams_relabel_errors_are_ours(void **state) {
    (void)state;
    static const char *const files[] = {"dropequal.bad.yml",
                                        "dropequal1.bad.yml",
                                        "keepequal.bad.yml",
                                        "keepequal1.bad.yml",
                                        "labeldrop.bad.yml",
                                        "labeldrop2.bad.yml",
                                        "labeldrop3.bad.yml",
                                        "labeldrop4.bad.yml",
                                        "labeldrop5.bad.yml",
                                        "labelkeep.bad.yml",
                                        "labelkeep2.bad.yml",
                                        "labelkeep3.bad.yml",
                                        "labelkeep4.bad.yml",
                                        "labelkeep5.bad.yml",
                                        "lowercase.bad.yml",
                                        "lowercase3.bad.yml",
                                        "modulus_missing.bad.yml",
                                        "target_label_missing.bad.yml",
                                        "target_label_hashmod_missing.bad.yml",
                                        "uppercase.bad.yml",
                                        "uppercase3.bad.yml",
                                        "jobname.bad.yml",
                                        "jobname_dup.bad.yml",
                                        "scrape_interval.bad.yml",
                                        "empty_scrape_config.bad.yml",
                                        "empty_static_config.bad.yml",
                                        "empty_scrape_config_action.bad.yml",
                                        "empty_target_relabel_config.bad.yml",
                                        "empty_metric_relabel_config.bad.yml",
                                        "url_in_targetgroup.bad.yml"};
    const char *root = getenv("TOCSIN_SHARED");
    char path[512];
    size_t tried = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(files); i++) {
        struct toc_buf text = TOC_BUF_INIT;
        struct toc_arena a = TOC_ARENA_INIT;
        struct toc_err err = {0};
        const struct toc_yaml *doc;
        struct toc_scrape_set *s = NULL;
        snprintf(path, sizeof path, "%s/conformance/prometheus-config/%s",
                 root ? root : "../shared", files[i]);
        if (toc_vfs_read_file(toc_vfs_system(), path, 1 << 20, &text) == 0) {
            tried++;
            assert_int_equal(toc_yaml_parse(toc_buf_sv(&text), &a, &doc, &err), 0);
            if (toc_scrape_set_read(toc_yaml_get(doc, "scrape_configs"), NULL, &s, &err) == 0)
                fail_msg("%s was accepted", files[i]);
        }
        toc_buf_fini(&text);
        toc_arena_fini(&a);
    }
    print_message(tried ? "%zu files of upstream tried\n"
                        : "upstream's files are not here: skipped\n",
                  tried);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_upstreams),
        cmocka_unit_test(native_histograms_ask_for_protobuf_first),
        cmocka_unit_test(all_parts_are_read),
        cmocka_unit_test(errors_say_where_and_why),
        cmocka_unit_test(upstreams_relabel_errors_are_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
