/* Child processes, limits of this process, and the signals that stop or reload the daemon. */
#ifndef TOC_SYS_PROCESS_H
#define TOC_SYS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attrs.h"
#include "base/buf.h"
#include "base/error.h"

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

/* How a process ended, as wait(2) says it. */
struct toc_ending {
    bool is_known;
    int code;   /* when signal is 0 */
    int signal; /* that killed it */
};
enum { TOC_SIGNAL_INTERRUPT = 2, TOC_SIGNAL_KILL = 9 };
/* "exit code 3", "signal SIGKILL"; for people and for the run protocol's event `exit`. */
enum { TOC_ENDING_TEXT_MAX = 48 };
void toc_ending_text(struct toc_ending e, char out[TOC_ENDING_TEXT_MAX]);

/* Somebody else's process, held by a descriptor, so that its number cannot come to mean another.
 * TOC_ENOENT: no such process; TOC_ENOSYS and others: the kernel has no such descriptors. */
int toc_process_hold(int64_t pid, int *out_fd) TOC_MUST_CHECK;
/* Has it ended? Never waits. */
bool toc_process_held_has_ended(int fd);
/* How it ended, once its parent has taken note; needs Linux 6.15, else is_known is false. */
struct toc_ending toc_process_held_ending(int fd);
void toc_process_release(int *fd);

/* A command of the user's with this program's terminal, output and environment (changed by
 * toc_env_set before). argv ends with NULL; argv[0] is looked for in PATH. Until toc_job_wait has
 * returned, signals of toc_signals_init and SIGQUIT, SIGUSR1, SIGUSR2 are passed on to it.
 * TOC_ENOENT, TOC_EACCES: it cannot be run. */
int toc_job_start(const char *const *argv, struct toc_process *out) TOC_MUST_CHECK;
struct toc_ending toc_job_wait(struct toc_process *p);

/* A program whose output is wanted. */
struct toc_program {
    const char *const *argv; /* NULL-terminated; argv[0] without a slash is looked for in PATH */
    int64_t timeout_ms;      /* then it and what it started are killed */
    size_t max_bytes;        /* of its output */
    bool (*is_cancelled)(void *ctx); /* asked ten times a second; may be NULL */
    void *cancel_ctx;
};
/* Runs it without a shell, with nothing on standard input, in a process group of its own, and waits
 * for its end. Standard output is appended to `out`. An error when it cannot be started, fails (the
 * reason has the first line of standard error), says more than max_bytes (TOC_ELIMIT), takes too
 * long (TOC_ETIMEDOUT) or is cancelled (TOC_ECANCELED). */
int toc_process_capture(const struct toc_program *c, struct toc_buf *out,
                        struct toc_err *err) TOC_MUST_CHECK;

/* Address space limit of this process: beyond it allocations fail. 0 lifts it. */
int toc_process_limit_memory(uint64_t bytes) TOC_MUST_CHECK;
/* Address space in use (VmSize), 0 when unknown. */
uint64_t toc_process_virtual_bytes(void);
/* Open file descriptors up to the hard limit. */
void toc_process_raise_file_limit(void);
/* How many may be open now. */
size_t toc_process_file_limit(void);

/* SIGINT and SIGTERM ask to stop, SIGHUP to reload; SIGPIPE is ignored. Call before threads start.
 */
void toc_signals_init(void);
/* Waits for one of them at most timeout_ms: 's' stop, 'r' reload, 0 none. One thread only. */
char toc_signals_wait_ms(int64_t timeout_ms);

#endif
