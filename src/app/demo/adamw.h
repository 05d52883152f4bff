/* AdamW (Loshchilov & Hutter 2019) with global-norm clipping and a warm-up then cosine learning
 * rate. */
#ifndef TOC_APP_DEMO_ADAMW_H
#define TOC_APP_DEMO_ADAMW_H

#include <stdint.h>

#include "app/demo/transformer.h"

struct toc_adamw {
    float *first, *second; /* moments */
    int64_t updates;
    double peak_rate, weight_decay, clip_norm;
    int64_t warmup_steps, decay_steps;
};

void toc_adamw_init(struct toc_adamw *o, const struct toc_net *net);
void toc_adamw_fini(struct toc_adamw *o);
double toc_adamw_rate(const struct toc_adamw *o, int64_t step);
/* Euclidean norm of all gradients; what non-finite gradients make of it is the truth and is
 * reported. */
double toc_net_grad_norm(const struct toc_net *net);
/* One update with the given rate and gradient norm. */
void toc_adamw_update(struct toc_adamw *o, struct toc_net *net, double rate, double grad_norm);

#endif
