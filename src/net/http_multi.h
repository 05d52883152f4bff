/*
 * Many HTTP requests at once on one thread: each is started, and its end is told by a callback from
 * toc_http_multi_poll. Connections are kept alive and shared by all. Built on libcurl's multi
 * interface; a slow peer holds nobody up.
 */
#ifndef TOC_NET_HTTP_MULTI_H
#define TOC_NET_HTTP_MULTI_H

#include "net/http_client.h"

struct toc_http_multi; /* one per thread; only toc_http_multi_wake may be called from others */

/* At most max_connections are kept open while nobody uses them. NULL without memory. */
struct toc_http_multi *toc_http_multi_new(size_t max_connections);
/* No request may be under way. NULL is accepted. */
void toc_http_multi_free(struct toc_http_multi **m);

/* rc and err as toc_http_perform; the result is the one given to start. */
typedef void toc_on_http_done(void *ctx, int rc, const struct toc_err *err);

/* Begins. The call with everything it points at, and the result, stay valid until fn was called,
 * which never happens before this returns. Room that result->body has is used. An error: fn is not
 * called. */
int toc_http_multi_start(struct toc_http_multi *m, const struct toc_http_call *call,
                         struct toc_http_result *result, toc_on_http_done *fn, void *ctx,
                         struct toc_err *err) TOC_MUST_CHECK;
/* Waits until something happens, for wait_ms at most; calls what has ended. */
void toc_http_multi_poll(struct toc_http_multi *m, int64_t wait_ms);
/* The wait under way, or the next one, ends at once. From any thread. */
void toc_http_multi_wake(struct toc_http_multi *m);
size_t toc_http_multi_running(const struct toc_http_multi *m);

#endif
