/* Tables that say which keys a mapping may have and where their values go. */
#include "base/assert.h"
#include "base/num.h"
#include "base/time.h"
#include "codec/yaml.h"

/* The i-th allowed name, NULL behind the last. */
typedef const char *name_at(const void *keys, size_t i);

static const char *list_name_at(const void *keys, size_t i) {
    return ((const char *const *)keys)[i];
}

static const char *schema_name_at(const void *keys, size_t i) {
    return ((const struct toc_schema_key *)keys)[i].name;
}

static bool is_allowed(struct toc_sv key, name_at *at, const void *keys) {
    for (size_t i = 0; at(keys, i); i++)
        if (toc_sv_eq_cstr(key, at(keys, i)))
            return true;
    return false;
}

static int unknown_key(const struct toc_yaml *n, name_at *at, const void *keys,
                       struct toc_err *err) {
    const char *best = NULL;
    unsigned least = 0;
    for (size_t i = 0; at(keys, i); i++) {
        unsigned d = toc_sv_distance(n->key, toc_sv_cstr(at(keys, i)));
        if (!best || d < least) {
            best = at(keys, i);
            least = d;
        }
    }
    bool is_near = best && least <= 1 + n->key.n / 3;
    return toc_err_at(err, TOC_EUNKNOWN_KEY, n->key_line, n->key_column,
                      "unknown key \"%.*s\"%s%s%s", TOC_SV_ARG(toc_sv_sub(n->key, 0, 100)),
                      is_near ? ": did you mean \"" : "", is_near ? best : "",
                      is_near ? "\"?" : "");
}

static int check_keys(const struct toc_yaml *mapping, name_at *at, const void *keys,
                      struct toc_err *err) {
    if (mapping->type != TOC_YAML_MAPPING)
        return toc_err_at(err, TOC_ETYPE, mapping->line, mapping->column,
                          "expected a mapping, found %s",
                          mapping->type == TOC_YAML_SEQUENCE ? "a list" : "a value");
    for (size_t i = 0; i < mapping->count; i++)
        if (!is_allowed(mapping->items[i].key, at, keys))
            return unknown_key(&mapping->items[i], at, keys, err);
    return 0;
}

int toc_yaml_check_keys(const struct toc_yaml *mapping, const char *const *keys,
                        struct toc_err *err) {
    return check_keys(mapping, list_name_at, keys, err);
}

static int check_range(const struct toc_schema_key *k, const struct toc_yaml *n, double v,
                       struct toc_err *err) {
    if (!(k->min < k->max) || (v >= k->min && v <= k->max))
        return 0;
    struct toc_buf low = TOC_BUF_INIT, high = TOC_BUF_INIT;
    bool is_time = k->type == TOC_SCHEMA_DURATION;
    if (is_time) {
        toc_duration_format((int64_t)k->min, &low);
        toc_duration_format((int64_t)k->max, &high);
    } else {
        toc_format_f64(k->min, &low);
        toc_format_f64(k->max, &high);
    }
    int rc = toc_err_at(err, TOC_EINVAL, n->line, n->column, "%s must be between %s and %s",
                        k->name, toc_buf_cstr(&low), toc_buf_cstr(&high));
    toc_buf_fini(&low);
    toc_buf_fini(&high);
    return rc;
}

static int read_int64(const struct toc_schema_key *k, const struct toc_yaml *n, int64_t *out,
                      struct toc_err *err) {
    int64_t v = 0;
    int rc = k->type == TOC_SCHEMA_INT        ? toc_yaml_int(n, &v, err)
             : k->type == TOC_SCHEMA_DURATION ? toc_yaml_duration(n, &v, err)
                                              : toc_yaml_bytes(n, &v, err);
    if (!rc)
        rc = check_range(k, n, (double)v, err);
    if (!rc)
        *out = v;
    return rc;
}

static int read_double(const struct toc_schema_key *k, const struct toc_yaml *n, double *out,
                       struct toc_err *err) {
    double v = 0;
    int rc = toc_yaml_double(n, &v, err);
    if (!rc)
        rc = check_range(k, n, v, err);
    if (!rc)
        *out = v;
    return rc;
}

static int read_value(const struct toc_schema_key *k, const struct toc_yaml *n, void *out,
                      struct toc_err *err) {
    void *to = (char *)out + k->offset;
    switch (k->type) {
    case TOC_SCHEMA_STRING:
        return toc_yaml_string(n, to, err);
    case TOC_SCHEMA_BOOL:
        return toc_yaml_bool(n, to, err);
    case TOC_SCHEMA_DOUBLE:
        return read_double(k, n, to, err);
    case TOC_SCHEMA_INT:
    case TOC_SCHEMA_DURATION:
    case TOC_SCHEMA_BYTES:
        return read_int64(k, n, to, err);
    case TOC_SCHEMA_NODE:
        *(const struct toc_yaml **)to = n;
        return 0;
    }
    TOC_UNREACHABLE();
}

static int read_key(const struct toc_schema_key *k, const struct toc_yaml *mapping, void *out,
                    struct toc_err *err) {
    const struct toc_yaml *n = toc_yaml_get(mapping, k->name);
    if (n && (k->type == TOC_SCHEMA_NODE || !toc_yaml_is_null(n))) {
        int rc = read_value(k, n, out, err);
        if (rc)
            toc_err_prefix(err, "%s: ", k->name);
        return rc;
    }
    if (k->is_required)
        return toc_err_at(err, TOC_EINVAL, mapping->line, mapping->column,
                          "the key \"%s\" is missing%s%s", k->name, k->help ? ": " : "",
                          k->help ? k->help : "");
    if (!k->fallback || k->type == TOC_SCHEMA_NODE)
        return 0;
    struct toc_yaml text = {.type = TOC_YAML_SCALAR,
                            .line = mapping->line,
                            .column = mapping->column,
                            .is_plain = true,
                            .scalar = toc_sv_cstr(k->fallback)};
    return read_value(k, &text, out, err);
}

int toc_schema_read(const struct toc_yaml *mapping, const struct toc_schema_key *keys, void *out,
                    struct toc_err *err) {
    int rc = check_keys(mapping, schema_name_at, keys, err);
    for (const struct toc_schema_key *k = keys; k->name && !rc; k++)
        rc = read_key(k, mapping, out, err);
    return rc;
}
