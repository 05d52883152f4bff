/*
 * The series of the log as one remote sees them: relabelled, with external labels, ready to be
 * sent. The log gives a series a number per segment; here the number finds its labels. Of the
 * thread of that remote.
 */
#ifndef TOC_FORWARD_SERIES_H
#define TOC_FORWARD_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/vec.h"
#include "collect/relabel.h"
#include "model/labels.h"

/* Lives as long as the table or somebody else holds a reference. */
struct toc_forward_series {
    uint32_t refs;
    bool is_dropped; /* by relabelling */
    uint64_t source; /* hash of the labels in the log */
    uint64_t hash;   /* of the labels that are sent */
    /* Of the message that is being built. */
    uint64_t message;
    uint32_t first, last;
    /* The labels as fields `1: {1: name, 2: value}` of protobuf. */
    uint32_t label_bytes;
    char labels[];
};
void toc_forward_series_unref(struct toc_forward_series **s);
static inline struct toc_sv toc_forward_series_labels(const struct toc_forward_series *s) {
    return toc_sv_make(s->labels, s->label_bytes);
}
/* The next label of such bytes; false at the end. */
bool toc_forward_next_label(struct toc_sv *io_rest, struct toc_label *out);
/* The metric's name, empty when it has none. */
struct toc_sv toc_forward_series_name(const struct toc_forward_series *s);

struct toc_forward_table {
    const struct toc_relabel *relabel;
    struct toc_labels external;
    struct toc_forward_series **items; /* by number in the segment; NULL: not defined */
    size_t capacity;
    struct toc_arena scratch;
    struct toc_labels_builder builder;
    struct toc_buf bytes;
    uint64_t dropped; /* series, since start */
};
void toc_forward_table_init(struct toc_forward_table *t, const struct toc_relabel *relabel,
                            struct toc_labels external);
void toc_forward_table_fini(struct toc_forward_table *t);
/* A new segment begins. */
void toc_forward_table_clear(struct toc_forward_table *t);
void toc_forward_table_define(struct toc_forward_table *t, uint32_t id, struct toc_labels labels);
/* NULL when it was not defined. Borrowed. */
static inline struct toc_forward_series *toc_forward_table_get(const struct toc_forward_table *t,
                                                               uint32_t id) {
    return id < t->capacity ? t->items[id] : NULL;
}
/* A series that is in no segment; the caller owns the reference. */
struct toc_forward_series *toc_forward_table_make(struct toc_forward_table *t,
                                                  struct toc_labels labels);

#endif
