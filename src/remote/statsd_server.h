/*
 * Listens for StatsD on a UDP and a TCP address, feeds what comes to the state and flushes it at
 * its interval; one thread. A packet that the kernel had no room for is not seen here.
 */
#ifndef TOC_REMOTE_STATSD_SERVER_H
#define TOC_REMOTE_STATSD_SERVER_H

#include "remote/statsd_state.h"

enum { TOC_STATSD_CONNECTIONS_MAX = 64, TOC_STATSD_HOST_MAX = 64 };

/* Plain data. A port of 0 is off. */
struct toc_statsd_options {
    struct toc_statsd_address {
        char host[TOC_STATSD_HOST_MAX];
        uint16_t port;
        bool is_on;
    } udp, tcp;
    int64_t flush_ms;
    struct toc_statsd_limits limits;
};

struct toc_statsd_server;
/* TOC_EADDRINUSE, TOC_EACCES, TOC_EINVAL with a sentence. */
int toc_statsd_server_start(const struct toc_statsd_options *o, struct toc_sink *sink,
                            struct toc_clock *clock, struct toc_statsd_server **out,
                            struct toc_err *err) TOC_MUST_CHECK;
/* Flushes a last time and frees. NULL is accepted. */
void toc_statsd_server_stop(struct toc_statsd_server **s);

struct toc_statsd_server_stats {
    struct toc_statsd_stats state;
    uint64_t connections, refused_connections;
    uint16_t udp_port, tcp_port;
};
void toc_statsd_server_stats(struct toc_statsd_server *s, struct toc_statsd_server_stats *out);

#endif
