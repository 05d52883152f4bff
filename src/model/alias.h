/*
 * Names that other programs have for what Tocsin knows by one name: packs/aliases.tsv. One table
 * for tags of TensorBoard and keys of logs, for series of training programs, and for metrics that
 * were renamed. Immutable: any number of threads.
 */
#ifndef TOC_MODEL_ALIAS_H
#define TOC_MODEL_ALIAS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/sv.h"

/* X(enum, word in the table) */
#define TOC_ALIAS_KIND_TABLE(X)                                                       \
    X(TOC_ALIAS_TAG, "tag")       /* a scalar of a training program */                \
    X(TOC_ALIAS_SUM, "sum")       /* the same, and lines of a log give parts of it */ \
    X(TOC_ALIAS_SERIES, "series") /* a series of a training program */                \
    X(TOC_ALIAS_RENAME, "rename") /* today's name of a metric and a former one */     \
    X(TOC_ALIAS_PHASE, "phase")   /* part of a tag that says train or val */          \
    X(TOC_ALIAS_PREFIX, "prefix") /* start of a histogram's tag: grad, … */         \
    X(TOC_ALIAS_SUFFIX, "suffix") /* end of one */

enum toc_alias_kind {
#define X(name, word) name,
    TOC_ALIAS_KIND_TABLE(X)
#undef X
        TOC_ALIAS_KIND_COUNT
};

/* One row; views live as long as the table. */
struct toc_alias {
    enum toc_alias_kind kind;
    struct toc_sv canonical; /* "train_loss" */
    struct toc_sv name;      /* "lm loss" */
    struct toc_sv source;    /* who calls it so: "megatron" */
    double scale;            /* value by this = canonical value */
};

struct toc_alias_table; /* opaque */
/* TOC_EPARSE with row and column. */
int toc_alias_table_parse(struct toc_sv text, struct toc_alias_table **out_table,
                          struct toc_err *err) TOC_MUST_CHECK;
int toc_alias_table_builtin(struct toc_alias_table **out_table, struct toc_err *err) TOC_MUST_CHECK;
void toc_alias_table_free(struct toc_alias_table **table);
size_t toc_alias_table_count(const struct toc_alias_table *t);
const struct toc_alias *toc_alias_table_at(const struct toc_alias_table *t, size_t i);

/*
 * The row of a scalar's tag, NULL when it has no known meaning. Case does not matter; a part that
 * names the phase may come first or last ("train/loss", "Loss/train", "train_loss_epoch"), and a
 * phase of evaluation gives the canonical name of the evaluation ("eval/loss" is train_val_loss).
 * is_validation: a tag without a phase is one of an evaluation.
 */
const struct toc_alias *toc_alias_of_tag(const struct toc_alias_table *t, struct toc_sv tag,
                                         bool is_validation);
/* "val" or "train" when the word says so in any case, "" otherwise. */
struct toc_sv toc_alias_phase(const struct toc_alias_table *t, struct toc_sv word);
/* The part of a histogram's tag that names the layer, and what of it is shown: "grad", "param" or
 * "activation" ("param" when the tag does not say). */
struct toc_sv toc_alias_layer_of_tag(const struct toc_alias_table *t, struct toc_sv tag,
                                     struct toc_sv *out_what);

#endif
