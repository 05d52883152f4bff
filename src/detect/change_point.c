#include "detect/change_point.h"

#include <math.h>
#include <string.h>

#include "detect/robust.h"

/* Prior of a run in units of the scale: a vague mean, a variance like the one
 * so far. */
static const double KAPPA = 0.02, ALPHA = 1, BETA = 1;
static const double SHARE_OF_SHORT = 0.9, ERRORS_MIN = 4.5;
enum { CONFIRM_MAX = 16, BEFORE_MIN = 16, BEFORE_MAX = 64, VERSION = 1 };

static struct toc_change_options with_defaults(const struct toc_change_options *o) {
    struct toc_change_options d = *o;
    if (!(d.hazard_points > 1))
        d.hazard_points = 500;
    if (!(d.least_ratio > 0))
        d.least_ratio = 0.05;
    if (!d.confirm)
        d.confirm = 8;
    d.confirm = TOC_MIN(d.confirm, (uint32_t)CONFIRM_MAX);
    return d;
}

static double recent_at(const struct toc_change_point *s, uint64_t age) {
    return s->recent[(s->points - 1 - age) % TOC_CHANGE_RECENT];
}

/* Median, and median absolute deviation as a standard deviation, of values
 * `first`…`first + count - 1` counted back from the newest. */
static double median_back(const struct toc_change_point *s, uint32_t first, uint32_t count,
                          double *out_sd) {
    double v[TOC_CHANGE_RECENT];
    for (uint32_t i = 0; i < count; i++)
        v[i] = recent_at(s, first + i);
    struct toc_robust r;
    toc_robust_fit(v, count, &r);
    *out_sd = r.is_constant ? 0 : r.scale;
    return r.median;
}

/* Distance of neighbours over sqrt(2): the noise, whatever the level does. */
static double noise_of(const struct toc_change_point *s, uint32_t count) {
    double d[TOC_CHANGE_RECENT];
    for (uint32_t i = 0; i + 1 < count; i++)
        d[i] = fabs(recent_at(s, i) - recent_at(s, i + 1));
    return toc_robust_median(d, count - 1) * 1.4826 / M_SQRT2;
}

/* ---- runs ---- */

/* log density of Student's t with 2 alpha degrees; ln Γ(a + 1/2) - ln Γ(a) by
 * its expansion. */
static double log_predictive(const struct toc_change_run *r, double z) {
    double n = r->length, alpha = ALPHA + n / 2, kappa = KAPPA + n;
    double spread = r->beta * (kappa + 1) / (alpha * kappa); /* scale squared */
    double d = z - r->mean;
    double log_gamma_ratio = 0.5 * log(alpha - 0.25 + 1 / (32 * alpha));
    return log_gamma_ratio - 0.5 * log(2 * M_PI * alpha * spread) -
           (alpha + 0.5) * log1p(d * d / (2 * alpha * spread));
}

static void add_to_run(struct toc_change_run *r, double z) {
    double kappa = KAPPA + r->length, d = z - r->mean;
    r->beta += kappa * d * d / (2 * (kappa + 1));
    r->mean += d / (kappa + 1);
    r->length++;
}

static void normalise(struct toc_change_point *s) {
    double most = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < s->run_count; i++)
        most = fmax(most, s->runs[i].log_p);
    for (uint32_t i = 0; i < s->run_count; i++)
        sum += exp(s->runs[i].log_p - most);
    for (uint32_t i = 0; i < s->run_count; i++)
        s->runs[i].log_p -= most + log(sum);
}

/* Makes room for a new run: the least likely one goes. */
static void prune(struct toc_change_point *s) {
    uint32_t least = 0;
    if (s->run_count < TOC_CHANGE_RUNS)
        return;
    for (uint32_t i = 1; i < s->run_count; i++)
        if (s->runs[i].log_p < s->runs[least].log_p)
            least = i;
    s->runs[least] = s->runs[--s->run_count];
}

