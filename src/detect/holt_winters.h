/*
 * Exponential smoothing of level, trend and season (Holt 1957, Winters 1960,
 * additive), made robust: what deviates by more than three scales is learnt as
 * three (Gelper, Fried, Croux 2010). Without trend and season it is an EWMA.
 * Pure; one thread per state; bounded by its season.
 */
#ifndef TOC_DETECT_HOLT_WINTERS_H
#define TOC_DETECT_HOLT_WINTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { TOC_HOLT_SEASON_MAX = 20160, TOC_HOLT_WARM_UP = 16 };

struct toc_holt_options {
    double alpha, beta, gamma; /* level, trend, season; 0: 0.1, none, 0.3 */
    uint32_t season;           /* steps; 0: none */
};

struct toc_holt {
    struct toc_holt_options options;
    double level, trend;
    double scale;     /* of one-step errors, in the unit of a standard deviation */
    double *seasonal; /* owned, one per phase; NULL without a season */
    double sum;       /* of the first season */
    uint64_t points;  /* values learnt */
    uint32_t phase;   /* of the next value */
};

/* TOC_EINVAL for factors outside [0, 1] or too long a season, TOC_ENOMEM. */
int toc_holt_init(struct toc_holt *h, const struct toc_holt_options *o) TOC_MUST_CHECK;
void toc_holt_fini(struct toc_holt *h);

struct toc_forecast {
    double expected, scale; /* NaN during the warm-up (with a season: until two have passed) */
    double z;               /* (value - expected) / scale; 0 then */
};
/* The next step; a value that is not finite moves the phase on and is not
 * learnt. */
struct toc_forecast toc_holt_step(struct toc_holt *h, double value);

/* Version, factors and state. Decoding gives a state or an error
 * (TOC_ETRUNCATED, TOC_EVERSION, TOC_ECORRUPT, TOC_ENOMEM); `out` must not be
 * initialised. */
void toc_holt_encode(const struct toc_holt *h, struct toc_buf *out);
int toc_holt_decode(struct toc_reader *r, struct toc_holt *out) TOC_MUST_CHECK;

/* The length of the season of equidistant values (NaN: missing): the lag in [4,
 * max_lag] with the highest local maximum of the autocorrelation of differences
 * from the trend, at least 0.4, behind its first fall below 0.2; the shortest
 * of those as good within 0.05. 0: none. count * max_lag steps. */
size_t toc_season_find(const double *values, size_t count, size_t max_lag);

#endif
