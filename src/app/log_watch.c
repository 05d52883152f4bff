#include "app/log_watch.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "collect/emitter.h"
#include "collect/kmsg.h"
#include "collect/log_tail.h"
#include "diagnose/failure_alert.h"
#include "diagnose/log_stream.h"
#include "sys/machine.h"
#include "sys/records.h"
#include "sys/thread.h"

enum {
    TELL_MS = 5000,
    TICK_MS = 1000,
    COUNTERS_MAX = 4096,
    INBOX_MAX = 1024,
    NAME_MAX_BYTES = 200,
};
#define HISTORY_MS INT64_C(86400000)

/* A followed file. */
struct log_file {
    struct toc_log_watch *watch;
    struct toc_log_stream stream;
    struct toc_log_stream_options options;
    char *path, *run, *host;
};

/* One series of tocsin_log_signature_total or tocsin_kernel_events_total. */
struct counter {
    const struct toc_signature *signature;
    const char *source; /* NULL: of the kernel's log */
    char *run, *host, *device;
    double value;
    bool is_told; /* the first sample of a counter is 0 */
};

/* What other threads said since the last poll. */
struct letter {
    bool is_attempt;
    struct toc_ts at;
    char *subject, *text;
};

struct toc_log_watch {
    struct toc_log_watch_options o;
    struct toc_signature_table *signatures;
    struct toc_failure_rules *rules;
    struct toc_xid_table *xids;
    struct toc_redactor *redactor;
    struct toc_log_places *places;
    struct toc_log_pattern patterns[TOC_LOG_PATTERNS_MAX];
    const char *paths[TOC_LOG_PATTERNS_MAX];
    struct toc_failure_alerts *alerts;
    struct toc_failures *failures;
    struct toc_log_tail *tail;
    struct toc_kmsg *kmsg;
    struct toc_log_stream kernel;
    struct toc_emitter emitter;
    TOC_VEC(struct counter *) counters;
    struct toc_map counter_by_key;
    struct toc_ts now;
    int64_t utc_offset_ms, next_tick_ms, next_tell_ms;
    uint64_t lines, cut_lines, redacted, undated, history, counters_dropped, letters_dropped;
    struct toc_mutex mutex; /* guards what follows */
    TOC_VEC(struct letter) inbox;
    struct toc_buf saved_tail, saved_kmsg;
    bool is_blind;
    char problem[200];
};

/* --------------------------------------------------------------------------------------- counters
 */

static void counter_free(struct counter *c) {
    toc_free(c->run);
    toc_free(c->host);
    toc_free(c->device);
    toc_free(c);
}

static const char *source_name(unsigned sources) {
    return sources & TOC_LOG_KERNEL    ? "kernel"
           : sources & TOC_LOG_JOB     ? "job"
           : sources & TOC_LOG_SERVING ? "serving"
                                       : "scheduler";
}

static void count(struct toc_log_watch *w, const struct toc_failure_hit *h, const char *source) {
    struct toc_buf key = TOC_BUF_INIT;
    struct toc_sv device = source ? TOC_SV_NULL : h->device;
    toc_buf_printf(&key, "%p %s %.*s\xff%.*s\xff%.*s", (const void *)h->signature,
                   source ? source : "-", TOC_SV_ARG(h->job), TOC_SV_ARG(h->host),
                   TOC_SV_ARG(device));
    struct counter *c = toc_map_get(&w->counter_by_key, toc_buf_sv(&key));
    if (!c && w->counters.count == COUNTERS_MAX) {
        w->counters_dropped++;
    } else if (!c) {
        c = TOC_NEW(struct counter);
        c->signature = h->signature;
        c->source = source;
        c->run = toc_sv_dup_cstr(toc_sv_sub(h->job, 0, NAME_MAX_BYTES));
        c->host = toc_sv_dup_cstr(toc_sv_sub(h->host, 0, NAME_MAX_BYTES));
        c->device = toc_sv_dup_cstr(toc_sv_sub(device, 0, NAME_MAX_BYTES));
        TOC_VEC_PUSH(&w->counters, c);
        toc_map_put(&w->counter_by_key, toc_buf_sv(&key), c);
    }
    if (c)
        c->value += 1;
    toc_buf_fini(&key);
}

