#include "app/doctor_log_hits.h"

#include <stdlib.h>

#include "app/doctor_log_input.h"
#include "base/alloc.h"

enum { REPEAT_MS = 10000 };
static const struct toc_sv numerics = {"numerics", 8};

void toc_log_hit_keep(struct toc_failure_hit *h, struct toc_arena *a) {
    struct toc_sv *texts[] = {&h->host, &h->job,     &h->text, &h->device,
                              &h->code, &h->process, &h->word, &h->operation};
    for (size_t i = 0; i < TOC_ARRAY_LEN(texts); i++)
        *texts[i] = toc_arena_dup_sv(a, *texts[i]);
}

/* The hit that this one repeats: same signature and place in the same file, a moment ago. */
static struct toc_failure_hit *repeated(struct toc_log_hits *s, const struct toc_failure_hit *h,
                                        struct toc_sv key) {
    size_t index = (size_t)(uintptr_t)toc_map_get(&s->latest, key);
    struct toc_failure_hit *last = index ? &s->hits.items[index - 1] : NULL;
    return last && h->at.ms >= last->at.ms && h->at.ms - last->at.ms <= REPEAT_MS ? last : NULL;
}

static void collect(void *ctx, const struct toc_failure_hit *h) {
    struct toc_log_hits *s = ctx;
    struct toc_buf key = TOC_BUF_INIT;
    if (s->has_numbers && toc_sv_eq(h->signature->class_name, numerics))
        return;
    toc_buf_printf(&key, "%.*s %lld %lld %lld %.*s %.*s %.*s", TOC_SV_ARG(h->signature->id),
                   (long long)h->rank, (long long)h->pid, (long long)h->sequence,
                   TOC_SV_ARG(h->host), TOC_SV_ARG(h->device), TOC_SV_ARG(h->code));
    struct toc_failure_hit *last = repeated(s, h, toc_buf_sv(&key));
    s->totals.hits++;
    if (last) {
        last->count++;
    } else if (s->hits.count == TOC_LOG_HITS_MAX) {
        s->totals.hits_left_out++;
    } else {
        struct toc_failure_hit copy = *h;
        copy.count = 1;
        toc_log_hit_keep(&copy, &s->arena);
        TOC_VEC_PUSH(&s->hits, copy);
        toc_map_put(&s->latest, toc_buf_sv(&key), (void *)(uintptr_t)s->hits.count);
    }
    toc_buf_fini(&key);
}

struct toc_log_stream_options
toc_log_hits_stream_options(const struct toc_log_hits *s, const struct toc_log_hits_file *file,
                            void (*on_hit)(void *ctx, const struct toc_failure_hit *hit),
                            void *ctx) {
    return (struct toc_log_stream_options){.table = s->signatures,
                                           .redactor = s->redactor,
                                           .places = s->places,
                                           .sources = file->sources,
                                           .job = file->labels.job,
                                           .host = file->labels.host,
                                           .rank = file->labels.rank,
                                           .file = file->name,
                                           .beside = file->has_numbers ? &s->numerics : NULL,
                                           .on_hit = on_hit,
                                           .ctx = ctx};
}

/* --- one file --- */

static void feed(void *ctx, struct toc_sv bytes) {
    struct toc_log_hits *s = ctx;
    toc_log_stream_feed(&s->stream, bytes, s->mtime, s->offset_ms);
}

static void add_totals(struct toc_log_hits *s, const struct toc_log_hits_part *p) {
    s->totals.bytes += p->bytes;
    s->totals.lines += p->lines;
    s->totals.cut_lines += p->cut_lines;
    s->totals.undated += p->undated;
    s->totals.redacted += p->redacted;
}

struct toc_log_hits_part toc_log_hits_part_of(const struct toc_log_stream *stream) {
    return (struct toc_log_hits_part){.bytes = stream->scan.bytes,
                                      .lines = stream->scan.lines,
                                      .cut_lines = stream->scan.cut_lines,
                                      .undated = stream->undated,
                                      .redacted = stream->redacted,
                                      .last = stream->last,
                                      .mtime = stream->arrived};
}

void toc_log_hits_end_file(struct toc_log_hits *s) {
    s->totals.files++;
    s->lines_before = 0;
    s->last = (struct toc_ts){0};
    toc_map_fini(&s->latest);
}

int toc_log_hits_read(struct toc_log_hits *s, const struct toc_log_hits_file *file,
                      struct toc_err *err) {
    struct toc_log_stream_options o = toc_log_hits_stream_options(s, file, collect, s);
    s->mtime = toc_doctor_log_mtime(file->path);
    s->offset_ms = file->utc_offset_ms;
    s->has_numbers = file->has_numbers;
    toc_log_stream_init(&s->stream, &o);
    int rc = toc_doctor_log_read(file->path, feed, s, err);
    toc_log_stream_finish(&s->stream);
    struct toc_log_hits_part sums = toc_log_hits_part_of(&s->stream);
    add_totals(s, &sums);
    toc_log_stream_fini(&s->stream);
    toc_log_hits_end_file(s);
    return rc;
}

/* --- parts of a file --- */

void toc_log_hits_join(struct toc_log_hits *s, const struct toc_log_hits_file *file,
                       const struct toc_log_hits_part *part, struct toc_failure_hit *hits,
                       size_t count) {
    s->has_numbers = file->has_numbers;
    for (size_t i = 0; i < count; i++) {
        struct toc_failure_hit *h = &hits[i];
        bool is_undated = !h->at.ms && !s->last.ms;
        s->totals.undated += is_undated;
        if (!h->at.ms)
            h->at = is_undated ? part->mtime : s->last;
        h->line_number += s->lines_before;
        collect(s, h);
    }
    add_totals(s, part);
    s->lines_before += part->lines;
    s->last = part->last.ms ? part->last : s->last;
}

static int by_time(const void *a, const void *b) {
    const struct toc_failure_hit *x = a, *y = b;
    if (x->at.ms != y->at.ms)
        return x->at.ms < y->at.ms ? -1 : 1;
    int files = toc_sv_cmp(x->file, y->file);
    return files ? files : (x->line_number > y->line_number) - (x->line_number < y->line_number);
}

void toc_log_hits_sort(struct toc_log_hits *s) {
    if (s->hits.count)
        qsort(s->hits.items, s->hits.count, sizeof *s->hits.items, by_time);
}

int toc_log_hits_new(struct toc_log_hits **out, struct toc_err *err) {
    struct toc_log_hits *s = TOC_NEW(struct toc_log_hits);
    int rc = toc_signature_table_builtin(&s->signatures, err);
    if (rc == 0)
        rc = toc_failure_rules_builtin(&s->rules, err);
    if (rc == 0)
        rc = toc_xid_table_builtin(&s->xids, err);
    if (rc == 0)
        rc = toc_redactor_builtin(&s->redactor, err);
    if (rc == 0)
        s->numerics = toc_signature_table_class(s->signatures, numerics);
    s->places = toc_log_places_new();
    if (rc)
        toc_log_hits_free(&s);
    *out = s;
    return rc;
}

void toc_log_hits_free(struct toc_log_hits **ps) {
    struct toc_log_hits *s = ps ? *ps : NULL;
    if (!s)
        return;
    toc_signature_table_free(&s->signatures);
    toc_failure_rules_free(&s->rules);
    toc_xid_table_free(&s->xids);
    toc_redactor_free(&s->redactor);
    toc_log_places_free(&s->places);
    TOC_VEC_FINI(&s->hits);
    toc_map_fini(&s->latest);
    toc_arena_fini(&s->arena);
    toc_free(s);
    *ps = NULL;
}
