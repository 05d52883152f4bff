/*
 * YAML in (libyaml) as a read-only tree with positions, aliases resolved, and a validator driven by
 * a table. Limits: 4 MiB input, depth 64, 200 000 nodes after alias expansion.
 */
#ifndef TOC_CODEC_YAML_H
#define TOC_CODEC_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

enum toc_yaml_type { TOC_YAML_SCALAR, TOC_YAML_SEQUENCE, TOC_YAML_MAPPING };

struct toc_yaml {
    enum toc_yaml_type type;
    int line, column;  /* 1-based */
    bool is_plain;     /* scalar without quotes: may be null, bool, number */
    struct toc_sv key; /* when the parent is a mapping */
    int key_line, key_column;
    struct toc_sv scalar;
    struct toc_yaml *items;
    size_t count;
};

/* One document; an empty one gives an empty mapping. Duplicate keys are refused. */
int toc_yaml_parse(struct toc_sv text, struct toc_arena *a, const struct toc_yaml **out,
                   struct toc_err *err) TOC_MUST_CHECK;
const struct toc_yaml *toc_yaml_get(const struct toc_yaml *mapping, const char *key);
/* Plain `null`, `~` or nothing? */
bool toc_yaml_is_null(const struct toc_yaml *n);

/* Typed reading of one node; errors carry the node's line:column and say what was expected. */
int toc_yaml_string(const struct toc_yaml *n, struct toc_sv *out,
                    struct toc_err *err) TOC_MUST_CHECK;
int toc_yaml_bool(const struct toc_yaml *n, bool *out, struct toc_err *err) TOC_MUST_CHECK;
int toc_yaml_int(const struct toc_yaml *n, int64_t *out, struct toc_err *err) TOC_MUST_CHECK;
int toc_yaml_double(const struct toc_yaml *n, double *out, struct toc_err *err) TOC_MUST_CHECK;
int toc_yaml_duration(const struct toc_yaml *n, int64_t *out_ms,
                      struct toc_err *err) TOC_MUST_CHECK;
/* "8MiB", "1GB", "512": bytes. */
int toc_yaml_bytes(const struct toc_yaml *n, int64_t *out, struct toc_err *err) TOC_MUST_CHECK;

/* Refuses a key of `mapping` that is not among `keys` (NULL-terminated), suggesting the nearest. */
int toc_yaml_check_keys(const struct toc_yaml *mapping, const char *const *keys,
                        struct toc_err *err) TOC_MUST_CHECK;

/*
 * Table-driven reading of a mapping into a struct: one row per key with its type, destination
 * offset, default text, limits and help. Strings are borrowed from the arena that parsed the
 * document.
 */
enum toc_schema_type {
    TOC_SCHEMA_STRING,   /* struct toc_sv */
    TOC_SCHEMA_BOOL,     /* bool */
    TOC_SCHEMA_INT,      /* int64_t */
    TOC_SCHEMA_DOUBLE,   /* double */
    TOC_SCHEMA_DURATION, /* int64_t ms */
    TOC_SCHEMA_BYTES,    /* int64_t */
    TOC_SCHEMA_NODE      /* const struct toc_yaml *: read further by its owner */
};

struct toc_schema_key {
    const char *name;
    enum toc_schema_type type;
    size_t offset; /* offsetof in the destination struct */
    bool is_required;
    const char *fallback; /* text parsed by type when absent; NULL leaves the field as it is */
    double min, max;      /* for numbers when min < max */
    const char *help;
};
/* Reads all rows of `keys` (terminated by name == NULL); unknown keys are refused with a
 * suggestion. */
int toc_schema_read(const struct toc_yaml *mapping, const struct toc_schema_key *keys, void *out,
                    struct toc_err *err) TOC_MUST_CHECK;

#endif
