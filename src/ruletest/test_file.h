/*
 * Unit tests of rules, in the format of `promtool test rules`
 * (prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules).
 */
#ifndef TOC_RULETEST_TEST_FILE_H
#define TOC_RULETEST_TEST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"
#include "promqltest/script.h"

/* What one evaluation of an alert rule must have firing. */
struct toc_expected_alert {
    struct toc_labels labels, annotations; /* labels with alertname */
};
struct toc_alert_check {
    int64_t eval_ms; /* after the start */
    struct toc_sv alert;
    struct toc_expected_alert *alerts;
    size_t alert_count;
};

struct toc_expected_sample {
    struct toc_labels labels;
    double value;
    const struct toc_histogram *histogram; /* NULL: a float */
};
struct toc_expr_check {
    int64_t eval_ms;
    struct toc_sv expr;
    struct toc_expected_sample *samples;
    size_t sample_count;
    struct toc_err wrong_sample; /* code 0: the samples are well-formed */
};

struct toc_rule_test {
    struct toc_sv name;
    int64_t start_ms;
    int64_t interval_ms;
    struct toc_test_load input; /* owned */
    struct toc_err wrong_input; /* code 0: the series are well-formed */
    struct toc_alert_check *alerts;
    size_t alert_count;
    struct toc_expr_check *exprs;
    size_t expr_count;
    struct toc_labels external_labels;
    struct toc_sv external_url;
};

struct toc_rule_test_file {
    struct toc_arena arena;
    struct toc_sv *rule_files; /* patterns as written */
    size_t rule_file_count;
    int64_t evaluation_interval_ms;
    bool is_fuzzy; /* values may differ by one unit in the last place */
    struct toc_sv *group_order;
    size_t group_order_count;
    struct toc_rule_test *tests;
    size_t test_count;
};

/* Errors carry line and column. A series that does not parse fails its test alone. */
int toc_rule_test_file_parse(struct toc_sv text, bool ignores_unknown_keys,
                             struct toc_rule_test_file **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_rule_test_file_free(struct toc_rule_test_file **f);

#endif
