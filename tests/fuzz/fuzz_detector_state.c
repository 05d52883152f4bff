/* Oracle: a stored state that decodes takes any values and stays finite, and encodes to bytes that
 * decode to the same bytes again. The first byte chooses the kind. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detect/change_point.h"
#include "detect/holt_winters.h"
#include "detect/loss_curve.h"
#include "detect/pace_curve.h"
#include "detect/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS = 60 };

static double value_at(int i) {
    static const double odd[] = {0, 1, -1, 1e300, NAN, 1e-300, 5, 5, 5, -1e149};
    return odd[i % 10] + (i % 3 == 0 ? i : 0);
}

static void check_same(const struct toc_buf *a, const struct toc_buf *b) {
    if (a->n != b->n || memcmp(a->p, b->p, a->n) != 0)
        abort();
}

static void change_point(struct toc_reader *r) {
    struct toc_change_point s, again;
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    const struct toc_change_options o = {0};
    if (toc_change_point_decode(r, &s) < 0)
        return;
    toc_change_point_encode(&s, &a);
    struct toc_reader back = toc_reader_make(toc_buf_sv(&a));
    if (toc_change_point_decode(&back, &again) < 0)
        abort();
    toc_change_point_encode(&again, &b);
    check_same(&a, &b);
    for (int i = 0; i < STEPS; i++) {
        struct toc_level_change c = toc_change_point_step(&s, &o, value_at(i));
        if (!(c.probability >= 0 && c.probability <= 1) || s.run_count > TOC_CHANGE_RUNS)
            abort();
    }
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

static void holt(struct toc_reader *r) {
    struct toc_holt s, again;
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    if (toc_holt_decode(r, &s) < 0)
        return;
    toc_holt_encode(&s, &a);
    struct toc_reader back = toc_reader_make(toc_buf_sv(&a));
    if (toc_holt_decode(&back, &again) < 0)
        abort();
    toc_holt_encode(&again, &b);
    check_same(&a, &b);
    for (int i = 0; i < STEPS; i++) {
        struct toc_forecast f = toc_holt_step(&s, value_at(i));
        if (isnan(f.z) || s.phase > s.options.season)
            abort();
    }
    toc_holt_fini(&s);
    toc_holt_fini(&again);
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

static void quiet(struct toc_reader *r) {
    struct toc_quiet s, again;
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    if (toc_quiet_decode(r, &s) < 0)
        return;
    toc_quiet_encode(&s, &a);
    struct toc_reader back = toc_reader_make(toc_buf_sv(&a));
    if (toc_quiet_decode(&back, &again) < 0)
        abort();
    toc_quiet_encode(&again, &b);
    check_same(&a, &b);
    for (int i = 0; i < STEPS; i++)
        if (!(toc_quiet_step(&s, i % 20 == 0) >= 0))
            abort();
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

static void check_verdict(const struct toc_curve_verdict *v) {
    if (!(v->surprise >= 0) || isinf(v->surprise) || v->event >= TOC_CURVE_EVENTS)
        abort();
}

static void loss(struct toc_reader *r) {
    struct toc_loss_curve s, again;
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    if (toc_loss_curve_decode(r, &s) < 0)
        return;
    toc_loss_curve_encode(&s, &a);
    struct toc_reader back = toc_reader_make(toc_buf_sv(&a));
    if (toc_loss_curve_decode(&back, &again) < 0)
        abort();
    toc_loss_curve_encode(&again, &b);
    check_same(&a, &b);
    for (int i = 0; i < STEPS; i++) {
        struct toc_curve_verdict v = toc_loss_curve_step(&s, value_at(i), 6);
        check_verdict(&v);
    }
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

static void pace(struct toc_reader *r) {
    struct toc_pace_curve s, again;
    struct toc_buf a = TOC_BUF_INIT, b = TOC_BUF_INIT;
    if (toc_pace_curve_decode(r, &s) < 0)
        return;
    toc_pace_curve_encode(&s, &a);
    struct toc_reader back = toc_reader_make(toc_buf_sv(&a));
    if (toc_pace_curve_decode(&back, &again) < 0)
        abort();
    toc_pace_curve_encode(&again, &b);
    check_same(&a, &b);
    for (int i = 0; i < STEPS; i++) {
        struct toc_curve_verdict v = toc_pace_curve_step(&s, value_at(i), 6);
        check_verdict(&v);
        if (i == STEPS / 2)
            toc_pace_curve_new_work(&s);
    }
    toc_buf_fini(&a);
    toc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const kinds[])(struct toc_reader *) = {change_point, holt, quiet, loss, pace};
    if (size == 0)
        return 0;
    struct toc_reader r = toc_reader_make(toc_sv_make((const char *)data + 1, size - 1));
    kinds[data[0] % 5](&r);
    return 0;
}
