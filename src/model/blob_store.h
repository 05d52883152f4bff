/*
 * Small named values that survive a restart: rule states, alert groups, detector states. The app wires it to
 * statedb, tests to memory.
 */
#ifndef TOC_MODEL_BLOB_STORE_H
#define TOC_MODEL_BLOB_STORE_H

#include "base/buf.h"
#include "base/sv.h"

/* Non-zero stops the walk and is returned by it. Views are borrowed for the call. */
typedef int toc_on_blob(void *ctx, struct toc_sv key, struct toc_sv value);

struct toc_blob_store {
    /* Durable when it returns 0. An empty value removes the key. */
    int (*put)(struct toc_blob_store *s, const char *ns, struct toc_sv key, struct toc_sv value);
    /* Appends the value to out. TOC_ENOENT when the key is absent. */
    int (*get)(struct toc_blob_store *s, const char *ns, struct toc_sv key, struct toc_buf *out);
    /* All pairs of a namespace, in key order. */
    int (*each)(struct toc_blob_store *s, const char *ns, toc_on_blob *fn, void *ctx);
};

#endif
