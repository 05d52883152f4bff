/* Live events (server-sent events): whatever happens is published once and read by every open
 * stream. */
#ifndef TOC_API_EVENTS_H
#define TOC_API_EVENTS_H

#include "base/sv.h"
#include "net/http_server.h"

struct toc_api_events;

struct toc_api_events *toc_api_events_new(void);
/* All streams must have been closed. */
void toc_api_events_free(struct toc_api_events **e);
/* type: "incident", "alert", "status", "finding"; json: one object on one line. Any thread. A
 * stream that is more than 256 events behind loses the oldest and is told so by an event "lost". */
void toc_api_events_publish(struct toc_api_events *e, const char *type, struct toc_sv json);
/* A new stream from now on; TOC_ELIMIT over 64 streams. */
int toc_api_events_open(struct toc_api_events *e, struct toc_http_stream *out) TOC_MUST_CHECK;

#endif
