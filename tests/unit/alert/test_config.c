#include "../cmocka_prelude.h"
#include "../shared_files.h"

#include "alert/config.h"

static struct toc_alert_config *parse(const char *text, struct toc_err *err) {
    struct toc_alert_config *c = NULL;
    *err = (struct toc_err){0};
    (void)!toc_alert_config_parse(toc_sv_cstr(text), NULL, &c, err);
    return c;
}

static const char tree[] =
    "global: {resolve_timeout: 7m}\n"
    "route:\n"
    "  receiver: all\n"
    "  group_by: [alertname]\n"
    "  group_wait: 10s\n"
    "  routes:\n"
    "  - matchers: ['team=db', 'severity=~\"page|critical\"']\n"
    "    receiver: db\n"
    "    group_by: ['...']\n"
    "    continue: true\n"
    "  - match: {team: db}\n"
    "    group_wait: 0s\n"
    "    routes: [{match_re: {inst: 'a.*'}, receiver: ntfy}]\n"
    "receivers:\n"
    "- name: all\n"
    "- {name: db, email_configs: [{to: a@b, from: c@d, smarthost: 'h:25'}]}\n"
    "- {name: ntfy, ntfy_configs: [{topic: x}], sms_configs: [{url: y}]}\n";

static size_t route(const struct toc_alert_config *c, const char *team, const char *inst,
                    const struct toc_alert_route **out) {
    struct toc_label l[] = {{TOC_SV("inst"), toc_sv_cstr(inst)},
                            {TOC_SV("severity"), TOC_SV("page")},
                            {TOC_SV("team"), toc_sv_cstr(team)}};
    return toc_alert_config_match(c, (struct toc_labels){l, 3}, out, 8);
}

static void routes_inherit_and_continue(void **state) {
    struct toc_err err;
    const struct toc_alert_route *r[8];
    (void)state;
    struct toc_alert_config *c = parse(tree, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(c->resolve_timeout_ms, 7 * 60000);
    assert_int_equal(route(c, "db", "abc", r), 2);
    assert_sv_equal(r[0]->receiver, "db");
    assert_true(r[0]->groups_by_all);
    assert_false(r[0]->resolved_receiver->sends_resolved);
    assert_sv_equal(r[1]->receiver, "ntfy");
    assert_int_equal(r[1]->group_wait_ms, 0);
    assert_int_equal(r[1]->group_interval_ms, 300000);
    assert_sv_equal(r[1]->key, "{}/{team=\"db\"}/{inst=~\"a.*\"}");
    assert_int_equal(r[1]->resolved_receiver->count, 2);
    assert_true(r[1]->resolved_receiver->sends_resolved);
    assert_int_equal(route(c, "db", "b", r), 2);
    assert_sv_equal(r[1]->receiver, "all");
    assert_int_equal(route(c, "web", "b", r), 1);
    assert_ptr_equal(r[0], &c->root);
    toc_alert_config_free(&c);
}

static void bad_files_are_refused_with_upstream_texts(void **state) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{}", "no route provided in config"},
        {"receivers: [{name: a}]", "no routes provided"},
        {"route: {receiver: b}\nreceivers: [{name: a}]", "undefined receiver \"b\" used in route"},
        {"route: {group_by: [x]}\nreceivers: [{name: a}]",
         "root route must specify a default receiver"},
        {"route: {receiver: a, match: {x: y}}\nreceivers: [{name: a}]",
         "root route must not have any matchers"},
        {"route: {receiver: a, group_interval: 0s}\nreceivers: [{name: a}]",
         "group_interval cannot be zero"},
        {"route: {receiver: a, group_by: [x, '...']}\nreceivers: [{name: a}]",
         "cannot have wildcard group_by (`...`) and other labels at the same time"},
        {"route: {receiver: a, group_by: [x, x]}\nreceivers: [{name: a}]",
         "duplicated label \"x\" in group_by"},
        {"route: {receiver: a}\nreceivers: [{name: a}, {name: a}]",
         "notification config name \"a\" is not unique"},
        {"route: {receiver: a, routes: [{mute_time_intervals: [n]}]}\nreceivers: [{name: a}]",
         "undefined time interval \"n\" used in route"},
        {"route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{name: n}, {name: n}]",
         "time interval \"n\" is not unique"},
        {"route: {receiver: a}\nreceivers: [{name: a, email_configs: [{to: x}]}]",
         "no global SMTP smarthost set"},
    };
    (void)state;
    for (size_t i = 0; i < TOC_ARRAY_LEN(cases); i++) {
        struct toc_err err;
        assert_null(parse(cases[i].text, &err));
        assert_string_equal(err.message, cases[i].message);
    }
}

