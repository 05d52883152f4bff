/* --seed and --count of the property programs of this folder. */
#ifndef TOC_TESTS_METRICDB_ARGS_H
#define TOC_TESTS_METRICDB_ARGS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t args_number(int argc, char **argv, const char *name, uint64_t otherwise) {
    for (int i = 1; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], name))
            return strtoull(argv[i + 1], NULL, 10);
    return otherwise;
}

#endif
