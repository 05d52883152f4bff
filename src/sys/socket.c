#include "sys/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t parse_host(const char *host, uint16_t port, union address *out) {
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        return sizeof out->v4;
    }
    char bare[INET6_ADDRSTRLEN];
    size_t n = strlen(host);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']' && n - 2 < sizeof bare) {
        memcpy(bare, host + 1, n - 2);
        bare[n - 2] = 0;
        host = bare;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        return sizeof out->v6;
    }
    return 0;
}

static int fail_listen(const char *host, uint16_t port, int fd, struct toc_err *err) {
    int rc = -errno;
    if (fd >= 0)
        close(fd);
    if (rc == TOC_EADDRINUSE)
        return toc_errf(err, rc,
                        "%s port %u is in use by another program: stop it, or choose another "
                        "address with --listen HOST:PORT",
                        host, port);
    if (rc == TOC_EACCES)
        return toc_errf(err, rc,
                        "not allowed to listen on %s port %u: ports below 1024 need privileges; "
                        "choose another with --listen HOST:PORT",
                        host, port);
    return toc_errf(err, rc, "cannot listen on %s port %u: %s", host, port, toc_strerror(rc));
}

int toc_socket_listen(const char *host, uint16_t port, uint16_t *out_port, struct toc_err *err) {
    union address a;
    socklen_t size = parse_host(host, port, &a);
    if (size == 0)
        return toc_errf(err, TOC_EINVAL, "\"%s\" is not a numeric IPv4 or IPv6 address", host);
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_listen(host, port, fd, err);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, &a.any, size) != 0 || listen(fd, 512) != 0 || getsockname(fd, &a.any, &size) != 0)
        return fail_listen(host, port, fd, err);
    *out_port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
    return fd;
}

