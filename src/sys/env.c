#include "sys/env.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *toc_env_get(const char *name) {
    return getenv(name);
}

void toc_env_set(const char *name, const char *value) {
    setenv(name, value, 1);
}

int64_t toc_process_id(void) {
    return getpid();
}

uint64_t toc_process_rss_bytes(void) {
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    unsigned long long total = 0, resident = 0;
    int got = fscanf(f, "%llu %llu", &total, &resident);
    fclose(f);
    return got == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

bool toc_fd_is_terminal(int fd) {
    return isatty(fd) == 1;
}

int toc_cpu_count(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (int)n;
}

void toc_hostname(char *out, unsigned long out_size) {
    if (gethostname(out, out_size) != 0)
        snprintf(out, out_size, "localhost");
    out[out_size - 1] = '\0';
}

int toc_process_thread_count(void) {
    char line[128];
    int n = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && n == 0 && fgets(line, sizeof line, f))
        if (sscanf(line, "Threads: %d", &n) != 1)
            n = 0;
    if (f)
        fclose(f);
    return n;
}

void toc_working_directory(char *out, unsigned long out_size) {
    if (!getcwd(out, out_size))
        out[0] = 0;
}
