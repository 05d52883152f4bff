/*
 * Bytes of a forest:
 *
 *     "TIF1"  varint columns  varint max_samples  f64 offset  f64 contamination  varint trees
 *     per tree: varint nodes, per node: u32 threshold bits, u32 link, and for a leaf u32 path bits
 *     u32 CRC-32C of everything before
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/iforest_priv.h"
#include "detect/model_frame.h"

static const char MAGIC[4] = {'T', 'I', 'F', '1'};
enum { NODE_BYTES_MIN = 8, LEAF_BYTES = 12, TREE_BYTES_MIN = 1 + LEAF_BYTES };

static uint32_t float_bits(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static float bits_float(uint32_t bits) {
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void encode_tree(const struct toc_iforest *f, const struct toc_iforest_tree *tree,
                        struct toc_buf *out) {
    toc_buf_append_varint(out, tree->count);
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct toc_iforest_node *n = &f->nodes[tree->first + i];
        toc_buf_append_u32(out, float_bits(n->threshold));
        toc_buf_append_u32(out, n->link);
        if (toc_iforest_node_is_leaf(n, i))
            toc_buf_append_u32(out, float_bits(f->path[tree->first + i]));
    }
}

void toc_iforest_encode(const struct toc_iforest *f, struct toc_buf *out) {
    size_t start = out->n;
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_varint(out, f->columns);
    toc_buf_append_varint(out, f->max_samples);
    toc_buf_append_f64(out, f->offset);
    toc_buf_append_f64(out, f->contamination);
    toc_buf_append_varint(out, f->tree_count);
    for (size_t i = 0; i < f->tree_count; i++)
        encode_tree(f, &f->trees[i], out);
    toc_model_frame_end(out, start);
}

/* A node is either a leaf (to itself, +inf) or has both children behind it: walks end and stay
 * inside. */
static bool is_node_sound(const struct toc_iforest *f, const struct toc_iforest_node *n,
                          uint32_t at, uint32_t count) {
    uint32_t child = n->link >> TOC_IFOREST_FEATURE_BITS;
    uint32_t column = n->link & TOC_IFOREST_FEATURE_MASK;
    if (child == at)
        return isinf(n->threshold) && n->threshold > 0 && column == 0;
    return isfinite(n->threshold) && column < f->columns && child > at && child + 1 < count;
}

static int decode_node(struct toc_reader *r, struct toc_iforest *f,
                       const struct toc_iforest_tree *tree, uint32_t at) {
    struct toc_iforest_node *n = &f->nodes[tree->first + at];
    n->threshold = bits_float(toc_read_u32(r));
    n->link = toc_read_u32(r);
    if (r->error)
        return r->error;
    if (!is_node_sound(f, n, at, tree->count))
        return TOC_ECORRUPT;
    float *path = &f->path[tree->first + at];
    *path = 0;
    if (toc_iforest_node_is_leaf(n, at))
        *path = bits_float(toc_read_u32(r));
    return *path >= 0 && *path <= 1e6f ? r->error : TOC_ECORRUPT;
}

/* Depth by one pass forward; children lie behind their parents. */
static int measure_depth(struct toc_iforest *f, struct toc_iforest_tree *tree, uint8_t *depth) {
    memset(depth, 0, tree->count);
    for (uint32_t i = 0; i < tree->count; i++) {
        const struct toc_iforest_node *n = &f->nodes[tree->first + i];
        uint32_t child = n->link >> TOC_IFOREST_FEATURE_BITS;
        tree->depth = TOC_MAX(tree->depth, (uint32_t)depth[i]);
        if (child == i)
            continue;
        uint8_t below = (uint8_t)(depth[i] + 1);
        if (below > TOC_IFOREST_DEPTH_MAX)
            return TOC_ECORRUPT;
        depth[child] = TOC_MAX(depth[child], below);
        depth[child + 1] = TOC_MAX(depth[child + 1], below);
    }
    return 0;
}

