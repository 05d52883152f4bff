/* Time types, durations and their texts. Reading a clock is `sys/clock.h`'s business. */
#ifndef TOC_BASE_TIME_H
#define TOC_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

/* Wall time in milliseconds since the Unix epoch (sample time). */
struct toc_ts {
    int64_t ms;
};
/* Monotonic time in nanoseconds: time-outs, back-off, `for:`. Never convertible to toc_ts. */
struct toc_mono {
    int64_t ns;
};

#define TOC_TS_MIN INT64_MIN
#define TOC_TS_MAX INT64_MAX

/* Prometheus durations: "1h30m", "90s", "0", "100ms", units y w d h m s ms in that order, each
 * once. Result in ms, never negative. TOC_EPARSE with a reason otherwise. */
int toc_duration_parse(struct toc_sv s, int64_t *out_ms, struct toc_err *err) TOC_MUST_CHECK;
/* Prometheus' text of a duration ("1h30m", "0s"), into out. */
void toc_duration_format(int64_t ms, struct toc_buf *out);
/* For people: "3.2s", "4m10s", "2h5m", "3d4h". */
void toc_duration_format_human(int64_t ms, struct toc_buf *out);

/* RFC 3339 in UTC with milliseconds: "2026-11-24T13:17:34.250Z". */
void toc_ts_format_rfc3339(struct toc_ts t, struct toc_buf *out);
/* Accepts RFC 3339 with any offset and fraction. */
int toc_ts_parse_rfc3339(struct toc_sv s, struct toc_ts *out, struct toc_err *err) TOC_MUST_CHECK;

/* Broken-down UTC, proleptic Gregorian. */
struct toc_civil {
    int64_t year;
    int month; /* 1-12 */
    int day;   /* 1-31 */
    int hour, minute, second, millisecond;
    int weekday; /* 0 = Sunday */
};
struct toc_civil toc_ts_civil(struct toc_ts t);
struct toc_ts toc_civil_ts(const struct toc_civil *c);

#endif
