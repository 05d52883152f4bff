/* Which ports are listened on, and what an answer is. */
#ifndef TOC_COLLECT_DISCOVER_PRIV_H
#define TOC_COLLECT_DISCOVER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sv.h"
#include "codec/exposition.h"

struct discover_row {
    const char *kind, *name, *prefix, *path;
    uint16_t ports[2];
};
extern const struct discover_row toc_discover_rows[];
extern const size_t toc_discover_row_count;

struct discover_port {
    uint16_t port;
    bool is_v4; /* reachable as 127.0.0.1, else as [::1] */
};
/* Listening sockets that loopback reaches, from the text of /proc/net/tcp or tcp6. */
void toc_discover_parse_listeners(struct toc_sv text, bool is_v6,
                                  void (*fn)(void *ctx, struct discover_port p), void *ctx);
/* Index of the row whose prefix the first known metric has; -1 when the text is no exposition or
 * holds none. *out_is_metrics tells these two apart. */
int toc_discover_recognise(enum toc_exposition_format format, struct toc_sv body,
                           bool *out_is_metrics);

#endif
