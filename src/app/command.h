/* The table of subcommands: `tocsin NAME …`, help and completion are derived from it. */
#ifndef TOC_APP_COMMAND_H
#define TOC_APP_COMMAND_H

/* Exit codes, documented in tocsin(1). */
enum toc_exit {
    TOC_EXIT_OK = 0,
    TOC_EXIT_FAILED = 1, /* a check or test failed, an anomaly was found */
    TOC_EXIT_USAGE = 2,
    TOC_EXIT_LINT = 3,
    TOC_EXIT_UNREACHABLE = 4,
    TOC_EXIT_NOT_ALLOWED = 5,
    TOC_EXIT_PARTIAL = 6,
};

struct toc_command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *summary;               /* one line for the overview */
    const char *usage;                 /* full help text */
};

/* NULL when there is none of that name. */
const struct toc_command *toc_command_find(const char *name);
const struct toc_command *toc_commands(unsigned long *out_count);

#endif
