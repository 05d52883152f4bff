/*
 * The one error idiom: a function that can fail returns 0 or a negative TOC_E… code. Where a person
 * reads the reason, the last parameter is a `struct toc_err *` (NULL is accepted) which the layer
 * that knows the context fills once. Codes -1…-199 are errno values negated; the table below
 * follows.
 */
#ifndef TOC_BASE_ERROR_H
#define TOC_BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#include "base/attrs.h"

/* X(name, value, text): the single list of codes, from which texts and documentation are derived.
 */
#define TOC_ERROR_TABLE(X)                                    \
    X(TOC_ENOMEM, -12, "out of memory")                       \
    X(TOC_EIO, -5, "input/output error")                      \
    X(TOC_ENOENT, -2, "not found")                            \
    X(TOC_EEXIST, -17, "already exists")                      \
    X(TOC_EACCES, -13, "permission denied")                   \
    X(TOC_ENOSPC, -28, "no space left on device")             \
    X(TOC_EBUSY, -16, "busy")                                 \
    X(TOC_EINVAL, -22, "invalid argument")                    \
    X(TOC_EADDRINUSE, -98, "address already in use")          \
    X(TOC_ECONNREFUSED, -111, "connection refused")           \
    X(TOC_ETIMEDOUT, -110, "timed out")                       \
    X(TOC_ECANCELED, -125, "cancelled")                       \
    X(TOC_EPARSE, -200, "malformed input")                    \
    X(TOC_ELIMIT, -201, "limit exceeded")                     \
    X(TOC_ETYPE, -202, "wrong type")                          \
    X(TOC_ECORRUPT, -203, "corrupt data")                     \
    X(TOC_EVERSION, -204, "unsupported version")              \
    X(TOC_ETRUNCATED, -205, "truncated data")                 \
    X(TOC_EUNKNOWN_KEY, -206, "unknown key")                  \
    X(TOC_ELOCKED, -207, "locked by another process")         \
    X(TOC_EUNSUPPORTED, -208, "not supported")                \
    X(TOC_EDUPLICATE, -209, "duplicate")                      \
    X(TOC_EOUT_OF_ORDER, -210, "out of order")                \
    X(TOC_ETOO_OLD, -211, "too old")                          \
    X(TOC_ECONFLICT, -212, "conflict with the current state") \
    X(TOC_EAUTH, -213, "not authenticated")                   \
    X(TOC_EFORBIDDEN, -214, "not allowed")                    \
    X(TOC_EUNAVAILABLE, -215, "unavailable")                  \
    X(TOC_EPROTOCOL, -216, "protocol error")                  \
    X(TOC_ENODATA, -217, "not enough data")                   \
    X(TOC_EREJECTED, -218, "rejected by the receiver")        \
    X(TOC_EEND, -219, "end of data")

enum toc_error {
#define X(name, value, text) name = (value),
    TOC_ERROR_TABLE(X)
#undef X
};

enum { TOC_ERR_MESSAGE_MAX = 512 };

/* A reason for people. Plain data: copy freely. An all-zero value means "no error". */
struct toc_err {
    int code;                          /* TOC_E…, 0 when none */
    int line;                          /* 1-based position in the input, 0 when it has none */
    int column;                        /* 1-based, 0 when unknown */
    char message[TOC_ERR_MESSAGE_MAX]; /* NUL-terminated, truncated with "…" when too long */
};

/* Static text of a code; errno texts for -1…-199; never NULL. */
const char *toc_strerror(int code);
/* Stable name such as "TOC_EPARSE", or "TOC_E?" for a code without an entry. */
const char *toc_error_name(int code);

/* Fills *err (when not NULL) unless it already holds an error, and returns `code`. */
int toc_errf(struct toc_err *err, int code, const char *fmt, ...) TOC_PRINTF(3, 4);
/* The same with a position in the input. */
int toc_err_at(struct toc_err *err, int code, int line, int column, const char *fmt, ...)
    TOC_PRINTF(5, 6);
/* Puts context before the message that is there ("rule file x.yml: " …); returns err->code. */
int toc_err_prefix(struct toc_err *err, const char *fmt, ...) TOC_PRINTF(2, 3);
void toc_err_reset(struct toc_err *err);

#endif
