#include "detect/threshold.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/num.h"
#include "base/time.h"
#include "detect/stats.h"

#define TAIL_QUANTILE 0.98
#define HISTORIES_PER_ALARM 10.0 /* the tail may cross the proposal once in so many histories */
#define MARGIN_RATIO_MIN 0.05    /* of the distance from the median to the peak */
#define MARGIN_RATIO_MAX 0.5
#define LEVEL_RATIO_MAX 2.0 /* never beyond twice the highest value seen */
#define GAP_DEFAULT_MS 300000
#define FOR_HISTORY_RATIO_MIN 10

static const char *const op_texts[] = {">", ">=", "<", "<="};

int toc_threshold_op_parse(const char *text, enum toc_threshold_op *out) {
    for (size_t i = 0; text && i < TOC_ARRAY_LEN(op_texts); i++)
        if (strcmp(text, op_texts[i]) == 0) {
            *out = (enum toc_threshold_op)i;
            return 0;
        }
    return TOC_EINVAL;
}

const char *toc_threshold_op_text(enum toc_threshold_op op) {
    return op_texts[op];
}

static bool is_upper(enum toc_threshold_op op) {
    return op == TOC_THRESHOLD_GT || op == TOC_THRESHOLD_GE;
}

static bool holds(enum toc_threshold_op op, double value, double threshold) {
    switch (op) {
    case TOC_THRESHOLD_GT:
        return value > threshold;
    case TOC_THRESHOLD_GE:
        return value >= threshold;
    case TOC_THRESHOLD_LT:
        return value < threshold;
    default:
        return value <= threshold;
    }
}

/* One series under a rule: since when the condition holds, and whether it fires. */
struct walk {
    int64_t since_ms, last_ms, fired_ms;
    bool is_holding, is_firing;
    struct toc_threshold_effect *effect;
};

static void walk_end(struct walk *w, int64_t at_ms) {
    if (w->is_firing)
        w->effect->firing_s += (double)(at_ms - w->fired_ms) / 1000;
    w->is_firing = w->is_holding = false;
}

static void walk_step(struct walk *w, const struct toc_threshold_rule *rule, int64_t gap_ms,
                      int64_t t_ms, double value) {
    if (w->is_holding && t_ms - w->last_ms > gap_ms)
        walk_end(w, w->last_ms);
    if (!holds(rule->op, value, rule->threshold)) {
        walk_end(w, t_ms);
        return;
    }
    if (!w->is_holding)
        w->since_ms = t_ms;
    w->is_holding = true;
    w->last_ms = t_ms;
    if (!w->is_firing && t_ms - w->since_ms >= rule->for_ms) {
        w->is_firing = true;
        w->fired_ms = t_ms;
        w->effect->alerts++;
    }
}

void toc_threshold_simulate(const struct toc_threshold_rule *rule, const struct toc_history *series,
                            size_t series_count, struct toc_threshold_effect *out) {
    int64_t gap_ms = rule->gap_ms > 0 ? rule->gap_ms : GAP_DEFAULT_MS;
    *out = (struct toc_threshold_effect){0};
    for (size_t s = 0; s < series_count; s++) {
        struct walk w = {.effect = out};
        for (size_t i = 0; i < series[s].count; i++)
            if (!isnan(series[s].values[i]))
                walk_step(&w, rule, gap_ms, series[s].t_ms[i], series[s].values[i]);
        walk_end(&w, w.last_ms);
    }
}

/* History as the rule feels it, mirrored so that large is alarming: for every sample the level that
 * was held all through the last `for_ms`. */
struct sustained {
    double *levels;
    size_t count, samples; /* levels; finite values they came from */
    int64_t min_ms, max_ms;
};

/* Indices whose values can still be a minimum, oldest first. */
struct minimum_queue {
    size_t *items;
    size_t head, tail;
};

static void queue_push(struct minimum_queue *q, const double *x, size_t i) {
    while (q->tail > q->head && x[q->items[q->tail - 1]] >= x[i])
        q->tail--;
    q->items[q->tail++] = i;
}

/* `x` are the mirrored values of one series without NaN, `t_ms` their times. */
static void add_sustained(struct sustained *out, struct minimum_queue *q, const int64_t *t_ms,
                          const double *x, size_t count, const struct toc_threshold_rule *rule) {
    int64_t gap_ms = rule->gap_ms > 0 ? rule->gap_ms : GAP_DEFAULT_MS;
    size_t run_start = 0, window_start = 0;
    q->head = q->tail = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && t_ms[i] - t_ms[i - 1] > gap_ms) {
            run_start = window_start = i;
            q->head = q->tail = 0;
        }
        queue_push(q, x, i);
        if (t_ms[i] - t_ms[run_start] < rule->for_ms)
            continue;
        /* The alarm needs a first sample at or before the beginning of the last `for_ms`. */
        while (window_start < i && t_ms[window_start + 1] <= t_ms[i] - rule->for_ms)
            window_start++;
        while (q->items[q->head] < window_start)
            q->head++;
        out->levels[out->count++] = x[q->items[q->head]];
    }
}