static void update_runs(struct toc_change_point *s, double z, double hazard) {
    double change = -INFINITY; /* log of the mass of all changes */
    for (uint32_t i = 0; i < s->run_count; i++) {
        struct toc_change_run *r = &s->runs[i];
        double joint = r->log_p + log_predictive(r, z);
        double of_change = joint + log(hazard);
        double high = fmax(change, of_change), low = fmin(change, of_change);
        change = isinf(low) ? high : high + log1p(exp(low - high));
        r->log_p = joint + log1p(-hazard);
        add_to_run(r, z);
    }
    prune(s);
    s->runs[s->run_count++] = (struct toc_change_run){0, BETA, change, 0};
    normalise(s);
}

static const struct toc_change_run *likeliest(const struct toc_change_point *s) {
    const struct toc_change_run *best = &s->runs[0];
    for (uint32_t i = 1; i < s->run_count; i++)
        if (s->runs[i].log_p > best->log_p)
            best = &s->runs[i];
    return best;
}

static double share_of_short(const struct toc_change_point *s, uint32_t length) {
    double sum = 0;
    for (uint32_t i = 0; i < s->run_count; i++)
        if (s->runs[i].length <= length)
            sum += exp(s->runs[i].log_p);
    return fmin(sum, 1);
}

/* ---- state ---- */

/* Begins anew with the newest `count` values as the first run. */
static void anchor(struct toc_change_point *s, uint32_t count, double hazard) {
    double sd, noise = noise_of(s, count);
    s->centre = median_back(s, 0, count, &sd);
    s->scale = fmax(fmax(sd > 0 ? sd : noise, 1e-3 * fabs(s->centre)), 1e-12);
    s->run_count = 1;
    s->runs[0] = (struct toc_change_run){0, BETA, 0, 0};
    for (uint32_t i = count; i-- > 0;)
        update_runs(s, (recent_at(s, i) - s->centre) / s->scale, hazard);
}

/* Is the likeliest run a confirmed change? Medians and errors decide. */
static bool confirm(const struct toc_change_point *s, const struct toc_change_options *o,
                    const struct toc_change_run *run, struct toc_level_change *out) {
    uint32_t held = (uint32_t)TOC_MIN(s->points, (uint64_t)TOC_CHANGE_RECENT);
    uint32_t after = run->length;
    if (after < o->confirm || after > 4 * o->confirm || held < after + BEFORE_MIN ||
        out->probability < SHARE_OF_SHORT)
        return false;
    uint32_t before = TOC_MIN(held - after, (uint32_t)BEFORE_MAX);
    double sd_after, sd_before;
    out->after = median_back(s, 0, after, &sd_after);
    out->before = median_back(s, after, before, &sd_before);
    double shift = fabs(out->after - out->before);
    double sd = fmax(fmax(sd_before, sd_after), 1e-4 * fabs(out->before));
    double error = sd * 1.2533 * sqrt(1.0 / after + 1.0 / before); /* of medians */
    out->age = after;
    return shift >= o->least_ratio * fabs(out->before) && shift >= o->least_shift &&
           shift >= ERRORS_MIN * error;
}

static void set_band(const struct toc_change_point *s, const struct toc_change_run *r,
                     struct toc_level_change *out) {
    double n = r->length, alpha = ALPHA + n / 2, kappa = KAPPA + n;
    double half = 3.3 * sqrt(r->beta * (kappa + 1) / (alpha * kappa));
    out->lower = s->centre + s->scale * (r->mean - half);
    out->upper = s->centre + s->scale * (r->mean + half);
}

