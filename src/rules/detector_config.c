/* The section `detectors:` and the built-in detectors. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "rules/detector_curve.h"
#include "rules/detector_priv.h"

#define HOUR_MS 3600000.0
#define DAY_MS (24 * HOUR_MS)
enum { SEASON_STEPS_MAX = 20160 };

/* What the file says, before it is checked; strings are borrowed from the document. */
struct entry {
    struct toc_sv name, expr, method, direction, normalise, denoise;
    struct toc_sv season, budget;
    const struct toc_yaml *features, *contamination, *threshold, *by;
    int64_t window_ms, interval_ms, train_interval_ms, history_ms, n_estimators, min_points, seed;
    double alpha, beta, gamma, min_shift;
    bool is_enabled;
};

#define AT(member) offsetof(struct entry, member)
static const struct toc_schema_key g_keys[] = {
    {"name", TOC_SCHEMA_STRING, AT(name), true, NULL, 0, 0, "value of the label detector"},
    {"enabled", TOC_SCHEMA_BOOL, AT(is_enabled), false, "true", 0, 0,
     "false switches a built-in detector off"},
    {"expr", TOC_SCHEMA_STRING, AT(expr), false, "", 0, 0, "PromQL; each of its series is judged"},
    {"features", TOC_SCHEMA_NODE, AT(features), false, NULL, 0, 0,
     "name: expr, several, joined by identical labels (isolation_forest, ensemble)"},
    {"method", TOC_SCHEMA_STRING, AT(method), false, "robust_z", 0, 0,
     "robust_z, ensemble, isolation_forest, holt_winters, change_point, loss_curve, pace_curve, "
     "peers, flat_line or missing"},
    {"budget", TOC_SCHEMA_STRING, AT(budget), false, "1/week", 0, 0,
     "ensemble, loss_curve, pace_curve: alerts of a series, such as 1/day, 2/week or 1/month"},
    {"window", TOC_SCHEMA_DURATION, AT(window_ms), false, "1h", 10000, 30 * DAY_MS,
     "robust_z: span of the baseline; others: how long a series without values is remembered"},
    {"season", TOC_SCHEMA_STRING, AT(season), false, "none", 0, 0,
     "holt_winters: none, auto or a duration such as 1d"},
    {"alpha", TOC_SCHEMA_DOUBLE, AT(alpha), false, "0.1", 0, 1,
     "holt_winters: share of a new value in the level"},
    {"beta", TOC_SCHEMA_DOUBLE, AT(beta), false, "0", 0, 1,
     "holt_winters: share in the trend; 0: none"},
    {"gamma", TOC_SCHEMA_DOUBLE, AT(gamma), false, "0.3", 0, 1,
     "holt_winters: share in the season"},
    {"min_shift", TOC_SCHEMA_DOUBLE, AT(min_shift), false, "0.05", 0, 1000,
     "change_point: least change, as a share of the level before"},
    {"by", TOC_SCHEMA_NODE, AT(by), false, NULL, 0, 0,
     "peers: labels whose values tell groups apart"},
    {"interval", TOC_SCHEMA_DURATION, AT(interval_ms), false, "15s", 1000, HOUR_MS,
     "distance of evaluations"},
    {"train_interval", TOC_SCHEMA_DURATION, AT(train_interval_ms), false, "1h", 60000, 30 * DAY_MS,
     "distance of trainings"},
    {"history", TOC_SCHEMA_DURATION, AT(history_ms), false, "0s", 0, 90 * DAY_MS,
     "how far back training reads; 0: twice the window, or 24h for a forest"},
    {"n_estimators", TOC_SCHEMA_INT, AT(n_estimators), false, "100", 1, 1000, "trees of a forest"},
    {"contamination", TOC_SCHEMA_NODE, AT(contamination), false, NULL, 0, 0,
     "share of anomalies in (0, 0.5], or auto"},
    {"threshold", TOC_SCHEMA_NODE, AT(threshold), false, NULL, 0, 0,
     "score over which a value is an anomaly; 6, peers 12, forest: from contamination, "
     "ensemble: of the surprise, instead of a budget"},
    {"direction", TOC_SCHEMA_STRING, AT(direction), false, "both", 0, 0,
     "both, up or down (robust_z, ensemble, holt_winters, change_point, peers, pace_curve)"},
    {"min_points", TOC_SCHEMA_INT, AT(min_points), false, "30", 8, TOC_DETECTOR_POINTS_MAX,
     "values needed before anything is judged"},
    {"normalise", TOC_SCHEMA_STRING, AT(normalise), false, "none", 0, 0,
     "none, zscore, minmax or robust, per series (isolation_forest)"},
    {"denoise", TOC_SCHEMA_STRING, AT(denoise), false, "none", 0, 0,
     "none, median, ewma or hampel"},
    {"seed", TOC_SCHEMA_INT, AT(seed), false, "0", 0, 9e15, "of the forest's random numbers"},
    {0},
};
#undef AT

