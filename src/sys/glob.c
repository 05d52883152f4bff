/* File name patterns. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "sys/vfs.h"

struct listing {
    TOC_VEC_FIELDS(const char *)
    struct toc_arena *arena;
    const char *pattern;
    size_t max;
};

static int on_name(void *ctx, const char *name) {
    struct listing *l = ctx;
    if (fnmatch(l->pattern, name, FNM_PERIOD) != 0)
        return 0;
    if (l->count == l->max)
        return TOC_ELIMIT;
    TOC_VEC_PUSH(l, toc_arena_dup_sv(l->arena, toc_sv_cstr(name)).p);
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int toc_vfs_glob(struct toc_vfs *v, const char *pattern, size_t max, struct toc_arena *a,
                 const char ***out, size_t *out_count, struct toc_err *err) {
    const char *slash = strrchr(pattern, '/');
    const char *last = slash ? slash + 1 : pattern;
    struct toc_sv dir = slash ? toc_sv_make(pattern, (size_t)(slash - pattern)) : TOC_SV(".");
    *out_count = 0;
    if (!strpbrk(last, "*?[")) { /* a plain name must exist: reading it will say so */
        *out = TOC_ARENA_NEW_ARRAY(a, const char *, 1);
        if (!*out)
            return TOC_ELIMIT;
        (*out)[(*out_count)++] = pattern;
        return 0;
    }
    struct listing l = {.arena = a, .pattern = last, .max = max};
    const char *dir_text = toc_arena_dup_sv(a, dir.n ? dir : TOC_SV("/")).p;
    int rc = v->list(v, dir_text, on_name, &l);
    if (rc < 0)
        rc = toc_errf(err, rc, "cannot list %s for the pattern %s: %s", dir_text, pattern,
                      toc_strerror(rc));
    *out = TOC_ARENA_NEW_ARRAY(a, const char *, l.count + 1);
    if (l.count)
        qsort(l.items, l.count, sizeof *l.items, by_name);
    for (size_t i = 0; rc == 0 && *out && i < l.count; i++) {
        struct toc_buf full = TOC_BUF_INIT;
        toc_buf_printf(&full, "%s/%s", dir_text, l.items[i]);
        (*out)[(*out_count)++] = toc_arena_dup_sv(a, toc_buf_sv(&full)).p;
        toc_buf_fini(&full);
    }
    TOC_VEC_FINI(&l);
    return rc;
}
