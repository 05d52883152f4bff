/* What the demo's inference service counts, and its text exposition under vLLM's metric names. */
#ifndef TOC_APP_DEMO_SERVICE_METRICS_H
#define TOC_APP_DEMO_SERVICE_METRICS_H

#include <stdint.h>

#include "base/buf.h"
#include "sys/thread.h"

enum { TOC_LATENCY_BUCKETS = 14 };

struct toc_latency_histogram {
    uint64_t buckets[TOC_LATENCY_BUCKETS + 1]; /* not cumulative; the last is above all bounds */
    double sum_s;
    uint64_t count;
};

struct toc_service_metrics {
    struct toc_mutex mutex;
    struct toc_latency_histogram ttft, inter_token, e2e;
    int64_t running, waiting;
    uint64_t prompt_tokens, generated_tokens;
    uint64_t finished_length, responses_2xx, responses_5xx;
};

void toc_service_metrics_init(struct toc_service_metrics *m);
void toc_service_metrics_fini(struct toc_service_metrics *m);
void toc_latency_observe(struct toc_latency_histogram *h, double seconds);
/* Everything, consistent, as text exposition. */
void toc_service_metrics_write(struct toc_service_metrics *m, struct toc_buf *out);

#endif