/* packs/detectors/builtin.yml, embedded at build. */
extern const unsigned char toc_builtin_detectors_bytes[];
extern const unsigned long toc_builtin_detectors_size;

static struct toc_sv dup_sv(struct toc_sv s) {
    return toc_sv_make(toc_sv_dup_cstr(s), s.n);
}

static void free_sv(struct toc_sv *s) {
    toc_free((void *)(uintptr_t)s->p);
    *s = TOC_SV_NULL;
}

void toc_detector_config_fini(struct detector_config *c) {
    free_sv(&c->name);
    for (size_t i = 0; i < c->by_count; i++)
        free_sv(&c->by[i]);
    for (size_t i = 0; i < c->feature_count; i++) {
        free_sv(&c->features[i].name);
        free_sv(&c->features[i].text);
        toc_promql_expr_free(&c->features[i].expr);
    }
    *c = (struct detector_config){0};
}

void toc_detector_configs_fini(struct detector_configs *c) {
    for (size_t i = 0; i < c->count; i++)
        toc_detector_config_fini(&c->items[i]);
    TOC_VEC_FINI(c);
}

/* `at` is where the expression stands. */
static int add_feature(struct detector_config *c, struct toc_sv name, struct toc_sv text,
                       const struct toc_yaml *at, struct toc_err *err) {
    struct toc_err why = {0};
    int line = at->line, column = at->column;
    if (c->feature_count == TOC_DETECTOR_FEATURES_MAX)
        return toc_err_at(err, TOC_ELIMIT, line, column, "more than %d features",
                          TOC_DETECTOR_FEATURES_MAX);
    struct detector_feature f = {0};
    int rc = toc_promql_parse(text, &f.expr, &why);
    if (rc < 0)
        return toc_err_at(err, rc, line, column, "expression \"%.*s\": %s",
                          TOC_SV_ARG(toc_sv_sub(text, 0, 200)), why.message);
    enum toc_promql_type type = toc_promql_expr_type(f.expr);
    if (type != TOC_PROMQL_VECTOR && type != TOC_PROMQL_SCALAR) {
        toc_promql_expr_free(&f.expr);
        return toc_err_at(err, TOC_ETYPE, line, column,
                          "the expression must be an instant vector: put a function such as "
                          "avg_over_time() around a range");
    }
    f.name = dup_sv(name);
    f.text = dup_sv(text);
    c->features[c->feature_count++] = f;
    return 0;
}

static int read_features(const struct entry *e, const struct toc_yaml *node,
                         struct detector_config *c, struct toc_err *err) {
    const struct toc_yaml *expr = toc_yaml_get(node, "expr"), *list = e->features;
    if ((expr != NULL) == (list != NULL))
        return toc_err_at(err, TOC_EINVAL, node->line, node->column,
                          "give either expr or features");
    if (expr)
        return add_feature(c, TOC_SV(""), e->expr, expr, err);
    if (list->type != TOC_YAML_MAPPING || list->count == 0)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column,
                          "features must be a mapping of names to expressions");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        struct toc_sv text;
        if (list->items[i].key.n == 0 || list->items[i].key.n > 63)
            return toc_err_at(err, TOC_EINVAL, list->items[i].line, list->items[i].column,
                              "a feature's name must have 1 to 63 characters");
        rc = toc_yaml_string(&list->items[i], &text, err);
        if (rc == 0)
            rc = add_feature(c, list->items[i].key, text, &list->items[i], err);
    }
    return rc;
}

