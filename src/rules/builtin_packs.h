/*
 * The rule packs that ship inside the program (packs/ in the source tree), as text of rule files
 * with their unit tests. docs/design/packs.md.
 */
#ifndef TOC_RULES_BUILTIN_PACKS_H
#define TOC_RULES_BUILTIN_PACKS_H

#include <stddef.h>

#include "base/sv.h"

/* Some groups of a pack as a rule file of their own, and a test file that names it. */
struct toc_pack_tests {
    const char *rules_name; /* as in `rule_files` of the tests */
    struct toc_sv rules, tests;
};

struct toc_builtin_pack {
    const char *name, *title; /* "vllm", "vLLM inference server" */
    /* Beginnings of metric names, parted by ", ", one of which switches the pack on; "": always. */
    const char *seen;
    struct toc_sv yaml;
    struct toc_sv prometheus; /* the same without the keys that only Tocsin knows */
    struct toc_sv dashboard;  /* rules/dashboard.h */
    const struct toc_pack_tests *tests;
    size_t test_count;
};

/* Static table in the order of names; parse each with toc_rule_file_parse under a name such as
 * "builtin/host". */
const struct toc_builtin_pack *toc_builtin_packs(size_t *out_count);
/* NULL when there is none of that name. */
const struct toc_builtin_pack *toc_builtin_pack(struct toc_sv name);

#endif
