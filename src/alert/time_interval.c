#include "alert/time_interval.h"

#include "base/num.h"

enum { DAY_MINUTES = 24 * 60, MAX_RANGES = 1000 };

static const char *const weekday_names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                            "thursday", "friday", "saturday"};
static const char *const month_names[] = {"january",   "february", "march",    "april",
                                          "may",       "june",     "july",     "august",
                                          "september", "october",  "november", "december"};

struct range_kind {
    const char *what;
    const char *const *names; /* NULL: numbers only */
    int name_count, first_name;
    int min, max;
    bool is_numeric, allows_negative;
};

static const struct range_kind weekday_kind = {"weekday", weekday_names, 7, 0, 0, 6, false, false};
static const struct range_kind month_kind = {"month", month_names, 12, 1, 1, 12, true, false};
static const struct range_kind day_kind = {"day of month", NULL, 0, 0, 1, 31, true, true};
static const struct range_kind year_kind = {"year", NULL, 0, 0, 1, 9999, true, false};

static int bad(const struct toc_yaml *n, const char *what, struct toc_err *err) {
    return toc_err_at(err, TOC_EPARSE, n->line, n->column, "\"%.*s\" is not a valid %s",
                      TOC_SV_ARG(toc_sv_sub(n->scalar, 0, 60)), what);
}

static bool parse_member(struct toc_sv text, const struct range_kind *k, int *out) {
    int64_t v;
    for (int i = 0; i < k->name_count; i++)
        if (toc_sv_eq_nocase(text, toc_sv_cstr(k->names[i]))) {
            *out = i + k->first_name;
            return true;
        }
    if (!k->is_numeric || toc_parse_i64(text, &v))
        return false;
    if (k->allows_negative && v >= -k->max && v <= -k->min) {
        *out = (int)v;
        return true;
    }
    *out = (int)TOC_MAX(TOC_MIN(v, 100000), -100000);
    return v >= k->min && v <= k->max;
}

static int parse_range(const struct toc_yaml *n, const struct range_kind *k,
                       struct toc_int_range *out, struct toc_err *err) {
    struct toc_sv rest, first;
    int rc = toc_yaml_string(n, &rest, err);
    if (rc)
        return rc;
    toc_sv_split(&rest, ':', &first);
    if (!parse_member(toc_sv_trim(first), k, &out->first))
        return bad(n, k->what, err);
    out->last = out->first;
    if (rest.p && !parse_member(toc_sv_trim(rest), k, &out->last))
        return bad(n, k->what, err);
    bool mixes_signs = out->first < 0 && out->last > 0;
    if (out->first > out->last && (out->first < 0) == (out->last < 0))
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "start of the %s range is after its end", k->what);
    if (mixes_signs)
        return toc_err_at(err, TOC_EINVAL, n->line, n->column,
                          "a %s range that starts at the end of the month must end there", k->what);
    return 0;
}

static int alloc_ranges(const struct toc_yaml *list, struct toc_arena *a,
                        struct toc_int_ranges *out, struct toc_err *err) {
    if (list->type != TOC_YAML_SEQUENCE)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column, "expected a list");
    if (list->count > MAX_RANGES)
        return toc_err_at(err, TOC_ELIMIT, list->line, list->column, "more than %d ranges",
                          MAX_RANGES);
    out->items = TOC_ARENA_NEW_ARRAY(a, struct toc_int_range, list->count + 1);
    out->count = list->count;
    return out->items ? 0 : TOC_ENOMEM;
}

static int read_ranges(const struct toc_yaml *list, const struct range_kind *k, struct toc_arena *a,
                       struct toc_int_ranges *out, struct toc_err *err) {
    if (!list || toc_yaml_is_null(list))
        return 0;
    int rc = alloc_ranges(list, a, out, err);
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = parse_range(&list->items[i], k, &out->items[i], err);
    return rc;
}

/* HH:MM as minutes of the day; 24:00 is the end of it. */
static bool parse_clock(struct toc_sv text, int *out) {
    if (text.n != 5 || text.p[2] != ':')
        return false;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (text.p[i] < '0' || text.p[i] > '9'))
            return false;
    int hours = (text.p[0] - '0') * 10 + text.p[1] - '0';
    int minutes = (text.p[3] - '0') * 10 + text.p[4] - '0';
    *out = hours * 60 + minutes;
    return minutes < 60 && *out <= DAY_MINUTES;
}

static int read_clock(const struct toc_yaml *spec, const char *key, int *out, struct toc_err *err) {
    const struct toc_yaml *n = toc_yaml_get(spec, key);
    struct toc_sv text;
    if (!n)
        return toc_err_at(err, TOC_EINVAL, spec->line, spec->column,
                          "both start and end times must be provided");
    int rc = toc_yaml_string(n, &text, err);
    if (rc)
        return rc;
    return parse_clock(text, out) ? 0 : bad(n, "time of day (HH:MM)", err);
}

