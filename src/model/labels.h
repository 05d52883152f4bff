/*
 * Label sets. `struct toc_labels` is a borrowed view of pairs sorted by name (byte order) without
 * duplicates and without empty values: absent and empty are the same. Build one with the builder,
 * keep one with toc_labels_dup.
 */
#ifndef TOC_MODEL_LABELS_H
#define TOC_MODEL_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/sv.h"
#include "base/vec.h"

#define TOC_METRIC_NAME TOC_SV("__name__")

struct toc_label {
    struct toc_sv name;
    struct toc_sv value;
};

struct toc_labels {
    const struct toc_label *items;
    size_t count;
};

#define TOC_LABELS_EMPTY ((struct toc_labels){NULL, 0})

/* The value, or the empty view when absent. Borrowed from the set. */
struct toc_sv toc_labels_get(struct toc_labels l, struct toc_sv name);
bool toc_labels_has(struct toc_labels l, struct toc_sv name);
bool toc_labels_eq(struct toc_labels a, struct toc_labels b);
/* Order of Prometheus' labels.Compare. */
int toc_labels_cmp(struct toc_labels a, struct toc_labels b);
/* XXH3 over names and values with separators; stable, may reach disk. */
uint64_t toc_labels_hash(struct toc_labels l);
/* FNV-1a fingerprint as Prometheus' model.LabelSet.Fingerprint (Alertmanager's alert identity). */
uint64_t toc_labels_fingerprint(struct toc_labels l);
/* One heap block holding pairs and bytes; free with toc_labels_free. */
struct toc_labels toc_labels_dup(struct toc_labels l);
void toc_labels_free(struct toc_labels *l);
/* Copy in an arena; count 0 with a->overflowed set when it has no room. */
struct toc_labels toc_labels_dup_arena(struct toc_labels l, struct toc_arena *a);
/* `{a="b", c="d"}` with Prometheus' escaping; the metric name stands in front when present and
 * legal. */
void toc_labels_format(struct toc_labels l, struct toc_buf *out);
/* varint count, then name and value as strings; reading borrows from the reader's bytes and puts
 * the pairs into the arena. */
void toc_labels_encode(struct toc_labels l, struct toc_buf *out);
int toc_labels_decode(struct toc_reader *r, struct toc_arena *a,
                      struct toc_labels *out) TOC_MUST_CHECK;

/* Is it legal in the classic data model ([a-zA-Z_][a-zA-Z0-9_]*, metric names also ':')? */
bool toc_label_name_is_classic(struct toc_sv name);
bool toc_metric_name_is_classic(struct toc_sv name);

/* Collects pairs in any order; the last value of a name wins, an empty value deletes. Strings are
 * borrowed until toc_labels_builder_finish has been used. */
struct toc_labels_builder {
    TOC_VEC_FIELDS(struct toc_label)
};
#define TOC_LABELS_BUILDER_INIT ((struct toc_labels_builder){0})

void toc_labels_builder_add_all(struct toc_labels_builder *b, struct toc_labels l);
void toc_labels_builder_set(struct toc_labels_builder *b, struct toc_sv name, struct toc_sv value);
void toc_labels_builder_del(struct toc_labels_builder *b, struct toc_sv name);
struct toc_sv toc_labels_builder_get(const struct toc_labels_builder *b, struct toc_sv name);
/* Sorts in place and returns a view borrowed from the builder, valid until its next change. */
struct toc_labels toc_labels_builder_finish(struct toc_labels_builder *b);
/* Keeps the memory. */
void toc_labels_builder_reset(struct toc_labels_builder *b);
void toc_labels_builder_fini(struct toc_labels_builder *b);

#endif
