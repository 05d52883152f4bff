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

/* One change of several; an empty value removes the key. */
struct toc_blob_change {
    const char *ns;
    struct toc_sv key, value;
};

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
    /* All changes or none, durable when it returns. May be NULL: then they are made one by one. */
    int (*apply)(struct toc_blob_store *s, const struct toc_blob_change *changes, size_t count,
                 struct toc_err *err);
};

static inline int toc_blob_store_apply(struct toc_blob_store *s,
                                       const struct toc_blob_change *changes, size_t count,
                                       struct toc_err *err) {
    int rc = 0;
    if (s->apply)
        return s->apply(s, changes, count, err);
    for (size_t i = 0; i < count && !rc; i++) {
        const struct toc_blob_change *c = &changes[i];
        rc =
            c->value.n ? s->put(s, c->ns, c->key, c->value, err) : s->remove(s, c->ns, c->key, err);
    }
    return rc;
}

#endif
