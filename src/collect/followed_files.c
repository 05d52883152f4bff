#include "collect/followed_files.h"

#include "base/alloc.h"

struct toc_followed_file *toc_followed_files_get(const struct toc_followed_files *s,
                                                 struct toc_sv path) {
    return toc_map_get(&s->by_path, path);
}

void toc_followed_files_add(struct toc_followed_files *s, struct toc_followed_file *f,
                            struct toc_sv path, uint64_t inode) {
    f->path = toc_sv_make(toc_sv_dup_cstr(path), path.n);
    f->inode = inode;
    TOC_VEC_PUSH(s, f);
    toc_map_put(&s->by_path, f->path, f);
}

void toc_followed_files_begin(struct toc_followed_files *s) {
    for (size_t i = 0; i < s->count; i++)
        s->items[i]->is_seen = false;
}

static void file_free(struct toc_followed_files *s, struct toc_followed_file *f) {
    toc_map_remove(&s->by_path, f->path);
    toc_free((void *)(uintptr_t)f->path.p);
    toc_free(f);
}

void toc_followed_files_forget(struct toc_followed_files *s, toc_followed_file_close *close,
                               void *context) {
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct toc_followed_file *f = s->items[i];
        if (f->is_seen || !close(context, f))
            s->items[kept++] = f;
        else
            file_free(s, f);
    }
    s->count = kept;
}

void toc_followed_files_fini(struct toc_followed_files *s, toc_followed_file_close *close,
                             void *context) {
    for (size_t i = 0; i < s->count; i++) {
        (void)close(context, s->items[i]);
        file_free(s, s->items[i]);
    }
    TOC_VEC_FINI(s);
    toc_map_fini(&s->by_path);
}
