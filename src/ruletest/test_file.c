#include "ruletest/test_file.h"

#include "base/alloc.h"
#include "base/num.h"
#include "base/time.h"
#include "codec/yaml.h"

enum { DEFAULT_INTERVAL_MS = 60000 };

struct reader {
    struct toc_rule_test_file *file;
    bool ignores_unknown_keys;
    struct toc_err *err;
};

static int check_keys(struct reader *r, const struct toc_yaml *map, const char *const *keys) {
    if (map->type != TOC_YAML_MAPPING)
        return toc_err_at(r->err, TOC_ETYPE, map->line, map->column, "expected a mapping");
    return r->ignores_unknown_keys ? 0 : toc_yaml_check_keys(map, keys, r->err);
}

static int get_string(struct reader *r, const struct toc_yaml *map, const char *key,
                      struct toc_sv *out) {
    const struct toc_yaml *n = toc_yaml_get(map, key);
    return n ? toc_yaml_string(n, out, r->err) : 0;
}

static int get_duration(struct reader *r, const struct toc_yaml *map, const char *key,
                        int64_t *out_ms) {
    const struct toc_yaml *n = toc_yaml_get(map, key);
    return n && !toc_yaml_is_null(n) ? toc_yaml_duration(n, out_ms, r->err) : 0;
}

/* A list under a key; absent and null are empty. */
static int get_list(struct reader *r, const struct toc_yaml *map, const char *key,
                    const struct toc_yaml **out_items, size_t *out_count) {
    const struct toc_yaml *n = toc_yaml_get(map, key);
    *out_items = NULL;
    *out_count = 0;
    if (!n || toc_yaml_is_null(n))
        return 0;
    if (n->type != TOC_YAML_SEQUENCE)
        return toc_err_at(r->err, TOC_ETYPE, n->line, n->column, "%s: expected a list", key);
    *out_items = n->items;
    *out_count = n->count;
    return 0;
}

static int get_labels(struct reader *r, const struct toc_yaml *map, const char *key,
                      struct toc_labels_builder *b) {
    const struct toc_yaml *n = toc_yaml_get(map, key);
    if (!n || toc_yaml_is_null(n))
        return 0;
    if (n->type != TOC_YAML_MAPPING)
        return toc_err_at(r->err, TOC_ETYPE, n->line, n->column, "%s: expected a mapping", key);
    int rc = 0;
    for (size_t i = 0; i < n->count && !rc; i++) {
        struct toc_sv value = TOC_SV_NULL;
        rc = toc_yaml_string(&n->items[i], &value, r->err);
        toc_labels_builder_set(b, n->items[i].key, value);
    }
    return rc;
}

static struct toc_labels keep_labels(struct reader *r, struct toc_labels_builder *b) {
    struct toc_labels l = toc_labels_dup_arena(toc_labels_builder_finish(b), &r->file->arena);
    toc_labels_builder_fini(b);
    return l;
}

static int read_strings(struct reader *r, const struct toc_yaml *map, const char *key,
                        struct toc_sv **out, size_t *out_count) {
    const struct toc_yaml *items;
    int rc = get_list(r, map, key, &items, out_count);
    *out = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_sv, *out_count + 1);
    if (!*out)
        return TOC_ENOMEM;
    for (size_t i = 0; i < *out_count && !rc; i++)
        rc = toc_yaml_string(&items[i], &(*out)[i], r->err);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * series and samples */

