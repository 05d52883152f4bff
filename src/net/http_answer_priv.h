/* From a handler's response to libmicrohttpd's: coding, streams, headers. */
#ifndef TOC_NET_HTTP_ANSWER_PRIV_H
#define TOC_NET_HTTP_ANSWER_PRIV_H

#include <stdatomic.h>

#include "net/http_request_priv.h"
#include "sys/thread.h"

struct MHD_Response;

/* What answers under way share with the server. */
struct answers {
    struct toc_event stopping; /* set once: ends streams */
    struct toc_mutex wake_mutex;
    struct toc_cond wake; /* streams wait on it */
    atomic_ullong bytes_out;
};

/* Takes the body, stream or producer of `res`. */
struct MHD_Response *toc_http_answer(struct answers *a, const struct request *r,
                                     struct toc_http_response *res);

#endif
