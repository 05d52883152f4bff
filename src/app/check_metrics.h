/* `tocsin check metrics`: exposition text against the rule book of its format. */
#ifndef TOC_APP_CHECK_METRICS_H
#define TOC_APP_CHECK_METRICS_H

#include <stdbool.h>

struct toc_check_metrics {
    bool is_text; /* the older text format instead of OpenMetrics 1.0 */
    bool has_lint;
    bool has_findings; /* out: lint had something to say */
};

/* Prints to standard output; "-" is standard input. 0 or TOC_EXIT_FAILED. */
int toc_check_metrics(struct toc_check_metrics *c, const char *path);

#endif
