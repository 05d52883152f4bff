/*
 * Runs unit tests of rules: the real rule manager under a virtual clock, on a store in memory that
 * is filled as time passes. Pure: the caller reads the files.
 */
#ifndef TOC_RULETEST_RULETEST_H
#define TOC_RULETEST_RULETEST_H

#include "base/buf.h"
#include "promql/memory_querier.h"
#include "rules/rule_file.h"
#include "ruletest/test_file.h"
#include "shim/regex.h"

struct toc_rule_files {
    struct toc_rule_file **items;
    size_t count;
};

struct toc_ruletest_options {
    const struct toc_regex *run; /* only tests whose name matches; NULL: all */
    unsigned features;           /* TOC_PROMQL_… of expressions */
    bool has_diff;               /* what was expected against what came, line by line */
    /* Parses the rule files anew: each test owns its rules. A list made by toc_xalloc. */
    int (*load_rules)(void *ctx, struct toc_rule_files *out, struct toc_err *err);
    /* Called for each test that ran; `failures` is empty when it passed. The store holds what the
     * test left. */
    void (*on_test)(void *ctx, const struct toc_rule_test *t, struct toc_sv failures,
                    const struct toc_memory_querier *store);
    void *ctx;
};

struct toc_ruletest_outcome {
    size_t passed, failed;
};

void toc_ruletest_run(const struct toc_rule_test_file *file, const struct toc_ruletest_options *o,
                      struct toc_ruletest_outcome *out);

/* One result of a file for JUnit. */
struct toc_junit_case {
    struct toc_sv name, failure; /* failure empty: passed */
};
struct toc_junit_suite {
    struct toc_sv name;
    const struct toc_junit_case *cases;
    size_t count;
};
/* JUnit's XML of the suites. */
void toc_junit_write(const struct toc_junit_suite *suites, size_t count, struct toc_buf *out);

#endif
