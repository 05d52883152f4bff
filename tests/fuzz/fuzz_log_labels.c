/* First line: a pattern of paths; the rest: a path. Labels lie within the path. */
#include <stdlib.h>

#include "diagnose/log_labels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct toc_sv label, struct toc_sv path) {
    if (label.n && (label.p < path.p || label.p + label.n > path.p + path.n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct toc_sv path = toc_sv_make((const char *)data, size), pattern;
    struct toc_log_pattern p;
    struct toc_log_labels l;
    struct toc_err err = {0};
    if (!size || !toc_sv_split(&path, '\n', &pattern))
        return 0;
    int rc = toc_log_pattern_parse(pattern, &p, &err);
    if (rc < 0 && !err.message[0])
        abort();
    if (rc == 0 && toc_log_pattern_match(&p, path, &l)) {
        check_within(l.job, path);
        check_within(l.host, path);
        if (l.rank < -1 || l.rank > 9999999)
            abort();
    }
    l = toc_log_labels_guess(path);
    check_within(l.host, path);
    toc_log_pattern_fini(&p);
    return 0;
}
