#include "sys/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
