#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void toc_assert_failed(const char *what, const char *file, int line) {
    fprintf(stderr, "tocsin: assertion failed: %s (%s:%d)\n", what, file, line);
    abort();
}
