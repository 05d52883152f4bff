/* What attributes and events of spans mean: opentelemetry.io/docs/specs/semconv/gen-ai, and what
 * earlier versions called it. */
#include "remote/otlp_span.h"

#include <math.h>
#include <stddef.h>

#include "base/attrs.h"

enum kind { TEXT, NUMBER };

/* X(key, member, kind): of two names of one thing the one that comes first in the span stays. */
#define ATTRIBUTES(X)                                          \
    X("gen_ai.operation.name", operation, TEXT)                \
    X("gen_ai.provider.name", provider, TEXT)                  \
    X("gen_ai.system", provider, TEXT)                         \
    X("gen_ai.request.model", request_model, TEXT)             \
    X("gen_ai.response.model", response_model, TEXT)           \
    X("gen_ai.usage.input_tokens", input_tokens, NUMBER)       \
    X("gen_ai.usage.prompt_tokens", input_tokens, NUMBER)      \
    X("gen_ai.usage.output_tokens", output_tokens, NUMBER)     \
    X("gen_ai.usage.completion_tokens", output_tokens, NUMBER) \
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

/* Messages as events: gen_ai.user.message, gen_ai.choice, gen_ai.content.prompt, … */
void otlp_span_event(struct otlp_span *span, struct toc_sv name, size_t bytes) {
    if (!toc_sv_starts_with(name, TOC_SV("gen_ai.")) ||
        toc_sv_eq(name, TOC_SV("gen_ai.evaluation.result")))
        return;
    span->content_count++;
    span->content_bytes += bytes;
}
