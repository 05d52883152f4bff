/*
 * Targets found together. A group is what a source of targets names by one text (a file and place,
 * a URL and place, a pod); when it changes it is replaced as a whole.
 */
#ifndef TOC_COLLECT_TARGET_GROUP_H
#define TOC_COLLECT_TARGET_GROUP_H

#include <stdbool.h>
#include <stddef.h>

#include "model/labels.h"

/* A view: everything is borrowed. */
struct toc_target_group {
    struct toc_sv source;         /* unique among the groups of its source; empty in a file */
    const struct toc_sv *targets; /* host:port */
    const struct toc_labels *own; /* labels of each target beside its address; NULL: none */
    size_t target_count;
    const struct toc_label *labels; /* of all targets; a target's own win */
    size_t label_count;
};

/* A group that several threads hold; immutable. */
struct toc_shared_group;
/* A copy with one reference, in one block of memory. */
struct toc_shared_group *toc_shared_group_new(const struct toc_target_group *g);
struct toc_shared_group *toc_shared_group_ref(struct toc_shared_group *g);
/* NULL is accepted. */
void toc_shared_group_unref(struct toc_shared_group **g);
/* Borrowed; stays where it is as long as the reference is held. */
const struct toc_target_group *toc_shared_group_get(const struct toc_shared_group *g);
bool toc_target_group_eq(const struct toc_target_group *a, const struct toc_target_group *b);

#endif