static int read_series(struct reader *r, const struct toc_yaml *map, struct toc_rule_test *t) {
    static const char *const keys[] = {"series", "values", NULL};
    struct toc_sv series = TOC_SV_NULL, values = TOC_SV_NULL;
    struct toc_test_series parsed = {0};
    int rc = check_keys(r, map, keys);
    if (!rc)
        rc = get_string(r, map, "series", &series);
    if (!rc)
        rc = get_string(r, map, "values", &values);
    if (rc || t->wrong_input.code)
        return rc;
    struct toc_err why = {0};
    if (toc_sequence_parse(values, &r->file->arena, &parsed.text, &why) < 0 ||
        toc_labels_text_parse(series, &r->file->arena, &parsed.text.labels, &why) < 0)
        (void)toc_err_at(&t->wrong_input, TOC_EPARSE, map->line, map->column, "%.*s: %s",
                         TOC_SV_ARG(toc_sv_sub(series, 0, 100)), why.message);
    else
        toc_test_load_put(&t->input, &parsed);
    return 0;
}

static int read_all_series(struct reader *r, const struct toc_yaml *map, struct toc_rule_test *t) {
    const struct toc_yaml *items;
    size_t count;
    int rc = get_list(r, map, "input_series", &items, &count);
    for (size_t i = 0; i < count && !rc; i++)
        rc = read_series(r, &items[i], t);
    t->input.step_ms = t->interval_ms;
    return rc;
}

/* Labels and histogram are texts of the series language: a mistake there fails the check alone. */
static void parse_sample(struct reader *r, struct toc_sv labels, struct toc_sv histogram,
                         struct toc_expected_sample *out, struct toc_err *why) {
    if (labels.n && toc_labels_text_parse(labels, &r->file->arena, &out->labels, why) < 0) {
        (void)toc_err_prefix(why, "labels \"%.*s\": ", TOC_SV_ARG(toc_sv_sub(labels, 0, 100)));
        return;
    }
    if (histogram.n &&
        toc_histogram_text_parse(histogram, &r->file->arena, &out->histogram, why) < 0)
        (void)toc_err_prefix(why, "histogram: ");
}

static int read_sample(struct reader *r, const struct toc_yaml *map, struct toc_expr_check *check,
                       struct toc_expected_sample *out) {
    static const char *const keys[] = {"labels", "value", "histogram", NULL};
    struct toc_sv labels = TOC_SV_NULL, histogram = TOC_SV_NULL;
    int rc = check_keys(r, map, keys);
    const struct toc_yaml *value = rc ? NULL : toc_yaml_get(map, "value");
    if (!rc)
        rc = get_string(r, map, "labels", &labels);
    if (!rc)
        rc = get_string(r, map, "histogram", &histogram);
    if (!rc && value && !toc_yaml_is_null(value))
        rc = toc_yaml_double(value, &out->value, r->err);
    if (!rc && !check->wrong_sample.code)
        parse_sample(r, labels, histogram, out, &check->wrong_sample);
    return rc;
}

static int read_expr_check(struct reader *r, const struct toc_yaml *map,
                           struct toc_expr_check *out) {
    static const char *const keys[] = {"expr", "eval_time", "exp_samples", NULL};
    const struct toc_yaml *items = NULL;
    int rc = check_keys(r, map, keys);
    if (!rc)
        rc = get_string(r, map, "expr", &out->expr);
    if (!rc)
        rc = get_duration(r, map, "eval_time", &out->eval_ms);
    if (!rc)
        rc = get_list(r, map, "exp_samples", &items, &out->sample_count);
    out->samples =
        TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_expected_sample, out->sample_count + 1);
    if (!out->samples)
        return TOC_ENOMEM;
    for (size_t i = 0; i < out->sample_count && !rc; i++)
        rc = read_sample(r, &items[i], out, &out->samples[i]);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * alerts */

static int read_alert(struct reader *r, const struct toc_yaml *map, struct toc_sv name,
                      struct toc_expected_alert *out) {
    static const char *const keys[] = {"exp_labels", "exp_annotations", NULL};
    struct toc_labels_builder labels = TOC_LABELS_BUILDER_INIT,
                              annotations = TOC_LABELS_BUILDER_INIT;
    int rc = toc_yaml_is_null(map) ? 0 : check_keys(r, map, keys);
    if (!rc)
        rc = get_labels(r, map, "exp_labels", &labels);
    if (!rc)
        rc = get_labels(r, map, "exp_annotations", &annotations);
    toc_labels_builder_set(&labels, TOC_SV("alertname"), name);
    out->labels = keep_labels(r, &labels);
    out->annotations = keep_labels(r, &annotations);
    return rc;
}

