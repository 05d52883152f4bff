#include "app/read_input.h"

#include <stdio.h>
#include <string.h>

#include "sys/vfs.h"

static bool is_standard_input(const char *path) {
    return strcmp(path, "-") == 0;
}

static int read_standard_input(size_t max_bytes, struct toc_buf *out) {
    enum { STEP = 1 << 16 };
    for (;;) {
        char *to = toc_buf_reserve(out, STEP);
        if (!to)
            return toc_buf_error(out);
        size_t got = fread(to, 1, STEP, stdin);
        out->n += got;
        if (out->n > max_bytes)
            return TOC_ELIMIT;
        if (got == 0)
            return ferror(stdin) ? TOC_EIO : 0;
    }
}

int toc_read_input(const char *path, size_t max_bytes, struct toc_buf *out) {
    return is_standard_input(path) ? read_standard_input(max_bytes, out)
                                   : toc_vfs_read_file(toc_vfs_system(), path, max_bytes, out);
}

const char *toc_input_name(const char *path) {
    return is_standard_input(path) ? "standard input" : path;
}
