#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/clock.h"

static void clear_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
}

int toc_process_spawn_self(const char *const *argv, struct toc_process *out) {
    out->pid = 0;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        clear_signals();
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) /* the parent died before prctl */
            _exit(1);
        execv("/proc/self/exe", (char *const *)argv);
        _exit(127);
    }
    out->pid = pid;
    return 0;
}

static int status_of(int raw) {
    return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
}

bool toc_process_poll(struct toc_process *p, int *out_status) {
    int raw = 0;
    if (p->pid == 0)
        return true;
    pid_t got = waitpid((pid_t)p->pid, &raw, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    *out_status = got > 0 ? status_of(raw) : -1;
    p->pid = 0;
    return true;
}

void toc_process_stop(struct toc_process *p, int64_t grace_ms) {
    int status;
    if (p->pid == 0)
        return;
    kill((pid_t)p->pid, SIGTERM);
    for (int64_t waited = 0; waited < grace_ms; waited += 10) {
        if (toc_process_poll(p, &status))
            return;
        toc_sleep_ms(10);
    }
    kill((pid_t)p->pid, SIGKILL);
    while (!toc_process_poll(p, &status))
        toc_sleep_ms(5);
}

/* ---------------------------------------------------------------------- other people's processes
 */

_Static_assert(TOC_SIGNAL_INTERRUPT == SIGINT && TOC_SIGNAL_KILL == SIGKILL,
               "the numbers that others compare with");

static struct toc_ending exit_of(int raw) {
    return (struct toc_ending){.is_known = true,
                               .code = WIFEXITED(raw) ? WEXITSTATUS(raw) : 0,
                               .signal = WIFSIGNALED(raw) ? WTERMSIG(raw) : 0};
}

void toc_ending_text(struct toc_ending e, char out[TOC_ENDING_TEXT_MAX]) {
    const char *name = e.signal ? sigabbrev_np(e.signal) : NULL;
    if (!e.is_known)
        snprintf(out, TOC_ENDING_TEXT_MAX, "exit code unknown");
    else if (name)
        snprintf(out, TOC_ENDING_TEXT_MAX, "signal SIG%s", name);
    else if (e.signal)
        snprintf(out, TOC_ENDING_TEXT_MAX, "signal %d", e.signal);
    else
        snprintf(out, TOC_ENDING_TEXT_MAX, "exit code %d", e.code);
}

int toc_process_hold(int64_t pid, int *out_fd) {
    long fd = syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0)
        return errno == ESRCH || errno == EINVAL ? TOC_ENOENT : -errno;
    *out_fd = (int)fd;
    return 0;
}

bool toc_process_held_has_ended(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0 && p.revents != 0;
}

/* linux/pidfd.h of Linux 6.15, which the headers of older systems lack: first published size. */
struct pidfd_info_64 {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ids[8];
    int32_t exit_code;
};
_Static_assert(sizeof(struct pidfd_info_64) == 64, "size of the kernel's first struct pidfd_info");

struct toc_ending toc_process_held_ending(int fd) {
    enum { INFO_EXIT = 1 << 3 };
    struct pidfd_info_64 info = {.mask = INFO_EXIT};
    if (ioctl(fd, _IOWR(0xff, 11, struct pidfd_info_64), &info) != 0 || !(info.mask & INFO_EXIT))
        return (struct toc_ending){0};
    return exit_of(info.exit_code);
}

void toc_process_release(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ------------------------------------------------------------------------------------- own jobs */

static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static sigset_t job_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < TOC_ARRAY_LEN(passed_on); i++)
        sigaddset(&set, passed_on[i]);
    return set;
}

/* The child's errno when exec fails comes through a pipe that a successful exec closes. */
static int exec_result(int read_fd, pid_t pid) {
    int failed = 0;
    ssize_t n;
    do
        n = read(read_fd, &failed, sizeof failed);
    while (n < 0 && errno == EINTR);
    close(read_fd);
    if (n != (ssize_t)sizeof failed)
        return 0;
    waitpid(pid, NULL, 0);
    return -failed;
}

int toc_job_start(const char *const *argv, struct toc_process *out) {
    int ends[2];
    sigset_t set = job_signals();
    out->pid = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        clear_signals();
        execvp(argv[0], (char *const *)argv);
        int failed = errno;
        ssize_t ignored = write(ends[1], &failed, sizeof failed);
        (void)ignored;
        _exit(127);
    }
    int failed = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -failed;
    }
    int rc = exec_result(ends[0], pid);
    out->pid = rc ? 0 : pid;
    return rc;
}

struct toc_ending toc_job_wait(struct toc_process *p) {
    sigset_t set = job_signals();
    for (;;) {
        int raw;
        siginfo_t info;
        pid_t got = waitpid((pid_t)p->pid, &raw, WNOHANG);
        if (got == (pid_t)p->pid) {
            p->pid = 0;
            return exit_of(raw);
        }
        if (got < 0 && errno != EINTR)
            return (struct toc_ending){0};
        int n = sigwaitinfo(&set, &info);
        /* What the terminal sends reaches the whole foreground group, the job as well. */
        if (n > 0 && n != SIGCHLD && info.si_code != SI_KERNEL)
            kill((pid_t)p->pid, n);
    }
}

int toc_process_limit_memory(uint64_t bytes) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0)
        return -errno;
    limit.rlim_cur = bytes && bytes < limit.rlim_max ? bytes : limit.rlim_max;
    return setrlimit(RLIMIT_AS, &limit) == 0 ? 0 : -errno;
}

uint64_t toc_process_virtual_bytes(void) {
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long long pages = 0;
    if (!f)
        return 0;
    if (fscanf(f, "%llu", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* btime of /proc/stat, in seconds; 0 when unknown. */
static long long boot_time_s(void) {
    FILE *f = fopen("/proc/stat", "re");
    char line[512];
    long long boot_s = 0;
    while (f && !boot_s && fgets(line, sizeof line, f))
        if (sscanf(line, "btime %lld", &boot_s) != 1)
            boot_s = 0;
    if (f)
        fclose(f);
    return boot_s;
}

int toc_process_started_ms(int64_t pid, int64_t *out_ms) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *f = pid > 0 ? fopen(path, "re") : NULL;
    size_t n = f ? fread(line, 1, sizeof line - 1, f) : 0;
    if (f)
        fclose(f);
    line[n] = 0;
    /* The name in parentheses may hold anything; fields count from the last one: state is the
     * third, the start in clock ticks since boot the 22nd. */
    const char *rest = strrchr(line, ')');
    char state = 0;
    unsigned long long ticks = 0;
    if (!rest || sscanf(rest + 1,
                        " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                        "%*s %llu",
                        &state, &ticks) != 2)
        return TOC_ENOENT;
    if (state == 'Z' || state == 'X')
        return TOC_ENOENT;
    *out_ms = boot_time_s() * 1000 + (int64_t)(ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
    return 0;
}

void toc_process_raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

size_t toc_process_file_limit(void) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (size_t)limit.rlim_cur : 1024;
}

static sigset_t watched(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

void toc_signals_init(void) {
    sigset_t set = watched();
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

char toc_signals_wait_ms(int64_t timeout_ms) {
    sigset_t set = watched();
    struct timespec ts = {.tv_sec = (time_t)(timeout_ms / 1000),
                          .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    int n = sigtimedwait(&set, NULL, &ts);
    if (n == SIGHUP)
        return 'r';
    return n > 0 ? 's' : 0;
}