static void put_counter(struct toc_log_watch *w, struct counter *c) {
    double value = c->is_told ? c->value : 0;
    c->is_told = true;
    if (!c->source) {
        const struct toc_label labels[] = {
            {TOC_SV("class"), c->signature->class_name},
            {TOC_SV("signature"), c->signature->id},
            {TOC_SV("device"), toc_sv_cstr(c->device)},
        };
        toc_emitter_put(&w->emitter, "tocsin_kernel_events_total", TOC_METRIC_COUNTER, labels,
                        TOC_ARRAY_LEN(labels), value);
        return;
    }
    const struct toc_label labels[] = {
        {TOC_SV("class"), c->signature->class_name}, {TOC_SV("signature"), c->signature->id},
        {TOC_SV("source"), toc_sv_cstr(c->source)},  {TOC_SV("run"), toc_sv_cstr(c->run)},
        {TOC_SV("host"), toc_sv_cstr(c->host)},
    };
    toc_emitter_put(&w->emitter, "tocsin_log_signature_total", TOC_METRIC_COUNTER, labels,
                    TOC_ARRAY_LEN(labels), value);
}

static void put_number(struct toc_log_watch *w, const char *name, enum toc_metric_type type,
                       double value) {
    toc_emitter_put(&w->emitter, name, type, NULL, 0, value);
}

static void put_dropped(struct toc_log_watch *w, const char *reason, uint64_t n) {
    const struct toc_label label = {TOC_SV("reason"), toc_sv_cstr(reason)};
    toc_emitter_put(&w->emitter, "tocsin_log_dropped_total", TOC_METRIC_COUNTER, &label, 1,
                    (double)n);
}

static void put_own(struct toc_log_watch *w) {
    struct toc_log_tail_counters t = toc_log_tail_counters(w->tail);
    struct toc_failures_counters f = toc_failures_counters(w->failures);
    put_number(w, "tocsin_log_files", TOC_METRIC_GAUGE, (double)t.files);
    put_number(w, "tocsin_log_behind_bytes", TOC_METRIC_GAUGE, (double)t.behind_bytes);
    put_number(w, "tocsin_log_bytes_total", TOC_METRIC_COUNTER, (double)t.bytes);
    put_number(w, "tocsin_log_lines_total", TOC_METRIC_COUNTER, (double)w->lines);
    put_number(w, "tocsin_log_redacted_total", TOC_METRIC_COUNTER, (double)w->redacted);
    put_number(w, "tocsin_failures_opened_total", TOC_METRIC_COUNTER, (double)f.opened);
    put_number(w, "tocsin_failures_unexplained_total", TOC_METRIC_COUNTER, (double)f.unexplained);
    put_number(w, "tocsin_failures_open", TOC_METRIC_GAUGE, (double)f.open);
    put_dropped(w, "line_too_long", w->cut_lines);
    put_dropped(w, "history", w->history);
    put_dropped(w, "too_many_series", w->counters_dropped);
    put_dropped(w, "too_many_notes", w->letters_dropped);
    put_dropped(w, "too_many_files", t.files_over_limit);
    put_dropped(w, "unreadable", t.unreadable);
#define X(member, reason) put_dropped(w, reason, f.dropped_##member);
    TOC_FAILURE_DROP_TABLE(X)
#undef X
}

static void put_kmsg(struct toc_log_watch *w) {
    struct toc_kmsg_counters k = toc_kmsg_counters(w->kmsg);
    put_number(w, "tocsin_kmsg_records_total", TOC_METRIC_COUNTER, (double)k.records);
    put_number(w, "tocsin_kmsg_lost_total", TOC_METRIC_COUNTER, (double)k.lost);
    put_number(w, "tocsin_kmsg_overruns_total", TOC_METRIC_COUNTER, (double)k.overruns);
    put_number(w, "tocsin_kmsg_malformed_total", TOC_METRIC_COUNTER, (double)k.malformed);
    put_number(w, "tocsin_kmsg_blind", TOC_METRIC_GAUGE, k.is_blind);
}

static int tell(struct toc_log_watch *w, struct toc_err *err) {
    toc_emitter_begin(&w->emitter, w->now);
    toc_emitter_group(&w->emitter, 0);
    for (size_t i = 0; i < w->counters.count; i++)
        put_counter(w, w->counters.items[i]);
    put_own(w);
    if (w->kmsg)
        put_kmsg(w);
    return toc_emitter_flush(&w->emitter, w->o.sink, err);
}

/* ------------------------------------------------------------------------------------------- hits
 */

