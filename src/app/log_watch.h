/*
 * Logs in the daemon: files and the kernel's log become hits, hits become series and failures,
 * failures become alerts. Everything but what is marked happens on one thread.
 */
#ifndef TOC_APP_LOG_WATCH_H
#define TOC_APP_LOG_WATCH_H

#include <stdbool.h>

#include "base/buf.h"
#include "diagnose/failure.h"
#include "diagnose/log_labels.h"
#include "model/alert.h"
#include "model/sink.h"

enum { TOC_LOG_PATTERNS_MAX = 256 };

/* One pattern of logs.files, or a folder. */
struct toc_log_source_config {
    const char *path;        /* with *, ? and {fields} */
    unsigned sources;        /* enum toc_log_source */
    struct toc_sv run, host; /* what the path does not say */
};

struct toc_log_config {
    struct toc_log_source_config items[TOC_LOG_PATTERNS_MAX];
    size_t count;
    bool is_kernel_on;
    bool is_kernel_wanted; /* said so: blindness is a problem on any machine */
    const char *kmsg_path; /* NULL: /dev/kmsg */
    int64_t max_files;
};

struct toc_log_watch_options {
    const struct toc_log_config *config; /* borrowed */
    struct toc_sink *sink;
    struct toc_alert_sink *alerts;
    const char *instance; /* this host */
};

struct toc_log_watch; /* opaque */
int toc_log_watch_new(const struct toc_log_watch_options *o, struct toc_log_watch **out,
                      struct toc_err *err) TOC_MUST_CHECK;
void toc_log_watch_free(struct toc_log_watch **w);

/* Meant to run a few times a second. Only the sink's failure is an error. */
int toc_log_watch_poll(struct toc_log_watch *w, struct toc_ts now,
                       struct toc_err *err) TOC_MUST_CHECK;
/* Before the first poll. */
void toc_log_watch_adopt(struct toc_log_watch *w, const struct toc_alert *alert, struct toc_ts now);
/* What toc_log_watch_save gives becomes as of now; once a second it does so by itself. */
void toc_log_watch_publish(struct toc_log_watch *w);
/* Places in files and in the kernel's log. Any thread: as last published. */
void toc_log_watch_save(struct toc_log_watch *w, struct toc_buf *out_tail,
                        struct toc_buf *out_kmsg);
int toc_log_watch_restore(struct toc_log_watch *w, struct toc_sv tail,
                          struct toc_sv kmsg) TOC_MUST_CHECK;

/* Any thread: taken up by the next poll. */
void toc_log_watch_note_attempt(struct toc_log_watch *w, struct toc_sv run, struct toc_ts at);
void toc_log_watch_note_change(struct toc_log_watch *w, struct toc_sv subject, struct toc_ts at,
                               struct toc_sv text);
/* Any thread: true when the kernel's log cannot be read and should be: it was asked for, or the
 * machine has GPUs whose errors only the kernel tells. The reason into `out`. */
bool toc_log_watch_is_blind(struct toc_log_watch *w, char *out, size_t out_size);

#endif
