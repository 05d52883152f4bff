#include "api/feature.h"

#include "promql/promql.h"

static const struct feature {
    unsigned bit;
    const char *name;
    enum toc_feature_effect effect;
    unsigned promql;
} g_features[] = {
#define X(number, name, effect, promql) {1u << (number), name, effect, promql},
    TOC_FEATURE_TABLE(X)
#undef X
};
enum { FEATURE_COUNT = sizeof g_features / sizeof g_features[0] };

unsigned toc_feature_parse(struct toc_sv name) {
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if (toc_sv_eq_cstr(name, g_features[i].name))
            return g_features[i].bit;
    return 0;
}

enum toc_feature_effect toc_feature_effect(unsigned bit) {
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if (g_features[i].bit == bit)
            return g_features[i].effect;
    return TOC_FEATURE_NOTHING;
}

unsigned toc_feature_promql(unsigned set) {
    unsigned out = 0;
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if (set & g_features[i].bit)
            out |= g_features[i].promql;
    return out;
}

void toc_feature_each(unsigned set, toc_on_feature *fn, void *ctx) {
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        fn(ctx, g_features[i].name, g_features[i].effect, (set & g_features[i].bit) != 0);
}
