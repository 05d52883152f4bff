/*
 * The dashboard of a pack: a few charts over its metrics, as data beside its rules
 * (packs/dashboards/), in the languages of the UI.
 *
 *   title: {en: NVIDIA GPUs, zh: NVIDIA GPU}
 *   charts:
 *   - title: {en: Temperature (°C), zh: 温度（°C）}
 *     expr: DCGM_FI_DEV_GPU_TEMP
 *     unit: ratio          # ratio, s, bytes, or absent: a plain number
 *     threshold: 85        # a line across the chart
 *     legend: '{{Hostname}} GPU {{gpu}}'
 */
#ifndef TOC_RULES_DASHBOARD_H
#define TOC_RULES_DASHBOARD_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

enum { TOC_DASHBOARD_CHARTS_MAX = 24 };

/* X(member, language) */
#define TOC_DASHBOARD_LANGUAGES(X) \
    X(en, "en")                    \
    X(zh, "zh")

struct toc_dashboard_title {
#define X(member, language) struct toc_sv member;
    TOC_DASHBOARD_LANGUAGES(X)
#undef X
};

struct toc_dashboard_chart {
    struct toc_dashboard_title title;
    struct toc_sv expr, unit, legend; /* unit, legend: may be empty */
    bool has_threshold;
    double threshold;
};

struct toc_dashboard {
    struct toc_dashboard_title title;
    struct toc_dashboard_chart *charts; /* in the arena */
    size_t count;
};

/* Refuses an expression that does not parse, an unknown unit, a title without a language. Texts
 * live in the arena. */
int toc_dashboard_parse(struct toc_sv yaml, struct toc_arena *a, struct toc_dashboard *out,
                        struct toc_err *err) TOC_MUST_CHECK;

#endif
