#include "rules/detector_curve.h"

#include <math.h>

#include "base/alloc.h"
#include "detect/loss_curve.h"
#include "detect/pace_curve.h"

enum { HOLD = 20 }; /* evaluations that a change of the course stays an anomaly */

struct detector_curve {
    union {
        struct toc_loss_curve loss;
        struct toc_pace_curve pace;
    };
    uint64_t values;
    double last;
    uint32_t hold;
};

struct detector_curve *toc_detector_curve_new(void) {
    return TOC_NEW(struct detector_curve);
}

void toc_detector_curve_free(struct detector_curve **s) {
    toc_free(*s);
    *s = NULL;
}

size_t toc_detector_curve_bytes(void) {
    return sizeof(struct detector_curve);
}

static double bar_of(const struct detector_config *c) {
    if (!isnan(c->threshold))
        return c->threshold;
    return log10(fmax(c->budget_seconds * 1000 / (double)c->interval_ms, 1));
}

static struct toc_curve_verdict step(const struct detector_config *c, struct detector_curve *s,
                                     double value, double bar) {
    if (c->method == TOC_DETECTOR_LOSS_CURVE)
        return toc_loss_curve_step(&s->loss, value, bar);
    if (c->direction != TOC_DIRECTION_DOWN)
        return toc_pace_curve_step(&s->pace, value, bar);
    struct toc_curve_verdict v = toc_pace_curve_step(&s->pace, 1 / value, bar);
    double upper = 1 / v.lower;
    v.lower = 1 / v.upper;
    v.upper = upper;
    return v;
}

void toc_detector_curve_judge(const struct detector_config *c, struct detector_curve *s,
                              double value, struct judgement *out) {
    struct toc_curve_verdict v = {.lower = NAN, .upper = NAN};
    double bar = bar_of(c);
    s->hold -= s->hold > 0;
    if (s->values == 0 || value != s->last) {
        v = step(c, s, value, bar);
        s->values++;
        s->last = value;
    }
    bool is_above = v.surprise > bar;
    if (is_above && v.event != TOC_CURVE_SPIKE && v.event != TOC_CURVE_STANDSTILL)
        s->hold = HOLD;
    out->is_judged = s->values > (uint64_t)c->min_points;
    out->score = v.surprise;
    out->is_anomaly = is_above || s->hold > 0;
    out->lower[0] = v.lower;
    out->upper[0] = v.upper;
}

void toc_detector_curve_encode(const struct detector_config *c, const struct detector_curve *s,
                               struct toc_buf *out) {
    if (c->method == TOC_DETECTOR_LOSS_CURVE)
        toc_loss_curve_encode(&s->loss, out);
    else
        toc_pace_curve_encode(&s->pace, out);
    toc_buf_append_varint(out, s->values);
    toc_buf_append_f64(out, s->last);
    toc_buf_append_varint(out, s->hold);
}

int toc_detector_curve_decode(const struct detector_config *c, struct toc_reader *r,
                              struct detector_curve *out) {
    int rc = c->method == TOC_DETECTOR_LOSS_CURVE ? toc_loss_curve_decode(r, &out->loss)
                                                  : toc_pace_curve_decode(r, &out->pace);
    if (rc < 0)
        return rc;
    out->values = toc_read_varint(r);
    out->last = toc_read_f64(r);
    uint64_t hold = toc_read_varint(r);
    if (!r->error && (hold > HOLD || isnan(out->last)))
        return TOC_ECORRUPT;
    out->hold = (uint32_t)TOC_MIN(hold, (uint64_t)HOLD);
    return r->error;
}
