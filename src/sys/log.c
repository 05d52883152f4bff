#include "sys/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "sys/clock.h"

static _Atomic int minimum_level = TOC_LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void toc_log_set_level(enum toc_log_level level) {
    minimum_level = (int)level;
}

static void append_quoted(struct toc_buf *line, const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p == '"' || *p == '\\')
            toc_buf_append_char(line, '\\');
        toc_buf_append_char(line, (unsigned char)*p < 0x20 ? ' ' : *p);
    }
}

void toc_log(enum toc_log_level level, const char *component, const char *fmt, ...) {
    if ((int)level < atomic_load_explicit(&minimum_level, memory_order_relaxed))
        return;
    char message[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    struct toc_buf line = TOC_BUF_INIT;
    toc_buf_append_cstr(&line, "time=");
    toc_ts_format_rfc3339(toc_clock_now(toc_clock_system()), &line);
    toc_buf_printf(&line, " level=%s component=%s msg=\"", level_names[level], component);
    append_quoted(&line, message);
    toc_buf_append_cstr(&line, "\"\n");
    /* One write per line keeps lines of several threads apart; a closed stderr is not an error
     * here. */
    ssize_t put = write(STDERR_FILENO, line.p, line.n);
    (void)put;
    toc_buf_fini(&line);
}