static int read_times(const struct toc_yaml *list, struct toc_arena *a, struct toc_int_ranges *out,
                      struct toc_err *err) {
    static const char *const keys[] = {"start_time", "end_time", NULL};
    if (!list || toc_yaml_is_null(list))
        return 0;
    int rc = alloc_ranges(list, a, out, err);
    for (size_t i = 0; i < list->count && !rc; i++) {
        const struct toc_yaml *n = &list->items[i];
        struct toc_int_range *r = &out->items[i];
        rc = toc_yaml_check_keys(n, keys, err);
        if (!rc)
            rc = read_clock(n, "start_time", &r->first, err);
        if (!rc)
            rc = read_clock(n, "end_time", &r->last, err);
        if (!rc && r->first >= r->last)
            rc = toc_err_at(err, TOC_EINVAL, n->line, n->column,
                            "start time cannot be equal or greater than end time");
    }
    return rc;
}

static int read_location(const struct toc_yaml *n, const struct toc_zone_source *zones,
                         struct toc_time_spec *out, struct toc_err *err) {
    int ignored;
    out->location = TOC_SV("UTC");
    if (!n || toc_yaml_is_null(n))
        return 0;
    int rc = toc_yaml_string(n, &out->location, err);
    if (rc || toc_sv_eq_cstr(out->location, "UTC"))
        return rc;
    bool is_known = zones && zones->offset &&
                    zones->offset(zones->ctx, out->location, (struct toc_ts){0}, &ignored);
    if (!is_known)
        return toc_err_at(err, TOC_EUNSUPPORTED, n->line, n->column,
                          "unknown time zone \"%.*s\": use UTC, Local or a zone of this machine",
                          TOC_SV_ARG(out->location));
    return 0;
}

static int read_spec(const struct toc_yaml *n, const struct toc_zone_source *zones,
                     struct toc_arena *a, struct toc_time_spec *out, struct toc_err *err) {
    static const char *const keys[] = {"times",    "weekdays", "days_of_month", "months", "years",
                                       "location", NULL};
    int rc = toc_yaml_check_keys(n, keys, err);
    if (!rc)
        rc = read_times(toc_yaml_get(n, "times"), a, &out->times, err);
    if (!rc)
        rc = read_ranges(toc_yaml_get(n, "weekdays"), &weekday_kind, a, &out->weekdays, err);
    if (!rc)
        rc = read_ranges(toc_yaml_get(n, "days_of_month"), &day_kind, a, &out->days_of_month, err);
    if (!rc)
        rc = read_ranges(toc_yaml_get(n, "months"), &month_kind, a, &out->months, err);
    if (!rc)
        rc = read_ranges(toc_yaml_get(n, "years"), &year_kind, a, &out->years, err);
    return rc ? rc : read_location(toc_yaml_get(n, "location"), zones, out, err);
}

int toc_time_specs_read(const struct toc_yaml *list, const struct toc_zone_source *zones,
                        struct toc_arena *a, struct toc_time_interval *out, struct toc_err *err) {
    if (!list || toc_yaml_is_null(list))
        return 0;
    if (list->type != TOC_YAML_SEQUENCE || list->count > MAX_RANGES)
        return toc_err_at(err, TOC_ETYPE, list->line, list->column,
                          "expected a list of at most %d time intervals", MAX_RANGES);
    out->specs = TOC_ARENA_NEW_ARRAY(a, struct toc_time_spec, list->count + 1);
    out->count = list->count;
    int rc = out->specs ? 0 : TOC_ENOMEM;
    for (size_t i = 0; i < list->count && !rc; i++)
        rc = read_spec(&list->items[i], zones, a, &out->specs[i], err);
    return rc;
}

static bool in_ranges(const struct toc_int_ranges *r, int64_t v) {
    for (size_t i = 0; i < r->count; i++)
        if (v >= r->items[i].first && v <= r->items[i].last)
            return true;
    return r->count == 0;
}

static bool in_times(const struct toc_int_ranges *r, int minute) {
    for (size_t i = 0; i < r->count; i++)
        if (minute >= r->items[i].first && minute < r->items[i].last)
            return true;
    return r->count == 0;
}

static int days_in_month(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

/* Negative days count from the end of the month; both ends are clamped to it. */
static bool in_days(const struct toc_int_ranges *r, const struct toc_civil *c) {
    int length = days_in_month(c->year, c->month);
    for (size_t i = 0; i < r->count; i++) {
        int first = r->items[i].first, last = r->items[i].last;
        if (first > length)
            continue; /* a day that this month does not have */
        first = first < 0 ? TOC_MAX(length + first + 1, 1) : first;
        last = last < 0 ? length + last + 1 : TOC_MIN(last, length);
        if (c->day >= first && c->day <= last)
            return true;
    }
    return r->count == 0;
}

static bool spec_contains(const struct toc_time_spec *s, const struct toc_zone_source *zones,
                          struct toc_ts at) {
    int offset = 0;
    if (!toc_sv_eq_cstr(s->location, "UTC") &&
        !(zones && zones->offset && zones->offset(zones->ctx, s->location, at, &offset)))
        return false;
    struct toc_civil c = toc_ts_civil((struct toc_ts){at.ms + (int64_t)offset * 60000});
    return in_times(&s->times, c.hour * 60 + c.minute) && in_ranges(&s->weekdays, c.weekday) &&
           in_days(&s->days_of_month, &c) && in_ranges(&s->months, c.month) &&
           in_ranges(&s->years, c.year);
}

bool toc_time_interval_contains(const struct toc_time_interval *t,
                                const struct toc_zone_source *zones, struct toc_ts at) {
    for (size_t i = 0; i < t->count; i++)
        if (spec_contains(&t->specs[i], zones, at))
            return true;
    return false;
}
