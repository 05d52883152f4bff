#include "app/doctor_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* X(end of the name, type); event files have their mark in the middle of the name. */
#define SUFFIXES(X)                    \
    X(".jsonl", TOC_DOCTOR_FILE_JSONL) \
    X(".csv", TOC_DOCTOR_FILE_CSV)     \
    X(".wandb", TOC_DOCTOR_FILE_WANDB) \
    X(".log", TOC_DOCTOR_FILE_LOG)     \
    X(".out", TOC_DOCTOR_FILE_LOG)     \
    X(".err", TOC_DOCTOR_FILE_LOG)

/* What a shell was told to put a job's output into: train_log.txt, output.txt, stdout-0.txt. Other
 * texts may speak of errors without having had one. */
static bool is_output(struct toc_sv name) {
    static const char *const words[] = {"output", "stdout", "stderr", "console", "log"};
    char text[256];
    bool is = false;
    toc_sv_copy(name, text, sizeof text);
    for (size_t i = 0; i < TOC_ARRAY_LEN(words); i++)
        is |= strcasestr(text, words[i]) != NULL;
    return is && toc_sv_ends_with(name, TOC_SV(".txt"));
}

static enum toc_doctor_file_type type_of(struct toc_sv name) {
    if (toc_sv_find(name, TOC_SV("tfevents")) != SIZE_MAX)
        return TOC_DOCTOR_FILE_TFEVENTS;
#define X(suffix, type)                                                    \
    if (toc_sv_ends_with(name, TOC_SV(suffix)) && name.n > strlen(suffix)) \
        return type;
    SUFFIXES(X)
#undef X
    return is_output(name) ? TOC_DOCTOR_FILE_LOG : TOC_DOCTOR_FILE_TYPES;
}

const char *toc_doctor_file_text(enum toc_doctor_file_type type) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_DOCTOR_FILE_TABLE(X)
#undef X
    };
    return type < TOC_DOCTOR_FILE_TYPES ? texts[type] : "?";
}

static struct toc_doctor_unread *unread_of(struct toc_doctor_scan *s, const char *name) {
    for (size_t i = s->unread.count; i-- > 0;)
        if (strcmp(s->unread.items[i].name, name) == 0)
            return &s->unread.items[i];
    if (s->unread.count >= TOC_DOCTOR_UNREAD_MAX) {
        s->unread_dropped++;
        return NULL;
    }
    struct toc_doctor_unread fresh = {.name = toc_xstrdup(name)};
    TOC_VEC_PUSH(&s->unread, fresh);
    return &s->unread.items[s->unread.count - 1];
}

void toc_doctor_note_unread(struct toc_doctor_scan *s, const char *name, int64_t line,
                            const char *reason) {
    struct toc_doctor_unread *u = unread_of(s, name);
    if (!u)
        return;
    if (!u->count++) {
        u->first_line = line;
        toc_sv_copy(toc_sv_cstr(reason), u->reason, sizeof u->reason);
    }
}

void toc_doctor_note_unread_file(struct toc_doctor_scan *s, const char *name, const char *reason) {
    struct toc_doctor_unread *u = unread_of(s, name);
    if (!u)
        return;
    u->count++;
    u->is_whole = true;
    toc_sv_copy(toc_sv_cstr(reason), u->reason, sizeof u->reason);
}

/* A folder on the way down; a loop leads back to one of them. */
struct folder {
    const struct folder *above;
    const char *path, *name;
    uint64_t inode, device;
    int depth;
};

struct names {
    TOC_VEC_FIELDS(char *)
};

struct listing {
    struct toc_doctor_scan *scan;
    struct names *names;
};