/* Finite values of one series, mirrored. */
static size_t copy_series(const struct toc_history *h, double sign, int64_t *t_ms, double *x) {
    size_t kept = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (!isfinite(h->values[i]))
            continue;
        t_ms[kept] = h->t_ms[i];
        x[kept++] = sign * h->values[i];
    }
    return kept;
}

static size_t longest_series(const struct toc_history *series, size_t count, size_t *out_total) {
    size_t longest = 0;
    *out_total = 0;
    for (size_t i = 0; i < count; i++) {
        longest = TOC_MAX(longest, series[i].count);
        *out_total += series[i].count;
    }
    return longest;
}

static int collect_sustained(struct sustained *out, const struct toc_threshold_rule *rule,
                             const struct toc_history *series, size_t series_count) {
    size_t total, longest = longest_series(series, series_count, &total);
    *out = (struct sustained){.min_ms = INT64_MAX, .max_ms = INT64_MIN};
    struct minimum_queue q = {.items = toc_try_calloc(longest + 1, sizeof *q.items)};
    int64_t *t_ms = toc_try_calloc(longest + 1, sizeof *t_ms);
    double *x = toc_try_calloc(longest + 1, sizeof *x);
    out->levels = toc_try_calloc(total + 1, sizeof *out->levels);
    int rc = q.items && t_ms && x && out->levels ? 0 : TOC_ENOMEM;
    for (size_t s = 0; rc == 0 && s < series_count; s++) {
        size_t count = copy_series(&series[s], is_upper(rule->op) ? 1 : -1, t_ms, x);
        if (count == 0)
            continue;
        out->min_ms = TOC_MIN(out->min_ms, t_ms[0]);
        out->max_ms = TOC_MAX(out->max_ms, t_ms[count - 1]);
        out->samples += count;
        add_sustained(out, &q, t_ms, x, count, rule);
    }
    toc_free(q.items);
    toc_free(t_ms);
    toc_free(x);
    return rc;
}

struct level {
    double value, peak, median;
    bool is_from_tail;
};

/* Exponential tail above the 98th percentile; the median of the excesses, so that one giant does
 * not set the scale. */
static double tail_level(double *levels, size_t count) {
    double u = toc_quantile_sorted(levels, count, TAIL_QUANTILE);
    size_t first = count;
    while (first > 0 && levels[first - 1] > u)
        first--;
    if (first == count)
        return levels[count - 1];
    double beta = (toc_quantile_sorted(levels + first, count - first, 0.5) - u) / M_LN2;
    double share = (double)(count - first) / (double)count;
    double wanted = 1 / (HISTORIES_PER_ALARM * (double)count);
    return u + beta * log(share / wanted);
}

/* Outward to a digit of the margin: 87.31 with a margin of 4.2 becomes 87.4. */
static double round_outward(double level, double margin) {
    double unit = pow(10, floor(log10(margin)) - 1);
    double rounded = ceil(level / unit) * unit;
    /* Through text, so that 0.1 * 874 is 87.4 and not its neighbour. */
    char text[40];
    int digits = unit < 1 ? (int)TOC_MIN(-log10(unit) + 0.5, 17.0) : 0;
    snprintf(text, sizeof text, "%.*f", digits, rounded);
    double out;
    if (toc_parse_f64(toc_sv_cstr(text), &out) < 0 || out < level)
        return rounded;
    return out;
}

static bool choose_level(struct sustained *s, struct level *out) {
    toc_sort_f64(s->levels, s->count);
    out->peak = s->levels[s->count - 1];
    out->median = toc_quantile_sorted(s->levels, s->count, 0.5);
    double spread = out->peak - out->median;
    if (!(spread > 0))
        spread = fabs(out->peak);
    if (!(spread > 0))
        return false;
    double least = out->peak + MARGIN_RATIO_MIN * spread;
    double most = out->peak + MARGIN_RATIO_MAX * spread;
    if (out->peak > 0)
        most = TOC_MIN(most, LEVEL_RATIO_MAX * out->peak);
    double tail = tail_level(s->levels, s->count);
    out->is_from_tail = tail > least;
    double level = TOC_MIN(TOC_MAX(tail, least), most);
    out->value = TOC_MIN(round_outward(level, level - out->peak), most);
    return out->value > out->peak;
}

