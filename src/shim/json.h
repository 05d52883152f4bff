/* simdjson behind a C face: one walk over a whole document, told as events in document order. */
#ifndef TOC_SHIM_JSON_H
#define TOC_SHIM_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sv.h"

enum toc_json_event_type {
    TOC_JSON_EVENT_NULL,
    TOC_JSON_EVENT_BOOL,
    TOC_JSON_EVENT_INT,
    TOC_JSON_EVENT_DOUBLE,
    TOC_JSON_EVENT_STRING,
    TOC_JSON_EVENT_BEGIN_ARRAY,
    TOC_JSON_EVENT_END_ARRAY,
    TOC_JSON_EVENT_BEGIN_OBJECT,
    TOC_JSON_EVENT_END_OBJECT
};

struct toc_json_event {
    enum toc_json_event_type type;
    struct toc_sv key;    /* of a member; borrowed for the call */
    struct toc_sv string; /* unescaped; borrowed for the call */
    int64_t integer;
    double number;
    bool boolean;
    size_t count; /* children, at BEGIN_… */
};

/* Calls `on_event` for every value; a non-zero result stops and is returned. TOC_EPARSE when the
 * text is not one JSON document (nothing was reported then), TOC_ELIMIT when it nests deeper than
 * max_depth (1-64), TOC_ENOMEM. */
int toc_shim_json_walk(struct toc_sv text, int max_depth,
                       int (*on_event)(void *ctx, const struct toc_json_event *event),
                       void *ctx) TOC_MUST_CHECK;

#endif
