/* Streaming JSON output into a toc_buf. Commas and nesting are kept by the writer; misuse asserts.
 */
#ifndef TOC_CODEC_JSON_WRITER_H
#define TOC_CODEC_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/sv.h"
#include "base/time.h"

enum { TOC_JSON_WRITER_DEPTH_MAX = 64 };

struct toc_json_writer {
    struct toc_buf *out; /* borrowed; its sticky error is the writer's error */
    int depth;
    bool needs_comma[TOC_JSON_WRITER_DEPTH_MAX + 1];
    bool after_key;
};

void toc_json_writer_init(struct toc_json_writer *w, struct toc_buf *out);
void toc_json_begin_object(struct toc_json_writer *w);
void toc_json_end_object(struct toc_json_writer *w);
void toc_json_begin_array(struct toc_json_writer *w);
void toc_json_end_array(struct toc_json_writer *w);
void toc_json_key(struct toc_json_writer *w, const char *key);
void toc_json_key_sv(struct toc_json_writer *w, struct toc_sv key);
/* A key that is written often, made once: quotes, escapes and the colon are part of it
 * (toc_json_append_string makes the first two). */
void toc_json_key_made(struct toc_json_writer *w, struct toc_sv made);
/* Escapes what RFC 8259 demands plus <, >, & and U+2028/9; ill-formed UTF-8 becomes U+FFFD. */
void toc_json_string(struct toc_json_writer *w, struct toc_sv s);
void toc_json_cstr(struct toc_json_writer *w, const char *s); /* NULL writes null */
void toc_json_int(struct toc_json_writer *w, int64_t v);
void toc_json_uint(struct toc_json_writer *w, uint64_t v);
/* Shortest text that reads back the same; NaN and infinities as the strings "NaN", "+Inf", "-Inf".
 */
void toc_json_double(struct toc_json_writer *w, double v);
void toc_json_bool(struct toc_json_writer *w, bool v);
void toc_json_null(struct toc_json_writer *w);
/* RFC 3339 with milliseconds; ms == 0 writes null. */
void toc_json_time(struct toc_json_writer *w, struct toc_ts t);
/* Already encoded JSON, taken as it is. */
void toc_json_raw(struct toc_json_writer *w, struct toc_sv json);

/* `"text"`, escaped as the writer does, for output that is laid out by hand. */
void toc_json_append_string(struct toc_buf *out, struct toc_sv s);

/* key + value in one call */
void toc_json_kv_string(struct toc_json_writer *w, const char *key, struct toc_sv s);
void toc_json_kv_cstr(struct toc_json_writer *w, const char *key, const char *s);
void toc_json_kv_int(struct toc_json_writer *w, const char *key, int64_t v);
void toc_json_kv_double(struct toc_json_writer *w, const char *key, double v);
void toc_json_kv_bool(struct toc_json_writer *w, const char *key, bool v);
void toc_json_kv_time(struct toc_json_writer *w, const char *key, struct toc_ts t);

#endif