static int refuse(struct toc_threshold_proposal *p, const char *reason) {
    snprintf(p->reason, sizeof p->reason, "%s", reason);
    return 0;
}

static void fill_buckets(struct toc_threshold_proposal *p, const struct toc_threshold_rule *rule,
                         const struct toc_history *series, size_t series_count, int64_t min_ms,
                         int64_t max_ms) {
    int64_t width = (max_ms - min_ms) / TOC_THRESHOLD_BUCKETS_MAX + 1;
    p->bucket_count = (size_t)((max_ms - min_ms) / width) + 1;
    for (size_t i = 0; i < p->bucket_count; i++)
        p->buckets[i] = (struct toc_threshold_bucket){min_ms + (int64_t)i * width, NAN};
    for (size_t s = 0; s < series_count; s++)
        for (size_t i = 0; i < series[s].count; i++) {
            if (!isfinite(series[s].values[i]))
                continue;
            double v = series[s].values[i];
            double *peak = &p->buckets[(series[s].t_ms[i] - min_ms) / width].peak;
            *peak = is_upper(rule->op) ? fmax(*peak, v) : fmin(*peak, v);
        }
}

static void describe(struct toc_threshold_proposal *p, const struct toc_threshold_rule *rule,
                     const struct level *l, double sign) {
    struct toc_buf span = TOC_BUF_INIT, held = TOC_BUF_INIT;
    toc_duration_format_human((int64_t)(p->history_s * 1000), &span);
    if (rule->for_ms > 0) {
        toc_buf_append_cstr(&held, " held for ");
        toc_duration_format_human(rule->for_ms, &held);
    }
    if (l->is_from_tail)
        snprintf(p->method, sizeof p->method,
                 "peaks over threshold: the tail above the 98th percentile crosses it once in %g "
                 "such histories",
                 HISTORIES_PER_ALARM);
    else
        snprintf(p->method, sizeof p->method,
                 "%g %% beyond the extreme of the history, measured from its median",
                 100 * MARGIN_RATIO_MIN);
    snprintf(p->reason, sizeof p->reason,
             "in %s of history the most extreme level%s was %g; %g lies beyond it, "
             "and alerts go from %zu to %zu",
             toc_buf_cstr(&span), toc_buf_cstr(&held), sign * l->peak, p->threshold,
             p->current.alerts, p->proposed.alerts);
    toc_buf_fini(&span);
    toc_buf_fini(&held);
}

static void decide(struct toc_threshold_proposal *p, const struct toc_threshold_rule *rule,
                   const struct toc_history *series, size_t series_count, struct sustained *s) {
    double sign = is_upper(rule->op) ? 1 : -1;
    struct level l;
    p->history_s = (double)(s->max_ms - s->min_ms) / 1000;
    if (s->samples > 0)
        fill_buckets(p, rule, series, series_count, s->min_ms, s->max_ms);
    toc_threshold_simulate(rule, series, series_count, &p->current);
    p->proposed = p->current;
    if (s->count < TOC_THRESHOLD_SAMPLES_MIN ||
        s->max_ms - s->min_ms < FOR_HISTORY_RATIO_MIN * rule->for_ms) {
        refuse(p,
               "not enough data: at least 60 samples and ten times the rule's \"for\" are needed");
        return;
    }
    if (!choose_level(s, &l)) {
        refuse(p, "the history is 0 throughout: there is no level to learn from");
        return;
    }
    if (l.value <= sign * rule->threshold) {
        refuse(p, "the current threshold already lies beyond everything in the stored history");
        return;
    }
    p->is_available = true;
    p->threshold = sign * l.value;
    struct toc_threshold_rule changed = *rule;
    changed.threshold = p->threshold;
    toc_threshold_simulate(&changed, series, series_count, &p->proposed);
    describe(p, rule, &l, sign);
}

int toc_threshold_propose(const struct toc_threshold_rule *rule, const struct toc_history *series,
                          size_t series_count, struct toc_threshold_proposal *out) {
    *out = (struct toc_threshold_proposal){.threshold = NAN};
    struct sustained s;
    int rc = collect_sustained(&s, rule, series, series_count);
    if (rc == 0) {
        out->samples = s.samples;
        if (s.samples == 0)
            s.min_ms = s.max_ms = 0;
        decide(out, rule, series, series_count, &s);
    }
    toc_free(s.levels);
    return rc;
}
