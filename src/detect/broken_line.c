#include "detect/broken_line.h"

#include <math.h>

static const double AUTOCORRELATION_MAX = 0.8;

struct points {
    const double *x, *y;
    size_t n;
    double at; /* of the break */
};

struct sums { /* about the means */
    double x, h, y, xx, xh, hh, xy, hy;
};

static double hinge(const struct points *p, size_t i) {
    return p->x[i] > p->at ? p->x[i] - p->at : 0;
}

static struct sums sum_up(const struct points *p) {
    struct sums s = {0};
    for (size_t i = 0; i < p->n; i++) {
        s.x += p->x[i];
        s.h += hinge(p, i);
        s.y += p->y[i];
    }
    s.x /= (double)p->n;
    s.h /= (double)p->n;
    s.y /= (double)p->n;
    for (size_t i = 0; i < p->n; i++) {
        double dx = p->x[i] - s.x, dh = hinge(p, i) - s.h, dy = p->y[i] - s.y;
        s.xx += dx * dx;
        s.xh += dx * dh;
        s.hh += dh * dh;
        s.xy += dx * dy;
        s.hy += dh * dy;
    }
    return s;
}

/* Variance of the residuals as it counts for the error of the slopes. */
static double noise_of(const struct points *p, const struct sums *s,
                       const struct toc_broken_line *l, double least) {
    double squares = 0, products = 0, last = 0;
    for (size_t i = 0; i < p->n; i++) {
        double expected = l->slope * (p->x[i] - s->x) + l->change * (hinge(p, i) - s->h);
        double r = p->y[i] - s->y - expected;
        squares += r * r;
        products += r * last;
        last = r;
    }
    double variance = fmax(squares / (double)(p->n - 3), least);
    double by_chance = 1 / sqrt((double)p->n);
    double share = squares > 0 ? products / squares - by_chance : 0;
    share = fmin(fmax(share, 0), AUTOCORRELATION_MAX);
    return variance * (1 + share) / (1 - share);
}

bool toc_broken_line_fit(const double *x, const double *y, size_t n, size_t k,
                         double least_variance, struct toc_broken_line *out) {
    if (n < 5 || k == 0 || k >= n)
        return false;
    const struct points p = {x, y, n, (x[k - 1] + x[k]) / 2};
    struct sums s = sum_up(&p);
    double determinant = s.xx * s.hh - s.xh * s.xh;
    if (!(determinant > 1e-12 * s.xx * s.hh))
        return false;
    out->slope = (s.hh * s.xy - s.xh * s.hy) / determinant;
    out->change = (s.xx * s.hy - s.xh * s.xy) / determinant;
    out->error = sqrt(noise_of(&p, &s, out, least_variance) * s.xx / determinant);
    return isfinite(out->slope) && isfinite(out->change) && out->error > 0 && isfinite(out->error);
}

/* Under the integral of the density f from t on 1 <= s/t, and s f(s) has a closed integral: P(T >
 * t) <= f(t) (1 + t^2/v) v / ((v - 1) t); and f(0) < 1/sqrt(2 pi). */
double toc_student_surprise(double t, double degrees) {
    const double half = 0.30102999566398120;
    if (!(t > 0) || !(degrees > 1))
        return half;
    double log_density = -0.91893853320467274 - (degrees + 1) / 2 * log1p(t * t / degrees);
    double log_tail = log_density + log1p(t * t / degrees) + log(degrees / ((degrees - 1) * t));
    return fmax(half, fmin(-log_tail * M_LOG10E, 300));
}
