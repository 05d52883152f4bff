/* The sections `query`, `web` and `features`. */
#include "api/feature.h"
#include "app/config_priv.h"
#include "shim/regex.h"
#include "sys/log.h"

#define AT(member) offsetof(struct toc_query_limits, member)
static const struct toc_schema_key g_query[] = {
    {"max_samples", TOC_SCHEMA_INT, AT(max_samples), false, "50000000", 1, 1e12,
     "samples of one query in memory"},
    {"max_bytes", TOC_SCHEMA_INT, AT(max_bytes), false, "1073741824", 1048576, 1e15,
     "bytes of one query's working memory"},
    {"max_concurrency", TOC_SCHEMA_INT, AT(max_concurrency), false, "20", 1, 10000,
     "queries that run at once"},
    {"timeout", TOC_SCHEMA_DURATION, AT(timeout_ms), false, "2m", 0, 0,
     "waiting and evaluation of one query"},
    {"lookback_delta", TOC_SCHEMA_DURATION, AT(lookback_ms), false, "5m", 0, 0,
     "how old a sample an instant selector takes"},
    {"slow_threshold", TOC_SCHEMA_DURATION, AT(slow_ms), false, "10s", 0, 0,
     "from how long a query is logged as slow"},
    {0},
};
#undef AT

#define AT(member) offsetof(struct toc_config, member)
static const struct toc_schema_key g_web[] = {
    {"enable_admin_api", TOC_SCHEMA_BOOL, AT(has_admin_api), false, "false", 0, 0,
     "delete series and make snapshots over HTTP, with the role admin"},
    {"cors_origin", TOC_SCHEMA_STRING, AT(cors_origin), false, "", 0, 0,
     "regular expression of origins whose pages may read /api/v1"},
    {0},
};
#undef AT

static int read_web(const struct toc_yaml *web, struct toc_config *c, struct toc_err *err) {
    struct toc_regex *origin = NULL;
    int rc = toc_schema_read(web, g_web, c, err);
    if (rc == 0 && c->cors_origin.n)
        rc = toc_regex_new(c->cors_origin, TOC_REGEX_ANCHORED, &origin, err);
    toc_regex_free(&origin);
    return rc;
}

static int read_features(const struct toc_yaml *list, unsigned *out, struct toc_err *err) {
    *out = 0;
    if (!list)
        return 0;
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column, "features must be a list");
    for (size_t i = 0; i < list->count; i++) {
        struct toc_sv name;
        int rc = toc_yaml_string(&list->items[i], &name, err);
        if (rc < 0)
            return rc;
        unsigned bit = toc_feature_parse(name);
        if (!bit) /* as upstream: a list made for a newer version must not stop the start */
            toc_log(TOC_LOG_WARN, "config", "unknown feature \"%.*s\" has no effect",
                    TOC_SV_ARG(name));
        else if (toc_feature_effect(bit) == TOC_FEATURE_NOTHING)
            toc_log(TOC_LOG_WARN, "config", "the feature \"%.*s\" has no effect here",
                    TOC_SV_ARG(name));
        *out |= bit;
    }
    return 0;
}

int toc_config_query_read(const struct toc_yaml *query, const struct toc_yaml *features,
                          const struct toc_yaml *web, struct toc_config *c, struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    int rc = toc_schema_read(query ? query : &empty, g_query, &c->query, err);
    if (rc == 0 && (c->query.timeout_ms < 1 || c->query.lookback_ms < 1))
        rc = toc_errf(err, TOC_EINVAL,
                      "query.timeout and query.lookback_delta must be longer than 0");
    if (rc == 0 && c->query.slow_ms == 0)
        c->query.slow_ms = -1; /* 0s switches the log off; in the limits 0 is the default */
    if (rc == 0)
        rc = read_web(web ? web : &empty, c, err);
    return rc == 0 ? read_features(features, &c->features, err) : rc;
}
