/* `storage.retention_rules`: how long some series are kept. */
#include "app/config_priv.h"
#include "base/alloc.h"
#include "promql/promql.h"

struct row {
    struct toc_sv match;
    int64_t keep_ms[TOC_METRICDB_STORE_COUNT]; /* negative: not said */
};

enum { NOT_SAID = -1 };

#define AT(store) (offsetof(struct row, keep_ms) + (store) * sizeof(int64_t))
static const struct toc_schema_key g_retention_rules[] = {
    {"match", TOC_SCHEMA_STRING, offsetof(struct row, match), true, NULL, 0, 0,
     "a series selector, or an anchored regular expression of metric names"},
    {"raw", TOC_SCHEMA_DURATION, AT(TOC_METRICDB_RAW), false, NULL, 0, 0,
     "how long samples are kept as they came; default storage.retention"},
    {"rollup_5m", TOC_SCHEMA_DURATION, AT(TOC_METRICDB_ROLLUP_5M), false, NULL, 0, 0,
     "the same for roll-ups of 5 minutes; 0s: none"},
    {"rollup_1h", TOC_SCHEMA_DURATION, AT(TOC_METRICDB_ROLLUP_1H), false, NULL, 0, 0,
     "the same for roll-ups of one hour; 0s: none"},
    {0},
};
#undef AT

static void keep_matchers(void *ctx, const struct toc_matcher *m, size_t count) {
    struct toc_metricdb_retention_rule *rule = ctx;
    rule->matchers = m;
    rule->matcher_count = count;
}

/* The selector of a rule: what it says, or __name__=~"…" around an expression of names. */
static int parse_match(struct toc_sv match, struct toc_promql_expr **out, struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    bool is_selector = memchr(match.p, '{', match.n);
    if (!is_selector) {
        struct toc_matcher m;
        int rc = toc_matcher_init(&m, TOC_MATCH_RE, TOC_METRIC_NAME, match, err);
        if (rc)
            return rc;
        toc_buf_append_char(&text, '{');
        toc_matcher_format(&m, &text);
        toc_buf_append_char(&text, '}');
        toc_matcher_fini(&m);
    }
    int rc = toc_promql_parse(is_selector ? match : toc_buf_sv(&text), out, err);
    if (rc == 0 && !toc_promql_is_selector(*out)) {
        toc_promql_expr_free(out);
        rc = toc_errf(err, TOC_EPARSE, "it is an expression, not a series selector");
    }
    toc_buf_fini(&text);
    return rc;
}

/* A duration of 0 says "none", which raw samples cannot have. */
static int read_keeps(const struct toc_yaml *node, const struct row *row,
                      struct toc_metricdb_retention_rule *rule, struct toc_err *err) {
    for (int k = 0; k < TOC_METRICDB_STORE_COUNT; k++)
        rule->keep_ms[k] = row->keep_ms[k] == NOT_SAID ? 0 : row->keep_ms[k] ? row->keep_ms[k] : -1;
    for (int k = TOC_METRICDB_ROLLUP_5M; k < TOC_METRICDB_STORE_COUNT; k++)
        if (row->keep_ms[k] > 0 && row->keep_ms[k] < row->keep_ms[TOC_METRICDB_RAW])
            return toc_err_at(err, TOC_EINVAL, node->line, node->column,
                              "roll-ups are kept at least as long as the samples that they are "
                              "made of: make rollup_5m and rollup_1h longer than raw, or 0s for "
                              "none");
    if (row->keep_ms[TOC_METRICDB_RAW] == 0)
        return toc_err_at(err, TOC_EINVAL, node->line, node->column,
                          "raw: 0s would delete samples at once; drop the series where they are "
                          "scraped (metric_relabel_configs) instead");
    return 0;
}

static int read_rule(struct toc_config *c, const struct toc_yaml *node,
                     struct toc_metricdb_retention_rule *rule, struct toc_err *err) {
    struct row row = {{0}, {NOT_SAID, NOT_SAID, NOT_SAID}};
    struct toc_promql_expr *expr = NULL;
    if (node->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, node->line, node->column,
                          "storage.retention_rules: each entry must be a mapping with match");
    int rc = toc_schema_read(node, g_retention_rules, &row, err);
    if (rc == 0)
        rc = read_keeps(node, &row, rule, err);
    if (rc < 0)
        return rc;
    struct toc_err reason = {0};
    rc = parse_match(row.match, &expr, &reason);
    if (rc < 0)
        return toc_err_at(err, rc, node->line, node->column,
                          "storage.retention_rules: match \"%.*s\": %s; write {label=\"value\"} or "
                          "an expression of metric names such as DCGM_.*",
                          TOC_SV_ARG(row.match), reason.message);
    toc_promql_visit_selectors(expr, keep_matchers, rule);
    c->retention_exprs[c->retention_rule_count++] = expr;
    return 0;
}

int toc_config_retention_rules_read(const struct toc_yaml *list, struct toc_config *c,
                                    struct toc_err *err) {
    if (!list)
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column,
                          "storage.retention_rules must be a list");
    if (list->count > TOC_METRICDB_RETENTION_RULES_MAX)
        return toc_err_at(err, TOC_ELIMIT, list->line, list->column,
                          "storage.retention_rules has %zu entries; at most %d are possible",
                          list->count, TOC_METRICDB_RETENTION_RULES_MAX);
    int rc = 0;
    for (size_t i = 0; i < list->count && rc == 0; i++)
        rc = read_rule(c, &list->items[i], &c->retention_rules[i], err);
    return rc;
}

void toc_config_retention_rules_free(struct toc_config *c) {
    for (size_t i = 0; i < c->retention_rule_count; i++)
        toc_promql_expr_free(&c->retention_exprs[i]);
}
