/* Functions of one number. */
#include <math.h>

#include "model/sample.h"
#include "promql/functions_priv.h"

double toc_math_abs(double v, const double *p) {
    (void)p;
    return fabs(v);
}
double toc_math_ceil(double v, const double *p) {
    (void)p;
    return ceil(v);
}
double toc_math_floor(double v, const double *p) {
    (void)p;
    return floor(v);
}
double toc_math_exp(double v, const double *p) {
    (void)p;
    return exp(v);
}
double toc_math_ln(double v, const double *p) {
    (void)p;
    return log(v);
}
double toc_math_log2(double v, const double *p) {
    (void)p;
    return log2(v);
}
double toc_math_log10(double v, const double *p) {
    (void)p;
    return log10(v);
}
double toc_math_sqrt(double v, const double *p) {
    (void)p;
    return sqrt(v);
}
double toc_math_sgn(double v, const double *p) {
    (void)p;
    return v > 0 ? 1 : v < 0 ? -1 : v;
}
double toc_math_sin(double v, const double *p) {
    (void)p;
    return sin(v);
}
double toc_math_cos(double v, const double *p) {
    (void)p;
    return cos(v);
}
double toc_math_tan(double v, const double *p) {
    (void)p;
    return tan(v);
}
double toc_math_asin(double v, const double *p) {
    (void)p;
    return asin(v);
}
double toc_math_acos(double v, const double *p) {
    (void)p;
    return acos(v);
}
double toc_math_atan(double v, const double *p) {
    (void)p;
    return atan(v);
}
double toc_math_sinh(double v, const double *p) {
    (void)p;
    return sinh(v);
}
double toc_math_cosh(double v, const double *p) {
    (void)p;
    return cosh(v);
}
double toc_math_tanh(double v, const double *p) {
    (void)p;
    return tanh(v);
}
double toc_math_asinh(double v, const double *p) {
    (void)p;
    return asinh(v);
}
double toc_math_acosh(double v, const double *p) {
    (void)p;
    return acosh(v);
}
double toc_math_atanh(double v, const double *p) {
    (void)p;
    return atanh(v);
}
double toc_math_deg(double v, const double *p) {
    (void)p;
    return v * 180.0 / 3.14159265358979323846;
}
double toc_math_rad(double v, const double *p) {
    (void)p;
    return v * 3.14159265358979323846 / 180.0;
}

/* NaN unless an infinity decides already. */
double toc_math_larger(double a, double b) {
    if (isinf(a) && a > 0)
        return a;
    if (isinf(b) && b > 0)
        return b;
    return isnan(a) || isnan(b) ? NAN : fmax(a, b);
}
double toc_math_smaller(double a, double b) {
    return -toc_math_larger(-a, -b);
}

double toc_math_clamp_min(double v, const double *p) {
    return toc_math_larger(p[0], v);
}
double toc_math_clamp_max(double v, const double *p) {
    return toc_math_smaller(p[0], v);
}
double toc_math_clamp(double v, const double *p) {
    if (p[0] > p[1])
        return toc_stale_nan(); /* no value, as upstream */
    return toc_math_larger(p[0], toc_math_smaller(p[1], v));
}
/* Ties go up; the multiple is inverted first, for less rounding error. */
double toc_math_round(double v, const double *p) {
    double inverse = 1.0 / p[0];
    return floor(v * inverse + 0.5) / inverse;
}
