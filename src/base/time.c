#include "base/time.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/num.h"

static const struct {
    const char *name;
    int64_t ms;
} units[] = {
    {"y", 365LL * 86400000},
    {"w", 7LL * 86400000},
    {"d", 86400000},
    {"h", 3600000},
    {"m", 60000},
    {"s", 1000},
    {"ms", 1},
};

/* Index of the unit text at s, longest first, -1 when none. */
static int unit_at(struct toc_sv s) {
    if (toc_sv_starts_with(s, TOC_SV("ms")))
        return 6;
    for (int i = 0; i < 6; i++)
        if (s.n && s.p[0] == units[i].name[0])
            return i;
    return -1;
}

static int duration_error(struct toc_sv s, struct toc_err *err) {
    return toc_errf(err, TOC_EPARSE,
                    "not a duration: \"%.*s\" (write for example 30s, 5m or 1h30m)",
                    TOC_SV_ARG(toc_sv_sub(s, 0, 64)));
}

int toc_duration_parse(struct toc_sv s, int64_t *out_ms, struct toc_err *err) {
    struct toc_sv rest = s;
    if (toc_sv_eq(s, TOC_SV("0"))) {
        *out_ms = 0;
        return 0;
    }
    int64_t total = 0;
    int last_unit = -1;
    if (!s.n)
        return duration_error(s, err);
    while (rest.n) {
        size_t digits = 0;
        int64_t value = 0;
        for (; digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9'; digits++)
            if (__builtin_mul_overflow(value, 10, &value) ||
                __builtin_add_overflow(value, rest.p[digits] - '0', &value))
                return duration_error(s, err);
        rest = toc_sv_make(rest.p + digits, rest.n - digits);
        int unit = unit_at(rest);
        if (!digits || unit <= last_unit || __builtin_mul_overflow(value, units[unit].ms, &value) ||
            __builtin_add_overflow(total, value, &total))
            return duration_error(s, err);
        last_unit = unit;
        size_t skip = unit == 6 ? 2 : 1;
        rest = toc_sv_make(rest.p + skip, rest.n - skip);
    }
    *out_ms = total;
    return 0;
}

void toc_duration_format(int64_t ms, struct toc_buf *out) {
    if (ms == 0) {
        toc_buf_append_cstr(out, "0s");
        return;
    }
    if (ms < 0) {
        toc_buf_append_char(out, '-');
        ms = -ms;
    }
    for (size_t i = 0; i < TOC_ARRAY_LEN(units); i++) {
        bool exact_only = i <= 1; /* years and weeks only when nothing is left over */
        if (exact_only && ms % units[i].ms != 0)
            continue;
        int64_t count = ms / units[i].ms;
        if (count) {
            toc_buf_printf(out, "%" PRId64 "%s", count, units[i].name);
            ms -= count * units[i].ms;
        }
    }
}

void toc_duration_format_human(int64_t ms, struct toc_buf *out) {
    if (ms < 0) {
        toc_buf_append_char(out, '-');
        ms = -ms;
    }
    int64_t s = ms / 1000;
    if (ms < 1000)
        toc_buf_printf(out, "%" PRId64 "ms", ms);
    else if (s < 60)
        toc_buf_printf(out, "%.1fs", (double)ms / 1000);
    else if (s < 3600)
        toc_buf_printf(out, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        toc_buf_printf(out, "%" PRId64 "h%" PRId64 "m", s / 3600, s / 60 % 60);
    else
        toc_buf_printf(out, "%" PRId64 "d%" PRId64 "h", s / 86400, s / 3600 % 24);
}

/* Days since 1970-01-01 of a civil date and back: Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms". */
static int64_t days_from_civil(int64_t y, int m, int d) {
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void civil_from_days(int64_t z, struct toc_civil *c) {
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    c->day = (int)(doy - (153 * mp + 2) / 5 + 1);
    c->month = (int)(mp < 10 ? mp + 3 : mp - 9);
    c->year = yoe + era * 400 + (c->month <= 2);
}

struct toc_civil toc_ts_civil(struct toc_ts t) {
    enum { DAY_MS = 86400000 };
    int64_t days = t.ms / DAY_MS - (t.ms % DAY_MS < 0);
    int64_t ms = t.ms - days * DAY_MS;
    struct toc_civil c = {0};
    civil_from_days(days, &c);
    c.hour = (int)(ms / 3600000);
    c.minute = (int)(ms / 60000 % 60);
    c.second = (int)(ms / 1000 % 60);
    c.millisecond = (int)(ms % 1000);
    c.weekday = (int)(((days + 4) % 7 + 7) % 7);
    return c;
}

struct toc_ts toc_civil_ts(const struct toc_civil *c) {
    int64_t days = days_from_civil(c->year, c->month, c->day);
    int64_t s = days * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
    return (struct toc_ts){s * 1000 + c->millisecond};
}

void toc_ts_format_rfc3339(struct toc_ts t, struct toc_buf *out) {
    /* Years outside 0..9999 have no RFC 3339 form: clamp to its ends. */
    if (t.ms < -62167219200000)
        t.ms = -62167219200000;
    if (t.ms > 253402300799999)
        t.ms = 253402300799999;
    struct toc_civil c = toc_ts_civil(t);
    toc_buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)c.year, c.month, c.day, c.hour,
                   c.minute, c.second, c.millisecond);
}

struct cursor {
    struct toc_sv s;
    size_t at;
    bool bad;
};

static int digits(struct cursor *c, int count) {
    int v = 0;
    for (int i = 0; i < count; i++) {
        if (c->at >= c->s.n || c->s.p[c->at] < '0' || c->s.p[c->at] > '9') {
            c->bad = true;
            return 0;
        }
        v = v * 10 + (c->s.p[c->at++] - '0');
    }
    return v;
}

static void literal(struct cursor *c, const char *any_of) {
    if (c->at < c->s.n && c->s.p[c->at] && strchr(any_of, c->s.p[c->at]))
        c->at++;
    else
        c->bad = true;
}

static int fraction_ms(struct cursor *c) {
    int ms = 0, scale = 100;
    size_t start = ++c->at;
    while (c->at < c->s.n && c->s.p[c->at] >= '0' && c->s.p[c->at] <= '9') {
        ms += (c->s.p[c->at++] - '0') * scale;
        scale /= 10;
    }
    c->bad |= c->at == start;
    return ms;
}

/* Minutes east of UTC. */
static int zone_offset(struct cursor *c) {
    char sign = c->at < c->s.n ? c->s.p[c->at] : '\0';
    literal(c, "Zz+-");
    if (c->bad || (sign != '+' && sign != '-'))
        return 0;
    int hours = digits(c, 2);
    literal(c, ":");
    int minutes = digits(c, 2);
    c->bad |= hours > 23 || minutes > 59;
    return (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
}

int toc_ts_parse_rfc3339(struct toc_sv s, struct toc_ts *out, struct toc_err *err) {
    struct cursor c = {.s = s};
    struct toc_civil v = {0};
    v.year = digits(&c, 4);
    literal(&c, "-");
    v.month = digits(&c, 2);
    literal(&c, "-");
    v.day = digits(&c, 2);
    literal(&c, "Tt ");
    v.hour = digits(&c, 2);
    literal(&c, ":");
    v.minute = digits(&c, 2);
    literal(&c, ":");
    v.second = digits(&c, 2);
    if (c.at < s.n && s.p[c.at] == '.')
        v.millisecond = fraction_ms(&c);
    int offset_minutes = zone_offset(&c);
    bool out_of_range =
        v.month < 1 || v.month > 12 || v.day < 1 || v.hour > 23 || v.minute > 59 || v.second > 60;
    if (c.bad || out_of_range || c.at != s.n)
        goto bad;
    struct toc_ts t = toc_civil_ts(&v);
    struct toc_civil back = toc_ts_civil(t);
    if (v.second < 60 && back.day != v.day) /* 31 April */
        goto bad;
    out->ms = t.ms - (int64_t)offset_minutes * 60000;
    return 0;
bad:
    return toc_errf(err, TOC_EPARSE, "not an RFC 3339 time: \"%.*s\"",
                    TOC_SV_ARG(toc_sv_sub(s, 0, 64)));
}
