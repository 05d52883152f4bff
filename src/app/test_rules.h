/* `tocsin test rules`: reads the files, runs them, prints, writes JUnit. */
#ifndef TOC_APP_TEST_RULES_H
#define TOC_APP_TEST_RULES_H

#include <stdbool.h>

#include "app/options.h"
#include "rules/builtin_packs.h"

struct toc_test_rules_options {
    struct toc_option_list run; /* expressions for the names of tests */
    const char *junit;          /* file for JUnit's XML, or NULL */
    bool has_diff, is_debug, ignores_unknown_keys;
    unsigned features; /* TOC_PROMQL_… */
};

/* Returns the exit code. */
int toc_test_rules(char **files, int count, const struct toc_test_rules_options *o);
/* The same for the tests of built-in packs. */
int toc_test_packs(const struct toc_builtin_pack *const *packs, size_t count,
                   const struct toc_test_rules_options *o);

#endif
