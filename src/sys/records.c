#include "sys/records.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

struct toc_records {
    int fd;
};

int toc_records_open(const char *path, struct toc_records **out) {
    int fd;
    do
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *out = TOC_NEW(struct toc_records);
    (*out)->fd = fd;
    return 0;
}

int toc_records_pair(struct toc_records **out, int *out_fd) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
        return -errno;
    *out = TOC_NEW(struct toc_records);
    (*out)->fd = fds[0];
    *out_fd = fds[1];
    return 0;
}

void toc_records_close(struct toc_records **r) {
    if (!r || !*r)
        return;
    close((*r)->fd);
    toc_free(*r);
    *r = NULL;
}

int64_t toc_records_read(struct toc_records *r, void *out, size_t max) {
    ssize_t got;
    do
        got = read(r->fd, out, max);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

int toc_records_write(int fd, const void *record, size_t n) {
    return send(fd, record, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : -errno;
}

struct toc_ts toc_boot_time(void) {
    struct timespec wall, mono;
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    (void)clock_gettime(CLOCK_MONOTONIC, &mono);
    int64_t ns = (wall.tv_sec - mono.tv_sec) * INT64_C(1000000000) + wall.tv_nsec - mono.tv_nsec;
    return (struct toc_ts){ns / 1000000};
}
