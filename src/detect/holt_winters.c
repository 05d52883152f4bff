#include "detect/holt_winters.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/stats.h"

enum { VERSION = 1 };
static const double CLIP = 3, SCALE_RATE = 0.05;

static bool is_factor(double v) {
    return v >= 0 && v <= 1;
}

int toc_holt_init(struct toc_holt *h, const struct toc_holt_options *o) {
    *h = (struct toc_holt){.options = *o};
    if (!is_factor(o->alpha) || !is_factor(o->beta) || !is_factor(o->gamma) ||
        o->season > TOC_HOLT_SEASON_MAX || o->season == 1)
        return TOC_EINVAL;
    if (h->options.alpha == 0)
        h->options.alpha = 0.1;
    if (h->options.gamma == 0)
        h->options.gamma = 0.3;
    if (o->season) {
        h->seasonal = toc_try_calloc(o->season, sizeof *h->seasonal);
        if (!h->seasonal)
            return TOC_ENOMEM;
    }
    return 0;
}

void toc_holt_fini(struct toc_holt *h) {
    toc_free(h->seasonal);
    *h = (struct toc_holt){0};
}

/* The first season: its mean is the level, what deviates from it the season. A
 * missing value repeats the one before, which the level keeps meanwhile. */
static void learn_first_season(struct toc_holt *h, double value) {
    h->seasonal[h->phase] = value;
    h->sum += value;
    h->level = value;
    if (h->points != h->options.season)
        return;
    h->level = h->sum / h->options.season;
    for (uint32_t i = 0; i < h->options.season; i++)
        h->seasonal[i] -= h->level;
}

static void learn_scale(struct toc_holt *h, double error) {
    double deviation = fabs(error) * 1.2533; /* mean absolute deviation to standard deviation */
    if (h->scale > 0)
        h->scale += SCALE_RATE * (fmin(deviation, CLIP * h->scale) - h->scale);
    else
        h->scale = deviation;
}

static void learn(struct toc_holt *h, double expected, double value) {
    const struct toc_holt_options *o = &h->options;
    double error = value - expected;
    double limit = h->points > TOC_HOLT_WARM_UP && h->scale > 0 ? CLIP * h->scale : INFINITY;
    double clipped = fmin(fmax(error, -limit), limit);
    double season = h->seasonal ? h->seasonal[h->phase] : 0;
    double level = h->level + h->trend + o->alpha * clipped;
    h->trend += o->beta * (level - h->level - h->trend);
    h->level = level;
    if (h->seasonal)
        h->seasonal[h->phase] = season + o->gamma * (1 - o->alpha) * clipped;
    learn_scale(h, error);
}

static struct toc_forecast forecast(const struct toc_holt *h, double expected, double value) {
    uint64_t quiet = h->seasonal ? 2 * (uint64_t)h->options.season : TOC_HOLT_WARM_UP;
    if (h->points < TOC_MAX(quiet, (uint64_t)TOC_HOLT_WARM_UP))
        return (struct toc_forecast){NAN, NAN, 0};
    /* A constant series: its first change counts by a thousandth of its level. */
    double scale = fmax(fmax(h->scale, 1e-3 * fabs(expected)), 1e-12);
    return (struct toc_forecast){expected, scale, (value - expected) / scale};
}

struct toc_forecast toc_holt_step(struct toc_holt *h, double value) {
    struct toc_forecast out = {NAN, NAN, 0};
    uint32_t season = h->options.season;
    bool is_value = isfinite(value) && fabs(value) < 1e150;
    bool is_first_season = h->seasonal && h->points < season;
    double expected = h->level + h->trend + (h->seasonal ? h->seasonal[h->phase] : 0);
    if (is_first_season && (is_value || h->points > 0)) {
        h->points++;
        learn_first_season(h, is_value ? value : h->level);
    } else if (is_value && h->points == 0) {
        h->points++;
        h->level = value;
    } else if (is_value) {
        out = forecast(h, expected, value);
        h->points++;
        learn(h, expected, value);
    } else if (is_first_season) {
        return out; /* the first season waits for its value */
    }
    h->phase = season ? (h->phase + 1) % season : 0;
    return out;
}

/* ---- bytes ---- */

