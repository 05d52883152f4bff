/* A curve as inline SVG, with the findings marked where they began. */
#ifndef TOC_APP_DOCTOR_CHART_H
#define TOC_APP_DOCTOR_CHART_H

#include "app/doctor_curve.h"
#include "base/buf.h"
#include "model/finding.h"

enum { TOC_CHART_MARKS_MAX = 64 };

struct toc_chart_mark {
    int64_t t_ms;
    int number; /* as in the list of findings */
    enum toc_severity severity;
};

struct toc_chart {
    const struct toc_curve *curve, *steps; /* steps may be NULL */
    int64_t from_ms, to_ms;                /* all charts of a run share them */
    struct toc_sv unit;
    double limit;      /* a line across; NaN: none */
    const char *label; /* for those who do not see it */
    const struct toc_chart_mark *marks;
    size_t mark_count;
};

void toc_chart_svg(const struct toc_chart *c, struct toc_buf *out);
/* {"width":…,"left":…,"right":…,"start":…,"bucket":…,"mean":[…],"min":[…],"max":[…],"step":[…]}:
 * the numbers behind it, one per column. */
void toc_chart_numbers(const struct toc_chart *c, struct toc_buf *out);

#endif
