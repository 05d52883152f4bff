/*
 * The columns of a training's log judged together: losses (loss_curve), step times and throughput
 * (pace_curve), with the work per step where it is known. One budget of alerts for all of them.
 * Which column is which follows from its name. Pure; one thread per state.
 */
#ifndef TOC_DETECT_TRAINING_H
#define TOC_DETECT_TRAINING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/sv.h"
#include "detect/curve.h"

/* X(name, text, meaning) */
#define TOC_TRAINING_ROLE_TABLE(X)                                             \
    X(OTHER, "other", "none of these: for the general detectors")              \
    X(LOSS, "loss", "a loss or a perplexity")                                  \
    X(STEP_TIME, "step_time", "time per step")                                 \
    X(THROUGHPUT, "throughput", "steps, tokens or samples per second")         \
    X(WORK, "work", "batch size, tokens or samples per step, sequence length") \
    X(COUNTER, "counter", "the number of the step, the epoch")

enum toc_training_role {
#define TOC_TRAINING_ROLE_ENUM(name, text, meaning) TOC_TRAINING_##name,
    TOC_TRAINING_ROLE_TABLE(TOC_TRAINING_ROLE_ENUM)
#undef TOC_TRAINING_ROLE_ENUM
        TOC_TRAINING_ROLES
};

/* By the last part of the name, without regard to case and to what is no letter or digit:
 * "train/Step-Time". A name that only ends like one ("packet_loss") is none. */
enum toc_training_role toc_training_role_of(struct toc_sv column);
/* Losses, step times and throughput: what there is a model for. */
bool toc_training_is_judged(enum toc_training_role role);
/* Roles of the columns of one file; true when one of them is judged. Throughput is that of a
 * training only beside a loss, a step time or a counter of steps: that of a server follows its
 * load. */
bool toc_training_roles(const struct toc_sv *columns, size_t count, enum toc_training_role *out);

struct toc_training;

struct toc_training_options {
    size_t columns; /* at least one of them judged */
    const enum toc_training_role *roles;
    double budget_seconds; /* one alert in so many seconds */
    double threshold;      /* of the surprise instead of a budget; 0: the budget */
};

struct toc_training_result {
    double score;    /* [0, 1), rises with strangeness */
    double surprise; /* -log10 of the share of rows of healthy runs that say as much */
    double bar;      /* of the surprise for an alert */
    bool is_alert;
    enum toc_curve_event event; /* of the surprise */
    size_t column;              /* where */
    enum toc_curve_event note;  /* what was seen and is no alert; NOTHING: none */
    double lower, upper;        /* where the value of the first judged column was expected */
};

/* TOC_EINVAL when no column is judged, TOC_ENOMEM. */
int toc_training_new(const struct toc_training_options *o, struct toc_training **out,
                     struct toc_err *err) TOC_MUST_CHECK;
void toc_training_free(struct toc_training **t);
/* The next row: seconds (equal or falling ones count as no time) and `columns` values. NaN is
 * missing, infinity a value that should be a number and is none. */
struct toc_training_result toc_training_step(struct toc_training *t, double seconds,
                                             const double *values);

#endif
