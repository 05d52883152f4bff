/*
 * Many targets in one small program: TARGETS addresses of 127.0.0.0/8 on one port, each with SERIES
 * series, and a list of them for http_sd. It notes who asked which target when.
 *
 * usage: scrape_targets PORT TARGETS SERIES
 *   GET /metrics            the samples of the address that was asked
 *   GET /targets            the list; each target is a group of its own
 *   GET /replace            the last target moves to another address; answers the new address
 *   GET /arrivals?AGENT     "TARGET MICROSECONDS" of each request by a client whose name has AGENT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_MAX = 4096, EVENTS = 256, PER_SUBNET = 250 };

struct connection {
    int fd;
    unsigned target;
    size_t have;
    char request[REQUEST_MAX];
    char *out; /* what the socket did not take yet */
    size_t out_n, out_at;
};

struct arrival {
    int64_t us;
    unsigned target;
    bool is_peer; /* Prometheus, else tocsin */
};

static struct {
    unsigned port, targets, series, moved;
    int epoll;
    struct arrival *arrivals;
    size_t count, capacity;
    char *body;
    size_t body_capacity;
} g;

static void *grow(void *p, size_t n) {
    p = realloc(p, n);
    if (!p)
        abort();
    return p;
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* 127.1.0.1 is target 0. */
static void address_of(unsigned target, char out[32]) {
    snprintf(out, 32, "127.%u.%u.%u", 1 + target / PER_SUBNET / 256, target / PER_SUBNET % 256,
             target % PER_SUBNET + 1);
}

static unsigned target_of(uint32_t address) {
    return (((address >> 16 & 255) - 1) * 256 + (address >> 8 & 255)) * PER_SUBNET +
           (address & 255) - 1;
}

static void need(size_t n) {
    if (n > g.body_capacity)
        g.body = grow(g.body, g.body_capacity = n * 2);
}

static size_t metrics(unsigned target) {
    static uint64_t value;
    size_t n = 0;
    need((size_t)g.series * 128 + 1);
    for (unsigned i = 0; i < g.series; i++)
        n += (size_t)sprintf(g.body + n, "bench_metric_%u_total{device=\"%u\",kind=\"gpu\"} %llu\n",
                             i / 4, i % 4, (unsigned long long)(value++ / 7 + target));
    return n;
}

static size_t list(void) {
    size_t n = 1;
    need((size_t)g.targets * 96 + 16);
    g.body[0] = '[';
    for (unsigned i = 0; i < g.targets; i++) {
        char address[32];
        address_of(i == g.targets - 1 ? i + g.moved : i, address);
        n +=
            (size_t)sprintf(g.body + n, "%s{\"targets\":[\"%s:%u\"],\"labels\":{\"node\":\"n%u\"}}",
                            i ? "," : "", address, g.port, i);
    }
    g.body[n++] = ']';
    return n;
}

static size_t replace(void) {
    char address[32];
    g.moved++;
    address_of(g.targets - 1 + g.moved, address);
    need(64);
    return (size_t)sprintf(g.body, "%s:%u", address, g.port);
}

static size_t tell_arrivals(bool is_peer) {
    size_t n = 0;
    need(g.count * 32 + 1);
    for (size_t i = 0; i < g.count; i++)
        if (g.arrivals[i].is_peer == is_peer)
            n += (size_t)sprintf(g.body + n, "%u %lld\n", g.arrivals[i].target,
                                 (long long)g.arrivals[i].us);
    return n;
}

static void note(const struct connection *c) {
    if (g.count == g.capacity)
        g.arrivals = grow(g.arrivals, (g.capacity = g.capacity * 2 + 1024) * sizeof *g.arrivals);
    g.arrivals[g.count++] =
        (struct arrival){now_us(), c->target, strstr(c->request, "Prometheus/") != NULL};
}

static void close_connection(struct connection *c) {
    close(c->fd);
    free(c->out);
    free(c);
}

static bool flush_out(struct connection *c) {
    while (c->out_at < c->out_n) {
        ssize_t n = send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        c->out_at += (size_t)n;
    }
    return true;
}

static void answer(struct connection *c) {
    const char *type = "text/plain; version=0.0.4";
    size_t n;
    if (strncmp(c->request, "GET /metrics", 12) == 0) {
        note(c);
        n = metrics(c->target);
    } else if (strncmp(c->request, "GET /targets", 12) == 0) {
        type = "application/json";
        n = list();
    } else if (strncmp(c->request, "GET /replace", 12) == 0) {
        n = replace();
    } else {
        n = tell_arrivals(strncmp(c->request, "GET /arrivals?Prometheus", 24) == 0);
    }
    c->out = grow(c->out, n + 256);
    c->out_at = 0;
    c->out_n = (size_t)sprintf(
        c->out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, n);
    memcpy(c->out + c->out_n, g.body, n);
    c->out_n += n;
}

static bool serve(struct connection *c) {
    ssize_t n = recv(c->fd, c->request + c->have, REQUEST_MAX - 1 - c->have, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return false;
    c->have += n > 0 ? (size_t)n : 0;
    c->request[c->have] = 0;
    if (strstr(c->request, "\r\n\r\n")) {
        answer(c);
        c->have = 0;
    }
    return flush_out(c) && c->have < REQUEST_MAX - 1;
}

static void accept_all(int listener) {
    for (;;) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct sockaddr_in a;
        socklen_t size = sizeof a;
        struct connection *c = calloc(1, sizeof *c);
        if (!c || getsockname(fd, (struct sockaddr *)&a, &size) != 0)
            abort();
        c->fd = fd;
        c->target = target_of(ntohl(a.sin_addr.s_addr));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        epoll_ctl(g.epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: scrape_targets PORT TARGETS SERIES\n");
        return 2;
    }
    g.port = (unsigned)atoi(argv[1]);
    g.targets = (unsigned)atoi(argv[2]);
    g.series = (unsigned)atoi(argv[3]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)g.port)};
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 4096) != 0) {
        perror("scrape_targets");
        return 1;
    }
    g.epoll = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(g.epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(g.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                accept_all(listener);
            else if (!serve(c))
                close_connection(c);
        }
    }
}
