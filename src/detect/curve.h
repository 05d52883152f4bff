/*
 * What the models of training curves (loss_curve, pace_curve) tell of a value.
 */
#ifndef TOC_DETECT_CURVE_H
#define TOC_DETECT_CURVE_H

#include <stdbool.h>

/* X(name, text, meaning) */
#define TOC_CURVE_EVENT_TABLE(X)                                                          \
    X(NOTHING, "nothing", "as expected")                                                  \
    X(NOT_A_NUMBER, "not_a_number", "a value that should be a number is NaN or infinite") \
    X(SPIKE, "spike", "far above the trend for a few values")                             \
    X(RISE, "rise", "the loss leaves its trend upwards")                                  \
    X(PLATEAU, "plateau", "the loss stopped falling")                                     \
    X(STANDSTILL, "standstill", "the same value again and again")                         \
    X(SLOWER, "slower", "steps take longer since a moment, and stay so")                  \
    X(DRIFT, "drift", "steps become longer little by little, faster than before")         \
    X(MORE_WORK, "more_work", "steps take longer at once as they do when their work is raised")

enum toc_curve_event {
#define TOC_CURVE_EVENT_ENUM(name, text, meaning) TOC_CURVE_##name,
    TOC_CURVE_EVENT_TABLE(TOC_CURVE_EVENT_ENUM)
#undef TOC_CURVE_EVENT_ENUM
        TOC_CURVE_EVENTS
};

struct toc_curve_verdict {
    double surprise; /* -log10 of the share of values of a healthy run that say as much */
    enum toc_curve_event event; /* what that surprise is of */
    bool is_certain;            /* a hard fact (not a number): no budget applies */
    enum toc_curve_event note;  /* seen and taken for no fault; NOTHING: none */
    double lower, upper;        /* where the value was expected; NaN while that is not known */
};

const char *toc_curve_event_name(enum toc_curve_event e);
const char *toc_curve_event_meaning(enum toc_curve_event e);

#endif
