/* The rule packs that ship inside the program (packs/ in the source tree), as text of rule files.
 */
#ifndef TOC_RULES_BUILTIN_PACKS_H
#define TOC_RULES_BUILTIN_PACKS_H

#include <stddef.h>

#include "base/sv.h"

struct toc_builtin_pack {
    const char *name; /* "host", "gpu", … */
    struct toc_sv yaml;
};

/* Static table; parse each with toc_rule_file_parse under a name such as "builtin/host". */
const struct toc_builtin_pack *toc_builtin_packs(size_t *out_count);

#endif