struct toc_level_change toc_change_point_step(struct toc_change_point *s,
                                              const struct toc_change_options *options,
                                              double value) {
    struct toc_change_options o = with_defaults(options);
    struct toc_level_change out = {.lower = NAN, .upper = NAN};
    if (!isfinite(value) || fabs(value) > 1e150)
        return out;
    s->recent[s->points++ % TOC_CHANGE_RECENT] = value;
    if (s->points < TOC_CHANGE_WARM_UP)
        return out;
    if (s->points == TOC_CHANGE_WARM_UP) {
        anchor(s, TOC_CHANGE_WARM_UP, 1 / o.hazard_points);
        return out;
    }
    /* Far out values count as far, not as infinitely far. */
    double z = fmin(fmax((value - s->centre) / s->scale, -1e4), 1e4);
    update_runs(s, z, 1 / o.hazard_points);
    const struct toc_change_run *run = likeliest(s);
    bool has_past = s->points > TOC_CHANGE_WARM_UP + 4 * o.confirm;
    out.probability = has_past ? share_of_short(s, 4 * o.confirm) : 0;
    set_band(s, run, &out);
    out.is_change = has_past && confirm(s, &o, run, &out);
    if (out.is_change) {
        /* What came before the change says nothing of the next one. */
        double kept[CONFIRM_MAX * 4] = {0};
        uint32_t count = TOC_MIN(out.age, (uint32_t)(4 * CONFIRM_MAX));
        for (uint32_t i = 0; i < count; i++)
            kept[i] = recent_at(s, count - 1 - i);
        memcpy(s->recent, kept, count * sizeof *kept);
        s->points = count;
        if (count >= TOC_CHANGE_WARM_UP)
            anchor(s, count, 1 / o.hazard_points);
    }
    return out;
}

/* ---- bytes: u8 version, varint points, f64 centre, scale, values, varint
 * runs, runs ---- */

static uint32_t held_values(const struct toc_change_point *s) {
    return (uint32_t)TOC_MIN(s->points, (uint64_t)TOC_CHANGE_RECENT);
}

void toc_change_point_encode(const struct toc_change_point *s, struct toc_buf *out) {
    toc_buf_append_u8(out, VERSION);
    toc_buf_append_varint(out, s->points);
    toc_buf_append_f64(out, s->centre);
    toc_buf_append_f64(out, s->scale);
    for (uint32_t i = held_values(s); i-- > 0;)
        toc_buf_append_f64(out, recent_at(s, i));
    toc_buf_append_varint(out, s->run_count);
    for (uint32_t i = 0; i < s->run_count; i++) {
        toc_buf_append_varint(out, s->runs[i].length);
        toc_buf_append_f64(out, s->runs[i].mean);
        toc_buf_append_f64(out, s->runs[i].beta);
        toc_buf_append_f64(out, s->runs[i].log_p);
    }
}

static bool read_run(struct toc_reader *r, struct toc_change_run *out) {
    uint64_t length = toc_read_varint(r);
    out->length = (uint32_t)TOC_MIN(length, (uint64_t)UINT32_MAX / 2);
    out->mean = toc_read_f64(r);
    out->beta = toc_read_f64(r);
    out->log_p = toc_read_f64(r);
    return !r->error && isfinite(out->mean) && out->beta > 0 && isfinite(out->beta) &&
           out->log_p <= 1e-6;
}

int toc_change_point_decode(struct toc_reader *r, struct toc_change_point *out) {
    struct toc_change_point s = {0};
    uint8_t version = toc_read_u8(r);
    if (r->error)
        return r->error;
    if (version != VERSION)
        return TOC_EVERSION;
    s.points = toc_read_varint(r);
    s.centre = toc_read_f64(r);
    s.scale = toc_read_f64(r);
    bool is_good = isfinite(s.centre) && isfinite(s.scale) && s.scale >= 0 &&
                   (s.points < TOC_CHANGE_WARM_UP || s.scale > 0);
    for (uint32_t n = held_values(&s), i = n; !r->error && i-- > 0;) {
        double v = toc_read_f64(r);
        is_good = is_good && isfinite(v);
        s.recent[(s.points - 1 - i) % TOC_CHANGE_RECENT] = v;
    }
    uint64_t runs = toc_read_varint(r);
    is_good = is_good && runs <= TOC_CHANGE_RUNS && (runs > 0) == (s.scale > 0);
    for (uint64_t i = 0; is_good && i < runs; i++)
        is_good = read_run(r, &s.runs[s.run_count++]);
    if (r->error)
        return r->error;
    if (!is_good)
        return TOC_ECORRUPT;
    *out = s;
    return 0;
}
