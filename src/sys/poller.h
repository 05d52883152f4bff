/* Waiting for many sockets at once, at a cost that does not grow with those that are silent. One
 * thread per poller; only toc_poller_wake may be called from others. */
#ifndef TOC_SYS_POLLER_H
#define TOC_SYS_POLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct toc_poller; /* opaque */
/* NULL when the kernel gives none. */
struct toc_poller *toc_poller_new(void);
/* NULL is accepted. */
void toc_poller_free(struct toc_poller **p);
/* What is wanted of a socket from now on. 0 or a negative TOC_E… */
int toc_poller_set(struct toc_poller *p, int fd, bool wants_read, bool wants_write);
/* No effect when it is not there, or closed already. */
void toc_poller_remove(struct toc_poller *p, int fd);

struct toc_poller_event {
    int fd;
    bool can_read, can_write, has_failed;
};
/* Waits for events, for timeout_ms at most; returns how many there are. */
size_t toc_poller_wait(struct toc_poller *p, int64_t timeout_ms, struct toc_poller_event *out,
                       size_t max);
/* The wait under way, or the next one, ends at once. From any thread. */
void toc_poller_wake(struct toc_poller *p);

#endif
