#include "collect/procfile.h"

#include <stdio.h>

#include "base/num.h"

enum { FILE_MAX_BYTES = 4 << 20, STEP_BYTES = 8192, OPEN_MAX = 512 };

void toc_procfs_init(struct toc_procfs *p, struct toc_vfs *vfs, const char *root) {
    *p = (struct toc_procfs){.vfs = vfs, .root = root ? root : ""};
}

void toc_procfs_fini(struct toc_procfs *p) {
    const struct toc_map_entry *e;
    for (size_t cursor = 0; (e = toc_map_next(&p->open, &cursor));) {
        struct toc_file *f = e->value;
        toc_file_close(p->vfs, &f);
    }
    toc_map_fini(&p->open);
    toc_buf_fini(&p->text);
}

static bool full_path(const struct toc_procfs *p, const char *path, char *out, size_t size) {
    return snprintf(out, size, "%s%s", p->root, path) < (int)size;
}

static int read_all(struct toc_procfs *p, struct toc_file *f) {
    toc_buf_reset(&p->text);
    for (;;) {
        char *to = toc_buf_reserve(&p->text, STEP_BYTES);
        if (!to)
            return p->text.error;
        int64_t got = p->vfs->pread(p->vfs, f, to, STEP_BYTES, p->text.n);
        if (got < 0)
            return (int)got;
        p->text.n += (size_t)got;
        if (got < STEP_BYTES)
            return 0;
        if (p->text.n > FILE_MAX_BYTES)
            return TOC_ELIMIT;
    }
}

static int open_file(struct toc_procfs *p, const char *path, struct toc_file **out) {
    char full[4096];
    if (!full_path(p, path, full, sizeof full))
        return TOC_ELIMIT;
    return toc_file_open(p->vfs, full, TOC_OPEN_READ, out);
}

int toc_procfs_read_once(struct toc_procfs *p, const char *path, struct toc_sv *out) {
    struct toc_file *f = NULL;
    int rc = open_file(p, path, &f);
    if (rc)
        return rc;
    rc = read_all(p, f);
    toc_file_close(p->vfs, &f);
    *out = toc_buf_sv(&p->text);
    return rc;
}

int toc_procfs_read(struct toc_procfs *p, const char *path, struct toc_sv *out) {
    struct toc_sv key = toc_sv_cstr(path);
    struct toc_file *f = toc_map_get(&p->open, key);
    if (!f && p->open.count >= OPEN_MAX)
        return toc_procfs_read_once(p, path, out);
    if (!f) {
        int rc = open_file(p, path, &f);
        if (rc)
            return rc;
        toc_map_put(&p->open, key, f);
    }
    int rc = read_all(p, f);
    if (rc) { /* the device or group behind the handle is gone; a later file may have its name */
        toc_map_remove(&p->open, key);
        toc_file_close(p->vfs, &f);
    }
    *out = toc_buf_sv(&p->text);
    return rc;
}

int toc_procfs_list(struct toc_procfs *p, const char *path, int (*fn)(void *ctx, const char *name),
                    void *ctx) {
    char full[4096];
    if (!full_path(p, path, full, sizeof full))
        return TOC_ELIMIT;
    return p->vfs->list(p->vfs, full, fn, ctx);
}

bool toc_text_line(struct toc_sv *rest, struct toc_sv *out_line) {
    if (!rest->n)
        return false;
    return toc_sv_split(rest, '\n', out_line);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool toc_text_word(struct toc_sv *rest, struct toc_sv *out_word) {
    *out_word = TOC_SV_NULL;
    if (!rest->n)
        return false;
    size_t at = 0;
    while (at < rest->n && is_blank(rest->p[at]))
        at++;
    size_t start = at;
    while (at < rest->n && !is_blank(rest->p[at]))
        at++;
    *out_word = toc_sv_make(rest->p + start, at - start);
    *rest = toc_sv_make(rest->p + at, rest->n - at);
    return out_word->n > 0;
}

/* Plain integers are nearly all there is in /proc: the exact path for them, the general one for
 * the rest. */
bool toc_text_number(struct toc_sv *rest, double *out) {
    struct toc_sv word;
    if (!toc_text_word(rest, &word))
        return false;
    uint64_t v = 0;
    size_t i = 0;
    for (; i < word.n && i < 18 && word.p[i] >= '0' && word.p[i] <= '9'; i++)
        v = v * 10 + (uint64_t)(word.p[i] - '0');
    if (i == word.n) {
        *out = (double)v;
        return true;
    }
    return toc_parse_f64(word, out) == 0;
}
