#include "rules/dashboard.h"

#include "codec/yaml.h"
#include "promql/promql.h"

struct chart_row {
    const struct toc_yaml *title, *threshold;
    struct toc_sv expr, unit, legend;
};
struct file_row {
    const struct toc_yaml *title, *charts;
};

#define AT(member) offsetof(struct file_row, member)
static const struct toc_schema_key g_file[] = {
    {"title", TOC_SCHEMA_NODE, AT(title), true, NULL, 0, 0, "in each language"},
    {"charts", TOC_SCHEMA_NODE, AT(charts), true, NULL, 0, 0, "a list"},
    {0},
};
#undef AT
#define AT(member) offsetof(struct chart_row, member)
static const struct toc_schema_key g_chart[] = {
    {"title", TOC_SCHEMA_NODE, AT(title), true, NULL, 0, 0, "in each language"},
    {"expr", TOC_SCHEMA_STRING, AT(expr), true, NULL, 0, 0, "PromQL"},
    {"unit", TOC_SCHEMA_STRING, AT(unit), false, "", 0, 0, "ratio, s or bytes"},
    {"legend", TOC_SCHEMA_STRING, AT(legend), false, "", 0, 0, "text with {{label}}"},
    {"threshold", TOC_SCHEMA_NODE, AT(threshold), false, NULL, 0, 0, "a line across the chart"},
    {0},
};
#undef AT
#define AT(member) offsetof(struct toc_dashboard_title, member)
static const struct toc_schema_key g_title[] = {
#define X(member, language) {language, TOC_SCHEMA_STRING, AT(member), true, NULL, 0, 0, "a text"},
    TOC_DASHBOARD_LANGUAGES(X)
#undef X
        {0},
};
#undef AT

static int read_title(const struct toc_yaml *n, struct toc_dashboard_title *out,
                      struct toc_err *err) {
    int rc = toc_schema_read(n, g_title, out, err);
#define X(member, language)                                                                 \
    if (rc == 0 && !out->member.n)                                                          \
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "the title has no text in %s", \
                        language);
    TOC_DASHBOARD_LANGUAGES(X)
#undef X
    return rc;
}

static int check_expr(const struct toc_yaml *n, struct toc_sv text, struct toc_err *err) {
    struct toc_promql_expr *expr = NULL;
    struct toc_err why = {0};
    int rc = toc_promql_parse(text, &expr, &why);
    toc_promql_expr_free(&expr);
    return rc < 0 ? toc_err_at(err, TOC_EINVAL, n->line, n->column, "expr: %s", why.message) : 0;
}

static int check_unit(const struct toc_yaml *n, struct toc_sv unit, struct toc_err *err) {
    static const char *const units[] = {"", "ratio", "s", "bytes"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(units); i++)
        if (toc_sv_eq_cstr(unit, units[i]))
            return 0;
    return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                      "unit must be ratio, s or bytes, got \"%.*s\"", TOC_SV_ARG(unit));
}

static int read_chart(const struct toc_yaml *n, struct toc_dashboard_chart *out,
                      struct toc_err *err) {
    struct chart_row row = {0};
    int rc = toc_schema_read(n, g_chart, &row, err);
    if (rc == 0)
        rc = read_title(row.title, &out->title, err);
    if (rc == 0)
        rc = check_expr(n, row.expr, err);
    if (rc == 0)
        rc = check_unit(n, row.unit, err);
    out->has_threshold = rc == 0 && row.threshold != NULL;
    if (out->has_threshold)
        rc = toc_yaml_double(row.threshold, &out->threshold, err);
    out->expr = row.expr;
    out->unit = row.unit;
    out->legend = row.legend;
    return rc;
}

int toc_dashboard_parse(struct toc_sv yaml, struct toc_arena *a, struct toc_dashboard *out,
                        struct toc_err *err) {
    const struct toc_yaml *root = NULL;
    struct file_row row = {0};
    *out = (struct toc_dashboard){0};
    int rc = toc_yaml_parse(yaml, a, &root, err);
    if (rc == 0)
        rc = toc_schema_read(root, g_file, &row, err);
    if (rc == 0)
        rc = read_title(row.title, &out->title, err);
    if (rc)
        return rc;
    if (row.charts->type != TOC_YAML_SEQUENCE || !row.charts->count ||
        row.charts->count > TOC_DASHBOARD_CHARTS_MAX)
        return toc_err_at(err, TOC_EINVAL, row.charts->line, row.charts->column,
                          "charts must be a list of 1 to %d", TOC_DASHBOARD_CHARTS_MAX);
    out->charts = TOC_ARENA_NEW_ARRAY(a, struct toc_dashboard_chart, row.charts->count);
    if (!out->charts)
        return toc_errf(err, TOC_ELIMIT, "too little memory for the charts");
    for (size_t i = 0; rc == 0 && i < row.charts->count; i++)
        rc = read_chart(&row.charts->items[i], &out->charts[i], err);
    out->count = rc ? 0 : row.charts->count;
    return rc;
}
