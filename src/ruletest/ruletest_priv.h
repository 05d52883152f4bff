/* The inside of the test runner. */
#ifndef TOC_RULETEST_RULETEST_PRIV_H
#define TOC_RULETEST_RULETEST_PRIV_H

#include "promql/promql.h"
#include "rules/rules.h"
#include "ruletest/ruletest.h"

/* A group in the order of evaluation. */
struct test_group {
    struct toc_sv file, name;
    size_t rank;
};

struct test_run {
    const struct toc_rule_test_file *file;
    const struct toc_ruletest_options *options;
    const struct toc_rule_test *test;
    struct toc_memory_querier store;
    struct toc_rules *rules;
    TOC_VEC(struct test_group) groups;
    size_t position;         /* of the input */
    struct toc_buf failures; /* empty: passed */
};

/* Begins another failure: separates it from the one before. */
void run_failure(struct test_run *r, const char *fmt, ...) TOC_PRINTF(2, 3);
/* Appends what was expected and what came, or their difference. Both texts have one item a line. */
void run_compare(struct test_run *r, const struct toc_buf *want, const struct toc_buf *got);

/* check_alerts.c: compares the firing alerts with a check's. */
void check_alerts(struct test_run *r, const struct toc_alert_check *check);
/* check_expr.c */
void check_expr(struct test_run *r, const struct toc_expr_check *check);

#endif
