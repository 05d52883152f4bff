/*
 * What must survive a restart of the daemon: of a run its tags with their last steps, of a file
 * where to read on and the plug-ins of its tags. A step that is still being gathered is read again.
 */
#include "base/alloc.h"
#include "collect/sealed_state.h"
#include "collect/tensorboard_feed_priv.h"
#include "collect/tensorboard_tail_priv.h"

enum { MAGIC = 0x314c4254 }; /* "TBL1" */

/* ---------------------------------------------------------------------------------------- feed */

void toc_tensorboard_feed_save(const struct toc_tensorboard_feed *f, struct toc_buf *out) {
    toc_buf_append_u8(out, f->has_step);
    toc_buf_append_zigzag(out, f->step);
    toc_buf_append_varint(out, f->tags.count);
    for (size_t i = 0; i < f->tags.count; i++) {
        const struct toc_tensorboard_tag *tag = f->tags.items[i];
        toc_sealed_state_string(out, tag->name);
        toc_buf_append_u8(out, (uint8_t)tag->kind);
        bool is_now = tag->last.generation == f->generation;
        toc_buf_append_zigzag(out, is_now ? tag->last.step : INT64_MIN);
        toc_buf_append_zigzag(out, tag->last.t_ms);
    }
}

void toc_tensorboard_feed_restore(struct toc_tensorboard_feed *f, struct toc_reader *r) {
    f->has_step = toc_read_u8(r) & 1;
    f->step = toc_read_zigzag(r);
    uint64_t count = toc_read_varint(r);
    for (uint64_t i = 0; i < count && !r->error; i++) {
        struct toc_sv name = toc_read_string(r);
        bool is_histogram = toc_read_u8(r) == TOC_TFEVENTS_HISTOGRAM;
        int64_t step = toc_read_zigzag(r), t_ms = toc_read_zigzag(r);
        struct toc_tensorboard_tag *tag =
            r->error ? NULL
                     : toc_tensorboard_tag_get(
                           f, name, is_histogram ? TOC_TFEVENTS_HISTOGRAM : TOC_TFEVENTS_SCALAR);
        if (tag)
            tag->last = (struct toc_tensorboard_last){step, t_ms, f->generation};
    }
}

uint64_t toc_tensorboard_stream_save(const struct toc_tensorboard_stream *s, struct toc_buf *out) {
    struct toc_buf tags = TOC_BUF_INIT;
    toc_buf_append_zigzag(out, s->start_ms);
    toc_tfevents_save_tags(s->codec, &tags);
    toc_sealed_state_string(out, toc_buf_sv(&tags));
    toc_buf_fini(&tags);
    return s->gathered.is_open ? s->gathered.at : s->at + toc_tfevents_to_skip(s->codec);
}

struct toc_tensorboard_stream *toc_tensorboard_stream_restore(struct toc_tensorboard_feed *f,
                                                              struct toc_reader *r, uint64_t at) {
    struct toc_tensorboard_stream *s = toc_tensorboard_stream_open(f);
    s->at = at;
    s->start_ms = toc_read_zigzag(r);
    if (toc_tfevents_restore_tags(s->codec, toc_read_string(r)) < 0)
        r->error = TOC_ECORRUPT;
    return s;
}

/* ---------------------------------------------------------------------------------------- tail */

static void save_file(const struct toc_tb_file *f, struct toc_buf *out) {
    struct toc_buf stream = TOC_BUF_INIT;
    uint64_t at = f->at;
    if (f->stream)
        at = toc_tensorboard_stream_save(f->stream, &stream);
    toc_sealed_state_string(out, f->file.path);
    toc_buf_append_varint(out, f->file.inode);
    toc_buf_append_varint(out, at);
    toc_buf_append_u8(out, f->stream != NULL);
    toc_buf_append_sv(out, toc_buf_sv(&stream));
    toc_buf_fini(&stream);
}

static void save_run(const struct toc_tensorboard_tail *t, const struct toc_tb_run *run,
                     struct toc_buf *out) {
    toc_sealed_state_string(out, toc_sv_cstr(run->name));
    toc_tensorboard_feed_save(run->feed, out);
    toc_buf_append_varint(out, run->files);
    for (size_t i = 0; i < t->files.count; i++) {
        const struct toc_tb_file *f = (const struct toc_tb_file *)t->files.items[i];
        if (f->run == run)
            save_file(f, out);
    }
}

void toc_tensorboard_tail_save(struct toc_tensorboard_tail *t, struct toc_buf *out) {
    if (toc_report_queue_is_empty(&t->queue)) {
        struct toc_buf *b = &t->saved;
        toc_buf_reset(b);
        toc_buf_append_u32(b, MAGIC);
        toc_buf_append_varint(b, t->runs.count);
        for (size_t i = 0; i < t->runs.count; i++)
            save_run(t, t->runs.items[i], b);
        toc_sealed_state_end(b, 0);
    }
    if (!toc_buf_error(&t->saved))
        toc_buf_append_sv(out, toc_buf_sv(&t->saved));
}

static void restore_file(struct toc_tensorboard_tail *t, struct toc_tb_run *run,
                         struct toc_reader *r) {
    struct toc_sv path = toc_read_string(r);
    uint64_t inode = toc_read_varint(r), at = toc_read_varint(r);
    bool has_stream = toc_read_u8(r) & 1;
    struct toc_tb_file *f = r->error ? NULL : toc_tb_file_add(t, run, path, inode);
    if (!f) {
        r->error = r->error ? r->error : TOC_ELIMIT;
        return;
    }
    f->at = at;
    if (has_stream)
        f->stream = toc_tensorboard_stream_restore(run->feed, r, at);
}

static void restore_run(struct toc_tensorboard_tail *t, struct toc_reader *r) {
    struct toc_sv name = toc_read_string(r);
    struct toc_tb_run *run = r->error ? NULL : toc_tb_run_get(t, name);
    if (!run) {
        r->error = r->error ? r->error : TOC_ELIMIT;
        return;
    }
    toc_tensorboard_feed_restore(run->feed, r);
    uint64_t files = toc_read_varint(r);
    for (uint64_t i = 0; i < files && !r->error; i++)
        restore_file(t, run, r);
}

int toc_tensorboard_tail_restore(struct toc_tensorboard_tail *t, struct toc_sv bytes) {
    struct toc_reader r;
    if (toc_sealed_state_open(bytes, MAGIC, &r))
        return TOC_ECORRUPT;
    uint64_t count = toc_read_varint(&r);
    for (uint64_t i = 0; i < count && !r.error; i++)
        restore_run(t, &r);
    toc_buf_reset(&t->saved);
    toc_buf_append_sv(&t->saved, bytes);
    return r.error ? TOC_ECORRUPT : 0;
}
