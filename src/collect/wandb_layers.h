/*
 * Histograms of a row of a W&B run file as statistics of layers: what `wandb.watch` logs of
 * gradients and parameters. A value is the JSON that the package writes,
 * {"_type": "histogram", "values": [counts], "bins": [edges]} or, for bins of one width,
 * {…, "packedBins": {"min": first edge, "size": width, "count": bins}}; in files of today each
 * member is an item of its own with a nested key (seen in those of wandb 0.31.0).
 */
#ifndef TOC_COLLECT_WANDB_LAYERS_H
#define TOC_COLLECT_WANDB_LAYERS_H

#include "base/arena.h"
#include "base/vec.h"
#include "codec/json_writer.h"
#include "model/alias.h"

struct toc_wandb_histogram;
struct toc_wandb_layer; /* opaque */

/* Of one row. One thread. */
struct toc_wandb_layers {
    const struct toc_alias_table *aliases; /* borrowed */
    struct toc_arena arena;
    struct {
        TOC_VEC_FIELDS(struct toc_wandb_histogram *)
    } read; /* as far as they have come */
    TOC_VEC_FIELDS(struct toc_wandb_layer *)
};

void toc_wandb_layers_init(struct toc_wandb_layers *l, const struct toc_alias_table *aliases);
void toc_wandb_layers_fini(struct toc_wandb_layers *l);
void toc_wandb_layers_reset(struct toc_wandb_layers *l);
/* False when the item is no part of a histogram of a layer's gradients, parameters or activations,
 * or when the row holds too many. Nested keys are joined by dots. Both texts are copied. */
bool toc_wandb_layers_take(struct toc_wandb_layers *l, struct toc_sv key, struct toc_sv json);
/* Does a number with this key belong to a histogram? */
bool toc_wandb_layers_is_part(const struct toc_wandb_layers *l, struct toc_sv key);
/* The row has ended: its histograms become layers, whose parts then stand together. Returns how
 * many were none. */
size_t toc_wandb_layers_finish(struct toc_wandb_layers *l);
/* Writes as many layers as a line may hold, as the value of "layers", from *at on; moves *at. */
void toc_wandb_layers_write(const struct toc_wandb_layers *l, size_t *at,
                            struct toc_json_writer *w);

#endif
