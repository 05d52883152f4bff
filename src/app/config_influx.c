/* The section `influx`: how names are made of InfluxDB's line protocol. */
#include <stdio.h>

#include "app/config_priv.h"

struct section {
    struct toc_sv separator, database_label;
    bool drops_value, keeps_names;
};

#define AT(member) offsetof(struct section, member)
static const struct toc_schema_key g_influx[] = {
    {"separator", TOC_SCHEMA_STRING, AT(separator), false, "_", 0, 0,
     "between measurement and field"},
    {"database_label", TOC_SCHEMA_STRING, AT(database_label), false, "", 0, 0,
     "label that gets the bucket or database; empty: none"},
    {"drop_value_suffix", TOC_SCHEMA_BOOL, AT(drops_value), false, "false", 0, 0,
     "a field named value has the name of its measurement"},
    {"keep_names", TOC_SCHEMA_BOOL, AT(keeps_names), false, "false", 0, 0,
     "names stay as they come instead of getting underscores"},
    {0},
};
#undef AT

static int copy(struct toc_sv from, char to[TOC_INFLUX_TEXT_MAX], const struct toc_yaml *section,
                const char *key, struct toc_err *err) {
    if (toc_sv_copy(from, to, TOC_INFLUX_TEXT_MAX))
        return 0;
    return toc_err_at(err, TOC_EINVAL, section->line, section->column,
                      "influx.%s may have at most %d bytes", key, TOC_INFLUX_TEXT_MAX - 1);
}

int toc_config_influx_read(const struct toc_yaml *influx, struct toc_config *c,
                           struct toc_err *err) {
    static const struct toc_yaml empty = {.type = TOC_YAML_MAPPING};
    struct section s = {0};
    influx = influx ? influx : &empty;
    int rc = toc_schema_read(influx, g_influx, &s, err);
    if (rc == 0)
        rc = copy(s.separator, c->influx.separator, influx, "separator", err);
    if (rc == 0)
        rc = copy(s.database_label, c->influx.database_label, influx, "database_label", err);
    bool is_reserved = toc_sv_eq(s.database_label, TOC_METRIC_NAME);
    if (rc == 0 && is_reserved)
        rc = toc_err_at(err, TOC_EINVAL, influx->line, influx->column,
                        "influx.database_label must not be __name__");
    c->influx.is_dropping_value = s.drops_value;
    c->influx.keeps_names = s.keeps_names;
    return rc;
}
