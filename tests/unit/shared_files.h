/* Finds the shared conformance files: $TOCSIN_SHARED, else ../shared beside the checkout. */
#ifndef TOC_TESTS_SHARED_FILES_H
#define TOC_TESTS_SHARED_FILES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

/* False when it is not there. */
static inline bool read_file(const char *path, struct toc_buf *out) {
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        toc_buf_append(out, chunk, n);
    (void)fclose(f);
    return true;
}

static inline bool read_shared(const char *name, struct toc_buf *out) {
    static const char *const roots[] = {"../shared", "../../shared", "../../../shared"};
    char path[600];
    const char *root = getenv("TOCSIN_SHARED");
    (void)snprintf(path, sizeof path, "%s/%s", root ? root : roots[0], name);
    if (read_file(path, out))
        return true;
    for (size_t i = 0; i < 3 && !root; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", roots[i], name);
        if (read_file(path, out))
            return true;
    }
    return false;
}

#endif
