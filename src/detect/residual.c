#include "detect/residual.h"

#include <math.h>

#include "base/alloc.h"

double toc_moments_z(struct toc_moments *m, double v, double clip) {
    double sd = m->count > 1 ? sqrt(m->squares / (double)m->count) : 0;
    double z = m->count > 5 && sd > 0 ? (v - m->mean) / sd : 0;
    double delta = v - m->mean;
    m->count++;
    m->mean += delta / (double)m->count;
    m->squares += delta * (v - m->mean);
    return fmin(fmax(z, -clip), clip);
}

double toc_line_residual(struct toc_line *l, double v) {
    static const double keep = 1 - 2.0 / 33; /* span 32 */
    /* All ages grow by one, so that age 0 is the new value. */
    l->s2 = keep * (l->s2 + 2 * l->s1 + l->s0);
    l->s1 = keep * (l->s1 + l->s0);
    l->s0 *= keep;
    l->t1 = keep * (l->t1 + l->t0);
    l->t0 *= keep;
    double residual = 0;
    if (l->count >= 8) {
        double spread = l->s0 * l->s2 - l->s1 * l->s1;
        double forecast = spread > 1e-9 ? (l->s2 * l->t0 - l->s1 * l->t1) / spread : l->t0 / l->s0;
        residual = fabs(v - forecast);
    }
    l->s0 += 1;
    l->t0 += v;
    l->count++;
    return residual;
}

double toc_level_residual(struct toc_level *l, double v) {
    if (l->count++ == 0)
        l->level = v;
    double residual = fabs(v - l->level);
    double share = fmax(2.0 / 129, 1 / (double)l->count);
    l->level += share * (v - l->level);
    return residual;
}

double toc_sliding_sum_add(struct toc_sliding_sum *s, double v) {
    size_t at = (size_t)(s->count % s->width);
    s->sum += v - (s->count >= s->width ? s->values[at] : 0);
    s->values[at] = (float)v;
    s->count++;
    if (at == 0) { /* rounding adds up: begin anew once per window */
        s->sum = 0;
        for (size_t i = 0; i < s->width && i < s->count; i++)
            s->sum += s->values[i];
    }
    return fmax(s->sum, 0);
}

/* ------------------------------------------------------------------------------------- seasons */

enum { SAME_PHASE = 5 };

struct toc_season {
    size_t capacity;
    uint64_t count;
    float values[];
};

struct toc_season *toc_season_new(size_t capacity) {
    struct toc_season *s = toc_try_calloc(1, sizeof(struct toc_season) + capacity * sizeof(float));
    if (s)
        s->capacity = capacity;
    return s;
}

void toc_season_free(struct toc_season **s) {
    toc_free(*s);
    *s = NULL;
}

void toc_season_learn(struct toc_season *s, double v) {
    s->values[s->count++ % s->capacity] = (float)v;
}

double toc_season_residual(const struct toc_season *s, double v, size_t period) {
    float same[SAME_PHASE];
    size_t n = 0;
    for (uint64_t k = 1; k <= SAME_PHASE && period >= 4; k++) {
        uint64_t age = k * period; /* the newest kept value has age 1 */
        if (age > s->count || age > s->capacity)
            break;
        float x = s->values[(s->count - age) % s->capacity];
        size_t i = n++;
        for (; i > 0 && same[i - 1] > x; i--)
            same[i] = same[i - 1];
        same[i] = x;
    }
    return n < 2 ? -1 : fabs(v - same[n / 2]);
}
