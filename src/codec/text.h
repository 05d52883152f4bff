/* Small text encodings: base64, percent-encoding, hexadecimal, HTML and quoted-printable-safe
 * escaping. */
#ifndef TOC_CODEC_TEXT_H
#define TOC_CODEC_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

/* One code point (a scalar value) as UTF-8. */
void toc_utf8_append(struct toc_buf *out, uint32_t rune);
/* The code point at s.p[at] (at < s.n), U+FFFD for a byte that begins none; returns its length. */
size_t toc_utf8_decode(struct toc_sv s, size_t at, uint32_t *out_rune);

void toc_base64_encode(struct toc_sv in, struct toc_buf *out);
void toc_base64url_encode(struct toc_sv in, struct toc_buf *out); /* without padding */
/* Either alphabet, padding optional. TOC_EPARSE. */
int toc_base64_decode(struct toc_sv in, struct toc_buf *out) TOC_MUST_CHECK;
/* RFC 3986: everything but unreserved characters becomes %XX. */
void toc_percent_encode(struct toc_sv in, struct toc_buf *out);
/* The same for a query or form: a blank becomes '+' (Go's url.QueryEscape). */
void toc_query_encode(struct toc_sv in, struct toc_buf *out);
/* plus_is_space for form bodies. TOC_EPARSE on a broken escape. */
int toc_percent_decode(struct toc_sv in, bool plus_is_space, struct toc_buf *out) TOC_MUST_CHECK;
void toc_hex_encode(struct toc_sv in, struct toc_buf *out);
int toc_hex_decode(struct toc_sv in, struct toc_buf *out) TOC_MUST_CHECK;
void toc_html_escape(struct toc_sv in, struct toc_buf *out);

#endif
