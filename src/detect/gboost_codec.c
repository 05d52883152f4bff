/*
 * Bytes of boosted trees:
 *
 *     "TGB1"  varint columns  varint depth  varint trees  f64 base  f64 gain of each column
 *     per tree: 2^depth - 1 nodes of (u8 column, f64 threshold), 2^depth leaves of f64
 *     u32 CRC-32C of everything before
 */
#include <math.h>
#include <string.h>

#include "detect/gboost_priv.h"
#include "detect/model_frame.h"

static const char MAGIC[4] = {'T', 'G', 'B', '1'};
enum { NODE_BYTES = 9, LEAF_BYTES = 8 };
static const double VALUE_MAX = 1e6;

void toc_gboost_encode(const struct toc_gboost *g, struct toc_buf *out) {
    size_t start = out->n, inner = toc_gboost_inner(g->depth);
    toc_buf_append(out, MAGIC, sizeof MAGIC);
    toc_buf_append_varint(out, g->columns);
    toc_buf_append_varint(out, g->depth);
    toc_buf_append_varint(out, g->trees);
    toc_buf_append_f64(out, g->base);
    for (size_t c = 0; c < g->columns; c++)
        toc_buf_append_f64(out, g->gain[c]);
    for (size_t t = 0; t < g->trees; t++) {
        for (size_t i = 0; i < inner; i++) {
            toc_buf_append_u8(out, g->nodes[t * inner + i].column);
            toc_buf_append_f64(out, g->nodes[t * inner + i].threshold);
        }
        for (size_t i = 0; i <= inner; i++)
            toc_buf_append_f64(out, g->leaves[t * (inner + 1) + i]);
    }
    toc_model_frame_end(out, start);
}

static int decode_trees(struct toc_reader *r, struct toc_gboost *g) {
    size_t inner = toc_gboost_inner(g->depth);
    for (size_t t = 0; t < g->trees; t++) {
        for (size_t i = 0; i < inner; i++) {
            struct toc_gboost_node *n = &g->nodes[t * inner + i];
            n->column = toc_read_u8(r);
            n->threshold = toc_read_f64(r);
            bool is_open = isinf(n->threshold) && n->threshold > 0;
            if (n->column >= g->columns || !(isfinite(n->threshold) || is_open))
                return TOC_ECORRUPT;
        }
        for (size_t i = 0; i <= inner; i++) {
            double *leaf = &g->leaves[t * (inner + 1) + i];
            *leaf = toc_read_f64(r);
            if (!(fabs(*leaf) <= VALUE_MAX))
                return TOC_ECORRUPT;
        }
    }
    return r->error;
}

static int decode_body(struct toc_reader *r, struct toc_gboost **out) {
    uint64_t columns = toc_read_varint(r), depth = toc_read_varint(r), trees = toc_read_varint(r);
    double base = toc_read_f64(r);
    if (r->error)
        return r->error;
    if (columns == 0 || columns > TOC_GBOOST_COLUMNS_MAX || depth == 0 ||
        depth > TOC_GBOOST_DEPTH_MAX || trees == 0 || trees > TOC_GBOOST_TREES_MAX)
        return TOC_ELIMIT;
    size_t inner = toc_gboost_inner(depth);
    if (toc_reader_left(r) != columns * 8 + trees * (inner * NODE_BYTES + (inner + 1) * LEAF_BYTES))
        return TOC_ETRUNCATED;
    struct toc_gboost *g = toc_gboost_new(trees, depth, columns);
    *out = g;
    if (!g)
        return TOC_ENOMEM;
    g->base = base;
    for (size_t c = 0; c < columns; c++) {
        g->gain[c] = toc_read_f64(r);
        if (!(g->gain[c] >= 0 && isfinite(g->gain[c])))
            return TOC_ECORRUPT;
    }
    return fabs(base) <= VALUE_MAX ? decode_trees(r, g) : TOC_ECORRUPT;
}

int toc_gboost_decode(struct toc_sv bytes, struct toc_gboost **out, struct toc_err *err) {
    *out = NULL;
    struct toc_reader r;
    int rc = toc_model_frame_open(bytes, MAGIC, &r);
    if (rc == 0)
        rc = decode_body(&r, out);
    if (rc == 0)
        return 0;
    toc_gboost_free(out);
    return toc_errf(err, rc, "stored boosted trees: %s", toc_strerror(rc));
}
