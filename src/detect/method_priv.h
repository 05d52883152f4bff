/* One column under one detector. */
#ifndef TOC_DETECT_METHOD_PRIV_H
#define TOC_DETECT_METHOD_PRIV_H

#include "detect/anomaly_bit.h"
#include "detect/change_point.h"
#include "detect/holt_winters.h"
#include "detect/method.h"
#include "detect/quiet.h"
#include "detect/residual.h"
#include "detect/robust.h"
#include "detect/tail_sketch.h"
#include "detect/window_memory.h"

/* What a detector says of a value. */
struct method_verdict {
    double score;        /* >= 0, to be calibrated; < 0: nothing can be said yet */
    double surprise;     /* -log10 p where the detector knows it itself; < 0: from the score */
    double lower, upper; /* where the value was expected; NaN: it does not say */
};

/* Exponential smoothing; the first values wait until the season is known. */
struct method_smooth {
    struct toc_holt holt;
    double *waiting; /* NULL once the season was looked for */
    size_t count;
};

struct method_column {
    struct toc_tail_sketch tail;
    struct toc_moments moments;
    union {
        struct toc_window_memory *windows;
        struct toc_block_sum energy;
        struct toc_level level;
        struct toc_line line;
        struct toc_seasons seasons;
        struct method_smooth smooth;
        struct toc_change_point change;
        struct toc_robust_window robust;
        struct toc_quiet quiet;
        struct toc_anomaly_bit bit;
    };
    double last;
    uint64_t rows, changes; /* seen and told so far */
    bool has_last;
};

int toc_method_column_init(struct method_column *c, enum toc_method m,
                           struct toc_err *err) TOC_MUST_CHECK;
void toc_method_column_fini(struct method_column *c, enum toc_method m);
size_t toc_method_column_bytes(const struct method_column *c, enum toc_method m);
/* The next value, finite. */
struct method_verdict toc_method_column_step(struct method_column *c,
                                             const struct toc_method_options *o, double seconds,
                                             double value);
/* After a gap: what needs neighbouring rows begins anew. */
void toc_method_column_break(struct method_column *c, enum toc_method m);

#endif
