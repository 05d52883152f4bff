/* Programs whose output is wanted: started without a shell, watched, killed at their deadline. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "sys/clock.h"
#include "sys/process.h"

extern char **environ;

enum { POLL_MS = 100, ERROR_BYTES_MAX = 4096, READ_BYTES = 64 << 10 };

struct capture {
    const struct toc_program *command;
    pid_t pid;
    int out_fd, err_fd; /* -1: closed */
    struct toc_buf *out;
    size_t out_start;
    char said[ERROR_BYTES_MAX]; /* the beginning of standard error */
    size_t said_n;
    int64_t deadline_ms;
};

static int64_t now_ms(void) {
    return toc_clock_mono(toc_clock_system()).ns / 1000000;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* In the child: output to the pipes, nothing to read, usual signals, a group of its own. */
static int prepare(posix_spawn_file_actions_t *files, posix_spawnattr_t *attributes, int out_fd,
                   int err_fd) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, out_fd, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, err_fd, 2);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(files, 3);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                      POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawnattr_setpgroup(attributes, 0);
    if (rc == 0)
        rc = posix_spawnattr_setsigmask(attributes, &none);
    return rc ? rc : posix_spawnattr_setsigdefault(attributes, &all);
}

static int spawn(struct capture *c, int out_fd, int err_fd) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    int rc = prepare(&files, &attributes, out_fd, err_fd);
    if (rc == 0)
        rc = posix_spawnp(&c->pid, c->command->argv[0], &files, &attributes,
                          (char *const *)c->command->argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int start(struct capture *c, struct toc_err *err) {
    int out[2] = {-1, -1}, said[2] = {-1, -1};
    int rc = pipe2(out, O_CLOEXEC) == 0 && pipe2(said, O_CLOEXEC) == 0 ? 0 : errno;
    if (rc == 0)
        rc = spawn(c, out[1], said[1]);
    close_fd(&out[1]);
    close_fd(&said[1]);
    c->out_fd = out[0];
    c->err_fd = said[0];
    if (rc)
        return toc_errf(err, -rc, "cannot start %s: %s", c->command->argv[0], strerror(rc));
    fcntl(c->out_fd, F_SETFL, O_NONBLOCK);
    fcntl(c->err_fd, F_SETFL, O_NONBLOCK);
    return 0;
}

static int read_out(struct capture *c, struct toc_err *err) {
    char *p = toc_buf_reserve(c->out, READ_BYTES);
    ssize_t n = p ? read(c->out_fd, p, READ_BYTES) : 0;
    if (n > 0)
        c->out->n += (size_t)n;
    if (!p || c->out->n - c->out_start > c->command->max_bytes)
        return toc_errf(err, TOC_ELIMIT, "%s says more than %zu bytes", c->command->argv[0],
                        c->command->max_bytes);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&c->out_fd);
    return 0;
}

/* What has no room is read all the same, so that the program does not wait. */
static void read_said(struct capture *c) {
    char rest[1024];
    size_t room = sizeof c->said - 1 - c->said_n;
    ssize_t n = read(c->err_fd, room ? c->said + c->said_n : rest, room ? room : sizeof rest);
    if (n > 0 && room)
        c->said_n += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&c->err_fd);
}

static int check_time(const struct capture *c, struct toc_err *err) {
    const struct toc_program *o = c->command;
    if (o->is_cancelled && o->is_cancelled(o->cancel_ctx))
        return toc_errf(err, TOC_ECANCELED, "%s was cancelled", o->argv[0]);
    if (now_ms() >= c->deadline_ms)
        return toc_errf(err, TOC_ETIMEDOUT, "%s did not end within %lld ms and was killed",
                        o->argv[0], (long long)o->timeout_ms);
    return 0;
}

/* Until both outputs are at their end. A program that hands them on to one that stays is held to
 * the deadline, too. */
static int read_all(struct capture *c, struct toc_err *err) {
    int rc = 0;
    while (rc == 0 && (c->out_fd >= 0 || c->err_fd >= 0)) {
        struct pollfd fds[2] = {{.fd = c->out_fd, .events = POLLIN},
                                {.fd = c->err_fd, .events = POLLIN}};
        poll(fds, 2, POLL_MS);
        if (fds[0].revents)
            rc = read_out(c, err);
        if (fds[1].revents)
            read_said(c);
        if (rc == 0)
            rc = check_time(c, err);
    }
    return rc;
}

static int wait_end(struct capture *c, int *out_status, struct toc_err *err) {
    struct toc_process p = {.pid = c->pid};
    int rc = 0;
    while (rc == 0 && !toc_process_poll(&p, out_status)) {
        toc_sleep_ms(2);
        rc = check_time(c, err);
    }
    if (rc == 0)
        c->pid = 0;
    return rc;
}

static void kill_all(struct capture *c) {
    int raw;
    if (c->pid <= 0)
        return;
    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, &raw, 0) < 0 && errno == EINTR)
        ;
}

static struct toc_sv first_line(struct capture *c) {
    struct toc_sv rest = toc_sv_trim(toc_sv_make(c->said, c->said_n)), line = TOC_SV_NULL;
    (void)toc_sv_split(&rest, '\n', &line);
    for (size_t i = 0; i < line.n; i++)
        if ((unsigned char)line.p[i] < ' ')
            c->said[line.p + i - c->said] = ' ';
    return toc_sv_is_utf8(line) ? line : TOC_SV("(no text)");
}

int toc_process_capture(const struct toc_program *command, struct toc_buf *out,
                        struct toc_err *err) {
    struct capture c = {.command = command,
                        .out_fd = -1,
                        .err_fd = -1,
                        .out = out,
                        .out_start = out->n,
                        .deadline_ms = now_ms() + command->timeout_ms};
    int status = 0, rc = start(&c, err);
    if (rc == 0)
        rc = read_all(&c, err);
    if (rc == 0)
        rc = wait_end(&c, &status, err);
    kill_all(&c);
    close_fd(&c.out_fd);
    close_fd(&c.err_fd);
    if (rc == 0 && status != 0)
        rc = toc_errf(err, TOC_EUNAVAILABLE, "%s ended with status %d: %.*s", command->argv[0],
                      status, TOC_SV_ARG(toc_sv_sub(first_line(&c), 0, 200)));
    return rc;
}
