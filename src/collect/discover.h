/*
 * Finds well-known metrics endpoints on this machine's loopback interface: only ports that
 * something listens on (from /proc/net/tcp) and that are in the table are asked, and what answers
 * is recognised by its metric names. Found endpoints become targets of the scraper; nothing beyond
 * loopback is ever contacted.
 */
#ifndef TOC_COLLECT_DISCOVER_H
#define TOC_COLLECT_DISCOVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sv.h"
#include "base/time.h"
#include "collect/scrape.h"
#include "sys/clock.h"
#include "sys/vfs.h"

/* X(kind, name for people, prefix of its metrics, path, ports by default, 0 = none). The kind
 * becomes the job label. The first row that an endpoint's metrics match decides, whatever its port
 * is. */
#define TOC_DISCOVER_TABLE(X)                                                    \
    X("vllm", "vLLM", "vllm:", "/metrics", 8000, 8001)                           \
    X("sglang", "SGLang", "sglang:", "/metrics", 30000, 0)                       \
    X("tensorrt-llm", "TensorRT-LLM", "trtllm_", "/prometheus/metrics", 8000, 0) \
    X("triton", "Triton Inference Server", "nv_inference_", "/metrics", 8002, 0) \
    X("tgi", "Text Generation Inference", "tgi_", "/metrics", 3000, 8080)        \
    X("llamacpp", "llama.cpp", "llamacpp:", "/metrics", 8080, 0)                 \
    X("lmdeploy", "LMDeploy", "lmdeploy:", "/metrics", 23333, 0)                 \
    X("litellm", "LiteLLM proxy", "litellm_", "/metrics/", 4000, 0)              \
    X("dynamo", "NVIDIA Dynamo", "dynamo_", "/metrics", 8000, 8081)              \
    X("tensorflow-serving", "TensorFlow Serving",                                \
      ":tensorflow:", "/monitoring/prometheus/metrics", 8501, 0)                 \
    X("ray", "Ray", "ray_", "/metrics", 8080, 0)                                 \
    X("dcgm", "NVIDIA DCGM exporter", "DCGM_", "/metrics", 9400, 0)              \
    X("amd-gpu", "AMD device metrics exporter", "gpu_gfx_", "/metrics", 5000, 0) \
    X("npu", "Ascend NPU exporter", "npu_chip_", "/metrics", 8082, 0)            \
    X("xpu-timer", "xpu_timer", "XPU_TIMER_", "/metrics", 18889, 0)              \
    X("node", "node exporter", "node_", "/metrics", 9100, 0)                     \
    X("prometheus", "Prometheus", "prometheus_", "/metrics", 9090, 0)

struct toc_discover_options {
    struct toc_scraper *scraper;
    struct toc_clock *clock;     /* NULL: the machine's */
    struct toc_vfs *vfs;         /* NULL: the machine's */
    const char *proc_root;       /* "" or NULL: the machine's /proc */
    uint16_t own_port;           /* never asked */
    const uint16_t *extra_ports; /* asked besides those of the table; copied */
    size_t extra_port_count;
    int64_t interval_ms; /* default 10000 */
    int64_t backoff_ms;  /* for endpoints that answer something else, default 60000 */
};

struct toc_discover; /* opaque */
struct toc_discover *toc_discover_new(const struct toc_discover_options *o);
int toc_discover_start(struct toc_discover *d, struct toc_err *err) TOC_MUST_CHECK;
/* Stops the thread; found targets stay with the scraper. NULL is accepted. */
void toc_discover_free(struct toc_discover **d);
/* One look now; for tests and before the first interval. Not while the thread runs. */
void toc_discover_scan(struct toc_discover *d);

/* X(enum, text) */
#define TOC_DISCOVER_STATE_TABLE(X)                                                             \
    X(TOC_DISCOVER_FOUND, "found")           /* scraped */                                      \
    X(TOC_DISCOVER_GONE, "gone")             /* nobody listens any more; `up` is 0 meanwhile */ \
    X(TOC_DISCOVER_CONFIGURED, "configured") /* a configured target stands there */             \
    X(TOC_DISCOVER_IGNORED, "ignored")       /* answered with something else */

enum toc_discover_state {
#define X(name, text) name,
    TOC_DISCOVER_STATE_TABLE(X)
#undef X
};
const char *toc_discover_state_text(enum toc_discover_state s);

/* One endpoint; borrowed for the call. */
struct toc_discover_info {
    struct toc_sv url;
    struct toc_sv kind; /* of the table; empty when it was not recognised */
    struct toc_sv name;
    struct toc_sv reason; /* why it is ignored */
    enum toc_discover_state state;
    struct toc_ts since; /* of the state */
};
/* Calls fn for each endpoint by port; any thread. fn must not call discovery. */
void toc_discover_list(struct toc_discover *d,
                       void (*fn)(void *ctx, const struct toc_discover_info *info), void *ctx);

#endif
