#include "detect/iforest_feedback.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "detect/iforest_priv.h"
#include "detect/model_frame.h"

/* Weight of the edge into node i at edge[i] (the root has none), of the rest below leaf i at
 * rest[i]. */
struct toc_iforest_feedback {
    const struct toc_iforest *forest;
    float *edge, *rest;
    uint32_t checksum; /* of the forest's nodes */
};

static uint32_t checksum_of(const struct toc_iforest *f) {
    uint32_t crc = toc_crc32c(0, f->nodes, f->node_count * sizeof *f->nodes);
    return toc_crc32c(crc, f->path, f->node_count * sizeof *f->path);
}

int toc_iforest_feedback_new(const struct toc_iforest *f, struct toc_iforest_feedback **out,
                             struct toc_err *err) {
    struct toc_iforest_feedback *b = TOC_NEW(struct toc_iforest_feedback);
    b->forest = f;
    b->edge = toc_try_calloc(f->node_count + 1, sizeof *b->edge);
    b->rest = toc_try_calloc(f->node_count + 1, sizeof *b->rest);
    *out = b;
    if (!b->edge || !b->rest) {
        toc_iforest_feedback_free(out);
        return toc_errf(err, TOC_ENOMEM, "no memory for the weights of %zu nodes", f->node_count);
    }
    for (size_t i = 0; i < f->node_count; i++)
        b->edge[i] = b->rest[i] = 1;
    b->checksum = checksum_of(f);
    return 0;
}

void toc_iforest_feedback_free(struct toc_iforest_feedback **b) {
    if (!*b)
        return;
    toc_free((*b)->edge);
    toc_free((*b)->rest);
    toc_free(*b);
    *b = NULL;
}

/* --- walking --- */

struct path {
    size_t nodes[TOC_IFOREST_DEPTH_MAX + 1]; /* indices of the forest, without the root */
    size_t length;
    size_t leaf;
};

static void walk(const struct toc_iforest *f, const struct toc_iforest_tree *tree,
                 const double *row, struct path *out) {
    uint32_t at = 0;
    out->length = 0;
    for (uint32_t level = 0; level < tree->depth; level++) {
        const struct toc_iforest_node *n = &f->nodes[tree->first + at];
        if (toc_iforest_node_is_leaf(n, at))
            break;
        float v = (float)row[n->link & TOC_IFOREST_FEATURE_MASK];
        at = (n->link >> TOC_IFOREST_FEATURE_BITS) + (uint32_t)(v > n->threshold);
        out->nodes[out->length++] = tree->first + at;
    }
    out->leaf = tree->first + at;
}

static double score_of(const struct toc_iforest *f, double length) {
    double expected = (double)f->tree_count * toc_iforest_average_path(f->max_samples);
    return expected > 0 ? -exp2(-length / expected) : -0.5;
}

struct lengths {
    double plain, weighted;
};

static struct lengths measure(const struct toc_iforest_feedback *b, const double *row) {
    const struct toc_iforest *f = b->forest;
    struct lengths sum = {0};
    for (size_t t = 0; t < f->tree_count; t++) {
        struct path p;
        walk(f, &f->trees[t], row, &p);
        double rest = fmax((double)f->path[p.leaf] - (double)p.length, 0);
        for (size_t i = 0; i < p.length; i++)
            sum.weighted += (double)b->edge[p.nodes[i]];
        sum.weighted += rest * (double)b->rest[p.leaf];
        sum.plain += (double)f->path[p.leaf];
    }
    return sum;
}

struct toc_iforest_pair toc_iforest_feedback_score(const struct toc_iforest_feedback *b,
                                                   const double *row) {
    struct lengths l = measure(b, row);
    return (struct toc_iforest_pair){score_of(b->forest, l.plain), score_of(b->forest, l.weighted)};
}

static void nudge(float *weight, double step) {
    *weight = (float)fmin(fmax((double)*weight - step, 0), TOC_IFOREST_WEIGHT_MAX);
}

