/* Runs a test file against a store in memory. Pure: no file, no clock. */
#ifndef TOC_PROMQLTEST_RUNNER_H
#define TOC_PROMQLTEST_RUNNER_H

#include "promql/promql.h"
#include "promqltest/script.h"

/* What the conformance files of Prometheus are written for. */
#define TOC_PROMQLTEST_FEATURES                                                \
    (TOC_PROMQL_EXPERIMENTAL_FUNCTIONS | TOC_PROMQL_EXTENDED_RANGE_SELECTORS | \
     TOC_PROMQL_BINOP_FILL_MODIFIERS | TOC_PROMQL_DELAYED_NAME_REMOVAL |       \
     TOC_PROMQL_USE_START_TIMESTAMPS)

struct toc_promqltest_options {
    unsigned features;           /* TOC_PROMQL_… */
    const struct toc_regex *run; /* only expressions that match; NULL: all */
    /* Called for each eval that ran and each load that failed. `why` is empty when it passed. */
    void (*on_result)(void *ctx, int line, struct toc_sv expr, struct toc_sv why);
    void *ctx;
};

struct toc_promqltest_outcome {
    size_t passed, failed;
};

void toc_promqltest_run(const struct toc_test_script *script,
                        const struct toc_promqltest_options *options,
                        struct toc_promqltest_outcome *out);

#endif
