#include "sys/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/assert.h"

void toc_random_bytes(void *p, size_t n) {
    char *to = p;
    while (n) {
        ssize_t got = getrandom(to, n, 0);
        TOC_ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            to += got;
            n -= (size_t)got;
        }
    }
}