static void on_hit(void *ctx, const struct toc_failure_hit *h) {
    struct log_file *f = ctx;
    struct toc_log_watch *w = f->watch;
    count(w, h, source_name(h->signature->sources & f->options.sources));
    if (w->now.ms - h->at.ms > HISTORY_MS) {
        w->history++; /* somebody copied an old log */
        return;
    }
    toc_failures_put(w->failures, h, w->now);
}

static void on_kernel_hit(void *ctx, const struct toc_failure_hit *h) {
    struct toc_log_watch *w = ctx;
    count(w, h, NULL);
    toc_failures_put(w->failures, h, w->now);
}

static void on_record(void *ctx, const struct toc_kmsg_record *r) {
    struct toc_log_watch *w = ctx;
    /* A line of another program that writes into the kernel's log is not the kernel's word. */
    if (r->facility != 0)
        return;
    toc_log_stream_feed(&w->kernel, r->text, r->at, 0);
    toc_log_stream_feed(&w->kernel, TOC_SV("\n"), r->at, 0);
}

/* ------------------------------------------------------------------------------------------ files
 */

static char *either(struct toc_sv of_path, struct toc_sv of_config) {
    return toc_sv_dup_cstr(toc_sv_sub(of_path.n ? of_path : of_config, 0, NAME_MAX_BYTES));
}

static void on_open(void *ctx, const char *path, size_t pattern, void **out_file) {
    struct toc_log_watch *w = ctx;
    const struct toc_log_source_config *c = &w->o.config->items[pattern];
    struct log_file *f = TOC_NEW(struct log_file);
    struct toc_log_labels l, guess = toc_log_labels_guess(toc_sv_cstr(path));
    (void)toc_log_pattern_match(&w->patterns[pattern], toc_sv_cstr(path), &l);
    f->watch = w;
    f->path = toc_xstrdup(path);
    f->run = either(l.job, c->run);
    f->host = either(l.host, c->host.n ? c->host : guess.host);
    f->options = (struct toc_log_stream_options){
        .table = w->signatures,
        .redactor = w->redactor,
        .places = w->places,
        .sources = c->sources,
        .job = toc_sv_cstr(f->run),
        .host = toc_sv_cstr(f->host),
        .file = toc_sv_cstr(f->path),
        .rank = l.rank >= 0 ? l.rank : guess.rank,
        .on_hit = on_hit,
        .ctx = f,
    };
    toc_log_stream_init(&f->stream, &f->options);
    toc_failures_member(w->failures, f->options.job, f->options.rank, f->options.host, w->now);
    *out_file = f;
}

static void on_bytes(void *ctx, void *file, struct toc_sv bytes) {
    struct toc_log_watch *w = ctx;
    struct log_file *f = file;
    uint64_t lines = f->stream.scan.lines, cut = f->stream.scan.cut_lines;
    uint64_t redacted = f->stream.redacted, undated = f->stream.undated;
    toc_log_stream_feed(&f->stream, bytes, w->now, w->utc_offset_ms);
    w->lines += f->stream.scan.lines - lines;
    w->cut_lines += f->stream.scan.cut_lines - cut;
    w->redacted += f->stream.redacted - redacted;
    w->undated += f->stream.undated - undated;
}

static void on_restart(void *ctx, void *file) {
    struct log_file *f = file;
    (void)ctx;
    toc_log_stream_finish(&f->stream);
    toc_log_stream_fini(&f->stream);
    toc_log_stream_init(&f->stream, &f->options);
}

static void on_close(void *ctx, void *file) {
    struct log_file *f = file;
    (void)ctx;
    toc_log_stream_finish(&f->stream);
    toc_log_stream_fini(&f->stream);
    toc_free(f->path);
    toc_free(f->run);
    toc_free(f->host);
    toc_free(f);
}

/* ----------------------------------------------------------------------------------- other threads
 */

static void drop_in(struct toc_log_watch *w, struct letter l) {
    toc_mutex_lock(&w->mutex);
    if (w->inbox.count < INBOX_MAX) {
        TOC_VEC_PUSH(&w->inbox, l);
    } else {
        w->letters_dropped++;
        toc_free(l.subject);
        toc_free(l.text);
    }
    toc_mutex_unlock(&w->mutex);
}

void toc_log_watch_note_attempt(struct toc_log_watch *w, struct toc_sv run, struct toc_ts at) {
    drop_in(w, (struct letter){true, at, toc_sv_dup_cstr(run), NULL});
}

