/*
 * Names of OTLP in the words of Prometheus: metric, unit and label names under the four translation
 * strategies (opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics). Pure
 * functions; a result borrows its input where nothing has to change, else it lives in the arena.
 */
#ifndef TOC_REMOTE_OTLP_NAME_H
#define TOC_REMOTE_OTLP_NAME_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/sv.h"
#include "model/sample.h"

/* X(enum, text): Prometheus' otlp.translation_strategy. */
#define TOC_OTLP_STRATEGY_TABLE(X)                                               \
    X(TOC_OTLP_UNDERSCORE_WITH_SUFFIXES, "UnderscoreEscapingWithSuffixes")       \
    X(TOC_OTLP_UNDERSCORE_WITHOUT_SUFFIXES, "UnderscoreEscapingWithoutSuffixes") \
    X(TOC_OTLP_UTF8_WITH_SUFFIXES, "NoUTF8EscapingWithSuffixes")                 \
    X(TOC_OTLP_NO_TRANSLATION, "NoTranslation")

enum toc_otlp_strategy {
#define X(name, text) name,
    TOC_OTLP_STRATEGY_TABLE(X)
#undef X
        TOC_OTLP_STRATEGY_COUNT
};

static inline bool toc_otlp_is_escaping(enum toc_otlp_strategy s) {
    return s == TOC_OTLP_UNDERSCORE_WITH_SUFFIXES || s == TOC_OTLP_UNDERSCORE_WITHOUT_SUFFIXES;
}
static inline bool toc_otlp_has_suffixes(enum toc_otlp_strategy s) {
    return s == TOC_OTLP_UNDERSCORE_WITH_SUFFIXES || s == TOC_OTLP_UTF8_WITH_SUFFIXES;
}

struct toc_otlp_naming {
    enum toc_otlp_strategy strategy;
    bool is_plain_underscore;       /* a label that begins with '_' gets no "key" in front */
    bool is_collapsing_underscores; /* several '_' in a label name become one */
};

/* What the suffixes depend on. */
enum toc_otlp_suffix { TOC_OTLP_SUFFIX_NONE, TOC_OTLP_SUFFIX_COUNTER, TOC_OTLP_SUFFIX_GAUGE };

/* The name of a metric; {NULL,0} when nothing but underscores would be left, or the arena is full.
 */
struct toc_sv toc_otlp_metric_name(const struct toc_otlp_naming *n, struct toc_sv name,
                                   struct toc_sv unit, enum toc_otlp_suffix suffix,
                                   struct toc_arena *arena);
/* The unit for metadata: "By/s" is "bytes_per_second". */
struct toc_sv toc_otlp_unit_name(const struct toc_otlp_naming *n, struct toc_sv unit,
                                 struct toc_arena *arena);
/* The name of a label; {NULL,0} as above. */
struct toc_sv toc_otlp_label_name(const struct toc_otlp_naming *n, struct toc_sv key,
                                  struct toc_arena *arena);

#endif
