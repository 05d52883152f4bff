/* Shared by the files of the feed of logs. */
#ifndef TOC_COLLECT_RUN_LOG_FEED_PRIV_H
#define TOC_COLLECT_RUN_LOG_FEED_PRIV_H

#include "base/vec.h"
#include "collect/run_log_names_priv.h"
#include "collect/run_log_shape_priv.h"

/* A number that lines give piece by piece. */
struct toc_run_log_sum {
    char field[64];
    double value;
};

/* What later lines depend on. Plain data. */
struct toc_run_log_state {
    struct toc_run_log_sum sums[TOC_RUN_LOG_SUMS];
    size_t sum_count;
    double epoch; /* NaN: not told */
    int64_t last_ms;
    int64_t step;  /* the last whole one; -1: none */
    int64_t total; /* the longest bar seen */
    bool has_told_restart;
    bool has_dict; /* numbers came without a step, so that the bar's count is one */
};

enum toc_run_log_escape { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_CSI, ESCAPE_OSC };

struct toc_run_log_feed {
    struct toc_run_log_feed_options o;
    struct toc_run_log_state state;
    struct toc_run_log_shapes *shapes;
    struct toc_buf line; /* unfinished, without escapes */
    uint64_t unfinished; /* its bytes as they came */
    enum toc_run_log_escape escape;
    bool is_cut, is_binary;
    int64_t progress; /* of the bar, not yet given; -1: none */
    struct toc_ts t;  /* of the push at hand */
    struct toc_report_fields fields;
    struct toc_run_log_names *names;
    /* Of the groups of the table's rows, TOC_RUN_LOG_GROUPS_MAX a row; NULL: not used so far. */
    struct toc_report_field **group_fields;
    struct toc_run_log_counters counters;
};

/* A whole line, without its ending. */
void toc_run_log_take(struct toc_run_log_feed *f, struct toc_sv line);
/* Gives what the progress bar said last. */
void toc_run_log_give_progress(struct toc_run_log_feed *f);

#endif
