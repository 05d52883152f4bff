#include "detect/gate.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "detect/gate_priv.h"
#include "detect/stats.h"

enum { DRAWS = 400, SEED = 20260001 };
static const double LEVEL_MAX = 0.5, TAIL = 0.05;
/* Of the share to be kept, what the lower end of the forecast must reach. */
static const double ASSURED = 0.75;
/* Shares of the alerts after which what was promised is compared with what came. */
static const double MOMENT[TOC_GATE_MOMENTS] = {0.4, 0.5, 0.6};
/* Shares kept at which they are compared. */
static const double COMPARED[TOC_GATE_COMPARED] = {0.8, 0.85, 0.9, 0.95};

const char *toc_gate_verdict_text(enum toc_gate_verdict v) {
#define X(name, text) text,
    static const char *const texts[] = {TOC_GATE_VERDICT_TABLE(X)};
#undef X
    return texts[v];
}

/* --- shares that page --- */

/* One draw of series: how often each counts, and what is added to alerts that page and that do not
 * (Jeffreys' prior), so that few alerts are never certain. */
struct drawn {
    const double *weights; /* NULL: all once */
    double more[2];
};
static const struct drawn AS_IT_IS = {NULL, {0.5, 0.5}};

struct tally {
    double pages, rest; /* weights */
};

static struct tally tally(const struct toc_outcomes *o, bool is_true, double level,
                          const struct drawn *d) {
    struct tally t = {0};
    for (size_t i = 0; i < o->count; i++) {
        const struct toc_outcome *a = &o->items[i];
        double weight = d->weights ? d->weights[a->series] : 1;
        if (a->is_true != is_true)
            continue;
        *(a->p >= level ? &t.pages : &t.rest) += weight;
    }
    return t;
}

static double odds(const struct toc_outcomes *o, bool is_true, double level,
                   const struct drawn *d) {
    struct tally t = tally(o, is_true, level, d);
    return (t.pages + d->more[0]) / (t.rest + d->more[1]);
}

static double share(double odds_of_it) {
    return odds_of_it / (1 + odds_of_it);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* P of the true alerts, rising; the caller's. */
static double *true_levels(const struct toc_outcomes *o, size_t *out_count) {
    double *p = TOC_NEW_ARRAY(double, o->count + 1);
    *out_count = 0;
    for (size_t i = 0; i < o->count; i++)
        if (o->items[i].is_true)
            p[(*out_count)++] = o->items[i].p;
    qsort(p, *out_count, sizeof *p, by_value);
    return p;
}

/* --- how far earlier promises were off --- */

/* The level at which a share of the true alerts was promised to page. */
static double level_promised(const double *levels, size_t count, double kept) {
    return count ? levels[(size_t)((1 - kept) * (double)count)] : 0;
}

static void set_levels(struct toc_gate_moment *m) {
    size_t n;
    double *p = true_levels(&m->promised, &n);
    for (size_t k = 0; k < TOC_GATE_COMPARED; k++)
        m->levels[k] = level_promised(p, n, COMPARED[k]);
    toc_free(p);
}

/* How far promises of .8 to .95 were off says little of one beyond them. */
static void set_own_levels(struct toc_gate_material *g, double level) {
    double kept = share(odds(&g->all, true, level, &AS_IT_IS));
    for (size_t i = 0; i < g->moment_count; i++) {
        struct toc_gate_moment *m = &g->moments[i];
        size_t n;
        double *p = true_levels(&m->promised, &n);
        bool is_beyond = level > 0 && kept > COMPARED[TOC_GATE_COMPARED - 1];
        m->own_level = is_beyond ? fmin(level_promised(p, n, kept), LEVEL_MAX) : 0;
        toc_free(p);
    }
}

static double slip_of_level(const struct toc_gate_moment *m, bool is_true, double level,
                            const struct drawn *d) {
    return log(odds(&m->promised, is_true, level, d) / odds(&m->came, is_true, level, d));
}

/* Few alerts lie beyond so high a promise: a prior that is drawn, too, would decide. */
static double own_slip(const struct toc_gate_moment *m, const struct drawn *d) {
    const struct drawn plain = {d->weights, {AS_IT_IS.more[0], AS_IT_IS.more[1]}};
    return slip_of_level(m, true, m->own_level, &plain);
}

/* At one earlier moment: how much less true (or false) alerts paged than had been promised. */
static double slip_at(const struct toc_gate_moment *m, bool is_true, const struct drawn *d) {
    double sum = 0;
    for (size_t k = 0; k < TOC_GATE_COMPARED; k++)
        sum += slip_of_level(m, is_true, m->levels[k], d);
    return sum / TOC_GATE_COMPARED;
}

/* The mean of all moments. A promise never gets better than cross-validation's: true alerts page no
 * more often for what was seen at earlier moments, false ones no less. */
static double slip(const struct toc_gate_material *g, bool is_true, const struct drawn *d) {
    double sum = 0;
    for (size_t i = 0; i < g->moment_count; i++)
        sum += slip_at(&g->moments[i], is_true, d);
    double mean = g->moment_count ? sum / (double)g->moment_count : 0;
    return is_true ? fmax(mean, 0) : fmin(mean, 0);
}

/* Share that pages, corrected. */
static double pages(const struct toc_gate_material *g, bool is_true, double level, double slip_by,
                    const struct drawn *d) {
    return level > 0 ? share(odds(&g->all, is_true, level, d) * exp(-slip_by)) : 1;
}

/* The highest level whose corrected promise keeps the share; 0: none, and nothing is withheld. */
static double choose_level(const struct toc_gate_material *g, double slip_true, double keep) {
    size_t n;
    double *p = true_levels(&g->all, &n), best = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_same = i > 0 && p[i] == p[i - 1];
        double kept = share(((double)(n - i) + 0.5) / ((double)i + 0.5) * exp(-slip_true));
        if (!is_same && kept >= keep - 1e-9)
            best = p[i];
    }
    toc_free(p);
    return fmin(best, LEVEL_MAX);
}