void toc_holt_encode(const struct toc_holt *h, struct toc_buf *out) {
    const struct toc_holt_options *o = &h->options;
    double numbers[] = {o->alpha, o->beta, o->gamma, h->level, h->trend, h->scale, h->sum};
    toc_buf_append_u8(out, VERSION);
    toc_buf_append_varint(out, o->season);
    toc_buf_append_varint(out, h->phase);
    toc_buf_append_varint(out, h->points);
    for (size_t i = 0; i < TOC_ARRAY_LEN(numbers); i++)
        toc_buf_append_f64(out, numbers[i]);
    for (uint32_t i = 0; i < o->season; i++)
        toc_buf_append_f64(out, h->seasonal[i]);
}

int toc_holt_decode(struct toc_reader *r, struct toc_holt *out) {
    uint8_t version = toc_read_u8(r);
    *out = (struct toc_holt){0};
    if (r->error)
        return r->error;
    if (version != VERSION)
        return TOC_EVERSION;
    uint64_t season = toc_read_varint(r), phase = toc_read_varint(r), points = toc_read_varint(r);
    double n[7];
    bool is_good = true;
    for (size_t i = 0; i < TOC_ARRAY_LEN(n); i++) {
        n[i] = toc_read_f64(r);
        is_good = is_good && isfinite(n[i]);
    }
    if (r->error || season > toc_reader_left(r) / 8)
        return r->error ? r->error : TOC_ETRUNCATED;
    struct toc_holt_options o = {n[0], n[1], n[2], (uint32_t)season};
    if (!is_good || season > TOC_HOLT_SEASON_MAX || phase >= TOC_MAX(season, (uint64_t)1) ||
        n[5] < 0 || !(n[0] > 0) || !(n[2] > 0))
        return TOC_ECORRUPT;
    int rc = toc_holt_init(out, &o);
    out->level = n[3];
    out->trend = n[4];
    out->scale = n[5];
    out->sum = n[6];
    out->phase = (uint32_t)phase;
    out->points = points;
    for (uint64_t i = 0; rc == 0 && i < season; i++) {
        out->seasonal[i] = toc_read_f64(r);
        rc = isfinite(out->seasonal[i]) ? 0 : TOC_ECORRUPT;
    }
    if (rc < 0)
        toc_holt_fini(out);
    return rc == TOC_EINVAL ? TOC_ECORRUPT : rc;
}

/* ---- the season ---- */

static double correlation_at(const double *v, size_t count, size_t lag) {
    double sum = 0, power = 0;
    size_t pairs = 0;
    for (size_t i = lag; i < count; i++) {
        if (isnan(v[i]) || isnan(v[i - lag]))
            continue;
        sum += v[i] * v[i - lag];
        power += (v[i] * v[i] + v[i - lag] * v[i - lag]) / 2;
        pairs++;
    }
    return pairs >= 8 && power > 0 ? sum / power : 0;
}

/* Minus the straight line through it; false when it is short or constant. */
static bool detrend(const double *values, size_t count, double *out) {
    double n = 0, st = 0, sv = 0, stt = 0, stv = 0, power = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            continue;
        double t = (double)i;
        n++, st += t, sv += values[i], stt += t * t, stv += t * values[i];
    }
    double d = n * stt - st * st;
    if (n < 16 || !(d > 0))
        return false;
    double slope = (n * stv - st * sv) / d, at_start = (sv - slope * st) / n;
    for (size_t i = 0; i < count; i++) {
        out[i] = isfinite(values[i]) ? values[i] - at_start - slope * (double)i : NAN;
        power += isnan(out[i]) ? 0 : out[i] * out[i];
    }
    return power > n * 1e-18 * (1 + at_start * at_start);
}

size_t toc_season_find(const double *values, size_t count, size_t max_lag) {
    size_t best = 0;
    double highest = 0.4 - 0.05, before = 2, at = 2;
    bool has_fallen = false; /* what lies before is the slope of the main peak */
    max_lag = TOC_MIN(max_lag, count / 2);
    double *v = toc_try_calloc(count + 1, sizeof *v);
    bool is_usable = v && max_lag >= 4 && detrend(values, count, v);
    for (size_t lag = 2; is_usable && lag <= max_lag; lag++) {
        double next = lag < max_lag ? correlation_at(v, count, lag + 1) : -2;
        has_fallen = has_fallen || at < 0.2;
        if (lag >= 4 && has_fallen && at >= before && at >= next && at > highest + 0.05) {
            highest = at;
            best = lag;
        }
        before = at;
        at = next;
    }
    toc_free(v);
    return best;
}