void toc_log_watch_note_change(struct toc_log_watch *w, struct toc_sv subject, struct toc_ts at,
                               struct toc_sv text) {
    drop_in(w, (struct letter){false, at, toc_sv_dup_cstr(subject), toc_sv_dup_cstr(text)});
}

bool toc_log_watch_is_blind(struct toc_log_watch *w, char *out, size_t out_size) {
    toc_mutex_lock(&w->mutex);
    bool is_blind = w->is_blind;
    toc_sv_copy(toc_sv_cstr(w->problem), out, out_size);
    toc_mutex_unlock(&w->mutex);
    return is_blind;
}

static void read_inbox(struct toc_log_watch *w) {
    for (;;) {
        toc_mutex_lock(&w->mutex);
        bool is_empty = w->inbox.count == 0;
        struct letter l = {0};
        if (!is_empty) {
            l = w->inbox.items[0];
            TOC_VEC_REMOVE(&w->inbox, 0);
        }
        toc_mutex_unlock(&w->mutex);
        if (is_empty)
            return;
        if (l.is_attempt)
            toc_failures_attempt(w->failures, toc_sv_cstr(l.subject), l.at, w->now);
        else
            toc_failures_change(w->failures, toc_sv_cstr(l.subject), l.at, toc_sv_cstr(l.text));
        toc_free(l.subject);
        toc_free(l.text);
    }
}

static bool has_gpus(void) {
    struct toc_vfs *v = toc_vfs_system();
    return toc_vfs_exists(v, "/proc/driver/nvidia") || toc_vfs_exists(v, "/sys/module/amdgpu");
}

void toc_log_watch_publish(struct toc_log_watch *w) {
    struct toc_kmsg_counters k = {0};
    if (w->kmsg)
        k = toc_kmsg_counters(w->kmsg);
    toc_mutex_lock(&w->mutex);
    toc_buf_reset(&w->saved_tail);
    toc_buf_reset(&w->saved_kmsg);
    toc_log_tail_save(w->tail, &w->saved_tail);
    if (w->kmsg)
        toc_kmsg_save(w->kmsg, &w->saved_kmsg);
    w->is_blind = k.is_blind && (w->o.config->is_kernel_wanted || has_gpus());
    toc_sv_copy(toc_sv_cstr(k.problem), w->problem, sizeof w->problem);
    toc_mutex_unlock(&w->mutex);
}

void toc_log_watch_save(struct toc_log_watch *w, struct toc_buf *out_tail,
                        struct toc_buf *out_kmsg) {
    toc_mutex_lock(&w->mutex);
    toc_buf_append_sv(out_tail, toc_buf_sv(&w->saved_tail));
    toc_buf_append_sv(out_kmsg, toc_buf_sv(&w->saved_kmsg));
    toc_mutex_unlock(&w->mutex);
}

int toc_log_watch_restore(struct toc_log_watch *w, struct toc_sv tail, struct toc_sv kmsg) {
    int rc = tail.n ? toc_log_tail_restore(w->tail, tail) : 0;
    int rc2 = kmsg.n && w->kmsg ? toc_kmsg_restore(w->kmsg, kmsg) : 0;
    return rc ? rc : rc2;
}

/* -------------------------------------------------------------------------------------------- life
 */

static int open_tables(struct toc_log_watch *w, struct toc_err *err) {
    int rc = toc_signature_table_builtin(&w->signatures, err);
    if (rc == 0)
        rc = toc_failure_rules_builtin(&w->rules, err);
    if (rc == 0)
        rc = toc_xid_table_builtin(&w->xids, err);
    if (rc == 0)
        rc = toc_redactor_builtin(&w->redactor, err);
    w->places = toc_log_places_new();
    for (size_t i = 0; rc == 0 && i < w->o.config->count; i++) {
        w->paths[i] = w->o.config->items[i].path;
        rc = toc_log_pattern_parse(toc_sv_cstr(w->paths[i]), &w->patterns[i], err);
    }
    return rc;
}

