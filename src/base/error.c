#include "base/error.h"

#include <stdio.h>
#include <string.h>

const char *toc_strerror(int code) {
    switch (code) {
#define X(name, value, text) \
    case value:              \
        return text;
        TOC_ERROR_TABLE(X)
#undef X
    case 0:
        return "success";
    default:
        break;
    }
    if (code < 0 && code > -200) {
        const char *text = strerrordesc_np(-code);
        return text ? text : "unknown system error";
    }
    return "unknown error";
}

const char *toc_error_name(int code) {
    switch (code) {
#define X(name, value, text) \
    case value:              \
        return #name;
        TOC_ERROR_TABLE(X)
#undef X
    default:
        return "TOC_E?";
    }
}

static void format_message(char *out, const char *fmt, va_list ap) {
    int n = vsnprintf(out, TOC_ERR_MESSAGE_MAX, fmt, ap);
    if (n >= TOC_ERR_MESSAGE_MAX)
        memcpy(out + TOC_ERR_MESSAGE_MAX - 4, "...", 4);
}

int toc_errf(struct toc_err *err, int code, const char *fmt, ...) {
    if (!err || err->code)
        return code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    format_message(err->message, fmt, ap);
    va_end(ap);
    return code;
}

int toc_err_at(struct toc_err *err, int code, int line, int column, const char *fmt, ...) {
    if (!err || err->code)
        return code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    err->line = line;
    err->column = column;
    format_message(err->message, fmt, ap);
    va_end(ap);
    return code;
}

int toc_err_prefix(struct toc_err *err, const char *fmt, ...) {
    if (!err)
        return 0;
    char joined[TOC_ERR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    format_message(joined, fmt, ap);
    va_end(ap);
    size_t used = strlen(joined);
    size_t room = sizeof joined - 1 - used;
    size_t want = TOC_MIN(room, strlen(err->message));
    memcpy(joined + used, err->message, want);
    joined[used + want] = '\0';
    memcpy(err->message, joined, sizeof joined);
    return err->code;
}

void toc_err_reset(struct toc_err *err) {
    if (err)
        memset(err, 0, sizeof *err);
}
