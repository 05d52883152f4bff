#include "app/demo/transformer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app/demo/kernels.h"
#include "base/alloc.h"

/* Parameters of one block, by position in the tensor table. */
enum {
    LN1_G,
    LN1_B,
    QKV_W,
    QKV_B,
    PROJ_W,
    PROJ_B,
    LN2_G,
    LN2_B,
    UP_W,
    UP_B,
    DOWN_W,
    DOWN_B,
    PER_BLOCK
};
enum { EMBED, POSITION, FIRST_BLOCK };

/* What forward leaves for backward, per block. rows = batch × context. */
struct block {
    float *in, *ln1, *ln1_mean, *ln1_rstd, *qkv, *weights, *attention, *middle, *ln2, *ln2_mean,
        *ln2_rstd, *up, *gelu;
};

struct toc_net_activations {
    struct block blocks[TOC_NET_BLOCKS_MAX];
    float *out, *lnf, *lnf_mean, *lnf_rstd, *probabilities;
    float *d_stream, *d_row, *d_wide, *d_wide2, *d_qkv, *scratch; /* of backward */
    int *inputs, *targets;
};

int toc_net_token(char c) {
    return c >= 32 && c < 127 ? c - 31 : 0;
}
char toc_net_char(int token) {
    return token ? (char)(token + 31) : '\n';
}

static int rows_of(const struct toc_net *n) {
    return n->shape.batch * n->shape.context;
}

static void add_tensor(struct toc_net *n, bool is_matrix, size_t count, const char *fmt, ...) {
    struct toc_net_tensor *t = &n->tensors[n->tensor_count++];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->name, sizeof t->name, fmt, ap);
    va_end(ap);
    t->at = n->parameter_count;
    t->count = count;
    t->is_matrix = is_matrix;
    n->parameter_count += count;
}

static void lay_out(struct toc_net *n) {
    size_t d = (size_t)n->shape.width;
    add_tensor(n, true, TOC_NET_VOCABULARY * d, "embed.w");
    add_tensor(n, false, (size_t)n->shape.context * d, "position.w");
    for (int i = 0; i < n->shape.blocks; i++) {
        add_tensor(n, false, d, "blocks.%d.ln1.g", i);
        add_tensor(n, false, d, "blocks.%d.ln1.b", i);
        add_tensor(n, true, d * 3 * d, "blocks.%d.attn.qkv.w", i);
        add_tensor(n, false, 3 * d, "blocks.%d.attn.qkv.b", i);
        add_tensor(n, true, d * d, "blocks.%d.attn.proj.w", i);
        add_tensor(n, false, d, "blocks.%d.attn.proj.b", i);
        add_tensor(n, false, d, "blocks.%d.ln2.g", i);
        add_tensor(n, false, d, "blocks.%d.ln2.b", i);
        add_tensor(n, true, d * 4 * d, "blocks.%d.mlp.up.w", i);
        add_tensor(n, false, 4 * d, "blocks.%d.mlp.up.b", i);
        add_tensor(n, true, 4 * d * d, "blocks.%d.mlp.down.w", i);
        add_tensor(n, false, d, "blocks.%d.mlp.down.b", i);
    }
    add_tensor(n, false, d, "lnf.g");
    add_tensor(n, false, d, "lnf.b");
    add_tensor(n, true, d * TOC_NET_VOCABULARY, "head.w");
}

static float *at(const struct toc_net *n, float *base, int tensor) {
    return base + n->tensors[tensor].at;
}
static float *block_p(const struct toc_net *n, int block, int which) {
    return at(n, n->parameters, FIRST_BLOCK + block * PER_BLOCK + which);
}
static float *block_g(const struct toc_net *n, int block, int which) {
    return at(n, n->gradients, FIRST_BLOCK + block * PER_BLOCK + which);
}
static int lnf_tensor(const struct toc_net *n) {
    return FIRST_BLOCK + n->shape.blocks * PER_BLOCK;
}