static void open_parts(struct toc_log_watch *w) {
    w->alerts = toc_failure_alerts_new(&(struct toc_failure_alerts_options){.sink = w->o.alerts});
    w->failures = toc_failures_new(&(struct toc_failures_options){
        .rules = w->rules, .xids = w->xids, .listener = toc_failure_alerts_listener(w->alerts)});
    w->tail =
        toc_log_tail_new(&(struct toc_log_tail_options){.patterns = w->paths,
                                                        .pattern_count = w->o.config->count,
                                                        .max_files = (size_t)w->o.config->max_files,
                                                        .on_open = on_open,
                                                        .on_bytes = on_bytes,
                                                        .on_restart = on_restart,
                                                        .on_close = on_close,
                                                        .ctx = w});
    if (!w->o.config->is_kernel_on)
        return;
    w->kmsg = toc_kmsg_new(
        &(struct toc_kmsg_options){.path = w->o.config->kmsg_path, .fn = on_record, .ctx = w});
    toc_log_stream_init(&w->kernel,
                        &(struct toc_log_stream_options){.table = w->signatures,
                                                         .redactor = w->redactor,
                                                         .places = w->places,
                                                         .sources = TOC_LOG_KERNEL,
                                                         .host = toc_sv_cstr(w->o.instance),
                                                         .file = TOC_SV("/dev/kmsg"),
                                                         .rank = -1,
                                                         .uses_arrival = true,
                                                         .on_hit = on_kernel_hit,
                                                         .ctx = w});
}

int toc_log_watch_new(const struct toc_log_watch_options *o, struct toc_log_watch **out,
                      struct toc_err *err) {
    struct toc_log_watch *w = TOC_NEW(struct toc_log_watch);
    const struct toc_label base[] = {{TOC_SV("instance"), toc_sv_cstr(o->instance)},
                                     {TOC_SV("job"), TOC_SV("tocsin")}};
    w->o = *o;
    toc_mutex_init(&w->mutex, TOC_LOCK_QUEUE);
    toc_emitter_init(&w->emitter, (struct toc_labels){base, TOC_ARRAY_LEN(base)});
    int rc = open_tables(w, err);
    if (rc == 0)
        open_parts(w);
    else
        toc_log_watch_free(&w);
    *out = w;
    return rc;
}

void toc_log_watch_free(struct toc_log_watch **wp) {
    struct toc_log_watch *w = *wp;
    if (!w)
        return;
    toc_log_tail_free(&w->tail);
    if (w->kmsg)
        toc_log_stream_fini(&w->kernel);
    toc_kmsg_free(&w->kmsg);
    toc_failures_free(&w->failures);
    toc_failure_alerts_free(&w->alerts);
    for (size_t i = 0; i < w->o.config->count; i++)
        toc_log_pattern_fini(&w->patterns[i]);
    toc_signature_table_free(&w->signatures);
    toc_failure_rules_free(&w->rules);
    toc_xid_table_free(&w->xids);
    toc_redactor_free(&w->redactor);
    toc_log_places_free(&w->places);
    for (size_t i = 0; i < w->counters.count; i++)
        counter_free(w->counters.items[i]);
    for (size_t i = 0; i < w->inbox.count; i++) {
        toc_free(w->inbox.items[i].subject);
        toc_free(w->inbox.items[i].text);
    }
    TOC_VEC_FINI(&w->inbox);
    TOC_VEC_FINI(&w->counters);
    toc_map_fini(&w->counter_by_key);
    toc_emitter_fini(&w->emitter);
    toc_buf_fini(&w->saved_tail);
    toc_buf_fini(&w->saved_kmsg);
    toc_mutex_fini(&w->mutex);
    toc_free(w);
    *wp = NULL;
}

void toc_log_watch_adopt(struct toc_log_watch *w, const struct toc_alert *alert,
                         struct toc_ts now) {
    toc_failure_alerts_adopt(w->alerts, alert, now);
}

int toc_log_watch_poll(struct toc_log_watch *w, struct toc_ts now, struct toc_err *err) {
    struct toc_time_zone zone;
    toc_local_time_zone(now.ms / 1000, &zone);
    w->now = now;
    w->utc_offset_ms = zone.offset_s * 1000;
    read_inbox(w);
    if (w->kmsg)
        toc_kmsg_poll(w->kmsg, now, toc_boot_time());
    toc_log_tail_poll(w->tail, now);
    if (now.ms >= w->next_tick_ms || now.ms < w->next_tick_ms - TICK_MS) {
        w->next_tick_ms = now.ms + TICK_MS;
        toc_failures_tick(w->failures, now);
        toc_failure_alerts_tick(w->alerts, now);
        toc_log_watch_publish(w);
    }
    if (now.ms < w->next_tell_ms && now.ms >= w->next_tell_ms - TELL_MS)
        return 0;
    w->next_tell_ms = now.ms + TELL_MS;
    return tell(w, err);
}
