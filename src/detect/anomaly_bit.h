/*
 * The cheap detector for every series: one bit per sample, "this is rare for this series", from 112
 * bytes of state and a few dozen operations. Pure; one thread per state.
 *
 * Two residuals: to the line through the last samples (discounted least squares, span 32, by
 * Brown's double exponential smoothing) and to their level (exponential mean, span 128). Each is
 * set against its own past: a quantile exceeded by 2 % and the median excess over it, both tracked
 * multiplicatively (DUMIQE, Yazidi and Hammer 2017), and beyond them a generalised Pareto tail
 * with shape 0.2. The surprise is the mean of the two -log10 p.
 *
 * Calibration: the surprise never exceeds what the series' own record proves. With e events in n
 * samples (n fades at 4096), an event being a stretch with a surprise over the limit, it is at most
 * -log10((e + 1/2) / (n + 1000)); a surprise over 5 is held against events over 5 only. So whatever
 * begins more often than once in a thousand samples is normal for that series, whatever the shape
 * of its distribution. The first change of a constant series has the surprise that its length
 * proves: log10(n + 1).
 */
#ifndef TOC_DETECT_ANOMALY_BIT_H
#define TOC_DETECT_ANOMALY_BIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* -log10 of the share of samples at which an anomaly may begin. */
#define TOC_ANOMALY_BIT_SURPRISE 3.0
enum {
    TOC_ANOMALY_BIT_SAMPLES_MIN = 64, /* before the first bit */
    TOC_ANOMALY_BIT_MEMORY = 4096,    /* samples over which the record of events fades */
};

/* A score's 98th percentile and median excess over it, as a share of the percentile. */
struct toc_tail_track {
    float upper, excess;
};

/* All zero: nothing was seen. Set is_counter before the first sample. */
struct toc_anomaly_bit {
    double last;          /* newest value as it came */
    double level;         /* mean, span 128; of counters: of the increase per second */
    double fast, fast2;   /* single and double exponential means, span 32 */
    int64_t last_ms;      /* 0: none yet */
    float interval_ms;    /* usual distance of samples */
    float events, giants; /* fading counts of anomalies begun, below and above a surprise of 5 */
    float seen;           /* samples judged, at most TOC_ANOMALY_BIT_MEMORY */
    float surprise;       /* of the newest sample, ≥ 0 */
    struct toc_tail_track line, flat;
    bool is_counter;
    bool is_anomaly; /* the bit of the newest sample */
    bool is_above;   /* which way it deviates */
    uint8_t quiet;   /* samples since the last surprise over the limit, at most 255 */
};
_Static_assert(sizeof(struct toc_anomaly_bit) <= 112,
               "the promise is 256 bytes with all around it");

/* The next sample. Returns whether it was judged: not NaN or infinite, not later than the last one,
 * the first of a counter, or one after a gap. Those have no bit. */
bool toc_anomaly_bit_step(struct toc_anomaly_bit *s, int64_t t_ms, double value);

/* Appends the state (at most TOC_ANOMALY_BIT_BYTES); restored it answers bit for bit as one that
 * never stopped. Decoding takes any bytes: TOC_ETRUNCATED, TOC_ECORRUPT for what steps cannot make.
 */
enum { TOC_ANOMALY_BIT_BYTES = 80 };
void toc_anomaly_bit_encode(const struct toc_anomaly_bit *s, struct toc_buf *out);
int toc_anomaly_bit_decode(struct toc_reader *r, struct toc_anomaly_bit *out) TOC_MUST_CHECK;

#endif
