#include "app/backup_manifest.h"

#include <string.h>

#include "base/alloc.h"
#include "codec/json.h"
#include "codec/json_writer.h"

enum { FORMAT = 1, MANIFEST_BYTES_MAX = 256 << 20 };

void toc_backup_manifest_fini(struct toc_backup_manifest *m) {
    for (size_t i = 0; i < m->files.count; i++)
        toc_free(m->files.items[i].path);
    TOC_VEC_FINI(&m->files);
}

void toc_backup_manifest_add(struct toc_backup_manifest *m, char *take_path, uint64_t bytes,
                             uint32_t crc) {
    struct toc_backup_file f = {take_path, bytes, crc};
    TOC_VEC_PUSH(&m->files, f);
    m->bytes += bytes;
}

int toc_backup_manifest_write(const struct toc_backup_manifest *m, struct toc_vfs *vfs,
                              const char *dir, struct toc_ts now, struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_json_writer j;
    char *path = toc_xprintf("%s/manifest.json", dir);
    toc_json_writer_init(&j, &text);
    toc_json_begin_object(&j);
    toc_json_kv_int(&j, "format", FORMAT);
    toc_json_kv_cstr(&j, "version", TOC_VERSION);
    toc_json_kv_time(&j, "created_at", now);
    toc_json_key(&j, "files");
    toc_json_begin_array(&j);
    for (size_t i = 0; i < m->files.count; i++) {
        toc_json_begin_object(&j);
        toc_json_kv_cstr(&j, "path", m->files.items[i].path);
        toc_json_kv_int(&j, "bytes", (int64_t)m->files.items[i].bytes);
        toc_json_kv_int(&j, "crc32c", m->files.items[i].crc);
        toc_json_end_object(&j);
    }
    toc_json_end_array(&j);
    toc_json_end_object(&j);
    int rc = text.error ? text.error : toc_vfs_write_file(vfs, path, toc_buf_sv(&text));
    if (rc)
        toc_errf(err, rc, "cannot write %s: %s", path, toc_strerror(rc));
    toc_buf_fini(&text);
    toc_free(path);
    return rc;
}

/* Inside of the backup: relative, and no part is "..". */
static bool is_inside(struct toc_sv path) {
    if (!path.n || path.p[0] == '/' || memchr(path.p, '\0', path.n))
        return false;
    for (size_t at = 0, end; at <= path.n; at = end + 1) {
        for (end = at; end < path.n && path.p[end] != '/';)
            end++;
        if (end == at || (end - at == 2 && memcmp(path.p + at, "..", 2) == 0))
            return false;
    }
    return true;
}

static int read_file(struct toc_backup_manifest *m, const struct toc_json *j, struct toc_err *err) {
    struct toc_sv path = TOC_SV_NULL;
    int64_t bytes = -1, crc = -1;
    int rc = toc_json_get_string(j, "path", TOC_SV(""), &path, err);
    if (!rc)
        rc = toc_json_get_int(j, "bytes", -1, &bytes, err);
    if (!rc)
        rc = toc_json_get_int(j, "crc32c", -1, &crc, err);
    if (!rc && (!is_inside(path) || bytes < 0 || crc < 0 || crc > UINT32_MAX))
        rc = toc_errf(err, TOC_ECORRUPT, "an entry makes no sense: path \"%.*s\", bytes %lld",
                      TOC_SV_ARG(path), (long long)bytes);
    if (!rc)
        toc_backup_manifest_add(m, toc_xprintf("%.*s", TOC_SV_ARG(path)), (uint64_t)bytes,
                                (uint32_t)crc);
    return rc;
}

static int read_files(struct toc_backup_manifest *m, const struct toc_json *doc,
                      struct toc_err *err) {
    const struct toc_json *files = toc_json_get(doc, "files");
    int64_t format = 0;
    int rc = toc_json_get_int(doc, "format", 0, &format, err);
    if (!rc && format != FORMAT)
        return toc_errf(err, TOC_EVERSION, "format %lld; this release reads %d", (long long)format,
                        FORMAT);
    if (!rc && (!files || files->type != TOC_JSON_ARRAY))
        return toc_errf(err, TOC_ECORRUPT, "there is no list of files");
    for (size_t i = 0; !rc && i < files->count; i++)
        rc = read_file(m, &files->items[i], err);
    return rc;
}

int toc_backup_manifest_read(struct toc_vfs *vfs, const char *dir, struct toc_backup_manifest *out,
                             struct toc_err *err) {
    struct toc_buf text = TOC_BUF_INIT;
    struct toc_arena arena = TOC_ARENA_INIT;
    const struct toc_json *doc = NULL;
    char *path = toc_xprintf("%s/manifest.json", dir);
    *out = (struct toc_backup_manifest){0};
    int rc = toc_vfs_read_file(vfs, path, MANIFEST_BYTES_MAX, &text);
    if (rc == TOC_ENOENT)
        toc_errf(err, rc, "%s is no backup: it has no manifest.json", dir);
    else if (rc)
        toc_errf(err, rc, "cannot read %s: %s", path, toc_strerror(rc));
    if (!rc && (rc = toc_json_parse(toc_buf_sv(&text), &arena, &doc, err)) == 0)
        rc = read_files(out, doc, err);
    if (rc && rc != TOC_ENOENT)
        toc_err_prefix(err, "%s: ", path);
    toc_arena_fini(&arena);
    toc_buf_fini(&text);
    toc_free(path);
    return rc;
}
