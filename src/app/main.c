/* Entry point: finds the subcommand in the command table and runs it. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/sv.h"
#include "net/http_client.h"

static void print_help(FILE *out) {
    unsigned long count;
    const struct toc_command *commands = toc_commands(&count);
    fputs("Tocsin watches the training and serving of AI models, and says what is going wrong.\n\n"
          "usage: tocsin COMMAND [ARGUMENT…]\n\n",
          out);
    for (unsigned long i = 0; i < count; i++)
        if (commands[i].summary)
            fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`tocsin COMMAND --help` tells more; `tocsin --version` prints the version.\n", out);
}

static int unknown(const char *name) {
    unsigned long count;
    const struct toc_command *commands = toc_commands(&count);
    const char *nearest = NULL;
    unsigned best = 4;
    for (unsigned long i = 0; i < count; i++) {
        unsigned d = toc_sv_distance(toc_sv_cstr(name), toc_sv_cstr(commands[i].name));
        if (commands[i].summary && d < best) {
            best = d;
            nearest = commands[i].name;
        }
    }
    fprintf(stderr, "tocsin: there is no command \"%s\"", name);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fputs(" (see tocsin --help)\n", stderr);
    return TOC_EXIT_USAGE;
}

int main(int argc, char **argv) {
    struct toc_err err = {0};
    if (argc < 2) {
        print_help(stderr);
        return TOC_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tocsin " TOC_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    const struct toc_command *c = toc_command_find(argv[1]);
    if (!c)
        return unknown(argv[1]);
    if (toc_net_init(&err) < 0) {
        fprintf(stderr, "tocsin: %s\n", err.message);
        return TOC_EXIT_FAILED;
    }
    int rc = c->run(argc - 1, argv + 1);
    toc_net_fini();
    return rc;
}