static int read_alert_check(struct reader *r, const struct toc_yaml *map,
                            struct toc_alert_check *out) {
    static const char *const keys[] = {"eval_time", "alertname", "exp_alerts", NULL};
    const struct toc_yaml *items = NULL;
    int rc = check_keys(r, map, keys);
    if (!rc)
        rc = get_string(r, map, "alertname", &out->alert);
    if (!rc)
        rc = get_duration(r, map, "eval_time", &out->eval_ms);
    if (!rc)
        rc = get_list(r, map, "exp_alerts", &items, &out->alert_count);
    out->alerts =
        TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_expected_alert, out->alert_count + 1);
    if (!out->alerts)
        return TOC_ENOMEM;
    for (size_t i = 0; i < out->alert_count && !rc; i++)
        rc = read_alert(r, &items[i], out->alert, &out->alerts[i]);
    return rc;
}

/* ------------------------------------------------------------------------------------------------
 * tests */

/* Seconds since the epoch or RFC 3339. */
static int read_start(struct reader *r, const struct toc_yaml *map, int64_t *out_ms) {
    const struct toc_yaml *n = toc_yaml_get(map, "start_timestamp");
    struct toc_ts t = {0};
    struct toc_err why = {0};
    double seconds;
    if (!n || toc_yaml_is_null(n))
        return 0;
    if (n->type == TOC_YAML_SCALAR && toc_parse_f64(n->scalar, &seconds) == 0 && seconds > -1e12 &&
        seconds < 1e12) {
        *out_ms = (int64_t)(seconds * 1000);
        return 0;
    }
    if (n->type != TOC_YAML_SCALAR || toc_ts_parse_rfc3339(n->scalar, &t, &why) < 0)
        return toc_err_at(r->err, TOC_EPARSE, n->line, n->column,
                          "start_timestamp: expected seconds or RFC 3339%s%s", why.code ? ": " : "",
                          why.message);
    *out_ms = t.ms;
    return 0;
}

static int read_checks(struct reader *r, const struct toc_yaml *map, struct toc_rule_test *t) {
    const struct toc_yaml *alerts = NULL, *exprs = NULL;
    int rc = get_list(r, map, "alert_rule_test", &alerts, &t->alert_count);
    if (!rc)
        rc = get_list(r, map, "promql_expr_test", &exprs, &t->expr_count);
    t->alerts = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_alert_check, t->alert_count + 1);
    t->exprs = TOC_ARENA_NEW_ARRAY(&r->file->arena, struct toc_expr_check, t->expr_count + 1);
    if (!t->alerts || !t->exprs)
        return TOC_ENOMEM;
    for (size_t i = 0; i < t->alert_count && !rc; i++)
        rc = read_alert_check(r, &alerts[i], &t->alerts[i]);
    for (size_t i = 0; i < t->expr_count && !rc; i++)
        rc = read_expr_check(r, &exprs[i], &t->exprs[i]);
    return rc;
}

static int read_test(struct reader *r, const struct toc_yaml *map, struct toc_rule_test *t) {
    static const char *const keys[] = {"name",
                                       "interval",
                                       "start_timestamp",
                                       "input_series",
                                       "alert_rule_test",
                                       "promql_expr_test",
                                       "external_labels",
                                       "external_url",
                                       NULL};
    struct toc_labels_builder external = TOC_LABELS_BUILDER_INIT;
    int rc = check_keys(r, map, keys);
    if (!rc)
        rc = get_string(r, map, "name", &t->name);
    if (!rc)
        rc = get_duration(r, map, "interval", &t->interval_ms);
    if (!t->interval_ms)
        t->interval_ms = r->file->evaluation_interval_ms;
    if (!rc)
        rc = read_start(r, map, &t->start_ms);
    if (!rc)
        rc = get_string(r, map, "external_url", &t->external_url);
    if (!rc)
        rc = get_labels(r, map, "external_labels", &external);
    t->external_labels = keep_labels(r, &external);
    if (!rc)
        rc = read_all_series(r, map, t);
    return rc ? rc : read_checks(r, map, t);
}