/* --- the forecast and its spread --- */

struct promise {
    double base; /* share of true alerts */
    double kept, fallout;
    double withheld, precision, lift;
};

static struct promise combine(double base, double kept, double fallout) {
    double pages = base * kept + (1 - base) * fallout;
    return (struct promise){base,
                            kept,
                            fallout,
                            1 - pages,
                            pages > 0 ? base * kept / pages : base,
                            pages > 0 ? kept / pages : 1};
}

static double base_of(const struct toc_outcomes *o, const struct drawn *d) {
    double right = tally(o, true, 0, d).pages, wrong = tally(o, false, 0, d).pages;
    return (right + d->more[0]) / (right + wrong + d->more[0] + d->more[1]);
}

static struct promise promise(const struct toc_gate_material *g, double level,
                              const struct drawn *d) {
    return combine(base_of(&g->all, d), pages(g, true, level, slip(g, true, d), d),
                   pages(g, false, level, slip(g, false, d), d));
}

static double within(double v) {
    return fmin(fmax(v, 0), 1);
}

/* By how much another draw pages more often than all did. */
static double luck_of(const struct toc_gate_material *g, bool is_true, double level,
                      const struct drawn *d) {
    return level > 0 ? share(odds(&g->all, is_true, level, d)) -
                           share(odds(&g->all, is_true, level, &AS_IT_IS))
                     : 0;
}

/* How the share of true alerts moved after an earlier moment, as log odds. */
static double base_move(const struct toc_gate_moment *m) {
    double before = base_of(&m->promised, &AS_IT_IS), after = base_of(&m->came, &AS_IT_IS);
    return log(after / (1 - after)) - log(before / (1 - before));
}

/* How things move in one draw: as far as at one of the earlier moments. These look at much the same
 * later alerts: they tell how far false alerts and the share of true ones move, hardly which way.
 */
struct course {
    size_t moment;
    bool is_turned; /* false alerts and the share of true ones move the other way */
    /* True alerts do no better than promised, and as badly as they did at as high a promise. */
    bool is_wary;
};

/* Every combination equally often. */
static struct course course_of(const struct toc_gate_material *g, size_t draw) {
    size_t moments = TOC_MAX(g->moment_count, (size_t)1), turns = draw / moments;
    return (struct course){draw % moments, turns % 2 == 1, turns / 2 % 2 == 1};
}

static double true_slip(const struct toc_gate_moment *m, const struct drawn *d, bool is_wary) {
    double slip_by = slip_at(m, true, d);
    if (is_wary && m->own_level > 0)
        slip_by = fmax(slip_by, own_slip(m, d));
    return is_wary ? fmax(slip_by, 0) : slip_by;
}

/* What may come: the promise of one draw of series on its course, and the luck of another draw. */
static struct promise may_come(const struct toc_gate_material *g, double level,
                               const struct drawn *drawn, const struct drawn *luck,
                               struct course c) {
    double slips[2] = {0}, moved = 0, turn = c.is_turned ? -1 : 1;
    if (c.moment < g->moment_count) {
        const struct toc_gate_moment *m = &g->moments[c.moment];
        slips[true] = true_slip(m, drawn, c.is_wary);
        slips[false] = turn * slip_at(m, false, drawn);
        moved = turn * base_move(m);
    }
    double start = base_of(&g->all, drawn);
    double base = share(start / (1 - start) * exp(moved)) + base_of(&g->all, luck) -
                  base_of(&g->all, &AS_IT_IS);
    double kept = pages(g, true, level, slips[true], drawn) + luck_of(g, true, level, luck);
    double fallout = pages(g, false, level, slips[false], drawn) + luck_of(g, false, level, luck);
    return combine(within(base), within(kept), within(fallout));
}