static int choose(struct toc_sv text, const char *const *names, const char *what,
                  const struct toc_yaml *node, int *out, struct toc_err *err) {
    struct toc_buf list = TOC_BUF_INIT;
    for (int i = 0; names[i]; i++) {
        if (toc_sv_eq_cstr(text, names[i])) {
            *out = i;
            toc_buf_fini(&list);
            return 0;
        }
        toc_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const struct toc_yaml *at = toc_yaml_get(node, what);
    int rc = toc_err_at(err, TOC_EINVAL, at ? at->line : node->line, at ? at->column : node->column,
                        "%s is \"%.*s\"; give one of %s", what, TOC_SV_ARG(toc_sv_sub(text, 0, 60)),
                        toc_buf_cstr(&list));
    toc_buf_fini(&list);
    return rc;
}

static int read_words(const struct entry *e, const struct toc_yaml *node, struct detector_config *c,
                      struct toc_err *err) {
#define X(name, text, help) text,
    static const char *const methods[] = {TOC_DETECTOR_METHOD_TABLE(X) NULL};
    static const char *const denoises[] = {TOC_DENOISE_TABLE(X) NULL};
    static const char *const normalises[] = {TOC_NORMALISE_TABLE(X) NULL};
#undef X
    static const char *const directions[] = {"both", "up", "down", NULL};
    int method = 0, direction = 0, denoise = 0, normalise = 0;
    int rc = choose(e->method, methods, "method", node, &method, err);
    if (rc == 0)
        rc = choose(e->direction, directions, "direction", node, &direction, err);
    if (rc == 0)
        rc = choose(e->denoise, denoises, "denoise", node, &denoise, err);
    if (rc == 0)
        rc = choose(e->normalise, normalises, "normalise", node, &normalise, err);
    c->method = (enum toc_detector_method)method;
    c->direction = (enum toc_detector_direction)direction;
    c->preprocess.denoise = (enum toc_denoise)denoise;
    c->preprocess.normalise = (enum toc_normalise)normalise;
    return rc;
}

static int read_contamination(const struct toc_yaml *n, double *out, struct toc_err *err) {
    struct toc_sv text;
    *out = 0;
    if (!n || (toc_yaml_string(n, &text, NULL) == 0 && toc_sv_eq(text, TOC_SV("auto"))))
        return 0;
    int rc = toc_yaml_double(n, out, err);
    if (rc == 0 && !(*out > 0 && *out <= 0.5))
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column,
                        "contamination must be auto or a share in (0, 0.5]");
    return rc;
}

static int read_threshold(const struct toc_yaml *n, struct detector_config *c,
                          struct toc_err *err) {
    bool is_forest = c->method == TOC_DETECTOR_FOREST;
    bool is_free =
        is_forest || c->method == TOC_DETECTOR_ENSEMBLE || toc_detector_is_curve(c->method);
    c->threshold = is_free ? NAN : c->method == TOC_DETECTOR_PEERS ? 12 : 6;
    if (!n)
        return 0;
    int rc = toc_yaml_double(n, &c->threshold, err);
    double most = is_forest ? 1 : TOC_ROBUST_Z_MAX;
    if (rc == 0 && !(c->threshold > 0 && c->threshold < most))
        rc = toc_err_at(err, TOC_EINVAL, n->line, n->column,
                        "threshold must lie between 0 and %g for this method", most);
    return rc;
}

/* "2/week" */
static int read_budget(struct toc_sv text, const struct toc_yaml *node, struct detector_config *c,
                       struct toc_err *err) {
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"hour", 3600}, {"day", 86400}, {"week", 604800}, {"month", 2629746}};
    const struct toc_yaml *at = toc_yaml_get(node, "budget");
    size_t slash = toc_sv_find_char(text, '/');
    double count = 0;
    bool is_number = slash != SIZE_MAX && toc_parse_f64(toc_sv_sub(text, 0, slash), &count) == 0 &&
                     count >= 0.01 && count <= 1000;
    for (size_t i = 0; is_number && i < TOC_ARRAY_LEN(units); i++)
        if (toc_sv_eq_cstr(toc_sv_sub(text, slash + 1, SIZE_MAX), units[i].name)) {
            c->budget_seconds = units[i].seconds / count;
            return 0;
        }
    return toc_err_at(
        err, TOC_EINVAL, at ? at->line : node->line, at ? at->column : node->column,
        "budget is \"%.*s\"; give a number from 0.01 to 1000, a slash, and hour, day, "
        "week or month, such as 1/week",
        TOC_SV_ARG(toc_sv_sub(text, 0, 40)));
}