/* Room for a tree's nodes; `count` is already bounded by the bytes at hand. */
static int add_tree_room(struct toc_iforest *f, size_t count, size_t *capacity) {
    size_t want = f->node_count + count;
    if (want > TOC_IFOREST_NODES_MAX)
        return TOC_ELIMIT;
    if (want <= *capacity)
        return 0;
    *capacity = TOC_MAX(want, *capacity + *capacity / 2);
    void *nodes = toc_try_realloc(f->nodes, *capacity * sizeof *f->nodes);
    if (!nodes)
        return TOC_ENOMEM;
    f->nodes = nodes;
    void *path = toc_try_realloc(f->path, *capacity * sizeof *f->path);
    if (!path)
        return TOC_ENOMEM;
    f->path = path;
    return 0;
}

static int decode_tree(struct toc_reader *r, struct toc_iforest *f, size_t *capacity) {
    uint64_t count = toc_read_varint(r);
    if (r->error)
        return r->error;
    if (count == 0 || count > 2 * (uint64_t)f->max_samples ||
        count > toc_reader_left(r) / NODE_BYTES_MIN)
        return TOC_ECORRUPT;
    int rc = add_tree_room(f, count, capacity);
    if (rc < 0)
        return rc;
    struct toc_iforest_tree *tree = &f->trees[f->tree_count++];
    *tree = (struct toc_iforest_tree){(uint32_t)f->node_count, (uint32_t)count, 0};
    for (uint32_t i = 0; rc == 0 && i < tree->count; i++)
        rc = decode_node(r, f, tree, i);
    if (rc < 0)
        return rc;
    f->node_count += count;
    uint8_t *depth = toc_try_alloc(count);
    if (!depth)
        return TOC_ENOMEM;
    rc = measure_depth(f, tree, depth);
    toc_free(depth);
    return rc;
}

static int decode_head(struct toc_reader *r, struct toc_iforest *f, uint64_t *out_trees) {
    uint64_t columns = toc_read_varint(r), samples = toc_read_varint(r);
    f->offset = toc_read_f64(r);
    f->contamination = toc_read_f64(r);
    *out_trees = toc_read_varint(r);
    if (r->error)
        return r->error;
    if (columns == 0 || columns > TOC_IFOREST_COLUMNS_MAX || samples == 0 ||
        samples > TOC_IFOREST_SAMPLES_MAX || *out_trees == 0 || *out_trees > TOC_IFOREST_TREES_MAX)
        return TOC_ELIMIT;
    if (!(f->offset >= -1 && f->offset <= 0) ||
        !(f->contamination >= 0 && f->contamination <= 0.5) ||
        *out_trees > toc_reader_left(r) / TREE_BYTES_MIN)
        return TOC_ECORRUPT;
    f->columns = columns;
    f->max_samples = samples;
    return 0;
}

static int decode_body(struct toc_reader *r, struct toc_iforest *f) {
    uint64_t trees;
    size_t capacity = 0;
    int rc = decode_head(r, f, &trees);
    if (rc < 0)
        return rc;
    f->trees = toc_try_calloc(trees, sizeof *f->trees);
    if (!f->trees)
        return TOC_ENOMEM;
    for (uint64_t i = 0; rc == 0 && i < trees; i++)
        rc = decode_tree(r, f, &capacity);
    if (rc == 0 && toc_reader_left(r) != 0)
        rc = TOC_ECORRUPT;
    return rc;
}

int toc_iforest_decode(struct toc_sv bytes, struct toc_iforest **out, struct toc_err *err) {
    *out = NULL;
    struct toc_reader r;
    int rc = toc_model_frame_open(bytes, MAGIC, &r);
    if (rc < 0)
        return toc_errf(err, rc, "stored isolation forest: %s", toc_strerror(rc));
    struct toc_iforest *f = TOC_NEW(struct toc_iforest);
    rc = decode_body(&r, f);
    if (rc < 0) {
        toc_iforest_free(&f);
        return toc_errf(err, rc, "stored isolation forest: %s", toc_strerror(rc));
    }
    *out = f;
    return 0;
}
