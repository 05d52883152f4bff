/*
 * A small decoder-only transformer with real backpropagation, in single precision: token and
 * position embedding, pre-norm blocks of causal attention and a GELU feed-forward, final norm,
 * untied head (Vaswani et al. 2017; pre-norm and GELU as in GPT-2, Radford et al. 2019). Characters
 * are the tokens. Deterministic for a seed. One thread at a time.
 */
#ifndef TOC_APP_DEMO_TRANSFORMER_H
#define TOC_APP_DEMO_TRANSFORMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

enum {
    TOC_NET_VOCABULARY = 96, /* printable ASCII and newline */
    TOC_NET_BLOCKS_MAX = 8,
    TOC_NET_TENSORS_MAX = 4 + TOC_NET_BLOCKS_MAX * 12 + 3,
};

struct toc_net_shape {
    int context; /* T: characters seen at once */
    int width;   /* D */
    int heads;   /* divides D */
    int blocks;  /* L */
    int batch;   /* B */
};

/* One parameter array inside the flat parameter vector. */
struct toc_net_tensor {
    char name[32]; /* "blocks.0.attn.qkv.w" */
    size_t at, count;
    bool is_matrix; /* matrices are reported and decayed; biases and norms are not */
};

struct toc_net_activations; /* private */

struct toc_net {
    struct toc_net_shape shape;
    struct toc_net_tensor tensors[TOC_NET_TENSORS_MAX];
    int tensor_count;
    size_t parameter_count;
    float *parameters, *gradients;
    struct toc_net_activations *activations;
    /* The gradient is multiplied by this wherever it leaves a block towards the input; 1 =
     * untouched. */
    float backward_gain;
};

int toc_net_token(char c);
char toc_net_char(int token);

/* Parameters are drawn from rng. */
struct toc_net *toc_net_new(const struct toc_net_shape *shape, struct toc_rng *rng);
void toc_net_free(struct toc_net **net);
/* Mean cross-entropy of predicting targets from inputs (both B × T tokens), keeping what backward
 * needs. */
float toc_net_forward(struct toc_net *net, const int *inputs, const int *targets);
/* Gradients of that loss into net->gradients (overwritten). */
void toc_net_backward(struct toc_net *net);
/* Probabilities of the next token after `count` ≤ T inputs, TOC_NET_VOCABULARY values borrowed
 * until the next call. */
const float *toc_net_next(struct toc_net *net, const int *inputs, int count);

#endif
