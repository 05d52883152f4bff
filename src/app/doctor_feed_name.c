/* Names of runs that files give by where they lie. */
#include "app/doctor_feed_priv.h"

void toc_feed_set_run(struct feed *f, struct toc_sv name) {
    enum { NAME_MAX_BYTES = 128 }; /* of the protocol */
    if (name.n > NAME_MAX_BYTES)
        name = toc_sv_sub(name, name.n - NAME_MAX_BYTES, NAME_MAX_BYTES);
    toc_sv_copy(name, f->run, sizeof f->run);
}

struct toc_sv toc_feed_folder_of(const struct feed *f) {
    struct toc_sv name = toc_sv_cstr(f->file->name);
    size_t slash = name.n;
    while (slash > 0 && name.p[slash - 1] != '/')
        slash--;
    return toc_sv_sub(name, 0, slash ? slash - 1 : 0);
}

/* Names that say what is in a file, not of which run. */
static bool is_generic(struct toc_sv stem) {
    static const char *const names[] = {"metrics", "log",     "logs",    "train",  "training",
                                        "history", "trainer", "results", "stats",  "progress",
                                        "stdout",  "stderr",  "output",  "console"};
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_nocase(stem, toc_sv_cstr(names[i])))
            return true;
    return false;
}

void toc_feed_name_run(struct feed *f, const char *root_name) {
    struct toc_sv name = toc_sv_cstr(f->file->name);
    size_t slash = name.n, dot = name.n;
    while (slash > 0 && name.p[slash - 1] != '/')
        slash--;
    while (dot > slash && name.p[dot - 1] != '.')
        dot--;
    struct toc_sv stem = toc_sv_sub(name, slash, (dot > slash ? dot - 1 : name.n) - slash);
    struct toc_sv folder = slash ? toc_sv_sub(name, 0, slash - 1) : toc_sv_cstr(root_name);
    struct toc_sv run = toc_sv_sub(name, 0, slash + stem.n);
    if (is_generic(stem) && folder.n)
        run = folder;
    toc_feed_set_run(f, run);
}
