/* Pieces: what was read of a file, and what could not be. */
#include <stdio.h>

#include "app/doctor_feed_priv.h"
#include "base/alloc.h"

void toc_feed_note(struct feed_piece *p, int64_t line, const char *text) {
    struct feed_note note = {.line = line};
    toc_sv_copy(toc_sv_sub(toc_sv_cstr(text), 0, sizeof note.text - 1), note.text,
                sizeof note.text);
    TOC_VEC_PUSH(&p->notes, note);
}

void toc_feed_note_count(struct feed_piece *p, uint64_t count, const char *what) {
    char text[TOC_DOCTOR_REASON_MAX];
    (void)snprintf(text, sizeof text, "%llu %s", (unsigned long long)count, what);
    if (count)
        toc_feed_note(p, 0, text);
}

void toc_feed_fail(struct feed *f, struct feed_piece *p, int rc) {
    toc_feed_note(p, 0, toc_strerror(rc));
    p->notes.items[p->notes.count - 1].is_whole_file = true;
    f->is_done = true;
}

void toc_feed_piece_reset(struct feed_piece *p) {
    p->feed = NULL;
    p->notes.count = 0;
    p->lines = p->lines_skipped = 0;
    toc_buf_reset(&p->bytes);
    p->body = (struct toc_run_body){0};
    p->is_rest = false;
    toc_report_batch_reset(&p->reports);
    p->to_ms = INT64_MIN;
}

void toc_feed_piece_fini(struct feed_piece *p) {
    TOC_VEC_FINI(&p->notes);
    toc_buf_fini(&p->bytes);
    toc_report_batch_fini(&p->reports);
}
