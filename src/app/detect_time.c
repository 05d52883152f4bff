#include "app/detect_time.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/attrs.h"
#include "base/num.h"
#include "base/time.h"

static double unit_of(double number) {
    double size = fabs(number);
    return size >= 1e17 ? 1e-9 : size >= 1e14 ? 1e-6 : size >= 1e11 ? 1e-3 : 1;
}

static const char *unit_name(double unit) {
    return unit == 1      ? "seconds"
           : unit == 1e-3 ? "milliseconds"
           : unit == 1e-6 ? "microseconds"
                          : "nanoseconds";
}

static int take_number(struct toc_detect_clock *c, double number, double *out,
                       struct toc_err *err) {
    double unit = unit_of(number);
    if (c->unit == 0)
        c->unit = unit;
    *out = number * c->unit;
    if (unit == c->unit || number == 0)
        return 0;
    return toc_errf(err, TOC_EPARSE, "the time is in %s, but the first one was in %s",
                    unit_name(unit), unit_name(c->unit));
}

/* Brings a date, or a date and a time with a blank and without a zone, into the form of RFC 3339.
 * False when the text is neither. */
static bool complete(struct toc_sv text, char *out, size_t size) {
    static const char blank[] = "0000-00-00T00:00:00Z";
    char date[11];
    if (text.n < 10 || text.n > 35 || size < 48)
        return false;
    memcpy(date, text.p, 10);
    date[10] = '\0';
    if (date[4] == '/' && date[7] == '/')
        date[4] = date[7] = '-';
    struct toc_sv rest = toc_sv_sub(text, 10, SIZE_MAX);
    if (rest.n == 0) {
        (void)snprintf(out, size, "%s%s", date, blank + 10);
        return true;
    }
    if (rest.p[0] != ' ' && rest.p[0] != 'T' && rest.p[0] != 't')
        return false;
    rest = toc_sv_sub(rest, 1, SIZE_MAX);
    bool has_seconds = rest.n >= 8 && rest.p[5] == ':';
    size_t clock = has_seconds ? 8 : 5;
    if (rest.n < clock)
        return false;
    struct toc_sv tail = toc_sv_sub(rest, clock, SIZE_MAX);
    bool has_zone =
        toc_sv_find_char(tail, 'Z') != SIZE_MAX || toc_sv_find_char(tail, 'z') != SIZE_MAX ||
        toc_sv_find_char(tail, '+') != SIZE_MAX || toc_sv_find_char(tail, '-') != SIZE_MAX;
    (void)snprintf(out, size, "%sT%.*s%s%.*s%s", date, (int)clock, rest.p, has_seconds ? "" : ":00",
                   (int)tail.n, tail.n ? tail.p : "", has_zone ? "" : "Z");
    return true;
}

int toc_detect_time_parse(struct toc_detect_clock *c, struct toc_sv text, double *out_seconds,
                          struct toc_err *err) {
    char full[48];
    struct toc_ts t;
    double number;
    text = toc_sv_trim(text);
    if (toc_parse_f64(text, &number) == 0 && isfinite(number))
        return take_number(c, number, out_seconds, err);
    if (toc_ts_parse_rfc3339(text, &t, NULL) == 0 ||
        (complete(text, full, sizeof full) &&
         toc_ts_parse_rfc3339(toc_sv_cstr(full), &t, NULL) == 0)) {
        *out_seconds = (double)t.ms / 1000;
        return 0;
    }
    return toc_errf(
        err, TOC_EPARSE,
        "the time \"%.*s\" is neither a number since 1970 nor like one of " TOC_DETECT_TIME_FORMS,
        (int)TOC_MIN(text.n, (size_t)40), text.p ? text.p : "");
}
