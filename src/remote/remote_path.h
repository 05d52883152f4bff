/*
 * Where samples of remote write come from, so that a loop is noticed: each server has a number,
 * drawn at its start, and says with every message its own and those of the servers that it has
 * itself received from in the last ten minutes (a path vector of servers, not of samples, which do
 * not remember their way):
 *
 *     X-Tocsin-Senders: 0123456789abcdef, 00112233445566ff;12
 *                       the sender        it hears from, 12 seconds ago
 *
 * The seconds add up from server to server, so that what nobody hears any more ends in circles,
 * too.
 *
 * A message whose sender is this server is refused: what is in it is here. One whose sender hears
 * from this server is taken, for the two may send each other different series; it is told and
 * counted. Senders of other makes do not say the header and pass. Thread-safe.
 */
#ifndef TOC_REMOTE_REMOTE_PATH_H
#define TOC_REMOTE_REMOTE_PATH_H

#include <stdint.h>

#include "base/buf.h"
#include "base/sv.h"
#include "sys/clock.h"

#define TOC_REMOTE_PATH_HEADER "X-Tocsin-Senders"

enum {
    TOC_REMOTE_PATH_ID_CHARS = 16,
    TOC_REMOTE_PATH_HEARD_MAX = 32, /* servers remembered and told; the one heard last stays */
    TOC_REMOTE_PATH_HEARD_MS = 10 * 60 * 1000,
};

enum toc_remote_way {
    TOC_REMOTE_WAY_FREE, /* nothing known against it */
    TOC_REMOTE_WAY_OWN,  /* this server sent it */
    TOC_REMOTE_WAY_LOOP, /* its sender hears from this server */
};

struct toc_remote_path; /* opaque */
struct toc_remote_path *toc_remote_path_new(struct toc_clock *clock);
/* NULL is accepted. */
void toc_remote_path_free(struct toc_remote_path **p);

/* A message with this value of the header (empty: none) has come from `peer`. What is no number in
 * it is passed over. Logs the first message of a loop. */
enum toc_remote_way toc_remote_path_meet(struct toc_remote_path *p, struct toc_sv header,
                                         struct toc_sv peer);
/* The whole header line of a message that goes out now; replaces what is in `out`. */
void toc_remote_path_write(struct toc_remote_path *p, struct toc_buf *out);

struct toc_remote_path_stats {
    uint64_t refused; /* messages of this server's own */
    size_t loops;     /* senders that hear from this server, now */
};
void toc_remote_path_stats(struct toc_remote_path *p, struct toc_remote_path_stats *out);

#endif