int toc_socket_bind_datagrams(const char *host, uint16_t port, uint16_t *out_port,
                              struct toc_err *err) {
    enum { RECEIVE_BYTES = 4 << 20 };
    union address a;
    socklen_t size = parse_host(host, port, &a);
    if (size == 0)
        return toc_errf(err, TOC_EINVAL, "\"%s\" is not a numeric IPv4 or IPv6 address", host);
    int fd = socket(a.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_listen(host, port, fd, err);
    int bytes = RECEIVE_BYTES, one = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); /* as much as the kernel allows */
    if (a.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (bind(fd, &a.any, size) != 0 || getsockname(fd, &a.any, &size) != 0)
        return fail_listen(host, port, fd, err);
    *out_port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
    return fd;
}

int toc_socket_accept(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int64_t toc_socket_read(int fd, void *out, size_t max) {
    ssize_t n;
    do
        n = recv(fd, out, max, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void toc_socket_wait(const int *fds, size_t count, int64_t timeout_ms, bool *out_ready) {
    struct pollfd polled[TOC_SOCKET_WAIT_MAX];
    count = count < TOC_SOCKET_WAIT_MAX ? count : TOC_SOCKET_WAIT_MAX;
    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    int n = poll(polled, count, (int)timeout_ms);
    for (size_t i = 0; i < count; i++)
        out_ready[i] = n > 0 && polled[i].revents;
}

/* Until the socket can be written to, or the time is up. */
static int wait_writable(int fd, int64_t timeout_ms) {
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;
    do
        n = poll(&p, 1, timeout_ms > 0 ? (int)timeout_ms : 0);
    while (n < 0 && errno == EINTR);
    return n > 0 ? 0 : n == 0 ? TOC_ETIMEDOUT : -errno;
}

static int finish_connect(int fd, int64_t timeout_ms) {
    int failed = 0, rc = wait_writable(fd, timeout_ms);
    socklen_t size = sizeof failed;
    if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0)
        rc = -errno;
    return rc ? rc : -failed;
}

int toc_socket_connect(const char *host, uint16_t port, int64_t timeout_ms, int *out_fd) {
    union address a;
    socklen_t size = parse_host(host, port, &a);
    *out_fd = -1;
    if (size == 0)
        return TOC_EINVAL;
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int rc = connect(fd, &a.any, size) == 0 ? 0 : -errno;
    if (rc == -EINPROGRESS)
        rc = finish_connect(fd, timeout_ms);
    if (rc == 0)
        *out_fd = fd;
    else
        close(fd);
    return rc;
}

int toc_socket_write(int fd, struct toc_sv bytes, int64_t timeout_ms) {
    while (bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (n < 0 && errno == EAGAIN) {
            int rc = wait_writable(fd, timeout_ms);
            if (rc)
                return rc;
        }
        if (n > 0)
            bytes = toc_sv_sub(bytes, (size_t)n, SIZE_MAX);
    }
    return 0;
}

int toc_socket_open(int family, int type, int protocol) {
    return socket(family, type | SOCK_CLOEXEC, protocol);
}

void toc_socket_close(int fd) {
    if (fd >= 0)
        close(fd);
}

bool toc_socket_peer_is_gone(int fd) {
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void toc_socket_format(const struct sockaddr *a, char out[TOC_PEER_TEXT_MAX]) {
    char host[INET6_ADDRSTRLEN] = "?";
    const union address *u = (const union address *)a;
    if (a && a->sa_family == AF_INET) {
        inet_ntop(AF_INET, &u->v4.sin_addr, host, sizeof host);
        snprintf(out, TOC_PEER_TEXT_MAX, "%s:%u", host, ntohs(u->v4.sin_port));
    } else if (a && a->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &u->v6.sin6_addr, host, sizeof host);
        snprintf(out, TOC_PEER_TEXT_MAX, "[%s]:%u", host, ntohs(u->v6.sin6_port));
    } else {
        snprintf(out, TOC_PEER_TEXT_MAX, "?");
    }
}

/* The IPv4 address in host order, also of ::ffff:a.b.c.d; false for any other IPv6 address. */
static bool as_v4(const struct sockaddr *a, uint32_t *out) {
    const union address *u = (const union address *)a;
    if (a->sa_family == AF_INET) {
        *out = ntohl(u->v4.sin_addr.s_addr);
        return true;
    }
    if (a->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&u->v6.sin6_addr)) {
        const uint8_t *b = u->v6.sin6_addr.s6_addr + 12;
        *out = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
        return true;
    }
    return false;
}

bool toc_socket_is_loopback(const struct sockaddr *a) {
    uint32_t v4;
    if (as_v4(a, &v4))
        return v4 >> 24 == 127;
    return a->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const union address *)a)->v6.sin6_addr);
}

static bool v4_is_private(uint32_t a) {
    static const struct {
        uint32_t network;
        unsigned bits;
    } ranges[] = {
        {0x00000000, 8},  /* this host */
        {0x0a000000, 8},  /* 10/8 */
        {0x64400000, 10}, /* 100.64/10 */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link-local, cloud metadata */
        {0xac100000, 12}, /* 172.16/12 */
        {0xc0000000, 24}, /* protocol assignments */
        {0xc0a80000, 16}, /* 192.168/16 */
        {0xc6120000, 15}, /* benchmarking */
        {0xe0000000, 3},  /* multicast, reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (a >> (32 - ranges[i].bits) == ranges[i].network >> (32 - ranges[i].bits))
            return true;
    return false;
}

bool toc_socket_is_private(const struct sockaddr *a) {
    uint32_t v4;
    if (as_v4(a, &v4))
        return v4_is_private(v4);
    if (a->sa_family != AF_INET6)
        return true; /* not the Internet at all */
    const struct in6_addr *v6 = &((const union address *)a)->v6.sin6_addr;
    const uint8_t *b = v6->s6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_UNSPECIFIED(v6) || IN6_IS_ADDR_LINKLOCAL(v6) ||
           IN6_IS_ADDR_MULTICAST(v6) || (b[0] & 0xfe) == 0xfc;
}

bool toc_host_is_loopback(const char *host) {
    union address a;
    return parse_host(host, 0, &a) != 0 && toc_socket_is_loopback(&a.any);
}
