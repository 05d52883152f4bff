#include "sys/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"

enum { EVENTS_MAX = 256 };

struct toc_poller {
    int epoll, wake;
};

struct toc_poller *toc_poller_new(void) {
    struct toc_poller *p = TOC_NEW(struct toc_poller);
    p->epoll = epoll_create1(EPOLL_CLOEXEC);
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->epoll < 0 || p->wake < 0 || toc_poller_set(p, p->wake, true, false) < 0)
        toc_poller_free(&p);
    return p;
}

void toc_poller_free(struct toc_poller **pp) {
    struct toc_poller *p = *pp;
    if (!p)
        return;
    if (p->epoll >= 0)
        close(p->epoll);
    if (p->wake >= 0)
        close(p->wake);
    toc_free(p);
    *pp = NULL;
}

int toc_poller_set(struct toc_poller *p, int fd, bool wants_read, bool wants_write) {
    struct epoll_event e = {.events = (wants_read ? EPOLLIN : 0u) | (wants_write ? EPOLLOUT : 0u),
                            .data.fd = fd};
    if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &e) == 0)
        return 0;
    if (errno == EEXIST && epoll_ctl(p->epoll, EPOLL_CTL_MOD, fd, &e) == 0)
        return 0;
    return -errno;
}

void toc_poller_remove(struct toc_poller *p, int fd) {
    struct epoll_event e = {0};
    (void)epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, &e);
}

static void clear_wake(struct toc_poller *p) {
    uint64_t count;
    while (read(p->wake, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

size_t toc_poller_wait(struct toc_poller *p, int64_t timeout_ms, struct toc_poller_event *out,
                       size_t max) {
    struct epoll_event events[EVENTS_MAX];
    size_t n = 0;
    int limit = max < EVENTS_MAX ? (int)max : EVENTS_MAX;
    int got = epoll_wait(p->epoll, events, limit, timeout_ms > 0 ? (int)timeout_ms : 0);
    for (int i = 0; i < got; i++) {
        if (events[i].data.fd == p->wake) {
            clear_wake(p);
            continue;
        }
        out[n++] = (struct toc_poller_event){.fd = events[i].data.fd,
                                             .can_read = (events[i].events & EPOLLIN) != 0,
                                             .can_write = (events[i].events & EPOLLOUT) != 0,
                                             .has_failed =
                                                 (events[i].events & (EPOLLERR | EPOLLHUP)) != 0};
    }
    return n;
}

void toc_poller_wake(struct toc_poller *p) {
    uint64_t one = 1;
    while (write(p->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}
