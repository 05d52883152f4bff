/* Columns of a CSV body, shared by what reads its header and what reads its rows. */
#ifndef TOC_COLLECT_RUN_CSV_PRIV_H
#define TOC_COLLECT_RUN_CSV_PRIV_H

#include "base/map.h"
#include "collect/run_line_priv.h"

enum toc_run_column_kind { TOC_RUN_COLUMN_FIELD, TOC_RUN_COLUMN_LABEL, TOC_RUN_COLUMN_STAT };

struct toc_run_column {
    enum toc_run_column_kind kind;
    struct toc_sv name;             /* field, label or statistic */
    size_t layer;                   /* TOC_RUN_COLUMN_STAT: index into layers */
    struct toc_run_meaning meaning; /* TOC_RUN_COLUMN_FIELD */
    struct toc_run_memo memo;
};

/* What a header means for the rows below it. */
struct toc_run_columns {
    struct toc_run_column *items;
    size_t count;
    struct toc_sv *layers;
    size_t layer_count;
    struct toc_map by_name;       /* layer → its place in layers; only while the header is read */
    struct toc_run_value *values; /* room for those of one row */
};

#endif
