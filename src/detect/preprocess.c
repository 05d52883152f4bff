#include "detect/preprocess.h"

#include <math.h>
#include <string.h>

#include "detect/robust.h"
#include "detect/stats.h"

#define HAMPEL_SIGMAS 3.0

#define X(name, text, help) text,
static const char *const change_names[] = {TOC_CHANGE_TABLE(X)};
static const char *const denoise_names[] = {TOC_DENOISE_TABLE(X)};
static const char *const normalise_names[] = {TOC_NORMALISE_TABLE(X)};
#undef X

const char *toc_change_text(enum toc_change c) {
    return change_names[c];
}
const char *toc_denoise_text(enum toc_denoise d) {
    return denoise_names[d];
}
const char *toc_normalise_text(enum toc_normalise n) {
    return normalise_names[n];
}

static int find_name(struct toc_sv s, const char *const *names, size_t count, const char *what,
                     struct toc_err *err) {
    char list[128] = "";
    for (size_t i = 0; i < count; i++) {
        if (toc_sv_eq_cstr(s, names[i]))
            return (int)i;
        if (i > 0)
            strncat(list, ", ", sizeof list - strlen(list) - 1);
        strncat(list, names[i], sizeof list - strlen(list) - 1);
    }
    return toc_errf(err, TOC_EINVAL, "unknown %s \"%.*s\"; give one of %s", what, TOC_SV_ARG(s),
                    list);
}

int toc_change_parse(struct toc_sv s, enum toc_change *out, struct toc_err *err) {
    int i = find_name(s, change_names, TOC_ARRAY_LEN(change_names), "change", err);
    if (i >= 0)
        *out = (enum toc_change)i;
    return i < 0 ? i : 0;
}

int toc_denoise_parse(struct toc_sv s, enum toc_denoise *out, struct toc_err *err) {
    int i = find_name(s, denoise_names, TOC_ARRAY_LEN(denoise_names), "denoise method", err);
    if (i >= 0)
        *out = (enum toc_denoise)i;
    return i < 0 ? i : 0;
}

int toc_normalise_parse(struct toc_sv s, enum toc_normalise *out, struct toc_err *err) {
    int i = find_name(s, normalise_names, TOC_ARRAY_LEN(normalise_names), "normalise method", err);
    if (i >= 0)
        *out = (enum toc_normalise)i;
    return i < 0 ? i : 0;
}

static size_t drop_not_finite(int64_t *t_ms, double *values, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            continue;
        t_ms[kept] = t_ms[i];
        values[kept++] = values[i];
    }
    return kept;
}

static double rate_between(int64_t t0, double v0, int64_t t1, double v1) {
    double increase = v1 >= v0 ? v1 - v0 : v1; /* after a reset the counter began at 0 */
    return t1 > t0 ? increase * 1000 / (double)(t1 - t0) : NAN;
}

static void apply_change(enum toc_change change, const int64_t *t_ms, double *values,
                         size_t count) {
    if (change == TOC_CHANGE_NONE || count == 0)
        return;
    double before = values[0];
    for (size_t i = 0; i < count; i++) {
        double now = values[i];
        if (change == TOC_CHANGE_LOG)
            values[i] = copysign(log1p(fabs(now)), now);
        else if (i == 0)
            values[i] = NAN;
        else if (change == TOC_CHANGE_DIFFERENCE)
            values[i] = now - before;
        else
            values[i] = rate_between(t_ms[i - 1], before, t_ms[i], now);
        before = now;
    }
}

static void smooth_ewma(double *values, size_t count, size_t window) {
    double alpha = 2 / ((double)window + 1), level = count ? values[0] : 0;
    for (size_t i = 0; i < count; i++) {
        level += alpha * (values[i] - level);
        values[i] = level;
    }
}

/* Median of the window that ends at each value, or that median only where the value stands out of
 * it. */
static int smooth_window(enum toc_denoise denoise, double *values, size_t count, size_t window) {
    struct toc_robust_window w;
    int rc = toc_robust_window_init(&w, window);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++) {
        toc_robust_window_add(&w, values[i]);
        struct toc_robust r;
        toc_robust_window_fit(&w, &r);
        double limit = HAMPEL_SIGMAS * r.scale;
        if (denoise == TOC_DENOISE_MEDIAN || (w.count > 2 && fabs(values[i] - r.median) > limit))
            values[i] = r.median;
    }
    toc_robust_window_fini(&w);
    return 0;
}

int64_t toc_preprocess_series(const struct toc_preprocess *p, int64_t *t_ms, double *values,
                              size_t count) {
    size_t window = p->window ? p->window : TOC_PREPROCESS_WINDOW_DEFAULT;
    int rc = 0;
    count = drop_not_finite(t_ms, values, count);
    apply_change(p->change, t_ms, values, count);
    count = drop_not_finite(t_ms, values, count);
    if (p->denoise == TOC_DENOISE_EWMA)
        smooth_ewma(values, count, window);
    else if (p->denoise != TOC_DENOISE_NONE)
        rc = smooth_window(p->denoise, values, count, window);
    return rc < 0 ? rc : (int64_t)count;
}

struct toc_normalisation toc_normalise_fit(enum toc_normalise n, const double *values, size_t count,
                                           double *scratch) {
    struct toc_normalisation out = {0, 1};
    if (count == 0 || n == TOC_NORMALISE_NONE)
        return out;
    if (n == TOC_NORMALISE_ROBUST) {
        struct toc_robust r;
        memcpy(scratch, values, count * sizeof *values);
        toc_robust_fit(scratch, count, &r);
        return (struct toc_normalisation){r.median, r.is_constant ? 1 : r.scale};
    }
    struct toc_stats s;
    toc_stats_compute(values, count, &s);
    double spread = n == TOC_NORMALISE_ZSCORE ? s.stddev : s.max - s.min;
    return (struct toc_normalisation){n == TOC_NORMALISE_ZSCORE ? s.mean : s.min,
                                      spread > 0 ? spread : 1};
}