static int read_season(struct toc_sv text, const struct toc_yaml *node, struct detector_config *c,
                       struct toc_err *err) {
    const struct toc_yaml *at = toc_yaml_get(node, "season");
    c->season_ms = 0;
    if (toc_sv_eq(text, TOC_SV("none")))
        return 0;
    c->season_ms = -1;
    if (toc_sv_eq(text, TOC_SV("auto")))
        return 0;
    int rc = at ? toc_yaml_duration(at, &c->season_ms, err) : TOC_EINVAL;
    int64_t steps = rc == 0 ? c->season_ms / c->interval_ms : 0;
    if (rc == 0 && (steps < 4 || steps > SEASON_STEPS_MAX))
        rc = toc_err_at(err, TOC_EINVAL, at->line, at->column,
                        "season / interval gives %lld steps; it must lie between 4 and %d",
                        (long long)steps, SEASON_STEPS_MAX);
    return rc;
}

static int read_by(const struct toc_yaml *list, struct detector_config *c, struct toc_err *err) {
    if (!list)
        return 0;
    if (list->type != TOC_YAML_SEQUENCE || list->count > TOC_DETECTOR_BY_MAX)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column,
                          "by must be a list of at most %d label names", TOC_DETECTOR_BY_MAX);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        struct toc_sv label;
        rc = toc_yaml_string(&list->items[i], &label, err);
        if (rc == 0)
            c->by[c->by_count++] = dup_sv(label);
    }
    return rc;
}

/* X(key, methods that know it). Keys that are not here mean something to all. */
#define FOR(method) (1u << TOC_DETECTOR_##method)
#define KEY_TABLE(X)                                                                       \
    X("features", FOR(FOREST) | FOR(ENSEMBLE))                                             \
    X("normalise", FOR(FOREST))                                                            \
    X("contamination", FOR(FOREST))                                                        \
    X("n_estimators", FOR(FOREST))                                                         \
    X("seed", FOR(FOREST))                                                                 \
    X("train_interval", FOR(FOREST) | FOR(ROBUST_Z))                                       \
    X("denoise", FOR(FOREST) | FOR(ROBUST_Z))                                              \
    X("window", ~FOR(FOREST))                                                              \
    X("threshold", ~FOR(CHANGE_POINT))                                                     \
    X("direction", FOR(ROBUST_Z) | FOR(ENSEMBLE) | FOR(HOLT_WINTERS) | FOR(CHANGE_POINT) | \
                       FOR(PEERS) | FOR(PACE_CURVE))                                       \
    X("budget", FOR(ENSEMBLE) | FOR(LOSS_CURVE) | FOR(PACE_CURVE))                         \
    X("season", FOR(HOLT_WINTERS))                                                         \
    X("alpha", FOR(HOLT_WINTERS))                                                          \
    X("beta", FOR(HOLT_WINTERS))                                                           \
    X("gamma", FOR(HOLT_WINTERS))                                                          \
    X("min_shift", FOR(CHANGE_POINT))                                                      \
    X("by", FOR(PEERS))

/* Keys that mean nothing for the method are refused instead of ignored. */
static int check_method(const struct detector_config *c, const struct toc_yaml *node,
                        struct toc_err *err) {
#define X(name, text, help) text,
    static const char *const methods[] = {TOC_DETECTOR_METHOD_TABLE(X)};
#undef X
#define X(key, methods) {key, methods},
    static const struct {
        const char *name;
        unsigned methods;
    } keys[] = {KEY_TABLE(X)};
#undef X
    for (size_t i = 0; i < TOC_ARRAY_LEN(keys); i++) {
        const struct toc_yaml *n = toc_yaml_get(node, keys[i].name);
        if (n && !(keys[i].methods & 1u << c->method))
            return toc_err_at(err, TOC_EINVAL, n->key_line, n->key_column,
                              "%s has no meaning for method %s: remove it", keys[i].name,
                              methods[c->method]);
    }
    return 0;
}

