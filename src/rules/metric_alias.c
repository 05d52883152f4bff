#include "rules/metric_alias.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum { NAME_MAX_BYTES = 200 };

/* X(old or foreign, today) — vLLM: docs/usage/metrics and its changelog; node_exporter 0.16; kube-
 * state-metrics 2.0. Read both ways. */
#define ALIAS_TABLE(X)                                                                         \
    X("vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc")                                 \
    X("vllm:gpu_prefix_cache_hits_total", "vllm:prefix_cache_hits_total")                      \
    X("vllm:gpu_prefix_cache_queries_total", "vllm:prefix_cache_queries_total")                \
    X("vllm:time_per_output_token_seconds_bucket", "vllm:inter_token_latency_seconds_bucket")  \
    X("vllm:time_per_output_token_seconds_sum", "vllm:inter_token_latency_seconds_sum")        \
    X("vllm:time_per_output_token_seconds_count", "vllm:inter_token_latency_seconds_count")    \
    X("vllm:time_per_output_token_seconds_bucket",                                             \
      "vllm:request_time_per_output_token_seconds_bucket")                                     \
    X("node_cpu", "node_cpu_seconds_total")                                                    \
    X("node_memory_MemAvailable", "node_memory_MemAvailable_bytes")                            \
    X("node_memory_MemTotal", "node_memory_MemTotal_bytes")                                    \
    X("node_memory_MemFree", "node_memory_MemFree_bytes")                                      \
    X("node_filesystem_avail", "node_filesystem_avail_bytes")                                  \
    X("node_filesystem_free", "node_filesystem_free_bytes")                                    \
    X("node_filesystem_size", "node_filesystem_size_bytes")                                    \
    X("node_disk_bytes_read", "node_disk_read_bytes_total")                                    \
    X("node_disk_bytes_written", "node_disk_written_bytes_total")                              \
    X("node_disk_io_time_ms", "node_disk_io_time_seconds_total")                               \
    X("node_network_receive_bytes", "node_network_receive_bytes_total")                        \
    X("node_network_transmit_bytes", "node_network_transmit_bytes_total")                      \
    X("node_boot_time", "node_boot_time_seconds")                                              \
    X("node_time", "node_time_seconds")                                                        \
    X("kube_pod_container_resource_limits_memory_bytes", "kube_pod_container_resource_limits") \
    X("kube_pod_container_resource_requests_memory_bytes", "kube_pod_container_resource_requests")

static const char *const pairs[][2] = {
#define X(old, today) {old, today},
    ALIAS_TABLE(X)
#undef X
};

static int from_table(struct toc_sv name, toc_on_alias *fn, void *ctx) {
    int rc = 0;
    for (size_t i = 0; i < TOC_ARRAY_LEN(pairs) && !rc; i++) {
        bool is_old = toc_sv_eq_cstr(name, pairs[i][0]);
        if (is_old || toc_sv_eq_cstr(name, pairs[i][1]))
            rc = fn(ctx, toc_sv_cstr(pairs[i][is_old]));
    }
    return rc;
}

/* A name put together from a prefix, a part and a suffix, once with its colons as underscores. */
static int offer(const char *prefix, struct toc_sv part, const char *suffix, bool without_colons,
                 toc_on_alias *fn, void *ctx) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b, "%s%.*s%s", prefix, TOC_SV_ARG(part), suffix);
    for (size_t i = 0; without_colons && i < b.n; i++)
        if (b.p[i] == ':')
            b.p[i] = '_';
    int rc = fn(ctx, toc_buf_sv(&b));
    toc_buf_fini(&b);
    return rc;
}

/* Counters with and without _total; engines whose colon was lost in a translation. */
static int from_spelling(struct toc_sv name, toc_on_alias *fn, void *ctx) {
    static const char *const engines[] = {"vllm", "sglang", "llamacpp", "lmdeploy"};
    struct toc_sv total = TOC_SV("_total");
    bool has_total = toc_sv_ends_with(name, total);
    int rc = has_total ? offer("", toc_sv_sub(name, 0, name.n - total.n), "", false, fn, ctx)
                       : offer("", name, "_total", false, fn, ctx);
    if (!rc && toc_sv_find_char(name, ':') != SIZE_MAX)
        rc = offer("", name, "", true, fn, ctx);
    if (!rc && toc_sv_find_char(name, ':') != SIZE_MAX)
        rc = offer("ray_", name, "", true, fn, ctx);
    struct toc_sv bare =
        toc_sv_starts_with(name, TOC_SV("ray_")) ? toc_sv_sub(name, 4, name.n) : name;
    for (size_t i = 0; i < TOC_ARRAY_LEN(engines) && !rc; i++) {
        size_t n = strlen(engines[i]);
        if (bare.n > n && toc_sv_starts_with(bare, toc_sv_cstr(engines[i])) && bare.p[n] == '_') {
            struct toc_buf b = TOC_BUF_INIT;
            toc_buf_printf(&b, "%s:", engines[i]);
            rc = offer(toc_buf_cstr(&b), toc_sv_sub(bare, n + 1, bare.n), "", false, fn, ctx);
            toc_buf_fini(&b);
        }
    }
    return rc;
}

int toc_metric_aliases(struct toc_sv name, toc_on_alias *fn, void *ctx) {
    int rc = from_table(name, fn, ctx);
    return rc ? rc : from_spelling(name, fn, ctx);
}

size_t toc_metric_name_tolerance(struct toc_sv name) {
    return name.n < 8 ? 1 : TOC_MIN(name.n / 5, (size_t)6);
}

/* Optimal string alignment, three rows. */
size_t toc_metric_name_distance(struct toc_sv a, struct toc_sv b, size_t limit) {
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t gap = a.n > b.n ? a.n - b.n : b.n - a.n;
    if (a.n > NAME_MAX_BYTES || b.n > NAME_MAX_BYTES || gap > limit)
        return SIZE_MAX;
    for (size_t k = 0; k <= b.n; k++)
        last[k] = before[k] = k;
    for (size_t i = 1; i <= a.n; i++) {
        now[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            size_t cost = a.p[i - 1] != b.p[k - 1];
            now[k] = TOC_MIN(TOC_MIN(last[k], now[k - 1]) + 1, last[k - 1] + cost);
            if (i > 1 && k > 1 && a.p[i - 1] == b.p[k - 2] && a.p[i - 2] == b.p[k - 1])
                now[k] = TOC_MIN(now[k], before[k - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b.n] <= limit ? last[b.n] : SIZE_MAX;
}
