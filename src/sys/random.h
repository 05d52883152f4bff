/* Unpredictable bytes for secrets and identifiers, from the kernel. */
#ifndef TOC_SYS_RANDOM_H
#define TOC_SYS_RANDOM_H

#include <stddef.h>

/* Fills p; aborts when the kernel has none (it always has on Linux >= 3.17). */
void toc_random_bytes(void *p, size_t n);

#endif
