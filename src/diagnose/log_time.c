#include "diagnose/log_time.h"

enum { LOOK_BYTES = 96, DAY_MS = 24 * 3600 * 1000 };

/* A cursor over the line; every reader leaves it behind what it took, or says no. */
struct cursor {
    const char *p, *end;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool take(struct cursor *c, char wanted) {
    if (c->p == c->end || *c->p != wanted)
        return false;
    c->p++;
    return true;
}

static bool digits(struct cursor *c, int min, int max, int *out) {
    int n = 0;
    *out = 0;
    for (; n < max && c->p + n < c->end && is_digit(c->p[n]); n++)
        *out = *out * 10 + (c->p[n] - '0');
    c->p += n;
    return n >= min;
}

/* [.,]fraction; milliseconds. */
static int fraction_ms(struct cursor *c) {
    int ms = 0, scale = 100;
    if (c->end - c->p < 2 || (*c->p != '.' && *c->p != ',') || !is_digit(c->p[1]))
        return 0;
    for (c->p++; c->p < c->end && is_digit(*c->p); c->p++, scale /= 10)
        ms += (*c->p - '0') * scale;
    return ms;
}

static bool clock_time(struct cursor *c, struct toc_civil *t) {
    if (!digits(c, 2, 2, &t->hour) || !take(c, ':') || !digits(c, 2, 2, &t->minute) ||
        !take(c, ':') || !digits(c, 2, 2, &t->second))
        return false;
    t->millisecond = fraction_ms(c);
    return t->hour < 24 && t->minute < 60 && t->second <= 60;
}

static bool is_date(const struct toc_civil *t) {
    return t->month >= 1 && t->month <= 12 && t->day >= 1 && t->day <= 31;
}

/* Z, +hh:mm, -hhmm: *out_ms; false when there is none. */
static bool zone(struct cursor *c, int64_t *out_ms) {
    int hours, minutes;
    struct cursor z = *c;
    if (take(&z, 'Z')) {
        *out_ms = 0;
        return true;
    }
    bool is_east = take(&z, '+');
    if (!is_east && !take(&z, '-'))
        return false;
    if (!digits(&z, 2, 2, &hours))
        return false;
    (void)take(&z, ':');
    if (!digits(&z, 2, 2, &minutes) || hours > 14 || minutes > 59)
        return false;
    *out_ms = (is_east ? 1 : -1) * (hours * INT64_C(60) + minutes) * 60000;
    return true;
}

static struct toc_ts without_zone(const struct toc_civil *t, const struct toc_log_time_options *o) {
    struct toc_ts at = toc_civil_ts(t);
    return (struct toc_ts){at.ms - o->utc_offset_ms};
}

/* The latest year that does not put the time more than a day ahead. */
static struct toc_ts without_year(struct toc_civil *t, const struct toc_log_time_options *o) {
    t->year = toc_ts_civil(o->reference).year;
    struct toc_ts at = without_zone(t, o);
    if (at.ms > o->reference.ms + DAY_MS) {
        t->year--;
        at = without_zone(t, o);
    }
    return at;
}

/* 2026-08-20T11:00:00, 2026/08/20 11:00:00 */
static bool iso(struct cursor c, const struct toc_log_time_options *o, struct toc_ts *out) {
    struct toc_civil t = {0};
    int year;
    int64_t offset_ms;
    char between;
    if (!digits(&c, 4, 4, &year) || c.p == c.end || ((between = *c.p) != '-' && between != '/'))
        return false;
    c.p++;
    if (!digits(&c, 2, 2, &t.month) || !take(&c, between) || !digits(&c, 2, 2, &t.day) ||
        !is_date(&t) || (!take(&c, 'T') && !take(&c, ' ')) || !clock_time(&c, &t))
        return false;
    t.year = year;
    if (zone(&c, &offset_ms))
        *out = (struct toc_ts){toc_civil_ts(&t).ms - offset_ms};
    else
        *out = without_zone(&t, o);
    return true;
}

/* E1218 20:27:21.430, 08-20 11:00:00 */
static bool month_day(struct cursor c, bool is_glog, const struct toc_log_time_options *o,
                      struct toc_ts *out) {
    struct toc_civil t = {0};
    if (!digits(&c, 2, 2, &t.month) || (!is_glog && !take(&c, '-')) || !digits(&c, 2, 2, &t.day) ||
        !is_date(&t) || !take(&c, ' ') || !clock_time(&c, &t))
        return false;
    *out = without_year(&t, o);
    return true;
}

static bool month_name(struct cursor *c, int *out_month) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (c->end - c->p < 4)
        return false;
    for (int m = 0; m < 12; m++)
        if (memcmp(names + 3 * m, c->p, 3) == 0) {
            c->p += 3;
            *out_month = m + 1;
            return take(c, ' ');
        }
    return false;
}

/* Aug 20 11:00:00, Aug 20 2026 11:00:00, Aug 20 11:00:00 2026 */
static bool syslog(struct cursor c, const struct toc_log_time_options *o, struct toc_ts *out) {
    struct toc_civil t = {0};
    int year = 0;
    if (!month_name(&c, &t.month))
        return false;
    (void)take(&c, ' ');
    if (!digits(&c, 1, 2, &t.day) || !take(&c, ' ') || !is_date(&t))
        return false;
    struct cursor y = c;
    if (digits(&y, 4, 4, &year) && take(&y, ' '))
        c = y;
    else
        year = 0;
    if (!clock_time(&c, &t))
        return false;
    if (!year && take(&c, ' ') &&
        !(digits(&c, 4, 4, &year) && (c.p == c.end || *c.p == ']' || *c.p == ' ')))
        year = 0;
    t.year = year;
    *out = year ? without_zone(&t, o) : without_year(&t, o);
    return true;
}

/* 1787223600.123 */
static bool epoch(struct cursor c, struct toc_ts *out) {
    int high, low;
    (void)take(&c, '[');
    if (c.p == c.end || *c.p != '1' || !digits(&c, 5, 5, &high) || !digits(&c, 5, 5, &low))
        return false;
    int ms = fraction_ms(&c);
    if (c.p < c.end && (is_digit(*c.p) || (*c.p != ' ' && *c.p != ']' && *c.p != ':')))
        return false;
    out->ms = (high * INT64_C(100000) + low) * 1000 + ms;
    return true;
}

static bool at_place(struct cursor c, bool is_first, const struct toc_log_time_options *o,
                     struct toc_ts *out) {
    char first = *c.p;
    if (is_digit(first))
        return iso(c, o, out) || month_day(c, false, o, out) || (is_first && epoch(c, out));
    if (first == '[' && is_first)
        return epoch(c, out);
    if ((first == 'I' || first == 'W' || first == 'E' || first == 'F') && c.end - c.p > 14 &&
        is_digit(c.p[1])) {
        c.p++;
        return month_day(c, true, o, out);
    }
    return first >= 'A' && first <= 'S' && syslog(c, o, out);
}

static bool is_word(char c) {
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool toc_log_time_parse(struct toc_sv line, const struct toc_log_time_options *o,
                        struct toc_ts *out) {
    size_t look = line.n < LOOK_BYTES ? line.n : LOOK_BYTES;
    for (size_t i = 0; i < look; i++) {
        bool is_start = i == 0 || !is_word(line.p[i - 1]);
        if (is_start && at_place((struct cursor){line.p + i, line.p + line.n}, i == 0, o, out))
            return true;
    }
    return false;
}
