/* The demo's transformer: its gradients are those of its loss, and it learns. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../cmocka_prelude.h"

#include "app/demo/adamw.h"
#include "app/demo/text.h"
#include "base/alloc.h"

static struct toc_net *small_net(struct toc_rng *rng, int *inputs, int *targets) {
    static const struct toc_net_shape shape = {
        .context = 6, .width = 8, .heads = 2, .blocks = 2, .batch = 2};
    struct toc_net *net = toc_net_new(&shape, rng);
    for (size_t i = 0; i < net->parameter_count; i++)
        net->parameters[i] += 0.3f * (float)toc_rng_normal(rng);
    for (int i = 0; i < 12; i++) {
        inputs[i] = (int)toc_rng_below(rng, TOC_NET_VOCABULARY);
        targets[i] = (int)toc_rng_below(rng, TOC_NET_VOCABULARY);
    }
    return net;
}

/* Which parameter to move: an embedding row that is in use, else any. */
static size_t pick(const struct toc_net *net, int tensor, int k, const int *inputs,
                   struct toc_rng *rng) {
    const struct toc_net_tensor *t = &net->tensors[tensor];
    if (tensor == 0)
        return t->at + (size_t)inputs[k] * 8 + (size_t)k;
    return t->at + (size_t)toc_rng_below(rng, t->count);
}

static void gradients_agree_with_finite_differences(void **state) {
    (void)state;
    struct toc_rng rng;
    toc_rng_seed(&rng, 7);
    int inputs[12], targets[12];
    struct toc_net *net = small_net(&rng, inputs, targets);
    float *gradients = toc_xcalloc(net->parameter_count, sizeof(float));
    toc_net_forward(net, inputs, targets);
    toc_net_backward(net);
    memcpy(gradients, net->gradients, net->parameter_count * sizeof(float));
    for (int t = 0; t < net->tensor_count; t++) {
        double difference = 0, size = 0;
        for (int k = 0; k < 5; k++) {
            size_t i = pick(net, t, k, inputs, &rng);
            float kept = net->parameters[i], e = 2e-2f;
            net->parameters[i] = kept + e;
            double above = toc_net_forward(net, inputs, targets);
            net->parameters[i] = kept - e;
            double below = toc_net_forward(net, inputs, targets);
            net->parameters[i] = kept;
            double slope = (above - below) / (2.0 * (double)e);
            difference += fabs(slope - (double)gradients[i]);
            size += fabs(slope) + fabs((double)gradients[i]);
        }
        if (difference > 0.01 * size)
            fail_msg("%s: gradients differ by %g of their size", net->tensors[t].name,
                     difference / size);
    }
    toc_free(gradients);
    toc_net_free(&net);
}

static void training_lowers_the_loss(void **state) {
    (void)state;
    static const struct toc_net_shape shape = {
        .context = 32, .width = 32, .heads = 2, .blocks = 1, .batch = 2};
    struct toc_rng rng;
    toc_rng_seed(&rng, 3);
    struct toc_net *net = toc_net_new(&shape, &rng);
    struct toc_adamw optimiser;
    toc_adamw_init(&optimiser, net);
    struct toc_sv text = toc_demo_text();
    float first = 0, last = 0;
    for (int step = 0; step < 150; step++) {
        int inputs[64], targets[64];
        for (int b = 0; b < 2; b++) {
            size_t at = (size_t)toc_rng_below(&rng, text.n - 33);
            for (int i = 0; i < 32; i++) {
                inputs[b * 32 + i] = toc_net_token(text.p[at + (size_t)i]);
                targets[b * 32 + i] = toc_net_token(text.p[at + (size_t)i + 1]);
            }
        }
        float loss = toc_net_forward(net, inputs, targets);
        toc_net_backward(net);
        toc_adamw_update(&optimiser, net, toc_adamw_rate(&optimiser, step), toc_net_grad_norm(net));
        first += step < 10 ? loss / 10 : 0;
        last += step >= 140 ? loss / 10 : 0;
    }
    assert_true(last < first - 0.8f);
    toc_adamw_fini(&optimiser);
    toc_net_free(&net);
}

static void tokens_round_trip(void **state) {
    (void)state;
    for (char c = 32; c < 127; c++)
        assert_int_equal(toc_net_char(toc_net_token(c)), c);
    assert_int_equal(toc_net_char(toc_net_token('\n')), '\n');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_agree_with_finite_differences),
        cmocka_unit_test(training_lowers_the_loss),
        cmocka_unit_test(tokens_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
