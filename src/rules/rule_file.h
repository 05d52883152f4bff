/*
 * Rule files as Prometheus reads them, plus two keys of alert rules:
 *   recover: 0.8 | EXPR   a firing alert ends only when its value is back behind this number, or
 *                         when EXPR has a result that agrees with its labels (hysteresis)
 *   confirm: EXPR         counts only where EXPR has a result that agrees on all labels both have
 */
#ifndef TOC_RULES_RULE_FILE_H
#define TOC_RULES_RULE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/template.h"
#include "promql/promql.h"

/* A label or annotation; plain text in recording rules. */
struct toc_rule_text {
    struct toc_sv name, text;
    struct toc_template *template; /* NULL: plain text, or a group's label that does not compile */
};

enum toc_recover { TOC_RECOVER_NONE, TOC_RECOVER_NUMBER, TOC_RECOVER_EXPR };

struct toc_rule {
    bool is_alert;
    struct toc_sv name;
    struct toc_sv expr_text;
    struct toc_promql_expr *expr;
    int64_t for_ms, keep_firing_for_ms;
    struct toc_rule_text *labels, *annotations; /* sorted by name */
    size_t label_count, annotation_count;
    struct toc_sv confirm_text;
    struct toc_promql_expr *confirm; /* NULL when absent */
    enum toc_recover recover;
    double recover_number;
    struct toc_sv recover_text;
    /* NUMBER: what keeps the alert firing (left side against the number); EXPR: what ends it. */
    struct toc_promql_expr *recover_expr;
    int line, column;
};

struct toc_rule_group {
    struct toc_sv name;
    int64_t interval_ms;     /* 0 = default */
    int64_t query_offset_ms; /* -1 = default */
    int64_t limit;           /* 0 = none */
    struct toc_rule_text *labels;
    size_t label_count;
    struct toc_rule *rules;
    size_t rule_count;
};

struct toc_rule_file {
    struct toc_arena arena;
    struct toc_sv name;
    struct toc_rule_group *groups;
    size_t group_count;
    bool has_more_documents; /* behind the first; they are ignored: worth a warning */
};

enum { TOC_RULE_GROUPS_MAX = 10000, TOC_RULES_PER_GROUP_MAX = 10000 };

typedef void toc_on_rule_problem(void *ctx, const struct toc_err *problem);

struct toc_rule_file_options {
    bool legacy_names;         /* only classic label and metric names */
    bool ignores_unknown_keys; /* instead of refusing them */
    unsigned features;         /* TOC_PROMQL_… for the expressions */
    /* Told every problem in the order of the file; NULL: only the first is kept, in err. */
    toc_on_rule_problem *on_problem;
    void *ctx;
};

/* Errors read `NAME: LINE:COL: group "g", rule N, "rule": TEXT` with upstream's texts. As upstream,
 * unknown keys and wrong types are all told before anything else is looked at. */
int toc_rule_file_parse_with(struct toc_sv name, struct toc_sv text,
                             const struct toc_rule_file_options *o, struct toc_rule_file **out,
                             struct toc_err *err) TOC_MUST_CHECK;
/* The same with default features, first problem only. */
int toc_rule_file_parse(struct toc_sv name, struct toc_sv text, bool legacy_names,
                        struct toc_rule_file **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_rule_file_free(struct toc_rule_file **f);
/* Rules that have name and labels in common with another of the file, each such pair of name and
 * labels once, ordered by them. */
typedef void toc_on_rule(void *ctx, const struct toc_rule *r);
void toc_rule_file_each_duplicate(const struct toc_rule_file *f, toc_on_rule *fn, void *ctx);
/* `(left) op number` of the root comparison of `expr` with another number, parsed. TOC_EUNSUPPORTED
 * when the expression is not `EXPR op NUMBER`. */
int toc_rule_with_threshold(const struct toc_promql_expr *expr, double number,
                            struct toc_promql_expr **out, struct toc_err *err) TOC_MUST_CHECK;

#endif