void toc_iforest_feedback_learn(struct toc_iforest_feedback *b, const double *row, bool is_true,
                                double offset) {
    const struct toc_iforest *f = b->forest;
    double trees = (double)f->tree_count, c = toc_iforest_average_path(f->max_samples);
    /* The mean path length that scores exactly `offset`. */
    double at_offset = c > 0 && offset < 0 ? -log2(-offset) * c : 0;
    double centred = at_offset - measure(b, row).weighted / trees; /* > 0: anomalous */
    double y = is_true ? 1 : -1;
    double step = TOC_IFOREST_FEEDBACK_RATE * y / (1 + exp(y * centred));
    for (size_t t = 0; t < f->tree_count; t++) {
        struct path p;
        walk(f, &f->trees[t], row, &p);
        for (size_t i = 0; i < p.length; i++)
            nudge(&b->edge[p.nodes[i]], step);
        if ((double)f->path[p.leaf] > (double)p.length)
            nudge(&b->rest[p.leaf], step);
    }
}

size_t toc_iforest_feedback_changed(const struct toc_iforest_feedback *b, size_t *out_all) {
    size_t changed = 0;
    for (size_t i = 0; i < b->forest->node_count; i++)
        changed += (size_t)(b->edge[i] != 1.0f) + (size_t)(b->rest[i] != 1.0f);
    *out_all = 2 * b->forest->node_count;
    return changed;
}

/* --- bytes ---
 * "TFB1"  u32 checksum of the forest  varint nodes  varint changed
 * per changed weight: varint distance from the one before, f32 bits   (edges first, then rests)
 * u32 CRC-32C of everything before */

static const char MAGIC[4] = {'T', 'F', 'B', '1'};

static float *weight_at(const struct toc_iforest_feedback *b, size_t i) {
    size_t nodes = b->forest->node_count;
    return i < nodes ? &b->edge[i] : &b->rest[i - nodes];
}

void toc_iforest_feedback_encode(const struct toc_iforest_feedback *b, struct toc_buf *out) {
    size_t start = out->n, all, last = 0, changed = toc_iforest_feedback_changed(b, &all);
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_u32(out, b->checksum);
    toc_buf_append_varint(out, b->forest->node_count);
    toc_buf_append_varint(out, changed);
    for (size_t i = 0; i < all; i++) {
        float w = *weight_at(b, i);
        uint32_t bits;
        if (w == 1.0f)
            continue;
        memcpy(&bits, &w, sizeof bits);
        toc_buf_append_varint(out, i - last);
        toc_buf_append_u32(out, bits);
        last = i;
    }
    toc_model_frame_end(out, start);
}

static int decode_weights(struct toc_reader *r, struct toc_iforest_feedback *b) {
    uint64_t all = 2 * (uint64_t)b->forest->node_count, at = 0, changed = toc_read_varint(r);
    if (r->error || changed > all)
        return r->error ? r->error : TOC_ECORRUPT;
    for (uint64_t i = 0; i < changed; i++) {
        uint64_t step = toc_read_varint(r);
        uint32_t bits = toc_read_u32(r);
        float w;
        memcpy(&w, &bits, sizeof w);
        if (r->error)
            return r->error;
        if (step > all || (i > 0 && step == 0) || at + step >= all ||
            !(w >= 0 && (double)w <= TOC_IFOREST_WEIGHT_MAX))
            return TOC_ECORRUPT;
        at += step;
        *weight_at(b, at) = w;
    }
    return toc_reader_left(r) ? TOC_ECORRUPT : 0;
}

int toc_iforest_feedback_decode(const struct toc_iforest *f, struct toc_sv bytes,
                                struct toc_iforest_feedback **out, struct toc_err *err) {
    *out = NULL;
    struct toc_reader r;
    int rc = toc_model_frame_open(bytes, MAGIC, &r);
    if (rc < 0)
        return toc_errf(err, rc, "stored feedback of a forest: %s", toc_strerror(rc));
    uint32_t checksum = toc_read_u32(&r);
    uint64_t nodes = toc_read_varint(&r);
    if (r.error)
        return toc_errf(err, r.error, "stored feedback of a forest: %s", toc_strerror(r.error));
    if (checksum != checksum_of(f) || nodes != f->node_count)
        return toc_errf(err, TOC_ECONFLICT,
                        "stored feedback of a forest belongs to another forest: it begins anew");
    rc = toc_iforest_feedback_new(f, out, err);
    if (rc == 0 && (rc = decode_weights(&r, *out)) < 0) {
        toc_iforest_feedback_free(out);
        rc = toc_errf(err, rc, "stored feedback of a forest: %s", toc_strerror(rc));
    }
    return rc;
}
