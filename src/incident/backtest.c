#include "incident/backtest.h"

#include <math.h>

#include "base/assert.h"

enum toc_comparison toc_comparison_parse(struct toc_sv text) {
#define X(e, name, op, rising)         \
    if (toc_sv_eq(text, TOC_SV(name))) \
        return TOC_COMPARISON_##e;
    TOC_COMPARISON_TABLE(X)
#undef X
    return TOC_COMPARISON_COUNT;
}

const char *toc_comparison_text(enum toc_comparison c) {
    static const char *const texts[] = {
#define X(e, name, op, rising) name,
        TOC_COMPARISON_TABLE(X)
#undef X
    };
    TOC_ASSERT(c < TOC_COMPARISON_COUNT);
    return texts[c];
}

bool toc_comparison_is_rising(enum toc_comparison c) {
    static const bool is_rising[] = {
#define X(e, name, op, rising) rising,
        TOC_COMPARISON_TABLE(X)
#undef X
    };
    TOC_ASSERT(c < TOC_COMPARISON_COUNT);
    return is_rising[c];
}

bool toc_comparison_holds(enum toc_comparison c, double value, double threshold) {
    switch (c) {
#define X(e, name, op, rising) \
    case TOC_COMPARISON_##e:   \
        return value op threshold;
        TOC_COMPARISON_TABLE(X)
#undef X
    case TOC_COMPARISON_COUNT:
        break;
    }
    TOC_UNREACHABLE();
}

void toc_backtest(const struct toc_backtest_rule *rule, const struct toc_backtest_series *s,
                  struct toc_backtest_effect *io_effect) {
    bool is_pending = false, is_firing = false;
    int64_t since_ms = 0, last_ms = 0;
    for (size_t n = 0; n < s->count; n++) {
        int64_t at_ms = s->t_ms[n];
        bool holds = toc_comparison_holds(rule->comparison, s->values[n], rule->threshold);
        bool has_gap = n > 0 && at_ms - last_ms > rule->step_ms;
        if (is_firing && holds && !has_gap)
            io_effect->firing_s += (double)(at_ms - last_ms) / 1000.0;
        if (!holds || has_gap)
            is_pending = is_firing = false;
        if (holds && !is_pending) {
            is_pending = true;
            since_ms = at_ms;
        }
        if (is_pending && !is_firing && at_ms - since_ms >= rule->for_ms) {
            is_firing = true;
            io_effect->alerts++;
        }
        last_ms = at_ms;
    }
}
