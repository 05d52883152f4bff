/* Replacement texts with references to capture groups, as Go's regexp.Expand: $1, $name, ${name},
 * $$. */
#ifndef TOC_CODEC_REGEX_EXPAND_H
#define TOC_CODEC_REGEX_EXPAND_H

#include "base/buf.h"
#include "base/sv.h"
#include "shim/regex.h"

/* Appends `form` with its references replaced by the groups of a match (toc_regex_capture). A
 * reference to a group that does not exist gives nothing; a "$" that begins no reference stays. */
void toc_regex_expand(const struct toc_regex *re, struct toc_sv form, const struct toc_sv *groups,
                      int count, struct toc_buf *out);

#endif