static float *floats(size_t count) {
    return toc_xcalloc(count, sizeof(float));
}

static void allocate(struct toc_net *n) {
    size_t rows = (size_t)rows_of(n), d = (size_t)n->shape.width;
    struct toc_net_activations *a = n->activations = TOC_NEW(struct toc_net_activations);
    for (int i = 0; i < n->shape.blocks; i++) {
        struct block *b = &a->blocks[i];
        b->in = floats(rows * d);
        b->ln1 = floats(rows * d);
        b->ln1_mean = floats(rows);
        b->ln1_rstd = floats(rows);
        b->qkv = floats(rows * 3 * d);
        b->weights = floats(rows * (size_t)n->shape.heads * (size_t)n->shape.context);
        b->attention = floats(rows * d);
        b->middle = floats(rows * d);
        b->ln2 = floats(rows * d);
        b->ln2_mean = floats(rows);
        b->ln2_rstd = floats(rows);
        b->up = floats(rows * 4 * d);
        b->gelu = floats(rows * 4 * d);
    }
    a->out = floats(rows * d);
    a->lnf = floats(rows * d);
    a->lnf_mean = floats(rows);
    a->lnf_rstd = floats(rows);
    a->probabilities = floats(rows * TOC_NET_VOCABULARY);
    a->d_stream = floats(rows * d);
    a->d_row = floats(rows * d);
    a->d_wide = floats(rows * 4 * d);
    a->d_wide2 = floats(rows * 4 * d);
    a->d_qkv = floats(rows * 3 * d);
    a->scratch = floats((size_t)n->shape.context);
    a->inputs = toc_xcalloc(rows, sizeof(int));
    a->targets = toc_xcalloc(rows, sizeof(int));
}

struct toc_net *toc_net_new(const struct toc_net_shape *shape, struct toc_rng *rng) {
    struct toc_net *n = TOC_NEW(struct toc_net);
    n->shape = *shape;
    n->backward_gain = 1.0f;
    lay_out(n);
    n->parameters = floats(n->parameter_count);
    n->gradients = floats(n->parameter_count);
    allocate(n);
    for (int i = 0; i < n->tensor_count; i++) {
        const struct toc_net_tensor *t = &n->tensors[i];
        size_t len = strlen(t->name);
        bool is_gain = t->name[len - 1] == 'g', is_bias = t->name[len - 1] == 'b';
        for (size_t k = 0; k < t->count; k++)
            n->parameters[t->at + k] = is_gain   ? 1.0f
                                       : is_bias ? 0.0f
                                                 : 0.04f * (float)toc_rng_normal(rng);
    }
    return n;
}

void toc_net_free(struct toc_net **np) {
    struct toc_net *n = *np;
    if (!n)
        return;
    struct toc_net_activations *a = n->activations;
    for (int i = 0; i < n->shape.blocks; i++) {
        struct block *b = &a->blocks[i];
        float *all[] = {b->in,       b->ln1,       b->ln1_mean, b->ln1_rstd, b->qkv,
                        b->weights,  b->attention, b->middle,   b->ln2,      b->ln2_mean,
                        b->ln2_rstd, b->up,        b->gelu};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            toc_free(all[k]);
    }
    void *rest[] = {a->out,       a->lnf,    a->lnf_mean, a->lnf_rstd, a->probabilities,
                    a->d_stream,  a->d_row,  a->d_wide,   a->d_wide2,  a->d_qkv,
                    a->scratch,   a->inputs, a->targets,  a,           n->parameters,
                    n->gradients, n};
    for (size_t k = 0; k < sizeof rest / sizeof rest[0]; k++)
        toc_free(rest[k]);
    *np = NULL;
}

