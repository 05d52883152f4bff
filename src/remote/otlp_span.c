/* What attributes and events of spans mean: opentelemetry.io/docs/specs/semconv/gen-ai, and what
 * earlier versions called it. */
#include "remote/otlp_span.h"

#include <math.h>
#include <stddef.h>

#include "base/attrs.h"

enum kind { TEXT, NUMBER };

/* X(key, member, kind): of two names of one thing the one that comes first in the span stays. */
#define ATTRIBUTES(X)                                                \
    X("gen_ai.operation.name", operation, TEXT)                      \
    X("gen_ai.provider.name", provider, TEXT)                        \
    X("gen_ai.system", provider, TEXT)                               \
    X("gen_ai.request.model", request_model, TEXT)                   \
    X("gen_ai.response.model", response_model, TEXT)                 \
    X("gen_ai.usage.input_tokens", input_tokens, NUMBER)             \
    X("gen_ai.usage.prompt_tokens", input_tokens, NUMBER)            \
    X("gen_ai.usage.output_tokens", output_tokens, NUMBER)           \
    X("gen_ai.usage.completion_tokens", output_tokens, NUMBER)       \
    X("gen_ai.usage.cache_read.input_tokens", cached_tokens, NUMBER) \
    X("gen_ai.usage.cache_read_input_tokens", cached_tokens, NUMBER) \
    X("gen_ai.response.time_to_first_chunk", first_token_s, NUMBER)  \
    X("gen_ai.server.time_to_first_token", first_token_s, NUMBER)    \
    X("gen_ai.latency.time_to_first_token", first_token_s, NUMBER)   \
    X("gen_ai.server.ttft", first_token_s, NUMBER)                   \
    X("error.type", error_type, TEXT)

static const struct {
    struct toc_sv key;
    size_t at;
    enum kind kind;
} attributes[] = {
#define X(key, member, kind) {{key, sizeof key - 1}, offsetof(struct otlp_span, member), kind},
    ATTRIBUTES(X)
#undef X
};

/* What people wrote and models answered. Those that end in a dot are beginnings. */
static const char *const contents[] = {
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "llm.prompts",
    "llm.completions",
    "llm.input_messages.",
    "llm.output_messages.",
    "input.value",
    "output.value",
};

static bool is_content(struct toc_sv key) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(contents); i++) {
        struct toc_sv c = toc_sv_cstr(contents[i]);
        bool is_beginning = c.p[c.n - 1] == '.';
        if (is_beginning ? toc_sv_starts_with(key, c) : toc_sv_eq(key, c))
            return true;
    }
    return false;
}

static void set(struct otlp_span *span, size_t at, enum kind kind,
                const struct otlp_span_value *value) {
    char *member = (char *)span + at;
    if (kind == TEXT) {
        struct toc_sv *text = (struct toc_sv *)(void *)member;
        *text = text->n ? *text : value->text;
    } else {
        double *number = (double *)(void *)member;
        *number = isnan(*number) ? value->number : *number;
    }
}

void otlp_span_attribute(struct otlp_span *span, struct toc_sv key,
                         const struct otlp_span_value *value) {
    span->is_generative |= toc_sv_starts_with(key, TOC_SV("gen_ai."));
    if (is_content(key)) {
        span->content_count++;
        span->content_bytes += value->bytes;
        return;
    }
    for (size_t i = 0; i < TOC_ARRAY_LEN(attributes); i++)
        if (toc_sv_eq(key, attributes[i].key))
            set(span, attributes[i].at, attributes[i].kind, value);
}

struct otlp_span otlp_span_make(struct toc_sv service) {
    return (struct otlp_span){.service = service,
                              .input_tokens = NAN,
                              .output_tokens = NAN,
                              .cached_tokens = NAN,
                              .first_token_s = NAN};
}

struct otlp_span_event otlp_span_event_make(void) {
    return (struct otlp_span_event){.evaluation = {.score = NAN}};
}

void otlp_span_event_attribute(struct otlp_span_event *event, struct toc_sv key,
                               const struct otlp_span_value *value) {
    struct otlp_evaluation *e = &event->evaluation;
    if (toc_sv_eq(key, TOC_SV("gen_ai.evaluation.name"))) {
        e->name = value->text;
    } else if (toc_sv_eq(key, TOC_SV("gen_ai.evaluation.score.label"))) {
        e->label = value->text;
    } else if (toc_sv_eq(key, TOC_SV("gen_ai.evaluation.score.value"))) {
        e->score = value->number;
    } else if (toc_sv_eq(key, TOC_SV("gen_ai.evaluation.explanation")) || is_content(key)) {
        event->content_count++;
        event->content_bytes += value->bytes;
    }
}

static void take_evaluation(struct otlp_span *span, const struct otlp_span_event *event) {
    bool is_found = isfinite(event->evaluation.score) || event->evaluation.label.n;
    if (!is_found || span->evaluation_count == OTLP_EVALUATIONS_MAX)
        span->evaluations_left_out++;
    else
        span->evaluations[span->evaluation_count++] = event->evaluation;
    span->content_count += event->content_count;
    span->content_bytes += event->content_bytes;
}

/* Instrumentations mark the first token by an event (OpenInference), or each chunk (OpenLLMetry).
 */
static bool is_first_token(struct toc_sv name) {
    return toc_sv_eq(name, TOC_SV("First Token Stream Event")) ||
           toc_sv_eq(name, TOC_SV("llm.content.completion.chunk"));
}

/* Messages as events: gen_ai.user.message, gen_ai.choice, gen_ai.content.prompt, … */
void otlp_span_event_take(struct otlp_span *span, const struct otlp_span_event *event) {
    if (toc_sv_eq(event->name, TOC_SV("gen_ai.evaluation.result"))) {
        take_evaluation(span, event);
        return;
    }
    if (is_first_token(event->name) && event->time_ns &&
        (!span->first_token_ns || event->time_ns < span->first_token_ns))
        span->first_token_ns = event->time_ns;
    if (toc_sv_starts_with(event->name, TOC_SV("gen_ai."))) {
        span->content_count++;
        span->content_bytes += event->bytes;
    }
}
