/*
 * The detectors of the library one by one, with one face: rows in, a verdict per row out, each from
 * the rows up to it. A detector's score goes through a tail sketch of its own past (docs/design/
 * detect.md, "Streaming ensemble"), so that all keep the same budget of alerts. Of several columns
 * each is judged alone and the strangest speaks, but for the ensemble and the forest, which look at
 * them together. Pure; one thread per object.
 */
#ifndef TOC_DETECT_METHOD_H
#define TOC_DETECT_METHOD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sv.h"
#include "detect/curve.h"
#include "detect/stream.h"

/* X(NAME, "name", has a direction, rows before it can judge, "what it finds") */
#define TOC_METHOD_TABLE(X)                                                                      \
    X(ENSEMBLE, "ensemble", true, 48, "anything strange: all of the streaming ensemble's parts") \
    X(ISOLATION_FOREST, "isolation_forest", false, 256,                                          \
      "rows that few random cuts set apart; columns together")                                   \
    X(NEAREST_NEIGHBOUR, "nearest_neighbour", false, 48,                                         \
      "16 rows unlike any remembered from the whole past")                                       \
    X(ENERGY, "energy", false, 26, "long stretches far from the usual level")                    \
    X(LEVEL, "level", true, 20, "values far from the level of the last 128 rows")                \
    X(LINE, "line", false, 28, "values off the straight line through the last 32 rows")          \
    X(SEASONAL, "seasonal", true, 20, "values unusual for the time of the day and of the week")  \
    X(EWMA, "ewma", true, 36, "values far from the exponential mean")                            \
    X(HOLT_WINTERS, "holt_winters", true, 36,                                                    \
      "values off level, trend and a season found by itself")                                    \
    X(CHANGE_POINT, "change_point", true, 20, "levels that change and stay")                     \
    X(ROBUST_Z, "robust_z", true, 30, "values far from the median of the last 256 rows")         \
    X(FLAT_LINE, "flat_line", false, 33, "values that do not change any more")                   \
    X(EVERY_SERIES, "every_series", false, 64,                                                   \
      "the cheap detector that the daemon has for every series")

enum toc_method {
#define TOC_METHOD_ENUM(name, text, direction, rows, help) TOC_METHOD_##name,
    TOC_METHOD_TABLE(TOC_METHOD_ENUM)
#undef TOC_METHOD_ENUM
        TOC_METHODS
};

struct toc_method_info {
    const char *name, *help;
    bool has_direction; /* up and down mean something */
    size_t rows_min;    /* before any verdict */
};
/* NULL beyond the last. */
const struct toc_method_info *toc_method_info(enum toc_method m);
/* TOC_ENOENT for a name that is none. */
int toc_method_parse(struct toc_sv name, enum toc_method *out) TOC_MUST_CHECK;

struct toc_method_options {
    enum toc_method method;
    struct toc_stream_options stream; /* columns, budget, threshold, direction, infinity */
};

struct toc_method_result {
    struct toc_stream_result row;
    size_t column; /* the one that spoke; SIZE_MAX when all spoke together or none did */
    enum toc_curve_event event; /* of an alert of a training's curve */
    enum toc_curve_event note;  /* of such a curve, seen and taken for no fault */
};

struct toc_judge;

/* TOC_EINVAL for a direction without meaning or as toc_stream_new, TOC_ENOMEM. */
int toc_judge_new(const struct toc_method_options *o, struct toc_judge **out,
                  struct toc_err *err) TOC_MUST_CHECK;
void toc_judge_free(struct toc_judge **j);
/* Rows as toc_stream_step takes them, with its rules for missing values and late rows. */
struct toc_method_result toc_judge_step(struct toc_judge *j, double seconds, const double *values);
/* Bytes of state. */
size_t toc_judge_bytes(const struct toc_judge *j);

#endif
