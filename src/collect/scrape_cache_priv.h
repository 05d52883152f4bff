/*
 * What one target remembers between scrapes: series by the raw text of the exposition line, so that
 * a line seen before costs one comparison, and which of them were there last time, so that those
 * that vanish get a staleness marker. Used by one thread at a time.
 */
#ifndef TOC_COLLECT_SCRAPE_CACHE_PRIV_H
#define TOC_COLLECT_SCRAPE_CACHE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/vec.h"
#include "codec/exposition.h"
#include "collect/scrape_config.h"
#include "collect/scrape_script_priv.h"
#include "collect/scrape_series_priv.h"
#include "metricdb/metricdb.h"
#include "model/sink.h"

/* X(enum, name, only with extra_scrape_metrics) */
#define TOC_SCRAPE_REPORT_TABLE(X)                                         \
    X(REPORT_UP, "up", false)                                              \
    X(REPORT_DURATION, "scrape_duration_seconds", false)                   \
    X(REPORT_SCRAPED, "scrape_samples_scraped", false)                     \
    X(REPORT_POST_RELABEL, "scrape_samples_post_metric_relabeling", false) \
    X(REPORT_ADDED, "scrape_series_added", false)                          \
    X(REPORT_TIMEOUT, "scrape_timeout_seconds", true)                      \
    X(REPORT_SAMPLE_LIMIT, "scrape_sample_limit", true)                    \
    X(REPORT_BODY_BYTES, "scrape_body_size_bytes", true)

enum scrape_report {
#define X(name, text, extra) name,
    TOC_SCRAPE_REPORT_TABLE(X)
#undef X
        REPORT_COUNT
};

struct scrape_meta;

/* A sample of this cycle. */
struct scrape_point {
    struct scrape_series *series;
    int64_t t_ms;
    double value;
    const struct toc_histogram *histogram; /* NULL: a float; else of the cache, until it ingests */
};

/* What a point of this cycle began to count at. */
struct scrape_start {
    uint32_t point;
    int64_t start_ms;
};

struct scrape_cache {
    struct scrape_script script; /* the lines of the last good answer */
    struct toc_map
        texts; /* of protobuf, which has no lines: text → series or a mark as in a line */
    struct toc_map metas;   /* metric → struct scrape_meta */
    bool has_changed_metas; /* some are to be sent */
    struct scrape_series_set series;
    struct {
        TOC_VEC_FIELDS(struct scrape_point)
    } points; /* of this cycle, until they are written */
    struct {
        TOC_VEC_FIELDS(struct scrape_start)
    } starts;           /* of them; only with wants_starts */
    size_t alive_count; /* series whose is_alive is set */
    bool had_gaps;      /* the last good answer had samples that were dropped for their time */
    struct scrape_series *reports[REPORT_COUNT];
    struct toc_labels target; /* labels of the target, owned */
    struct toc_arena scratch;
    struct toc_arena histograms; /* of the points */
    uint32_t cycle;
    uint64_t dropped_future, dropped_duplicate; /* samples, since the target began */
};

struct scrape_input {
    const struct toc_scrape_config *config;
    enum toc_exposition_format format;
    struct toc_sv body;
    int64_t t_ms;
    bool wants_starts; /* start timestamps are of use */
};

struct scrape_counts {
    size_t scraped, post_relabel, added;
};

void toc_scrape_cache_init(struct scrape_cache *c, struct toc_labels target);
void toc_scrape_cache_fini(struct scrape_cache *c);
/* The rules that turn samples into series have changed: forgets the texts, keeps the series. */
void toc_scrape_cache_forget_texts(struct scrape_cache *c);
/* Reads one answer; afterwards points hold its samples and the markers of series that vanished. A
 * negative result (TOC_EPARSE, TOC_ELIMIT, …): points hold markers for all series instead. Counts
 * are filled either way. */
int toc_scrape_cache_ingest(struct scrape_cache *c, const struct scrape_input *in,
                            struct scrape_counts *out, struct toc_err *err) TOC_MUST_CHECK;
/* The target did not answer: points hold markers for all series. */
void toc_scrape_cache_end_series(struct scrape_cache *c, int64_t t_ms);
/* Their room is of use elsewhere until the next scrape. */
void toc_scrape_cache_forget_points(struct scrape_cache *c);
void toc_scrape_cache_report(struct scrape_cache *c, enum scrape_report which, int64_t t_ms,
                             double value);
/* Writes the points by reference, which spares the store hashing and comparing labels, and forgets
 * them. They are durable when a wait for the ticket has returned 0 (toc_metricdb_put_refs). */
int toc_scrape_cache_write(struct scrape_cache *c, struct toc_metricdb *db,
                           struct toc_write_result *out_result, uint64_t *out_ticket,
                           struct toc_err *err) TOC_MUST_CHECK;
/* By labels, as toc_sink.write. */
int toc_scrape_cache_write_sink(struct scrape_cache *c, struct toc_sink *sink,
                                struct toc_write_result *out_result,
                                struct toc_err *err) TOC_MUST_CHECK;
/* What TYPE lines said of a metric, unknown when they said nothing. */
enum toc_metric_type toc_scrape_cache_type(const struct scrape_cache *c, struct toc_sv metric);
/* The point added last has this start. */
void toc_scrape_note_start(struct scrape_cache *c, int64_t start_ms);
/* Finds the starts of the points of an OpenMetrics answer in its `_created` lines. */
void toc_scrape_find_starts(struct scrape_cache *c);
/* Samples of zero for the starts, before the points are written. */
void toc_scrape_write_starts(struct scrape_cache *c, struct toc_metricdb *db);
/* Sends what has changed in types, help texts and units. */
void toc_scrape_cache_send_metadata(struct scrape_cache *c, struct toc_sink *sink);

#endif
