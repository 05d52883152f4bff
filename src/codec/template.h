/*
 * A logic template for notification texts and annotations: the part of Go's text/template that
 * Prometheus rules and Alertmanager users know. `{{ $labels.instance }}`, `{{ .Labels.x }}`, `{{
 * $value | humanize }}`, if/else if/else/end, range, with, variables, comments, `{{-` and `-}}`.
 * docs/design/codec.md lists the functions. A missing member is nil: it prints as nothing and
 * counts as false.
 */
#ifndef TOC_CODEC_TEMPLATE_H
#define TOC_CODEC_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum toc_template_type {
    TOC_TEMPLATE_NIL,
    TOC_TEMPLATE_STRING,
    TOC_TEMPLATE_NUMBER,
    TOC_TEMPLATE_BOOL,
    TOC_TEMPLATE_LIST,
    TOC_TEMPLATE_MAP
};

/* A tree of borrowed data; the caller keeps it alive while rendering. */
struct toc_template_value {
    enum toc_template_type type;
    struct toc_sv key; /* as a member of a map, or as a variable (without $) */
    struct toc_sv string;
    double number;
    bool boolean;
    const struct toc_template_value *items; /* of a list; members of a map */
    size_t count;
    const struct toc_template_value *members; /* of a list: extra names such as .Alerts.Firing */
    size_t member_count;
};

static inline struct toc_template_value toc_template_string(struct toc_sv s) {
    return (struct toc_template_value){.type = TOC_TEMPLATE_STRING, .string = s};
}
static inline struct toc_template_value toc_template_number(double v) {
    return (struct toc_template_value){.type = TOC_TEMPLATE_NUMBER, .number = v};
}
static inline struct toc_template_value toc_template_bool(bool v) {
    return (struct toc_template_value){.type = TOC_TEMPLATE_BOOL, .boolean = v};
}
static inline struct toc_template_value toc_template_list(const struct toc_template_value *items,
                                                          size_t count) {
    return (struct toc_template_value){.type = TOC_TEMPLATE_LIST, .items = items, .count = count};
}
static inline struct toc_template_value toc_template_map(const struct toc_template_value *members,
                                                         size_t count) {
    return (struct toc_template_value){.type = TOC_TEMPLATE_MAP, .items = members, .count = count};
}
/* The same value under a name. */
static inline struct toc_template_value toc_template_named(const char *key,
                                                           struct toc_template_value v) {
    v.key = toc_sv_cstr(key);
    return v;
}

/* What the functions of rule templates (query, now, externalURL, …) reach for. */
struct toc_template_env {
    /* The samples of an expression as a list of {Labels: map, Value: number or text}, built in the
     * arena. NULL: no samples. */
    int (*query)(void *ctx, struct toc_sv expr, struct toc_arena *arena,
                 struct toc_template_value *out, struct toc_err *err);
    void *ctx;
    int64_t now_ms;
    struct toc_sv external_url;
};

struct toc_template_input {
    struct toc_template_value dot;              /* {{ . }} and {{ $ }} */
    const struct toc_template_value *variables; /* {{ $key }} */
    size_t variable_count;
    const struct toc_template_env *env; /* NULL: no query result, time 0, no URL */
};

struct toc_template_limits {
    size_t max_output_bytes; /* default 64 KiB */
    size_t max_steps;        /* default 100000 */
    size_t max_memory_bytes; /* for values made while rendering, default 1 MiB */
};
extern const struct toc_template_limits TOC_TEMPLATE_DEFAULT_LIMITS;

struct toc_template;

/* TOC_EPARSE with line and column. Variables are checked when rendering. Immutable: any number of
 * threads. */
int toc_template_compile(struct toc_sv text, struct toc_template **out,
                         struct toc_err *err) TOC_MUST_CHECK;
/* With the functions of Prometheus' rule templates as well; they read the input's env. */
enum { TOC_TEMPLATE_RULE_FUNCTIONS = 1 };
int toc_template_compile_with(struct toc_sv text, unsigned flags, struct toc_template **out,
                              struct toc_err *err) TOC_MUST_CHECK;
void toc_template_free(struct toc_template **t);
/* Appends to out; limits may be NULL. On error (TOC_ELIMIT, TOC_ETYPE, TOC_ENOENT for an unknown
 * variable) out holds what was rendered before it. */
int toc_template_render(const struct toc_template *t, const struct toc_template_input *input,
                        const struct toc_template_limits *limits, struct toc_buf *out,
                        struct toc_err *err) TOC_MUST_CHECK;
/* compile + render of a text used once. */
int toc_template_expand(struct toc_sv text, const struct toc_template_input *input,
                        struct toc_buf *out, struct toc_err *err) TOC_MUST_CHECK;

#endif
