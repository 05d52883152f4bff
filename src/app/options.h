/*
 * Command-line options from a table: `--name VALUE`, `--name=VALUE`, `-n VALUE`, flags, and
 * positional arguments. Errors say what is wrong, suggest the nearest name and point to --help.
 */
#ifndef TOC_APP_OPTIONS_H
#define TOC_APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum toc_option_type {
    TOC_OPTION_FLAG,     /* bool */
    TOC_OPTION_STRING,   /* const char * */
    TOC_OPTION_INT,      /* int64_t */
    TOC_OPTION_DOUBLE,   /* double */
    TOC_OPTION_DURATION, /* int64_t ms */
    TOC_OPTION_LIST,     /* struct toc_option_list: may be repeated */
};

enum { TOC_OPTION_LIST_MAX = 64 };
struct toc_option_list {
    const char *items[TOC_OPTION_LIST_MAX];
    size_t count;
};

struct toc_option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum toc_option_type type;
    void *value; /* where it goes; keeps its initial value when absent */
};

/* Parses argv[1…]; `options` ends with name == NULL. Positional arguments are moved to argv[1…] and
 * counted. 0; TOC_EXIT_USAGE after a message on stderr; -1 when --help was asked (usage printed on
 * stdout). */
int toc_options_parse(int argc, char **argv, const struct toc_option *options, const char *usage,
                      int *out_positional);

#endif
