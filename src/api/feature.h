/*
 * Feature flags by upstream's names (`--enable-feature`), given as the list `features` of the
 * configuration. Those that change PromQL carry the evaluator's bit; those that name something
 * Tocsin always does, or never does, are accepted so that a list can be taken over as it is.
 */
#ifndef TOC_API_FEATURE_H
#define TOC_API_FEATURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sv.h"

enum toc_feature_effect {
    TOC_FEATURE_SWITCHES, /* on or off, as listed */
    TOC_FEATURE_ALWAYS,   /* there with and without it */
    TOC_FEATURE_NOTHING,  /* about the inside of another program, or not offered: no effect */
};

/* X(bit, name, effect, bit of promql/promql.h or 0) */
#define TOC_FEATURE_TABLE(X)                                                                       \
    X(0, "promql-experimental-functions", TOC_FEATURE_SWITCHES, TOC_PROMQL_EXPERIMENTAL_FUNCTIONS) \
    X(1, "promql-extended-range-selectors", TOC_FEATURE_SWITCHES,                                  \
      TOC_PROMQL_EXTENDED_RANGE_SELECTORS)                                                         \
    X(2, "promql-binop-fill-modifiers", TOC_FEATURE_SWITCHES, TOC_PROMQL_BINOP_FILL_MODIFIERS)     \
    X(3, "promql-delayed-name-removal", TOC_FEATURE_SWITCHES, TOC_PROMQL_DELAYED_NAME_REMOVAL)     \
    X(4, "use-start-timestamps", TOC_FEATURE_SWITCHES, TOC_PROMQL_USE_START_TIMESTAMPS)            \
    X(5, "type-and-unit-labels", TOC_FEATURE_SWITCHES, TOC_PROMQL_TYPE_AND_UNIT_LABELS)            \
    X(6, "promql-per-step-stats", TOC_FEATURE_SWITCHES, 0)                                         \
    X(7, "search-api", TOC_FEATURE_SWITCHES, 0)                                                    \
    X(8, "promql-duration-expr", TOC_FEATURE_ALWAYS, 0)                                            \
    X(9, "promql-at-modifier", TOC_FEATURE_ALWAYS, 0)                                              \
    X(10, "promql-negative-offset", TOC_FEATURE_ALWAYS, 0)                                         \
    X(11, "native-histograms", TOC_FEATURE_ALWAYS, 0)                                              \
    X(12, "remote-write-receiver", TOC_FEATURE_ALWAYS, 0)                                          \
    X(13, "exemplar-storage", TOC_FEATURE_ALWAYS, 0)                                               \
    X(14, "metadata-wal-records", TOC_FEATURE_NOTHING, 0)                                          \
    X(15, "st-storage", TOC_FEATURE_NOTHING, 0)                                                    \
    X(16, "st-synthesis", TOC_FEATURE_NOTHING, 0)                                                  \
    X(17, "created-timestamp-zero-ingestion", TOC_FEATURE_NOTHING, 0)                              \
    X(18, "otlp-deltatocumulative", TOC_FEATURE_NOTHING, 0)                                        \
    X(19, "otlp-native-delta-ingestion", TOC_FEATURE_NOTHING, 0)                                   \
    X(20, "concurrent-rule-eval", TOC_FEATURE_ALWAYS, 0)                                           \
    X(21, "extra-scrape-metrics", TOC_FEATURE_NOTHING, 0)                                          \
    X(22, "delayed-compaction", TOC_FEATURE_NOTHING, 0)                                            \
    X(23, "memory-snapshot-on-shutdown", TOC_FEATURE_NOTHING, 0)                                   \
    X(24, "use-uncached-io", TOC_FEATURE_NOTHING, 0)                                               \
    X(25, "xor2-encoding", TOC_FEATURE_NOTHING, 0)                                                 \
    X(26, "histograms-st-encoding", TOC_FEATURE_NOTHING, 0)                                        \
    X(27, "old-ui", TOC_FEATURE_NOTHING, 0)                                                        \
    X(28, "auto-gomaxprocs", TOC_FEATURE_NOTHING, 0)                                               \
    X(29, "auto-gomemlimit", TOC_FEATURE_NOTHING, 0)                                               \
    X(30, "new-service-discovery-manager", TOC_FEATURE_NOTHING, 0)

enum { TOC_FEATURE_PER_STEP_STATS = 1u << 6, TOC_FEATURE_SEARCH_API = 1u << 7 };

/* The set bit of a name; 0: unknown. */
unsigned toc_feature_parse(struct toc_sv name);
enum toc_feature_effect toc_feature_effect(unsigned bit);
/* Bits of promql/promql.h for a set of features. */
unsigned toc_feature_promql(unsigned set);
typedef void toc_on_feature(void *ctx, const char *name, enum toc_feature_effect effect,
                            bool is_on);
/* All of them, in the order of the table. */
void toc_feature_each(unsigned set, toc_on_feature *fn, void *ctx);

#endif
