#include "app/doctor_log_hits.h"

#include <stdlib.h>

#include "app/doctor_log_input.h"
#include "base/alloc.h"

enum { REPEAT_MS = 10000 };

static struct toc_sv keep(struct toc_log_hits *s, struct toc_sv text) {
    return toc_arena_dup_sv(&s->arena, text);
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
    if (s->has_numbers && toc_sv_eq_cstr(h->signature->class_name, "numerics")) {
        s->totals.hits_of_numbers++;
        return;
    }
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
        copy.host = keep(s, h->host), copy.job = keep(s, h->job), copy.text = keep(s, h->text);
        copy.device = keep(s, h->device), copy.code = keep(s, h->code);
        copy.process = keep(s, h->process), copy.word = keep(s, h->word);
        copy.operation = keep(s, h->operation);
        TOC_VEC_PUSH(&s->hits, copy);
        toc_map_put(&s->latest, toc_buf_sv(&key), (void *)(uintptr_t)s->hits.count);
    }
    toc_buf_fini(&key);
}

static void feed(void *ctx, struct toc_sv bytes) {
    struct toc_log_hits *s = ctx;
    toc_log_stream_feed(&s->stream, bytes, s->mtime, s->offset_ms);
}

static void add_totals(struct toc_log_hits *s) {
    s->totals.files++;
    s->totals.bytes += s->stream.scan.bytes;
    s->totals.lines += s->stream.scan.lines;
    s->totals.cut_lines += s->stream.scan.cut_lines;
    s->totals.undated += s->stream.undated;
    s->totals.redacted += s->stream.redacted;
}

int toc_log_hits_read(struct toc_log_hits *s, const struct toc_log_hits_file *file,
                      struct toc_err *err) {
    const struct toc_log_stream_options o = {.table = s->signatures,
                                             .redactor = s->redactor,
                                             .places = s->places,
                                             .sources = file->sources,
                                             .job = file->labels.job,
                                             .host = file->labels.host,
                                             .rank = file->labels.rank,
                                             .file = file->name,
                                             .on_hit = collect,
                                             .ctx = s};
    s->mtime = toc_doctor_log_mtime(file->path);
    s->offset_ms = file->utc_offset_ms;
    s->has_numbers = file->has_numbers;
    toc_log_stream_init(&s->stream, &o);
    int rc = toc_doctor_log_read(file->path, feed, s, err);
    toc_log_stream_finish(&s->stream);
    add_totals(s);
    toc_log_stream_fini(&s->stream);
    toc_map_fini(&s->latest);
    return rc;
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
