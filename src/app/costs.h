/*
 * What tokens cost: a table of prices and budgets of the configuration (section `costs`), made into
 * rules that the rule manager evaluates like any others. No price is built in.
 *
 *   serve_tokens_per_second{source,direction,model,tenant}       from counters of servers, spans
 *   serve_cost_per_second{model,tenant,currency}                 by the first price that fits
 *   serve_unpriced_tokens_per_second{model}                      models that no price fits
 *   serve_budget_{amount,cost_per_second,spent,forecast}{budget,per,currency}
 */
#ifndef TOC_APP_COSTS_H
#define TOC_APP_COSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "codec/yaml.h"

enum { TOC_COST_PRICES_MAX = 200, TOC_COST_BUDGETS_MAX = 100 };

/*
 * X(enum, name, tokens read, tokens written, tokens read from a cache ("": not told), label of the
 *   model, label of the tenant)
 * Those read from a cache are a part of those read.
 */
#define TOC_COST_SOURCE_TABLE(X)                                                                 \
    X(TOC_COST_SPANS, "spans", "gen_ai_span_tokens_total{direction=\"input\"}",                  \
      "gen_ai_span_tokens_total{direction=\"output\"}",                                          \
      "gen_ai_span_tokens_total{direction=\"input_cached\"}", "model", "service")                \
    X(TOC_COST_GENAI, "genai", "gen_ai_client_token_usage_sum{gen_ai_token_type=\"input\"}",     \
      "gen_ai_client_token_usage_sum{gen_ai_token_type=\"output\"}", "", "gen_ai_request_model", \
      "job")                                                                                     \
    X(TOC_COST_VLLM, "vllm", "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "",     \
      "model_name", "job")                                                                       \
    X(TOC_COST_SGLANG, "sglang", "sglang:prompt_tokens_total", "sglang:generation_tokens_total", \
      "sglang:cached_tokens_total{cache_source=\"total\"}", "model_name", "job")                 \
    X(TOC_COST_TRTLLM, "trtllm", "trtllm_prompt_tokens_total", "trtllm_generation_tokens_total", \
      "trtllm_prompt_cached_tokens_total", "model_name", "job")                                  \
    X(TOC_COST_LITELLM, "litellm", "litellm_input_tokens_metric_total",                          \
      "litellm_output_tokens_metric_total", "", "model", "team")

enum toc_cost_source {
#define X(name, text, input, output, cached, model, tenant) name,
    TOC_COST_SOURCE_TABLE(X)
#undef X
        TOC_COST_SOURCE_COUNT
};

/* Of a million tokens. */
struct toc_cost_price {
    struct toc_sv model; /* regular expression of the whole name */
    double input, output, input_cached;
};

struct toc_cost_budget {
    struct toc_sv name, model, tenant; /* "": all */
    double amount;
    bool is_monthly;
};

struct toc_costs {
    bool is_on;
    struct toc_sv currency;
    int64_t interval_ms;
    unsigned sources; /* bits of enum toc_cost_source */
    struct toc_cost_price *prices;
    size_t price_count;
    struct toc_cost_budget *budgets;
    size_t budget_count;
};

/* The section; NULL: off. Everything lives in the arena. */
int toc_costs_read(const struct toc_yaml *node, struct toc_arena *a, struct toc_costs *out,
                   struct toc_err *err) TOC_MUST_CHECK;
/* The rule file; nothing when off. */
void toc_costs_rules(const struct toc_costs *c, struct toc_buf *out);

#endif