static void draw(const struct toc_gate_material *g, struct toc_rng *rng, double *weights,
                 struct drawn *out) {
    for (size_t i = 0; i < g->series_max; i++)
        weights[i] = 0;
    for (size_t i = 0; i < g->series_count; i++)
        weights[g->series[toc_rng_below(rng, g->series_count)]]++;
    out->weights = weights;
    for (size_t k = 0; k < 2; k++) {
        double z = toc_rng_normal(rng); /* its square, halved: a gamma variate of shape 1/2 */
        out->more[k] = fmax(z * z / 2, 1e-9);
    }
}

static struct toc_interval interval(double *values) {
    toc_sort_f64(values, DRAWS);
    return (struct toc_interval){toc_quantile_sorted(values, DRAWS, TAIL),
                                 toc_quantile_sorted(values, DRAWS, 1 - TAIL)};
}

struct spread {
    double withheld[DRAWS], kept[DRAWS], precision[DRAWS], lift[DRAWS];
    size_t rises; /* draws in which precision rises with the gate */
    size_t falls; /* in which a higher threshold would have done better */
    bool has_scores;
};

static void one_draw(const struct toc_gate_material *g, double level, double keep, size_t d,
                     const struct drawn *drawn, const struct drawn *luck, struct spread *s) {
    struct promise p = promise(g, level, drawn);
    struct promise may = may_come(g, level, drawn, luck, course_of(g, d));
    s->withheld[d] = may.withheld;
    s->kept[d] = may.kept;
    s->precision[d] = may.precision;
    s->lift[d] = may.lift;
    s->rises += p.lift > 1;
    if (s->has_scores) {
        struct toc_gate_contest c = toc_gate_contest(g, keep, drawn->weights);
        s->falls += c.learnt < c.threshold;
    }
}

static enum toc_gate_verdict decide(const struct toc_gate_material *g, const struct spread *s,
                                    double assured) {
    if (g->moment_count == 0)
        return TOC_GATE_UNKNOWN;
    if ((double)s->falls >= (1 - TAIL) * DRAWS)
        return TOC_GATE_WORSE;
    if ((double)s->rises < (1 - TAIL) * DRAWS)
        return TOC_GATE_NOT_SHOWN;
    return assured < ASSURED ? TOC_GATE_UNCERTAIN : TOC_GATE_SHOWN;
}

static void measure_spread(const struct toc_gate_material *g, double keep,
                           struct toc_gate_forecast *f) {
    struct spread *s = TOC_NEW(struct spread);
    double *weights = TOC_NEW_ARRAY(double, 2 * g->series_max + 1);
    struct toc_rng rng;
    toc_rng_seed(&rng, SEED);
    s->has_scores = !isnan(f->threshold_precision);
    for (size_t d = 0; d < DRAWS; d++) {
        struct drawn drawn, luck;
        draw(g, &rng, weights, &drawn);
        draw(g, &rng, weights + g->series_max, &luck);
        one_draw(g, f->level, keep, d, &drawn, &luck, s);
    }
    f->withheld = interval(s->withheld);
    f->recall = interval(s->kept);
    f->precision = interval(s->precision);
    f->lifted = interval(s->lift);
    f->verdict = decide(g, s, f->recall.low / keep);
    toc_free(weights);
    toc_free(s);
}

static void set_effect(const struct toc_gate_material *g, const struct promise *p,
                       struct toc_gate_forecast *f) {
    struct toc_gate_effect *e = &f->effect;
    e->alerts = g->all.count;
    e->true_alerts = (size_t)tally(&g->all, true, 0, &AS_IT_IS).pages;
    e->withheld = (size_t)lround(p->withheld * (double)e->alerts);
    e->true_withheld = (size_t)lround((1 - p->kept) * (double)e->true_alerts);
    e->precision_before = p->base;
    e->precision_after = p->precision;
    e->recall = p->kept;
    f->withheld_share = p->withheld;
    f->lift = p->lift;
}

int toc_gate_foretell(const struct toc_examples *e, const struct toc_gate_question *q,
                      double *out_p, struct toc_gate_forecast *out, struct toc_err *err) {
    struct toc_gate_material g = {0};
    *out = (struct toc_gate_forecast){0};
    int rc = toc_gate_material_make(e, q, MOMENT, out_p, &g, err);
    if (rc == 0) {
        for (size_t i = 0; i < g.moment_count; i++)
            set_levels(&g.moments[i]);
        out->moments = g.moment_count;
        out->slip[false] = slip(&g, false, &AS_IT_IS);
        out->slip[true] = slip(&g, true, &AS_IT_IS);
        out->level = choose_level(&g, out->slip[true], q->keep);
        set_own_levels(&g, out->level);
        struct promise p = promise(&g, out->level, &AS_IT_IS);
        set_effect(&g, &p, out);
        struct toc_gate_contest c = toc_gate_contest(&g, q->keep, NULL);
        out->learnt_precision = c.learnt;
        out->threshold_precision = c.threshold;
        measure_spread(&g, q->keep, out);
    }
    toc_gate_material_fini(&g);
    return rc;
}