static void add(float *restrict y, const float *restrict a, const float *restrict b, int n) {
    for (int i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void block_forward(struct toc_net *n, int i, float *out) {
    struct block *b = &n->activations->blocks[i];
    int rows = rows_of(n), d = n->shape.width;
    float *branch = n->activations->d_row; /* free during forward */
    toc_norm(b->ln1, b->ln1_mean, b->ln1_rstd, b->in, block_p(n, i, LN1_G), block_p(n, i, LN1_B),
             rows, d);
    toc_linear(b->qkv, b->ln1, block_p(n, i, QKV_W), block_p(n, i, QKV_B), rows, d, 3 * d);
    toc_attention(b->attention, b->weights, b->qkv, n->shape.batch, n->shape.context, d,
                  n->shape.heads);
    toc_linear(branch, b->attention, block_p(n, i, PROJ_W), block_p(n, i, PROJ_B), rows, d, d);
    add(b->middle, b->in, branch, rows * d);
    toc_norm(b->ln2, b->ln2_mean, b->ln2_rstd, b->middle, block_p(n, i, LN2_G),
             block_p(n, i, LN2_B), rows, d);
    toc_linear(b->up, b->ln2, block_p(n, i, UP_W), block_p(n, i, UP_B), rows, d, 4 * d);
    toc_gelu(b->gelu, b->up, rows * 4 * d);
    toc_linear(branch, b->gelu, block_p(n, i, DOWN_W), block_p(n, i, DOWN_B), rows, 4 * d, d);
    add(out, b->middle, branch, rows * d);
}

/* Inputs → a->probabilities of every row. */
static void run_forward(struct toc_net *n) {
    struct toc_net_activations *a = n->activations;
    int rows = rows_of(n), d = n->shape.width;
    const float *embed = at(n, n->parameters, EMBED), *position = at(n, n->parameters, POSITION);
    float *first = n->shape.blocks ? a->blocks[0].in : a->out;
    for (int r = 0; r < rows; r++)
        add(first + (long)r * d, embed + (long)a->inputs[r] * d,
            position + (long)(r % n->shape.context) * d, d);
    for (int i = 0; i < n->shape.blocks; i++)
        block_forward(n, i, i + 1 < n->shape.blocks ? a->blocks[i + 1].in : a->out);
    int lnf = lnf_tensor(n);
    toc_norm(a->lnf, a->lnf_mean, a->lnf_rstd, a->out, at(n, n->parameters, lnf),
             at(n, n->parameters, lnf + 1), rows, d);
    toc_linear(a->probabilities, a->lnf, at(n, n->parameters, lnf + 2), NULL, rows, d,
               TOC_NET_VOCABULARY);
    toc_softmax(a->probabilities, rows, TOC_NET_VOCABULARY);
}

float toc_net_forward(struct toc_net *n, const int *inputs, const int *targets) {
    struct toc_net_activations *a = n->activations;
    int rows = rows_of(n);
    memcpy(a->inputs, inputs, (size_t)rows * sizeof *inputs);
    memcpy(a->targets, targets, (size_t)rows * sizeof *targets);
    run_forward(n);
    float loss = 0;
    for (int r = 0; r < rows; r++)
        loss -= logf(a->probabilities[(long)r * TOC_NET_VOCABULARY + targets[r]]);
    return loss / (float)rows;
}

const float *toc_net_next(struct toc_net *n, const int *inputs, int count) {
    struct toc_net_activations *a = n->activations;
    memset(a->inputs, 0, (size_t)rows_of(n) * sizeof *a->inputs);
    memcpy(a->inputs, inputs, (size_t)count * sizeof *inputs);
    run_forward(n);
    return a->probabilities + (long)(count - 1) * TOC_NET_VOCABULARY;
}

static void block_backward(struct toc_net *n, int i) {
    struct toc_net_activations *a = n->activations;
    struct block *b = &a->blocks[i];
    int rows = rows_of(n), d = n->shape.width;
    size_t row_bytes = (size_t)rows * (size_t)d * sizeof(float);
    /* feed-forward branch: d_stream is the gradient of the block's output */
    memset(a->d_wide, 0, 4 * row_bytes);
    toc_linear_backward(a->d_wide, block_g(n, i, DOWN_W), block_g(n, i, DOWN_B), a->d_stream,
                        b->gelu, block_p(n, i, DOWN_W), rows, 4 * d, d);
    toc_gelu_backward(a->d_wide2, a->d_wide, b->up, rows * 4 * d);
    memset(a->d_row, 0, row_bytes);
    toc_linear_backward(a->d_row, block_g(n, i, UP_W), block_g(n, i, UP_B), a->d_wide2, b->ln2,
                        block_p(n, i, UP_W), rows, d, 4 * d);
    toc_norm_backward(a->d_stream, block_g(n, i, LN2_G), block_g(n, i, LN2_B), a->d_row, b->middle,
                      block_p(n, i, LN2_G), b->ln2_mean, b->ln2_rstd, rows, d);
    /* attention branch: d_stream is now the gradient of the middle */
    memset(a->d_row, 0, row_bytes);
    toc_linear_backward(a->d_row, block_g(n, i, PROJ_W), block_g(n, i, PROJ_B), a->d_stream,
                        b->attention, block_p(n, i, PROJ_W), rows, d, d);
    toc_attention_backward(a->d_qkv, a->scratch, a->d_row, b->weights, b->qkv, n->shape.batch,
                           n->shape.context, d, n->shape.heads);
    memset(a->d_row, 0, row_bytes);
    toc_linear_backward(a->d_row, block_g(n, i, QKV_W), block_g(n, i, QKV_B), a->d_qkv, b->ln1,
                        block_p(n, i, QKV_W), rows, d, 3 * d);
    toc_norm_backward(a->d_stream, block_g(n, i, LN1_G), block_g(n, i, LN1_B), a->d_row, b->in,
                      block_p(n, i, LN1_G), b->ln1_mean, b->ln1_rstd, rows, d);
    if (n->backward_gain != 1.0f)
        for (int k = 0; k < rows * d; k++)
            a->d_stream[k] *= n->backward_gain;
}

void toc_net_backward(struct toc_net *n) {
    struct toc_net_activations *a = n->activations;
    int rows = rows_of(n), d = n->shape.width, lnf = lnf_tensor(n);
    memset(n->gradients, 0, n->parameter_count * sizeof *n->gradients);
    /* Softmax with cross-entropy: the gradient is (probability − target) / rows. */
    for (int r = 0; r < rows; r++) {
        float *p = a->probabilities + (long)r * TOC_NET_VOCABULARY;
        p[a->targets[r]] -= 1.0f;
        for (int v = 0; v < TOC_NET_VOCABULARY; v++)
            p[v] /= (float)rows;
    }
    size_t row_bytes = (size_t)rows * (size_t)d * sizeof(float);
    memset(a->d_row, 0, row_bytes);
    toc_linear_backward(a->d_row, at(n, n->gradients, lnf + 2), NULL, a->probabilities, a->lnf,
                        at(n, n->parameters, lnf + 2), rows, d, TOC_NET_VOCABULARY);
    memset(a->d_stream, 0, row_bytes);
    toc_norm_backward(a->d_stream, at(n, n->gradients, lnf), at(n, n->gradients, lnf + 1), a->d_row,
                      a->out, at(n, n->parameters, lnf), a->lnf_mean, a->lnf_rstd, rows, d);
    for (int i = n->shape.blocks - 1; i >= 0; i--)
        block_backward(n, i);
    float *embed = at(n, n->gradients, EMBED), *position = at(n, n->gradients, POSITION);
    for (int r = 0; r < rows; r++) {
        const float *g = a->d_stream + (long)r * d;
        float *e = embed + (long)a->inputs[r] * d, *p = position + (long)(r % n->shape.context) * d;
        for (int k = 0; k < d; k++) {
            e[k] += g[k];
            p[k] += g[k];
        }
    }
}
