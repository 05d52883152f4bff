/*
 * One log, read in pieces: lines become hits with time, place and a redacted excerpt. A line that
 * shows several signatures gives each what any of them captured. A line without a time takes the
 * one of the lines before it. No file, no clock, one thread.
 */
#ifndef TOC_DIAGNOSE_LOG_STREAM_H
#define TOC_DIAGNOSE_LOG_STREAM_H

#include "diagnose/failure.h"
#include "diagnose/log_time.h"
#include "diagnose/redact.h"
#include "diagnose/signature.h"

struct toc_log_stream_options {
    const struct toc_signature_table *table; /* borrowed, as all that follows */
    const struct toc_redactor *redactor;
    const struct toc_log_places *places;
    unsigned sources; /* enum toc_log_source */
    struct toc_sv job, host, file;
    int64_t rank; /* -1: as the lines say */
    size_t excerpt_bytes;
    const struct toc_signature_set *beside; /* NULL, or those that count beside others alone */
    bool uses_arrival; /* the time of a line is when it was read, whatever it says */
    /* Of a part of a log: a line that nothing in the part dates is given the time 0, for whoever
     * knows what came before. */
    bool leaves_undated;
    /* Borrowed for the call. */
    void (*on_hit)(void *ctx, const struct toc_failure_hit *hit);
    void *ctx;
};

/* Expressions that find rank, host, pid and device in a line. Immutable. */
struct toc_log_places;
struct toc_log_places *toc_log_places_new(void);
void toc_log_places_free(struct toc_log_places **p);

enum { TOC_LOG_STREAM_LINE_HITS_MAX = 16 };

struct toc_log_stream {
    struct toc_log_stream_options o;
    struct toc_log_scan scan;
    struct toc_log_time_options time;
    struct toc_sv chunk; /* being fed */
    struct toc_ts last;  /* time of the last dated line; ms 0 = none yet */
    struct toc_signature_hit hits[TOC_LOG_STREAM_LINE_HITS_MAX]; /* of the line at hand */
    size_t hit_count;
    uint64_t emitted, undated; /* hits; those without any time take `arrived` */
    uint64_t redacted;         /* pieces taken out of excerpts */
    struct toc_ts arrived;
    struct toc_buf excerpt;
};

void toc_log_stream_init(struct toc_log_stream *s, const struct toc_log_stream_options *o);
/* arrived: when the bytes were read; the time of lines when the log has none. */
void toc_log_stream_feed(struct toc_log_stream *s, struct toc_sv bytes, struct toc_ts arrived,
                         int64_t utc_offset_ms);
void toc_log_stream_finish(struct toc_log_stream *s);
void toc_log_stream_fini(struct toc_log_stream *s);

#endif
