/*
 * Who judges the rows of `tocsin detect --stream`: the models of training curves for the columns
 * they know by name, the streaming ensemble for the others; or one detector for all.
 */
#ifndef TOC_APP_DETECT_JUDGE_H
#define TOC_APP_DETECT_JUDGE_H

#include "app/detect_columns.h"
#include "app/detect_stream.h"

struct toc_detect_judge;

/* TOC_EINVAL when the training's models are asked for and no column is theirs, and as
 * toc_judge_new. */
int toc_detect_judge_new(const struct toc_detect_columns *columns,
                         const struct toc_detect_stream_options *o, struct toc_detect_judge **out,
                         struct toc_err *err) TOC_MUST_CHECK;
void toc_detect_judge_free(struct toc_detect_judge **j);
/* "training" or the detector's name; rows before anything is said. */
const char *toc_detect_judge_name(const struct toc_detect_judge *j);
size_t toc_detect_judge_rows_min(const struct toc_detect_judge *j);
/* Rows that are not later than one before are judged, too: a log of steps has coarse times. */
bool toc_detect_judge_takes_late(const struct toc_detect_judge *j);
/* Values of the columns looked at, in their order. */
struct toc_method_result toc_detect_judge_step(struct toc_detect_judge *j, double seconds,
                                               const double *values);

#endif