static int on_name(void *ctx, const char *name) {
    struct listing *l = ctx;
    if (l->scan->entries + l->names->count >= TOC_DOCTOR_ENTRIES_MAX)
        return TOC_ELIMIT;
    TOC_VEC_PUSH(l->names, toc_xstrdup(name));
    return 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void take_file(struct toc_doctor_scan *s, const char *path, const char *name,
                      const struct toc_file_info *info) {
    enum toc_doctor_file_type type = type_of(toc_sv_cstr(name));
    if (type == TOC_DOCTOR_FILE_TYPES) {
        s->left_alone++;
        return;
    }
    if (!info->is_regular) {
        toc_doctor_note_unread_file(s, name, "not a regular file (a pipe, a socket or a device)");
        return;
    }
    struct toc_doctor_file f = {type, toc_xstrdup(path), toc_xstrdup(name), info->size_bytes,
                                info->mtime_ms};
    TOC_VEC_PUSH(&s->files, f);
    s->bytes += info->size_bytes;
}

static bool is_loop(const struct folder *above, const struct toc_file_info *info) {
    for (; above; above = above->above)
        if (above->inode == info->inode && above->device == info->device)
            return true;
    return false;
}

static void list_folder(struct toc_vfs *vfs, const struct folder *f, struct toc_doctor_scan *s);

static void take_folder(struct toc_vfs *vfs, const struct folder *above, const char *path,
                        const char *name, const struct toc_file_info *info,
                        struct toc_doctor_scan *s) {
    struct folder f = {above, path, name, info->inode, info->device, above->depth + 1};
    if (is_loop(above, info))
        toc_doctor_note_unread_file(s, name, "leads back to a folder above it; not followed");
    else if (f.depth > TOC_DOCTOR_DEPTH_MAX)
        toc_doctor_note_unread_file(s, name, "deeper than 32 folders; name it by itself");
    else
        list_folder(vfs, &f, s);
}

static void take_entry(struct toc_vfs *vfs, const struct folder *f, const char *entry,
                       struct toc_doctor_scan *s) {
    struct toc_file_info info;
    char *path = toc_xprintf("%s/%s", f->path, entry);
    char *name = f->name[0] ? toc_xprintf("%s/%s", f->name, entry) : toc_xstrdup(entry);
    s->entries++;
    int rc = vfs->info(vfs, path, &info);
    if (rc)
        toc_doctor_note_unread_file(s, name, toc_strerror(rc));
    else if (info.is_dir)
        take_folder(vfs, f, path, name, &info, s);
    else
        take_file(s, path, name, &info);
    toc_free(path);
    toc_free(name);
}

static void list_folder(struct toc_vfs *vfs, const struct folder *f, struct toc_doctor_scan *s) {
    struct names names = {0};
    struct listing l = {s, &names};
    const char *shown = f->name[0] ? f->name : ".";
    int rc = vfs->list(vfs, f->path, on_name, &l);
    if (rc == TOC_ELIMIT)
        toc_doctor_note_unread_file(
            s, shown, "more than 100000 entries below the folder: the rest was not looked at");
    else if (rc)
        toc_doctor_note_unread_file(s, shown, toc_strerror(rc));
    if (names.count)
        qsort(names.items, names.count, sizeof *names.items, by_text);
    for (size_t i = 0; i < names.count; i++) {
        take_entry(vfs, f, names.items[i], s);
        toc_free(names.items[i]);
    }
    TOC_VEC_FINI(&names);
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int toc_doctor_scan(struct toc_vfs *vfs, const char *path, struct toc_doctor_scan *out,
                    struct toc_err *err) {
    struct toc_file_info info;
    *out = (struct toc_doctor_scan){0};
    int rc = vfs->info(vfs, path, &info);
    if (rc)
        return toc_errf(err, rc, "%s: %s; name the folder a training job writes to", path,
                        toc_strerror(rc));
    if (info.is_dir) {
        struct folder root = {NULL, path, "", info.inode, info.device, 0};
        list_folder(vfs, &root, out);
        return 0;
    }
    out->entries = 1;
    take_file(out, path, last_part(path), &info);
    return 0;
}

void toc_doctor_scan_fini(struct toc_doctor_scan *s) {
    for (size_t i = 0; i < s->files.count; i++) {
        toc_free(s->files.items[i].path);
        toc_free(s->files.items[i].name);
    }
    for (size_t i = 0; i < s->unread.count; i++)
        toc_free(s->unread.items[i].name);
    TOC_VEC_FINI(&s->files);
    TOC_VEC_FINI(&s->unread);
}
