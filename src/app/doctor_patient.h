/*
 * One run that is judged from its recorded data: its series in a moving window, the doctor that
 * also judges live, a virtual clock that follows the data, incidents, and the curves of the report.
 *
 * The clock ticks each second of data at first, while something changes and while something is
 * wrong; in calm stretches twice a minute (see docs/design/doctor-report.md). So a quiet day costs
 * little, and the verdicts are those of a clock that never skips.
 */
#ifndef TOC_APP_DOCTOR_PATIENT_H
#define TOC_APP_DOCTOR_PATIENT_H

#include "app/doctor_curve.h"
#include "app/doctor_failures.h"
#include "app/doctor_incidents.h"
#include "base/map.h"
#include "collect/run_receiver.h"
#include "diagnose/doctor.h"
#include "incident/manager.h"
#include "model/window_store.h"

enum { TOC_PATIENT_CURVES_MAX = 24, TOC_PATIENT_EVENTS_MAX = 200, TOC_PATIENT_NOTES_MAX = 8 };

struct toc_patient_options {
    struct toc_sv name;
    struct toc_doctor_limits limits; /* zeros: the defaults */
    int64_t since_ms, until_ms;      /* samples outside are left out */
    bool is_thorough;                /* tick every second of data */
};

/* How a series of the run is followed. */
struct toc_patient_series {
    size_t stored;            /* in the store */
    struct toc_curve *curve;  /* NULL: none is kept */
    double mean, deviation;   /* slow means of the value and of its distance from that */
    double last, noise;       /* the last value, and the slow mean of the change to the next */
    uint32_t seen, nonfinite; /* finite samples; non-finite ones in a row */
    /* UNREAD: no judge looks at it, so it cannot tell one when to. */
    enum {
        TOC_SERIES_UNREAD,
        TOC_SERIES_PLAIN,
        TOC_SERIES_COARSE,
        TOC_SERIES_STEP,
        TOC_SERIES_LOSS
    } role;
    int64_t last_ms;
    double usual_gap_ms; /* TOC_SERIES_STEP */
};

struct toc_patient_curve {
    char *metric; /* "train_loss" */
    struct toc_curve curve;
};

struct toc_patient_event {
    int64_t t_ms;
    enum toc_run_event_kind kind;
    int64_t rank, step;
    bool has_step;
    enum toc_run_state state;
    bool is_inferred; /* not reported: concluded from silence */
    char *message;
};

/* How the run ended, as far as its files tell. X(enum, word in JSON, sentence) */
#define TOC_PATIENT_END_TABLE(X)                           \
    X(TOC_END_FINISHED, "finished", "finished")            \
    X(TOC_END_FAILED, "failed", "failed")                  \
    X(TOC_END_RUNNING, "running", "still running")         \
    X(TOC_END_SILENT, "silent", "ended without saying so") \
    X(TOC_END_UNMARKED, "unmarked", "ended; its files have no mark for how")

enum toc_patient_end {
#define X(name, word, text) name,
    TOC_PATIENT_END_TABLE(X)
#undef X
        TOC_PATIENT_ENDS
};

struct toc_patient_second {
    int64_t s;
    uint32_t steps;
    bool is_surprising; /* it and what follows are judged second by second */
    bool is_judged;     /* it alone */
};

/* How often the logs have shown a signature lately. */
struct toc_patient_signature {
    const struct toc_signature *signature;
    int64_t last_ms;
    uint64_t in_row; /* each soon after the one before */
};

struct toc_patient {
    struct toc_patient_options o;
    char *name;
    struct toc_window_store *store;
    struct toc_doctor *doctor;
    struct toc_alert_sink alerts;
    struct toc_doctor_incidents incidents;
    struct toc_incident_manager *manager;
    struct toc_doctor_failures *failures; /* of logs; NULL: none has shown any */
    struct {
        TOC_VEC_FIELDS(struct toc_patient_signature)
    } signatures;
    struct {
        TOC_VEC_FIELDS(struct toc_patient_series)
    } series;
    struct {
        TOC_VEC_FIELDS(struct toc_patient_curve *)
    } curves;
    struct {
        TOC_VEC_FIELDS(struct toc_patient_event)
    } events; /* in order of arrival; the first `delivered` were told to the doctor */
    size_t delivered;
    uint64_t events_dropped;
    struct {
        TOC_VEC_FIELDS(struct toc_patient_second)
    } seconds; /* with data, not yet judged; from `judged` on */
    size_t judged;
    int64_t tick_ms;        /* virtual clock */
    int64_t quiet_since_ms; /* end of the last second with data */
    int64_t dense_until_ms, forgotten_ms;
    double usual_gap_ms; /* between seconds with data */
    uint64_t steps_since_tick;
    int64_t progress_ms;  /* end of the last second with a step */
    double usual_step_ms; /* between steps */
    /* for the report */
    int64_t first_ms, last_ms; /* of the samples */
    double first_step, last_step;
    uint64_t samples, steps, losses, late, outside, ticks;
    size_t ranks;
    enum toc_patient_end end;
    int64_t judged_until_ms;
    struct toc_labels labels; /* owned */
    uint64_t restarts, reports_dropped;
    char *notes[TOC_PATIENT_NOTES_MAX];
    size_t note_count;
};

int toc_patient_new(const struct toc_patient_options *o, struct toc_patient **out,
                    struct toc_err *err) TOC_MUST_CHECK;
void toc_patient_free(struct toc_patient **p);

/* Number of a series, for toc_patient_take. */
size_t toc_patient_series(struct toc_patient *p, struct toc_labels labels);
void toc_patient_take(struct toc_patient *p, size_t series, int64_t t_ms, double value);
void toc_patient_event(struct toc_patient *p, const struct toc_run_event *e);
/* A line of a log shows a failure. In order of time; the hit and the tables live as long as the
 * patient. */
void toc_patient_hit(struct toc_patient *p, const struct toc_log_hits *tables,
                     const struct toc_failure_hit *hit);
/* A sentence for the report; more than TOC_PATIENT_NOTES_MAX are left out. */
void toc_patient_note(struct toc_patient *p, const char *text);

/* Everything before to_ms has been taken: judges up to there. */
int toc_patient_advance(struct toc_patient *p, int64_t to_ms, struct toc_err *err) TOC_MUST_CHECK;

/* Is the process that wrote the reports still there? */
enum toc_patient_process { TOC_PROCESS_UNKNOWN, TOC_PROCESS_ALIVE, TOC_PROCESS_GONE };
struct toc_patient_circumstances {
    const struct toc_run_info *info; /* what the receiver knows at the end; NULL: nothing */
    int64_t now_ms;                  /* of the judgement */
    int64_t written_ms;              /* latest change of the run's files; 0: unknown */
    enum toc_patient_process process;
    char process_text[160]; /* "process 4711 no longer exists" */
};
/* All data has been taken: judges the rest and how it ended. */
int toc_patient_finish(struct toc_patient *p, const struct toc_patient_circumstances *c,
                       struct toc_err *err) TOC_MUST_CHECK;

const char *toc_patient_end_word(enum toc_patient_end end);
const char *toc_patient_end_text(enum toc_patient_end end);
/* NULL when no curve of that metric is kept. */
const struct toc_curve *toc_patient_curve(const struct toc_patient *p, const char *metric);

#endif