static int check_order(struct reader *r, const struct toc_yaml *doc) {
    const struct toc_rule_test_file *f = r->file;
    const struct toc_yaml *n = toc_yaml_get(doc, "group_eval_order");
    for (size_t i = 0; i < f->group_order_count; i++)
        for (size_t k = 0; k < i; k++)
            if (toc_sv_eq(f->group_order[i], f->group_order[k]))
                return toc_err_at(r->err, TOC_EDUPLICATE, n->line, n->column,
                                  "group name repeated in evaluation order: %.*s",
                                  TOC_SV_ARG(f->group_order[i]));
    return 0;
}

static int read_head(struct reader *r, const struct toc_yaml *doc) {
    static const char *const keys[] = {
        "rule_files", "evaluation_interval", "fuzzy_compare", "group_eval_order", "tests", NULL};
    struct toc_rule_test_file *f = r->file;
    int rc = check_keys(r, doc, keys);
    const struct toc_yaml *fuzzy = rc ? NULL : toc_yaml_get(doc, "fuzzy_compare");
    if (!rc)
        rc = read_strings(r, doc, "rule_files", &f->rule_files, &f->rule_file_count);
    if (!rc)
        rc = get_duration(r, doc, "evaluation_interval", &f->evaluation_interval_ms);
    if (!f->evaluation_interval_ms)
        f->evaluation_interval_ms = DEFAULT_INTERVAL_MS;
    if (!rc && fuzzy && !toc_yaml_is_null(fuzzy))
        rc = toc_yaml_bool(fuzzy, &f->is_fuzzy, r->err);
    if (!rc)
        rc = read_strings(r, doc, "group_eval_order", &f->group_order, &f->group_order_count);
    return rc ? rc : check_order(r, doc);
}

static int read_document(struct reader *r, const struct toc_yaml *doc) {
    struct toc_rule_test_file *f = r->file;
    const struct toc_yaml *items = NULL;
    size_t count = 0;
    int rc = read_head(r, doc);
    if (!rc)
        rc = get_list(r, doc, "tests", &items, &count);
    f->tests = TOC_ARENA_NEW_ARRAY(&f->arena, struct toc_rule_test, count + 1);
    if (!f->tests)
        return TOC_ENOMEM;
    f->test_count = count;
    for (size_t i = 0; i < count && !rc; i++)
        rc = read_test(r, &items[i], &f->tests[i]);
    return rc;
}

int toc_rule_test_file_parse(struct toc_sv text, bool ignores_unknown_keys,
                             struct toc_rule_test_file **out, struct toc_err *err) {
    struct toc_rule_test_file *f = TOC_NEW(struct toc_rule_test_file);
    const struct toc_yaml *doc = NULL;
    struct reader r = {f, ignores_unknown_keys, err};
    int rc = toc_yaml_parse(text, &f->arena, &doc, err);
    if (!rc)
        rc = read_document(&r, doc);
    if (!rc)
        *out = f;
    else
        toc_rule_test_file_free(&f);
    return rc;
}

void toc_rule_test_file_free(struct toc_rule_test_file **file) {
    struct toc_rule_test_file *f = *file;
    if (!f)
        return;
    for (size_t i = 0; i < f->test_count; i++)
        TOC_VEC_FINI(&f->tests[i].input.series);
    toc_arena_fini(&f->arena);
    toc_free(f);
    *file = NULL;
}
