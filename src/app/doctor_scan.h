/*
 * What `tocsin doctor DIR` finds below a folder: files that training jobs write, by name, in order;
 * and what could not be read, with the reason. Symbolic links are followed, loops are not.
 */
#ifndef TOC_APP_DOCTOR_SCAN_H
#define TOC_APP_DOCTOR_SCAN_H

#include <stdint.h>

#include "base/vec.h"
#include "sys/vfs.h"

enum {
    TOC_DOCTOR_ENTRIES_MAX = 100000,
    TOC_DOCTOR_DEPTH_MAX = 32,
    TOC_DOCTOR_UNREAD_MAX = 200,
    TOC_DOCTOR_REASON_MAX = 256,
};

/* X(enum, word in the report) */
#define TOC_DOCTOR_FILE_TABLE(X)               \
    X(TOC_DOCTOR_FILE_JSONL, "JSON lines")     \
    X(TOC_DOCTOR_FILE_CSV, "CSV")              \
    X(TOC_DOCTOR_FILE_TFEVENTS, "TensorBoard") \
    X(TOC_DOCTOR_FILE_WANDB, "W&B")            \
    X(TOC_DOCTOR_FILE_LOG, "log")

enum toc_doctor_file_type {
#define X(name, text) name,
    TOC_DOCTOR_FILE_TABLE(X)
#undef X
        TOC_DOCTOR_FILE_TYPES
};

struct toc_doctor_file {
    enum toc_doctor_file_type type;
    char *path; /* to open */
    char *name; /* below the folder, for people and for the run's name */
    uint64_t bytes;
    int64_t mtime_ms;
};

/* Something that was not judged; entries of one file and kind are one. */
struct toc_doctor_unread {
    char *name;
    char reason[TOC_DOCTOR_REASON_MAX];
    int64_t first_line; /* 0: not a matter of lines */
    uint64_t count;     /* lines, records, entries */
    bool is_whole;      /* the whole file */
};

struct toc_doctor_scan {
    struct {
        TOC_VEC_FIELDS(struct toc_doctor_file)
    } files;
    struct {
        TOC_VEC_FIELDS(struct toc_doctor_unread)
    } unread;
    uint64_t unread_dropped; /* beyond TOC_DOCTOR_UNREAD_MAX */
    uint64_t entries, left_alone;
    uint64_t bytes; /* of `files` */
};

/* Lists a folder, or takes one file by its name. A part that cannot be listed is noted as unread;
 * TOC_E… only when the path itself cannot be looked at. */
int toc_doctor_scan(struct toc_vfs *vfs, const char *path, struct toc_doctor_scan *out,
                    struct toc_err *err) TOC_MUST_CHECK;
void toc_doctor_scan_fini(struct toc_doctor_scan *s);

/* Notes what could not be read; the first line and reason of a file stay, the rest is counted. */
void toc_doctor_note_unread(struct toc_doctor_scan *s, const char *name, int64_t line,
                            const char *reason);
void toc_doctor_note_unread_file(struct toc_doctor_scan *s, const char *name, const char *reason);
const char *toc_doctor_file_text(enum toc_doctor_file_type type);

#endif
