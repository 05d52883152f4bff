/* Event files of TensorBoard: a folder is a run, its files are read in the order of their times. */
#include "app/doctor_feed_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/tfevents.h"

/* --- names --- */

/* Keras and others write what belongs together into "train" and "validation". X(folder, is it the
 * evaluation?) */
#define PHASES(X)         \
    X("train", false)     \
    X("training", false)  \
    X("validation", true) \
    X("valid", true)      \
    X("val", true)        \
    X("eval", true)       \
    X("evaluation", true) \
    X("test", true)

/* The run of a folder: itself, or the one above when its name is only a phase. */
static void name_run(const struct toc_doctor_feeds *fs, struct feed *f, bool *out_is_validation) {
    struct toc_sv folder = toc_feed_folder_of(f);
    size_t slash = folder.n;
    while (slash > 0 && folder.p[slash - 1] != '/')
        slash--;
    struct toc_sv last = toc_sv_sub(folder, slash, SIZE_MAX);
    struct toc_sv above = toc_sv_sub(folder, 0, slash ? slash - 1 : 0);
    *out_is_validation = false;
#define X(name, is_validation)                  \
    if (toc_sv_eq_nocase(last, TOC_SV(name))) { \
        *out_is_validation = is_validation;     \
        folder = above;                         \
    }
    PHASES(X)
#undef X
    toc_feed_set_run(f, folder.n ? folder : toc_sv_cstr(fs->root_name));
}

static struct feed_folder *folder_get(struct toc_doctor_feeds *fs, const struct feed *f,
                                      bool is_validation) {
    char *name = toc_sv_dup_cstr(toc_feed_folder_of(f));
    for (size_t i = 0; i < fs->folders.count; i++)
        if (strcmp(fs->folders.items[i]->name, name) == 0) {
            toc_free(name);
            return fs->folders.items[i];
        }
    struct feed_folder *folder = TOC_NEW(struct feed_folder);
    folder->name = name;
    folder->feed = toc_tensorboard_feed_new(&(struct toc_tensorboard_feed_options){
        .aliases = fs->aliases, .taker = &fs->taker, .is_validation = is_validation});
    TOC_VEC_PUSH(&fs->folders, folder);
    return folder;
}

/* --- when does it begin? --- */

struct first_time {
    struct toc_tfevents_visitor visitor;
    double wall_time; /* 0: none yet */
};

static void see(struct first_time *first, double wall_time) {
    if (!(first->wall_time > 0) && wall_time > 0 && wall_time < 1e11)
        first->wall_time = wall_time;
}

static void see_version(struct toc_tfevents_visitor *v, double wall_time, struct toc_sv text) {
    (void)text;
    see(TOC_CONTAINER_OF(v, struct first_time, visitor), wall_time);
}

static void see_value(struct toc_tfevents_visitor *v, const struct toc_tfevents_value *value) {
    see(TOC_CONTAINER_OF(v, struct first_time, visitor), value->wall_time);
}

static bool open_events(struct toc_doctor_feeds *fs, struct feed *f) {
    struct first_time first = {{see_value, see_version}, 0};
    struct toc_tfevents *codec = toc_tfevents_new(NULL);
    bool is_validation;
    if (toc_feed_read(fs, f, &fs->piece, TOC_FEED_LOOK_BYTES) > 0)
        (void)toc_tfevents_decode(codec, toc_buf_sv(&fs->piece), &first.visitor);
    struct toc_tfevents_counters seen = toc_tfevents_counters(codec);
    toc_tfevents_free(&codec);
    if (!seen.records) {
        toc_doctor_note_unread_file(fs->scan, f->file->name,
                                    "no record of an event file at its start: damaged, or not one");
        return false;
    }
    name_run(fs, f, &is_validation);
    f->folder = folder_get(fs, f, is_validation);
    f->is_timed = true;
    f->next_ms = first.wall_time > 0 ? (int64_t)(first.wall_time * 1000) : f->file->mtime_ms;
    return true;
}

/* --- pieces --- */

static void end(struct feed *f, struct feed_piece *p, size_t left) {
    f->is_done = true;
    toc_tensorboard_stream_close(&f->stream);
    if (left)
        toc_feed_note(p, 0, "the last record has no end: cut off, or still being written");
}

static void take_piece(struct toc_doctor_feeds *fs, struct feed *f, struct feed_piece *p) {
    if (!f->stream)
        f->stream = toc_tensorboard_stream_open(f->folder->feed);
    size_t bytes = TOC_MAX((size_t)TOC_FEED_PIECE_BYTES, toc_tensorboard_stream_wanted(f->stream));
    int64_t got = toc_feed_read(fs, f, &fs->piece, bytes);
    if (got < 0) {
        toc_feed_fail(f, p, (int)got);
        return;
    }
    size_t done = toc_tensorboard_stream_push(f->stream, toc_buf_sv(&fs->piece));
    f->offset += done;
    fs->bytes += done;
    if ((size_t)got < bytes)
        end(f, p, (size_t)got - done);
    if (toc_feed_gathered(fs))
        f->next_ms = TOC_MAX(f->next_ms, toc_feed_last_ms(fs));
}

/* --- what was damaged --- */

static void note(struct toc_doctor_feeds *fs, const char *folder, uint64_t count,
                 const char *what) {
    char text[TOC_DOCTOR_REASON_MAX];
    snprintf(text, sizeof text, "%llu %s", (unsigned long long)count, what);
    if (count)
        toc_doctor_note_unread(fs->scan, folder, 0, text);
}

static void close_events(struct toc_doctor_feeds *fs, struct feed *f) {
    (void)fs;
    toc_tensorboard_stream_close(&f->stream);
}

void toc_feed_note_damage(struct toc_doctor_feeds *fs) {
    for (size_t i = 0; i < fs->folders.count; i++) {
        struct feed_folder *folder = fs->folders.items[i];
        struct toc_tensorboard_feed_counters c = toc_tensorboard_feed_counters(folder->feed);
        char *name = toc_xprintf("event files in %s", folder->name[0] ? folder->name : ".");
        note(fs, name, c.codec.bad_data_crc, "records whose checksum is wrong");
        note(fs, name, c.codec.bad_length_crc, "places that are damaged");
        note(fs, name, c.codec.records_malformed + c.codec.values_malformed,
             "malformed records or values");
        note(fs, name, c.codec.records_too_long, "records that are too long");
        note(fs, name, c.tags_dropped, "values of more tags than are followed");
        note(fs, name, c.bad_times, "values without a time");
        toc_free(name);
    }
}

const struct feed_form toc_feed_tfevents = {open_events, NULL, take_piece, close_events};
