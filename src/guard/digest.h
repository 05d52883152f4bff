/* Plain digests, where a format asks for one. */
#ifndef TOC_GUARD_DIGEST_H
#define TOC_GUARD_DIGEST_H

#include "base/sv.h"

enum { TOC_SHA256_TEXT = 65 };
/* SHA-256 in lower-case hexadecimal, NUL-terminated. */
void toc_sha256_text(struct toc_sv in, char out[TOC_SHA256_TEXT]);

#endif
