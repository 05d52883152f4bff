/* `tocsin detect` alone, for comparisons: `detect_main detect FILE …` or `detect_main FILE …`. */
#include <string.h>

#include "app/detect_command.h"

int main(int argc, char **argv) {
    int skip = argc > 1 && strcmp(argv[1], "detect") == 0;
    return toc_detect_command(argc - skip, argv + skip);
}