/* In the table \n is an escape. */
static void unescape(char *s) {
    char *out = s;
    for (; *s; s++) {
        bool is_newline = s[0] == '\\' && s[1] == 'n';
        *out++ = is_newline ? '\n' : *s;
        s += is_newline;
    }
    *out = '\0';
}

static void check_row(char *line) {
    char *file = strtok(line, "\t"), *result = strtok(NULL, "\t"), *text = strtok(NULL, "\t");
    char name[200];
    struct toc_buf yaml = TOC_BUF_INIT;
    struct toc_err err;
    (void)snprintf(name, sizeof name, "conformance/alertmanager-config/%s", file);
    assert_true(read_shared(name, &yaml));
    struct toc_alert_config *c = parse(toc_buf_cstr(&yaml), &err);
    bool is_accepted = c != NULL;
    if (is_accepted != !strcmp(result, "accept"))
        fail_msg("%s: expected %s, got \"%s\"", file, result, err.message);
    if (text && !is_accepted) {
        unescape(text);
        bool is_exact = !strstr(file, "conf.nil-");
        if (is_exact ? strcmp(err.message, text) != 0 : !strstr(err.message, text))
            fail_msg("%s: expected \"%s\", got \"%s\"", file, text, err.message);
    }
    toc_alert_config_free(&c);
    toc_buf_fini(&yaml);
}

static void conformance_files(void **state) {
    struct toc_buf table = TOC_BUF_INIT;
    (void)state;
    if (!read_shared("conformance/alertmanager-config/expected.tsv", &table)) {
        print_message("shared conformance files not found: skipped\n");
        skip();
    }
    struct toc_sv rest = toc_buf_sv(&table), line;
    int rows = 0;
    while (toc_sv_split(&rest, '\n', &line)) {
        if (!line.n || line.p[0] == '#')
            continue;
        char *copy = toc_sv_dup_cstr(line);
        check_row(copy);
        toc_free(copy);
        rows++;
    }
    assert_int_equal(rows, 46);
    toc_buf_fini(&table);
}

static bool zone(void *ctx, struct toc_sv location, struct toc_ts at, int *out_minutes) {
    (void)ctx;
    (void)at;
    *out_minutes = 8 * 60;
    return toc_sv_eq_cstr(location, "Local");
}

static void intervals_know_days_and_zones(void **state) {
    static const char yaml[] =
        "route: {receiver: a}\nreceivers: [{name: a}]\n"
        "time_intervals:\n"
        "- name: last\n"
        "  time_intervals: [{days_of_month: ['-1'], months: ['february'], years: ['2024:2026']}]\n"
        "- name: work\n"
        "  time_intervals: [{times: [{start_time: '09:00', end_time: '17:00'}], location: "
        "Local}]\n";
    struct toc_zone_source zones = {zone, NULL};
    struct toc_alert_config *c = NULL;
    struct toc_ts t;
    (void)state;
    assert_int_equal(toc_alert_config_parse(toc_sv_cstr(yaml), &zones, &c, NULL), 0);
    const struct toc_time_interval *last = toc_alert_config_interval(c, TOC_SV("last"));
    const struct toc_time_interval *work = toc_alert_config_interval(c, TOC_SV("work"));
    assert_int_equal(toc_ts_parse_rfc3339(TOC_SV("2024-02-29T10:00:00Z"), &t, NULL), 0);
    assert_true(toc_time_interval_contains(last, &zones, t));
    assert_false(toc_time_interval_contains(work, &zones, t));
    assert_int_equal(toc_ts_parse_rfc3339(TOC_SV("2024-02-28T01:00:00Z"), &t, NULL), 0);
    assert_false(toc_time_interval_contains(last, &zones, t));
    assert_true(toc_time_interval_contains(work, &zones, t));
    toc_alert_config_free(&c);
    assert_int_equal(toc_alert_config_parse(toc_sv_cstr(yaml), NULL, &c, NULL), TOC_EUNSUPPORTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_inherit_and_continue),
        cmocka_unit_test(bad_files_are_refused_with_upstream_texts),
        cmocka_unit_test(conformance_files),
        cmocka_unit_test(intervals_know_days_and_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
