/* MD5 (RFC 1321): not for security, only because the action hashmod is defined by it. */
#ifndef TOC_COLLECT_RELABEL_PRIV_H
#define TOC_COLLECT_RELABEL_PRIV_H

#include <stdint.h>

#include "base/sv.h"

/* The last eight bytes of the digest as a big-endian number. */
uint64_t toc_relabel_md5_tail(struct toc_sv s);

#endif
