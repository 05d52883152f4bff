/*
 * Files of training jobs (JSON lines, CSV, event files of TensorBoard, logs) put into the replay in
 * order of time, a piece of each at a time, so that runs, ranks and attempts in many files are read
 * as they happened and little is in memory at once.
 */
#ifndef TOC_APP_DOCTOR_FEED_H
#define TOC_APP_DOCTOR_FEED_H

#include "app/doctor_replay.h"
#include "app/doctor_scan.h"
#include "app/progress.h"

struct toc_doctor_feeds;

/* vfs, scan and replay are borrowed. root_name: name of the folder itself, for runs named by it. */
int toc_doctor_feeds_new(struct toc_vfs *vfs, struct toc_doctor_scan *scan,
                         struct toc_replay *replay, const char *root_name,
                         struct toc_doctor_feeds **out, struct toc_err *err) TOC_MUST_CHECK;
void toc_doctor_feeds_free(struct toc_doctor_feeds **f);

/* Reads everything and judges along. */
int toc_doctor_feeds_run(struct toc_doctor_feeds *f, struct toc_progress *progress,
                         struct toc_err *err) TOC_MUST_CHECK;
/* Latest change of the files that may hold the run; 0 when unknown. */
int64_t toc_doctor_feeds_written_ms(void *feeds, struct toc_sv run);

struct toc_doctor_feed_counts {
    size_t files, files_left_alone; /* taken as reports; of a known form, but no reports in it */
    uint64_t bytes, lines, lines_skipped;
    size_t logs; /* searched for known errors */
    uint64_t log_lines, log_hits;
};
struct toc_doctor_feed_counts toc_doctor_feeds_counts(const struct toc_doctor_feeds *f);

#endif