static int check_sizes(const struct detector_config *c, const struct toc_yaml *node,
                       struct toc_err *err) {
    size_t points = toc_detector_window_points(c);
    if (c->method != TOC_DETECTOR_ROBUST_Z)
        return 0;
    if (points > TOC_DETECTOR_POINTS_MAX || points < (size_t)c->min_points)
        return toc_err_at(
            err, TOC_EINVAL, node->line, node->column,
            "window / interval gives %zu values; it must lie between min_points (%lld) "
            "and %d",
            points, (long long)c->min_points, TOC_DETECTOR_POINTS_MAX);
    return 0;
}

static void set_history(struct detector_config *c) {
    int64_t automatic = c->method == TOC_DETECTOR_FOREST ? (int64_t)DAY_MS : 2 * c->window_ms;
    if (c->method == TOC_DETECTOR_ENSEMBLE) /* as many points as one look at history may have */
        automatic = TOC_MAX(automatic, TOC_DETECTOR_POINTS_MAX * c->interval_ms);
    if (c->method == TOC_DETECTOR_HOLT_WINTERS) /* three seasons, or enough to find a daily one */
        automatic = c->season_ms < 0 ? TOC_MAX(automatic, (int64_t)(3 * DAY_MS))
                                     : TOC_MAX(automatic, 3 * c->season_ms);
    if (c->history_ms <= 0)
        c->history_ms = automatic;
    c->history_ms = TOC_MAX(c->history_ms, c->interval_ms * c->min_points);
}

static void set_hashes(struct detector_config *c) {
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b, "%d|%d|%d|%lld|%lld|%.17g|%lld|%lld", (int)c->method,
                   (int)c->preprocess.denoise, (int)c->preprocess.normalise,
                   (long long)c->interval_ms, (long long)c->n_estimators, c->contamination,
                   (long long)c->seed, (long long)c->window_ms);
    if (c->method > TOC_DETECTOR_FOREST)
        toc_buf_printf(&b, "|%lld|%.17g|%.17g|%.17g", (long long)c->season_ms, c->alpha, c->beta,
                       c->gamma);
    if (c->method == TOC_DETECTOR_ENSEMBLE || toc_detector_is_curve(c->method)) /* of its state */
        toc_buf_printf(&b, "|%.17g|%.17g|%d", c->budget_seconds, c->threshold, (int)c->direction);
    for (size_t i = 0; i < c->by_count; i++)
        toc_buf_printf(&b, "|%zu:%.*s", c->by[i].n, TOC_SV_ARG(c->by[i]));
    for (size_t i = 0; i < c->feature_count; i++)
        toc_buf_printf(&b, "|%zu:%.*s|%zu:%.*s", c->features[i].name.n,
                       TOC_SV_ARG(c->features[i].name), c->features[i].text.n,
                       TOC_SV_ARG(c->features[i].text));
    c->model_hash = toc_hash64(b.p, b.n, 0);
    toc_buf_printf(&b, "|%.17g|%d|%lld|%lld|%lld|%d|%.17g", c->threshold, (int)c->direction,
                   (long long)c->train_interval_ms, (long long)c->history_ms,
                   (long long)c->min_points, c->is_builtin, c->min_shift);
    c->hash = toc_hash64(b.p, b.n, 0);
    toc_buf_fini(&b);
}

static int check_name(struct toc_sv name, const struct toc_yaml *node, struct toc_err *err) {
    bool is_good = name.n > 0 && name.n <= 63 && toc_sv_is_utf8(name) &&
                   toc_sv_find_char(name, '/') == SIZE_MAX;
    if (is_good)
        return 0;
    return toc_err_at(err, TOC_EINVAL, node->line, node->column,
                      "a detector's name must have 1 to 63 bytes, UTF-8, without \"/\"");
}

