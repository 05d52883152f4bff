#include "app/demo/adamw.h"

#include <math.h>

#include "base/alloc.h"

/* Usual settings of small language models (nanoGPT's character model, Karpathy 2022). */
static const double BETA1 = 0.9, BETA2 = 0.99, EPSILON = 1e-8;

void toc_adamw_init(struct toc_adamw *o, const struct toc_net *net) {
    *o = (struct toc_adamw){.first = toc_xcalloc(net->parameter_count, sizeof(float)),
                            .second = toc_xcalloc(net->parameter_count, sizeof(float)),
                            .peak_rate = 1e-3,
                            .weight_decay = 0.1,
                            .clip_norm = 1.0,
                            .warmup_steps = 50,
                            .decay_steps = 5000};
}

void toc_adamw_fini(struct toc_adamw *o) {
    toc_free(o->first);
    toc_free(o->second);
}

double toc_adamw_rate(const struct toc_adamw *o, int64_t step) {
    double floor = 0.1 * o->peak_rate;
    if (step < o->warmup_steps)
        return o->peak_rate * (double)(step + 1) / (double)o->warmup_steps;
    if (step >= o->decay_steps)
        return floor;
    double done = (double)(step - o->warmup_steps) / (double)(o->decay_steps - o->warmup_steps);
    return floor + 0.5 * (1.0 + cos(3.14159265358979 * done)) * (o->peak_rate - floor);
}

double toc_net_grad_norm(const struct toc_net *net) {
    double sum = 0;
    for (size_t i = 0; i < net->parameter_count; i++)
        sum += (double)net->gradients[i] * net->gradients[i];
    return sqrt(sum);
}

void toc_adamw_update(struct toc_adamw *o, struct toc_net *net, double rate, double grad_norm) {
    o->updates++;
    double scale = grad_norm > o->clip_norm ? o->clip_norm / grad_norm : 1.0;
    double bias1 = 1.0 - pow(BETA1, (double)o->updates),
           bias2 = 1.0 - pow(BETA2, (double)o->updates);
    for (int t = 0; t < net->tensor_count; t++) {
        const struct toc_net_tensor *tensor = &net->tensors[t];
        float decay = tensor->is_matrix ? (float)(1.0 - rate * o->weight_decay) : 1.0f;
        for (size_t i = tensor->at; i < tensor->at + tensor->count; i++) {
            double g = net->gradients[i] * scale;
            o->first[i] = (float)(BETA1 * o->first[i] + (1.0 - BETA1) * g);
            o->second[i] = (float)(BETA2 * o->second[i] + (1.0 - BETA2) * g * g);
            double step = o->first[i] / bias1 / (sqrt(o->second[i] / bias2) + EPSILON);
            net->parameters[i] = net->parameters[i] * decay - (float)(rate * step);
        }
    }
}
