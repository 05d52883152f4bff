/*
 * Values of attributes (AnyValue) as text: a string as it is, numbers and booleans as in JSON,
 * bytes in base64, arrays and maps as JSON with sorted keys. Both decoders build the value as a
 * JSON tree first.
 */
#ifndef TOC_REMOTE_OTLP_VALUE_H
#define TOC_REMOTE_OTLP_VALUE_H

#include "base/arena.h"
#include "base/sv.h"
#include "codec/json.h"

/* {NULL,0} when the arena is full. */
struct toc_sv otlp_value_text(const struct toc_json *value, struct toc_arena *arena);
/* Base64 of bytes, in the arena. */
struct toc_sv otlp_base64(struct toc_sv bytes, struct toc_arena *arena);
/* Hexadecimal of an id, in the arena; an id of zeros only is none. */
struct toc_sv otlp_hex(struct toc_sv bytes, struct toc_arena *arena);

#endif