static int read_entry(const struct toc_yaml *node, const struct entry *e, struct detector_config *c,
                      struct toc_err *err) {
    c->window_ms = e->window_ms;
    c->interval_ms = e->interval_ms;
    c->train_interval_ms = e->train_interval_ms;
    c->history_ms = e->history_ms;
    c->n_estimators = e->n_estimators;
    c->min_points = e->min_points;
    c->seed = e->seed;
    c->alpha = e->alpha;
    c->beta = e->beta;
    c->gamma = e->gamma;
    c->min_shift = e->min_shift;
    int rc = read_words(e, node, c, err);
    if (rc == 0)
        rc = check_method(c, node, err);
    if (rc == 0)
        rc = read_features(e, node, c, err);
    if (rc == 0)
        rc = read_contamination(e->contamination, &c->contamination, err);
    if (rc == 0)
        rc = read_threshold(e->threshold, c, err);
    if (rc == 0)
        rc = read_season(e->season, node, c, err);
    if (rc == 0)
        rc = read_budget(e->budget, node, c, err);
    if (rc == 0 && e->threshold && toc_yaml_get(node, "budget"))
        rc = toc_err_at(err, TOC_EINVAL, e->threshold->line, e->threshold->column,
                        "give either a budget or a threshold");
    if (rc == 0)
        rc = read_by(e->by, c, err);
    if (rc == 0)
        rc = check_sizes(c, node, err);
    set_history(c);
    return rc;
}

static struct detector_config *find(struct detector_configs *c, struct toc_sv name) {
    for (size_t i = 0; i < c->count; i++)
        if (toc_sv_eq(c->items[i].name, name))
            return &c->items[i];
    return NULL;
}

/* An entry takes the place of a built-in detector of its name, or ends it. */
static int add_entry(struct detector_configs *all, const struct toc_yaml *node, bool is_builtin,
                     struct toc_err *err) {
    struct entry e = {0};
    int rc = toc_schema_read(node, g_keys, &e, err);
    if (rc == 0)
        rc = check_name(e.name, node, err);
    if (rc < 0)
        return rc;
    struct detector_config *old = find(all, e.name), fresh = {0};
    if (old && old->is_builtin == is_builtin)
        return toc_err_at(err, TOC_EDUPLICATE, node->line, node->column,
                          "two detectors are called \"%.*s\"", TOC_SV_ARG(e.name));
    if (e.is_enabled) {
        fresh.name = dup_sv(e.name);
        fresh.is_builtin = is_builtin;
        rc = read_entry(node, &e, &fresh, err);
        set_hashes(&fresh);
    }
    if (rc < 0) {
        toc_err_prefix(err, "detector \"%.*s\": ", TOC_SV_ARG(e.name));
        toc_detector_config_fini(&fresh);
        return rc;
    }
    if (old) {
        toc_detector_config_fini(old);
        TOC_VEC_REMOVE(all, (size_t)(old - all->items));
    }
    if (e.is_enabled)
        TOC_VEC_PUSH(all, fresh);
    return 0;
}

/* A bad list is a bug of the build: the tests read it. */
static int add_builtins(struct toc_arena *arena, struct detector_configs *all,
                        struct toc_err *err) {
    struct toc_sv text =
        toc_sv_make((const char *)toc_builtin_detectors_bytes, toc_builtin_detectors_size);
    const struct toc_yaml *list;
    int rc = toc_yaml_parse(text, arena, &list, err);
    for (size_t i = 0; rc == 0 && i < list->count; i++)
        rc = add_entry(all, &list->items[i], true, err);
    if (rc < 0)
        toc_err_prefix(err, "built-in detectors: ");
    return rc;
}

int toc_detector_configs_read(const struct toc_yaml *list, struct detector_configs *out,
                              struct toc_err *err) {
    struct toc_arena arena = TOC_ARENA_INIT;
    *out = (struct detector_configs){0};
    int rc = add_builtins(&arena, out, err);
    toc_arena_fini(&arena);
    bool has_list = list && !toc_yaml_is_null(list);
    if (rc == 0 && has_list && list->type != TOC_YAML_SEQUENCE)
        rc = toc_err_at(err, TOC_ETYPE, list->line, list->column, "detectors must be a list");
    if (rc == 0 && has_list && list->count > TOC_DETECTORS_MAX)
        rc = toc_err_at(err, TOC_ELIMIT, list->line, list->column, "more than %d detectors",
                        TOC_DETECTORS_MAX);
    for (size_t i = 0; rc == 0 && has_list && i < list->count; i++)
        rc = add_entry(out, &list->items[i], false, err);
    if (rc < 0)
        toc_detector_configs_fini(out);
    return rc;
}

int toc_detectors_check(const struct toc_yaml *list, struct toc_err *err) {
    struct detector_configs all;
    int rc = toc_detector_configs_read(list, &all, err);
    if (rc == 0)
        toc_detector_configs_fini(&all);
    return rc;
}
