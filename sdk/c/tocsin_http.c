/* A body of lines to the daemon, or to a file. Apache-2.0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tocsin_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IO_TIMEOUT_MS = 5000, ANSWER_MAX_BYTES = 4096 };

static bool wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, IO_TIMEOUT_MS);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

void tocsin_disconnect(struct tocsin_run *run) {
    if (run->fd >= 0)
        close(run->fd);
    run->fd = -1;
}

static bool try_address(struct tocsin_run *run, const struct addrinfo *a) {
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 &&
        (errno != EINPROGRESS || !wait_for(fd, POLLOUT) ||
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)) {
        close(fd);
        return false;
    }
    run->fd = fd;
    return true;
}

static bool connect_daemon(struct tocsin_run *run) {
    if (run->fd >= 0)
        return true;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(run->host, run->port, &hints, &list) != 0)
        return false;
    bool is_connected = false;
    for (struct addrinfo *a = list; a && !is_connected; a = a->ai_next)
        is_connected = try_address(run, a);
    freeaddrinfo(list);
    return is_connected;
}

static bool send_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(fd, POLLOUT))
                return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Reads one answer; its status, or 0 when the connection broke. Bodies are small and are read so
 * that the connection can be used again; one without a length closes it. */
static int read_answer(struct tocsin_run *run) {
    char answer[ANSWER_MAX_BYTES + 1];
    size_t n = 0;
    char *body = NULL;
    while (!body) {
        if (n == ANSWER_MAX_BYTES || !wait_for(run->fd, POLLIN))
            return 0;
        ssize_t got = recv(run->fd, answer + n, ANSWER_MAX_BYTES - n, 0);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return 0;
        n += got > 0 ? (size_t)got : 0;
        answer[n] = 0;
        body = strstr(answer, "\r\n\r\n");
    }
    int status = 0;
    if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1)
        return 0;
    *body = 0;
    const char *length = strcasestr(answer, "\r\ncontent-length:");
    size_t have = n - (size_t)(body + 4 - answer);
    size_t want = length ? strtoul(length + 17, NULL, 10) : 0;
    bool is_empty = status == 204 || want == have;
    if (!is_empty || strcasestr(answer, "\r\nconnection: close"))
        tocsin_disconnect(run); /* cheaper than draining a refusal */
    return status;
}

static int post_once(struct tocsin_run *run, const char *body, size_t n) {
    if (!connect_daemon(run))
        return 0;
    char head[2048];
    int m = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: application/x-ndjson\r\n"
                     "Content-Length: %zu\r\n%s%s%s\r\n",
                     run->path_prefix, run->host, run->port, n,
                     run->token ? "Authorization: Bearer " : "", run->token ? run->token : "",
                     run->token ? "\r\n" : "");
    int status = 0;
    if (m > 0 && (size_t)m < sizeof head && send_all(run->fd, head, (size_t)m) &&
        send_all(run->fd, body, n))
        status = read_answer(run);
    if (status == 0)
        tocsin_disconnect(run);
    return status;
}

enum tocsin_outcome tocsin_post(struct tocsin_run *run, const char *body, size_t n) {
    bool was_connected = run->fd >= 0;
    int status = post_once(run, body, n);
    /* The daemon may have closed an idle connection; repeating is safe, lines are numbered. */
    if (status == 0 && was_connected)
        status = post_once(run, body, n);
    if (status >= 200 && status < 300)
        return TOCSIN_SENT;
    if (status == 0 || status == 408 || status == 429 || status >= 500)
        return TOCSIN_NOT_NOW;
    return TOCSIN_REFUSED;
}

enum tocsin_outcome tocsin_append(struct tocsin_run *run, const char *body, size_t n) {
    if (run->fd < 0)
        run->fd = open(run->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (run->fd < 0)
        return TOCSIN_NOT_NOW;
    /* One write for whole lines: a reader never sees half of one followed by another. */
    return write(run->fd, body, n) == (ssize_t)n ? TOCSIN_SENT : TOCSIN_REFUSED;
}
