#include "app/detect_judge.h"

#include <string.h>

#include "base/alloc.h"
#include "detect/training.h"

enum { TRAINING_ROWS_MIN = 64 };

struct toc_detect_judge {
    struct toc_training *training; /* owned; NULL: no column of a training */
    struct toc_judge *judge;       /* owned; NULL: no other column */
    enum toc_method method;        /* of the judge */
    size_t *others;                /* owned: the judge's columns */
    double *other_values;          /* owned */
    size_t columns, other_count;
};

/* The training's models look upwards only, and a classifier learns from the ensemble's features. */
static bool may_be_training(const struct toc_detect_stream_options *o) {
    return o->is_training ||
           (o->is_auto && o->direction != TOC_STREAM_DOWN && o->form != TOC_DETECT_FEATURES);
}

static bool find_roles(const struct toc_detect_columns *c, enum toc_training_role *out) {
    struct toc_sv *names = TOC_NEW_ARRAY(struct toc_sv, c->chosen.count);
    for (size_t i = 0; i < c->chosen.count; i++)
        names[i] = c->header[c->chosen.items[i]];
    bool is_judged = toc_training_roles(names, c->chosen.count, out);
    toc_free(names);
    return is_judged;
}

static int begin_judge(struct toc_detect_judge *j, const struct toc_detect_stream_options *o,
                       double budget_seconds, struct toc_err *err) {
    j->method = o->method;
    const struct toc_method_options m = {.method = o->method,
                                         .stream = {.columns = j->other_count,
                                                    .threshold = o->threshold,
                                                    .budget_seconds = budget_seconds,
                                                    .direction = o->direction,
                                                    .is_infinity_alert = true}};
    return toc_judge_new(&m, &j->judge, err);
}

/* Half of the alerts for the training's columns, half for the others. */
static int begin_both(struct toc_detect_judge *j, const struct toc_detect_stream_options *o,
                      const enum toc_training_role *roles, struct toc_err *err) {
    double budget = o->budget_seconds > 0 ? o->budget_seconds : TOC_STREAM_BUDGET_SECONDS;
    for (size_t i = 0; i < j->columns; i++)
        if (roles[i] == TOC_TRAINING_OTHER)
            j->others[j->other_count++] = i;
    budget *= j->other_count ? 2 : 1;
    const struct toc_training_options t = {j->columns, roles, budget, o->threshold};
    int rc = toc_training_new(&t, &j->training, err);
    return rc == 0 && j->other_count ? begin_judge(j, o, budget, err) : rc;
}

static int begin(struct toc_detect_judge *j, const struct toc_detect_columns *columns,
                 const struct toc_detect_stream_options *o, struct toc_err *err) {
    enum toc_training_role *roles = TOC_NEW_ARRAY(enum toc_training_role, j->columns);
    int rc;
    if (may_be_training(o) && find_roles(columns, roles)) {
        rc = begin_both(j, o, roles, err);
    } else if (o->is_training) {
        rc = toc_errf(err, TOC_EINVAL,
                      "no column is called like a loss, a step time or a throughput of a training");
    } else {
        for (size_t i = 0; i < j->columns; i++)
            j->others[j->other_count++] = i;
        rc = begin_judge(j, o, o->budget_seconds, err);
    }
    toc_free(roles);
    return rc;
}

int toc_detect_judge_new(const struct toc_detect_columns *columns,
                         const struct toc_detect_stream_options *o, struct toc_detect_judge **out,
                         struct toc_err *err) {
    struct toc_detect_judge *j = TOC_NEW(struct toc_detect_judge);
    j->columns = columns->chosen.count;
    j->others = TOC_NEW_ARRAY(size_t, j->columns);
    j->other_values = TOC_NEW_ARRAY(double, j->columns);
    *out = j;
    return begin(j, columns, o, err);
}

void toc_detect_judge_free(struct toc_detect_judge **j) {
    if (!*j)
        return;
    toc_training_free(&(*j)->training);
    toc_judge_free(&(*j)->judge);
    toc_free((*j)->others);
    toc_free((*j)->other_values);
    toc_free(*j);
    *j = NULL;
}

const char *toc_detect_judge_name(const struct toc_detect_judge *j) {
    return j->training ? "training" : toc_method_info(j->method)->name;
}

size_t toc_detect_judge_rows_min(const struct toc_detect_judge *j) {
    return j->training ? (size_t)TRAINING_ROWS_MIN : toc_method_info(j->method)->rows_min;
}

bool toc_detect_judge_takes_late(const struct toc_detect_judge *j) {
    return !j->judge;
}

static struct toc_method_result step_others(struct toc_detect_judge *j, double seconds,
                                            const double *values) {
    for (size_t i = 0; i < j->other_count; i++)
        j->other_values[i] = values[j->others[i]];
    struct toc_method_result r = toc_judge_step(j->judge, seconds, j->other_values);
    if (r.column != SIZE_MAX)
        r.column = j->others[r.column];
    return r;
}

static struct toc_method_result of_training(const struct toc_training_result *t) {
    return (struct toc_method_result){.row = {.score = t->score,
                                              .surprise = t->surprise,
                                              .bar = t->bar,
                                              .lower = (float)t->lower,
                                              .upper = (float)t->upper,
                                              .is_alert = t->is_alert},
                                      .column = t->column,
                                      .event = t->is_alert ? t->event : TOC_CURVE_NOTHING,
                                      .note = t->note};
}

struct toc_method_result toc_detect_judge_step(struct toc_detect_judge *j, double seconds,
                                               const double *values) {
    if (!j->training)
        return step_others(j, seconds, values);
    struct toc_training_result t = toc_training_step(j->training, seconds, values);
    struct toc_method_result r = of_training(&t);
    if (!j->judge)
        return r;
    /* The one that is further beyond its bar speaks. */
    struct toc_method_result others = step_others(j, seconds, values);
    bool is_others = others.row.surprise - others.row.bar > r.row.surprise - r.row.bar;
    struct toc_method_result speaks = is_others ? others : r;
    speaks.row.score = TOC_MAX(r.row.score, others.row.score);
    speaks.row.is_alert = r.row.is_alert || others.row.is_alert;
    speaks.note = r.note;
    return speaks;
}
