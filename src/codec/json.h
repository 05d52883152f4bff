/*
 * JSON in (simdjson behind shim/json.h): a document is parsed once into a read-only tree in an
 * arena. Errors carry line and column. Limits: depth 64, size as given by the caller.
 */
#ifndef TOC_CODEC_JSON_H
#define TOC_CODEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sv.h"

enum toc_json_type {
    TOC_JSON_NULL,
    TOC_JSON_BOOL,
    TOC_JSON_INT,    /* fits int64_t */
    TOC_JSON_DOUBLE, /* any other number; integers beyond 64 bits are refused */
    TOC_JSON_STRING,
    TOC_JSON_ARRAY,
    TOC_JSON_OBJECT
};

struct toc_json {
    enum toc_json_type type;
    struct toc_sv key;    /* when the parent is an object */
    struct toc_sv string; /* TOC_JSON_STRING, unescaped */
    int64_t integer;
    double number; /* also set for TOC_JSON_INT */
    bool boolean;
    struct toc_json *items; /* children of arrays and objects, in input order */
    size_t count;
};

/* Everything lives in the arena (strings are copied). TOC_EPARSE with position, TOC_ELIMIT.
 * Duplicate keys are refused. */
int toc_json_parse(struct toc_sv text, struct toc_arena *a, const struct toc_json **out,
                   struct toc_err *err) TOC_MUST_CHECK;
/* Member of an object; NULL when absent or not an object. */
const struct toc_json *toc_json_get(const struct toc_json *object, const char *key);
/* Typed members with a default when the member is absent or null; a wrong type is TOC_ETYPE naming
 * the key. */
int toc_json_get_string(const struct toc_json *object, const char *key, struct toc_sv fallback,
                        struct toc_sv *out, struct toc_err *err) TOC_MUST_CHECK;
int toc_json_get_int(const struct toc_json *object, const char *key, int64_t fallback, int64_t *out,
                     struct toc_err *err) TOC_MUST_CHECK;
int toc_json_get_double(const struct toc_json *object, const char *key, double fallback,
                        double *out, struct toc_err *err) TOC_MUST_CHECK;
int toc_json_get_bool(const struct toc_json *object, const char *key, bool fallback, bool *out,
                      struct toc_err *err) TOC_MUST_CHECK;

#endif
