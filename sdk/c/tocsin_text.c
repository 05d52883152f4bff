/* Text of a line, and numbers that are absent. Apache-2.0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tocsin_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 256 << 10 }; /* the receiver's limit */

/* A quiet NaN with a payload of its own. */
static const uint64_t ABSENT_BITS = 0x7ff8746f63736e00ULL;

double tocsin_absent(void) {
    double v;
    memcpy(&v, &ABSENT_BITS, sizeof v);
    return v;
}

bool tocsin_is_absent(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits == ABSENT_BITS;
}

static bool text_room(struct tocsin_text *t, size_t more) {
    if (t->failed || t->n + more > LINE_MAX_BYTES) {
        t->failed = true;
        return false;
    }
    if (t->n + more <= t->capacity)
        return true;
    size_t capacity = (t->n + more) * 2;
    char *p = realloc(t->p, capacity);
    if (!p) {
        t->failed = true;
        return false;
    }
    t->p = p;
    t->capacity = capacity;
    return true;
}

void tocsin_put(struct tocsin_text *t, const char *s, size_t n) {
    if (text_room(t, n)) {
        memcpy(t->p + t->n, s, n);
        t->n += n;
    }
}

void tocsin_put_cstr(struct tocsin_text *t, const char *s) {
    tocsin_put(t, s, strlen(s));
}

void tocsin_putf(struct tocsin_text *t, const char *fmt, ...) {
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof small)
        tocsin_put(t, small, (size_t)n);
    else
        t->failed = true;
}

/* JSON string; control characters are escaped, other bytes go as they are. */
void tocsin_put_string(struct tocsin_text *t, const char *s) {
    tocsin_put(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            char two[2] = {'\\', (char)c};
            tocsin_put(t, two, 2);
        } else if (c < 0x20) {
            tocsin_putf(t, "\\u%04x", c);
        } else {
            tocsin_put(t, s, 1);
        }
    }
    tocsin_put(t, "\"", 1);
}

void tocsin_put_number(struct tocsin_text *t, double v) {
    if (isnan(v))
        tocsin_put_cstr(t, "\"NaN\"");
    else if (isinf(v))
        tocsin_put_cstr(t, v > 0 ? "\"+Inf\"" : "\"-Inf\"");
    else
        tocsin_putf(t, "%.17g", v);
}

void tocsin_put_field(struct tocsin_text *t, const char *name, double v) {
    if (tocsin_is_absent(v))
        return;
    tocsin_put(t, ",", 1);
    tocsin_put_string(t, name);
    tocsin_put(t, ":", 1);
    tocsin_put_number(t, v);
}
