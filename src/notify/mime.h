/* The pieces of a mail that have an encoding of their own: RFC 5322 headers, RFC 2047 words, RFC
 * 2045 bodies. */
#ifndef TOC_NOTIFY_MIME_H
#define TOC_NOTIFY_MIME_H

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

/* RFC 2047: the text as it is when it is printable ASCII, else UTF-8 words in base64 of at most 75
 * characters, separated by `separator`. */
void toc_mime_words(struct toc_sv text, const char *separator, struct toc_buf *out);
/* "Name: text CRLF", encoded when it must be and folded; control characters become blanks. */
void toc_mime_header(const char *name, struct toc_sv text, struct toc_buf *out);
/* Quoted-printable with CRLF line ends, lines of at most 76 characters. */
void toc_mime_quoted_printable(struct toc_sv text, struct toc_buf *out);

struct toc_mime_address {
    struct toc_sv name; /* may be empty */
    struct toc_sv address;
};
/* "Name <a@b>" or "a@b". TOC_EINVAL. Borrowed from text. */
int toc_mime_parse_address(struct toc_sv text, struct toc_mime_address *out) TOC_MUST_CHECK;
/* As it stands in To: and From:. */
void toc_mime_format_address(const struct toc_mime_address *a, struct toc_buf *out);

#endif
