/* Socket addresses and listening sockets: what the network libraries need from the system. */
#ifndef TOC_SYS_SOCKET_H
#define TOC_SYS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attrs.h"
#include "base/error.h"
#include "base/sv.h"

struct sockaddr;

enum { TOC_PEER_TEXT_MAX = 64 };

/* A listening TCP socket on a numeric address (IPv4 or IPv6); port 0 takes any free one. The
 * descriptor, or TOC_EADDRINUSE, TOC_EACCES, TOC_EINVAL with one sentence. */
int toc_socket_listen(const char *host, uint16_t port, uint16_t *out_port,
                      struct toc_err *err) TOC_MUST_CHECK;
/* A socket for a library that connects it itself; -1 when there is none. */
int toc_socket_open(int family, int type, int protocol);
/* A connection to a numeric address, non-blocking; waits at most timeout_ms. 0, TOC_ECONNREFUSED,
 * TOC_ETIMEDOUT, TOC_EINVAL or another code; *out_fd is -1 then. */
int toc_socket_connect(const char *host, uint16_t port, int64_t timeout_ms,
                       int *out_fd) TOC_MUST_CHECK;
/* Writes all of it within timeout_ms. */
int toc_socket_write(int fd, struct toc_sv bytes, int64_t timeout_ms) TOC_MUST_CHECK;
void toc_socket_close(int fd);
/* Has the peer closed or reset the connection? Never waits, takes no byte off the socket. */
bool toc_socket_peer_is_gone(int fd);

/* A UDP socket on a numeric address with a large receive buffer, non-blocking; port 0 takes any
 * free one. The descriptor, or an error as of toc_socket_listen. */
int toc_socket_bind_datagrams(const char *host, uint16_t port, uint16_t *out_port,
                              struct toc_err *err) TOC_MUST_CHECK;
/* The next connection of a listener, non-blocking; negative when there is none. */
int toc_socket_accept(int listener);
enum { TOC_EAGAIN = -11 }; /* nothing there yet */
/* Bytes of the stream, or the length of the next datagram; 0: the peer has closed (or an empty
 * datagram); TOC_EAGAIN or another negative code. Never waits. */
int64_t toc_socket_read(int fd, void *out, size_t max);
/* Waits until one of them can be read (or has ended) or the time is up. Descriptors below 0 are
 * passed over. */
enum { TOC_SOCKET_WAIT_MAX = 256 };
void toc_socket_wait(const int *fds, size_t count, int64_t timeout_ms, bool *out_ready);

/* "127.0.0.1:54321" or "[::1]:54321". */
void toc_socket_format(const struct sockaddr *a, char out[TOC_PEER_TEXT_MAX]);
/* 127.0.0.0/8, ::1 and its IPv4-mapped form. */
bool toc_socket_is_loopback(const struct sockaddr *a);
/* Loopback, link-local, private, unique-local, multicast, unspecified, carrier-grade NAT (RFC 1918,
 * 3927, 4193, 6598, 6890): what a request made for somebody else must not reach. */
bool toc_socket_is_private(const struct sockaddr *a);
/* Is `host` a numeric loopback address? */
bool toc_host_is_loopback(const char *host);

#endif
