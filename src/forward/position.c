#include "forward/position.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/vec.h"
#include "sys/log.h"

#define MAGIC TOC_SV("TOCFWD01")
enum { FILE_BYTES_MAX = 16 << 10 };

void toc_forward_position_encode(const struct toc_log_position *p, struct toc_sv key,
                                 struct toc_buf *out) {
    size_t start = out->n;
    toc_buf_append_sv(out, MAGIC);
    toc_buf_append_u64(out, p->segment);
    toc_buf_append_u64(out, p->salt);
    toc_buf_append_u64(out, p->offset);
    toc_buf_append_u64(out, p->sequence);
    toc_buf_append_varint(out, key.n);
    toc_buf_append_sv(out, key);
    if (!out->error)
        toc_buf_append_u32(out, toc_crc32c(0, out->p + start, out->n - start));
}

int toc_forward_position_decode(struct toc_sv bytes, struct toc_sv key,
                                struct toc_log_position *out) {
    struct toc_reader r = toc_reader_make(bytes);
    struct toc_log_position p;
    struct toc_sv magic = toc_read_bytes(&r, MAGIC.n);
    p.segment = toc_read_u64(&r);
    p.salt = toc_read_u64(&r);
    p.offset = toc_read_u64(&r);
    p.sequence = toc_read_u64(&r);
    struct toc_sv found = toc_read_string(&r);
    size_t covered = r.at;
    uint32_t crc = toc_read_u32(&r);
    if (r.error || toc_reader_left(&r) || !toc_sv_eq(magic, MAGIC) || !toc_sv_eq(found, key) ||
        crc != toc_crc32c(0, bytes.p, covered))
        return TOC_ECORRUPT;
    *out = p;
    return 0;
}

void toc_forward_position_path(const char *dir, struct toc_sv key, char out[TOC_FORWARD_PATH_MAX]) {
    snprintf(out, TOC_FORWARD_PATH_MAX, "%s/%016llx.pos", dir,
             (unsigned long long)toc_hash64(key.p, key.n, 0));
}

int toc_forward_position_load(struct toc_vfs *vfs, const char *dir, struct toc_sv key,
                              struct toc_log_position *out) {
    char path[TOC_FORWARD_PATH_MAX];
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_forward_position_path(dir, key, path);
    int rc = toc_vfs_read_file(vfs, path, FILE_BYTES_MAX, &bytes);
    if (!rc)
        rc = toc_forward_position_decode(toc_buf_sv(&bytes), key, out);
    else if (rc == TOC_ELIMIT)
        rc = TOC_ECORRUPT;
    toc_buf_fini(&bytes);
    return rc;
}

int toc_forward_position_save(struct toc_vfs *vfs, const char *dir, struct toc_sv key,
                              const struct toc_log_position *p) {
    char path[TOC_FORWARD_PATH_MAX];
    struct toc_buf bytes = TOC_BUF_INIT;
    toc_forward_position_path(dir, key, path);
    toc_forward_position_encode(p, key, &bytes);
    int rc = bytes.error ? bytes.error : toc_vfs_write_file(vfs, path, toc_buf_sv(&bytes));
    toc_buf_fini(&bytes);
    return rc;
}

struct names {
    TOC_VEC_FIELDS(char *)
};

static int note_name(void *ctx, const char *name) {
    struct names *names = ctx;
    if (toc_sv_ends_with(toc_sv_cstr(name), TOC_SV(".pos")))
        TOC_VEC_PUSH(names, toc_xstrdup(name));
    return 0;
}

static bool is_wanted(const char *path, const char *dir, const struct toc_sv *keys, size_t count) {
    char wanted[TOC_FORWARD_PATH_MAX];
    for (size_t i = 0; i < count; i++) {
        toc_forward_position_path(dir, keys[i], wanted);
        if (strcmp(path, wanted) == 0)
            return true;
    }
    return false;
}

int toc_forward_position_sweep(struct toc_vfs *vfs, const char *dir, const struct toc_sv *keys,
                               size_t count) {
    struct names names = {0};
    int rc = vfs->list(vfs, dir, note_name, &names);
    for (size_t i = 0; i < names.count; i++) {
        char path[TOC_FORWARD_PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", dir, names.items[i]);
        if (!rc && n > 0 && (size_t)n < sizeof path && !is_wanted(path, dir, keys, count)) {
            toc_log(TOC_LOG_INFO, "forward", "%s belongs to no receiver any more: removed", path);
            rc = vfs->remove(vfs, path);
        }
        toc_free(names.items[i]);
    }
    TOC_VEC_FINI(&names);
    return rc == TOC_ENOENT ? 0 : rc;
}
