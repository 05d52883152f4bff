#include "detect/residual.h"

#include <math.h>

double toc_moments_spread(const struct toc_moments *m) {
    return m->count > 1 ? sqrt(m->squares / (double)m->count) : 0;
}

double toc_moments_z(struct toc_moments *m, double v, double spread, double clip) {
    double z = m->count > 5 && spread > 0 ? (v - m->mean) / spread : 0;
    double delta = v - m->mean;
    m->count++;
    m->mean += delta / (double)m->count;
    m->squares += delta * (v - m->mean);
    return z > clip ? clip : z < -clip ? -clip : z;
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
    double residual = v - l->level;
    double share = l->count < 65 ? 1 / (double)l->count : 2.0 / 129;
    l->level += share * (v - l->level);
    return residual;
}

double toc_sliding_sum_add(struct toc_sliding_sum *s, double v) {
    s->sum += v - s->values[s->at];
    s->values[s->at] = (float)v;
    s->at = s->at + 1 < s->width ? s->at + 1 : 0;
    if (s->at == 0) { /* rounding adds up: begin anew once per window */
        s->sum = 0;
        for (size_t i = 0; i < s->width; i++)
            s->sum += s->values[i];
    }
    return s->sum > 0 ? s->sum : 0;
}

double toc_block_sum_add(struct toc_block_sum *s, double v) {
    s->filling += v;
    double sum = s->filling;
    for (size_t i = 0; i < TOC_BLOCKS; i++)
        sum += s->blocks[i];
    s->count++;
    sum -= s->blocks[s->oldest] * (double)s->count / TOC_BLOCK_VALUES;
    if (s->count == TOC_BLOCK_VALUES) {
        s->blocks[s->oldest] = (float)s->filling;
        s->oldest = (s->oldest + 1) % TOC_BLOCKS;
        s->filling = 0;
        s->count = 0;
    }
    return sum > 0 ? sum : 0;
}

/* ------------------------------------------------------------------------------------- seasons */

static int slot_of(double seconds, double period, int slots) {
    double phase = seconds / period;
    phase -= (double)(int64_t)phase; /* towards 0, and so in (-1, 1) */
    phase += phase < 0;
    int at = (int)(phase * slots);
    return at < slots ? at : slots - 1;
}

/* A slot that is left hands its mean to its level. */
static void enter_slot(struct toc_season_slot *s, int at, float *levels, uint8_t *visits) {
    if (s->at > 0) {
        int left = s->at - 1;
        double share = fmax(0.2, 1.0 / (visits[left] + 1)), mean = s->sum / s->count;
        levels[left] += (float)(share * (mean - levels[left]));
        visits[left] = (uint8_t)(visits[left] < UINT8_MAX ? visits[left] + 1 : UINT8_MAX);
    }
    *s = (struct toc_season_slot){
        .at = (int16_t)(at + 1), .visits = visits[at], .level = levels[at]};
}

static void learn(struct toc_season_slot *s, double v) {
    s->sum += v;
    s->count++;
}

struct toc_season_residuals toc_seasons_step(struct toc_seasons *s, double seconds, double v) {
    int day = slot_of(seconds, 86400, TOC_DAY_SLOTS);
    int week = slot_of(seconds, 604800, TOC_WEEK_SLOTS);
    if (s->day_slot.at != day + 1)
        enter_slot(&s->day_slot, day, s->day, s->day_visits);
    if (s->week_slot.at != week + 1)
        enter_slot(&s->week_slot, week, s->week, s->week_visits);
    struct toc_season_residuals r = {v - s->day_slot.level, v - s->week_slot.level,
                                     s->day_slot.visits > 0, s->week_slot.visits > 0};
    learn(&s->day_slot, v);
    learn(&s->week_slot, v);
    return r;
}
