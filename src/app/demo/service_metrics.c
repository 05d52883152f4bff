#include "app/demo/service_metrics.h"

#include "base/num.h"

/* Upper bounds in seconds, a subset of vLLM's own for its latency histograms. */
static const double g_bounds[TOC_LATENCY_BUCKETS] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08,
                                                     0.1,   0.25,  0.5,  1.0,  2.5,  5.0,  10.0};
#define MODEL "model_name=\"char-transformer\",engine=\"0\""

void toc_service_metrics_init(struct toc_service_metrics *m) {
    *m = (struct toc_service_metrics){0};
    toc_mutex_init(&m->mutex, TOC_LOCK_QUEUE);
}

void toc_service_metrics_fini(struct toc_service_metrics *m) {
    toc_mutex_fini(&m->mutex);
}

void toc_latency_observe(struct toc_latency_histogram *h, double seconds) {
    int i = 0;
    while (i < TOC_LATENCY_BUCKETS && seconds > g_bounds[i])
        i++;
    h->buckets[i]++;
    h->sum_s += seconds;
    h->count++;
}

static void write_histogram(struct toc_buf *out, const char *name, const char *help,
                            const struct toc_latency_histogram *h) {
    uint64_t cumulative = 0;
    toc_buf_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
    for (int i = 0; i < TOC_LATENCY_BUCKETS; i++) {
        cumulative += h->buckets[i];
        toc_buf_printf(out, "%s_bucket{" MODEL ",le=\"", name);
        toc_format_f64(g_bounds[i], out);
        toc_buf_printf(out, "\"} %llu\n", (unsigned long long)cumulative);
    }
    toc_buf_printf(out, "%s_bucket{" MODEL ",le=\"+Inf\"} %llu\n", name,
                   (unsigned long long)h->count);
    toc_buf_printf(out, "%s_sum{" MODEL "} %.9g\n%s_count{" MODEL "} %llu\n", name, h->sum_s, name,
                   (unsigned long long)h->count);
}

static void write_one(struct toc_buf *out, const char *name, const char *type, const char *help,
                      const char *labels, uint64_t value) {
    toc_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s{%s} %llu\n", name, help, name, type, name,
                   labels, (unsigned long long)value);
}

void toc_service_metrics_write(struct toc_service_metrics *m, struct toc_buf *out) {
    toc_mutex_lock(&m->mutex);
    write_histogram(out, "vllm:time_to_first_token_seconds", "Time to first token.", &m->ttft);
    write_histogram(out, "vllm:inter_token_latency_seconds", "Time between tokens.",
                    &m->inter_token);
    write_histogram(out, "vllm:e2e_request_latency_seconds", "End-to-end request latency.",
                    &m->e2e);
    write_one(out, "vllm:num_requests_running", "gauge", "Requests being served.", MODEL,
              (uint64_t)m->running);
    write_one(out, "vllm:num_requests_waiting", "gauge", "Requests waiting.", MODEL,
              (uint64_t)m->waiting);
    write_one(out, "vllm:prompt_tokens_total", "counter", "Prefill tokens.", MODEL,
              m->prompt_tokens);
    write_one(out, "vllm:generation_tokens_total", "counter", "Generated tokens.", MODEL,
              m->generated_tokens);
    write_one(out, "vllm:request_success_total", "counter", "Requests finished.",
              MODEL ",finished_reason=\"length\"", m->finished_length);
    toc_buf_append_cstr(out, "# HELP http_requests_total Requests by handler, status and method.\n"
                             "# TYPE http_requests_total counter\n");
    toc_buf_printf(
        out,
        "http_requests_total{handler=\"/v1/completions\",method=\"POST\",status=\"2xx\"} %llu\n",
        (unsigned long long)m->responses_2xx);
    toc_buf_printf(
        out,
        "http_requests_total{handler=\"/v1/completions\",method=\"POST\",status=\"5xx\"} %llu\n",
        (unsigned long long)m->responses_5xx);
    toc_mutex_unlock(&m->mutex);
}
