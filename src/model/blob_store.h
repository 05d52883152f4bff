/*
 * Where modules without a database of their own keep small state (detector models, rule and alert
 * state): named values in namespaces, each write durable when it returns. Any thread.
 */
#ifndef TOC_MODEL_BLOB_STORE_H
#define TOC_MODEL_BLOB_STORE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

/* Non-zero stops the walk and is returned by it. Views are borrowed for the call. */
typedef int toc_on_blob(void *ctx, struct toc_sv key, struct toc_sv value);

struct toc_blob_store {
    /* Stores or replaces; an empty value removes the key. */
    int (*put)(struct toc_blob_store *s, const char *ns, struct toc_sv key, struct toc_sv value,
               struct toc_err *err);
    /* Appends the value to out; TOC_ENOENT (without a message) when absent. */
    int (*get)(struct toc_blob_store *s, const char *ns, struct toc_sv key, struct toc_buf *out,
               struct toc_err *err);
    /* Removing what is not there succeeds. */
    int (*remove)(struct toc_blob_store *s, const char *ns, struct toc_sv key, struct toc_err *err);
    /* Each pair of the namespace in key order; non-zero from fn stops and is returned. */
    int (*each)(struct toc_blob_store *s, const char *ns, toc_on_blob *fn, void *ctx,
                struct toc_err *err);
};

#endif
