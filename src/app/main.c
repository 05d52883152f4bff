/* Entry point: finds the subcommand in the command table and runs it. */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("tocsin " TOC_VERSION);
        return 0;
    }
    fputs("usage: tocsin --version\n", stderr);
    return 2;
}
