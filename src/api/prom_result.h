/* A PromQL result as a JSON body that is written while it is sent. */
#ifndef TOC_API_PROM_RESULT_H
#define TOC_API_PROM_RESULT_H

#include "api/prom_priv.h"
#include "promql/promql.h"

/* Seconds spent on a query, and what it read. */
struct toc_prom_stats {
    double queue_s, prepare_s, evaluate_s, total_s;
    uint64_t samples, peak_samples, samples_read; /* looked at by steps, held at once, decoded */
};

/* Takes the result. limit 0: all series; stats NULL: none are shown; more_warning may be NULL. */
void toc_prom_answer_result(struct toc_api_call *c, struct toc_promql_result *take_result,
                            size_t limit, const struct toc_prom_stats *stats,
                            const char *more_warning);

#endif
