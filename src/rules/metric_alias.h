/* Other names a metric may have: renames between versions, other spellings, near misses. */
#ifndef TOC_RULES_METRIC_ALIAS_H
#define TOC_RULES_METRIC_ALIAS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/sv.h"
#include "model/alias.h"

/* Names by which a metric is known elsewhere; non-zero from fn stops. Not the name itself. */
typedef int toc_on_alias(void *ctx, struct toc_sv alias);
int toc_metric_aliases(const struct toc_alias_table *t, struct toc_sv name, toc_on_alias *fn,
                       void *ctx);

/* How far apart two names are (insertions, deletions, replacements, swaps), SIZE_MAX when more
 * than `limit`. Names longer than 200 bytes are never near. */
size_t toc_metric_name_distance(struct toc_sv a, struct toc_sv b, size_t limit);
/* The largest distance that still counts as a near miss of this name. */
size_t toc_metric_name_tolerance(struct toc_sv name);

#endif
