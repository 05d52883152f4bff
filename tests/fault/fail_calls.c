/*
 * Preloaded into a program, makes one of its calls about files fail, or all from one on:
 *
 *   FAIL_NTH    which call fails, counted from 1; 0 or not set: none
 *   FAIL_ERRNO  with which errno; 0: a read or write is cut short, other calls succeed
 *   FAIL_EVER   1: all later calls, too
 *   FAIL_COUNT  a file into which the number of calls is written at the end
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum verdict { GOES_ON, FAILS, IS_SHORT };

static atomic_long g_calls;
static long g_nth;
static int g_errno, g_ever;

__attribute__((constructor)) static void begin(void) {
    const char *nth = getenv("FAIL_NTH"), *code = getenv("FAIL_ERRNO"), *ever = getenv("FAIL_EVER");
    g_nth = nth ? atol(nth) : 0;
    g_errno = code ? atoi(code) : EIO;
    g_ever = ever && *ever == '1';
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("FAIL_COUNT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f)
        return;
    fprintf(f, "%ld\n", atomic_load(&g_calls));
    fclose(f);
}

static enum verdict judge(void) {
    long n = atomic_fetch_add(&g_calls, 1) + 1;
    if (!g_nth || n < g_nth || (n > g_nth && !g_ever))
        return GOES_ON;
    if (!g_errno)
        return IS_SHORT;
    errno = g_errno;
    return FAILS;
}

/* The real function; a pointer to a function goes through a union, as ISO C knows no cast. */
#define REAL(name)           \
    union {                  \
        void *p;             \
        __typeof__(&name) f; \
    } real_##name = {dlsym(RTLD_NEXT, #name)}

/* A call with the result -1 when it fails. */
#define WRAP(name, parameters, arguments)                       \
    int name parameters;                                        \
    int name parameters {                                       \
        REAL(name);                                             \
        return judge() == FAILS ? -1 : real_##name.f arguments; \
    }

WRAP(fdatasync, (int fd), (fd))
WRAP(fsync, (int fd), (fd))
WRAP(rename, (const char *from, const char *to), (from, to))
WRAP(remove, (const char *path), (path))
WRAP(link, (const char *from, const char *to), (from, to))
WRAP(mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(ftruncate64, (int fd, off64_t size), (fd, size))

/* A call that moves bytes: it may move fewer. */
#define WRAP_BYTES(name, parameters, arguments, shorter)  \
    ssize_t name parameters;                              \
    ssize_t name parameters {                             \
        REAL(name);                                       \
        enum verdict v = judge();                         \
        if (v == IS_SHORT && n > 1)                       \
            return real_##name.f shorter;                 \
        return v == FAILS ? -1 : real_##name.f arguments; \
    }

WRAP_BYTES(pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at), (fd, p, n / 2, at))
WRAP_BYTES(pwrite64, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at),
           (fd, p, n / 2, at))

WRAP(stat64, (const char *path, struct stat64 *out), (path, out))

DIR *opendir(const char *path) {
    REAL(opendir);
    return judge() == FAILS ? NULL : real_opendir.f(path);
}

struct dirent64 *readdir64(DIR *d) {
    REAL(readdir64);
    return judge() == FAILS ? NULL : real_readdir64.f(d);
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return judge() == FAILS ? -1 : real_open64.f(path, flags, mode);
}
