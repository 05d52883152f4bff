/* Child processes, limits of this process, and the signals that stop or reload the daemon. */
#ifndef TOC_SYS_PROCESS_H
#define TOC_SYS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attrs.h"

struct toc_process {
    int64_t pid; /* 0: none */
};

/* Starts this very program with argv (NULL-terminated; argv[0] is what it is called). stdout and
 * stderr are inherited. The child gets SIGTERM when its parent dies. */
int toc_process_spawn_self(const char *const *argv, struct toc_process *out) TOC_MUST_CHECK;
/* Has it ended? Then *out_status is its exit code, or 128 + the signal that killed it. */
bool toc_process_poll(struct toc_process *p, int *out_status);
/* SIGTERM, up to grace_ms, then SIGKILL; reaps. No effect when there is none. */
void toc_process_stop(struct toc_process *p, int64_t grace_ms);

/* When a process of this machine started, in ms since 1970. TOC_ENOENT when there is none of that
 * id, or only what is left of one that ended. */
int toc_process_started_ms(int64_t pid, int64_t *out_ms) TOC_MUST_CHECK;

/* Address space limit of this process: beyond it allocations fail. 0 lifts it. */
int toc_process_limit_memory(uint64_t bytes) TOC_MUST_CHECK;
/* Address space in use (VmSize), 0 when unknown. */
uint64_t toc_process_virtual_bytes(void);
/* Open file descriptors up to the hard limit. */
void toc_process_raise_file_limit(void);

/* SIGINT and SIGTERM ask to stop, SIGHUP to reload; SIGPIPE is ignored. Call before threads start.
 */
void toc_signals_init(void);
/* Waits for one of them at most timeout_ms: 's' stop, 'r' reload, 0 none. One thread only. */
char toc_signals_wait_ms(int64_t timeout_ms);

#endif
