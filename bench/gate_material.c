/*
 * What forecasts of a gate can be made from, for bench/quality/forecast_lab.py:
 *
 *     build/bench/gate_material PAST.csv FUTURE.csv
 *
 * prints one line per judged alert, "kind,moment,row,true,p", row being its first one in the file:
 *   all       the past, cross-validated
 *   promised  the past up to a moment (a share of its alerts), cross-validated
 *   came      what came after that moment within the past, by a classifier of all before it
 *   future    the future, by a classifier of the past
 */
#include <math.h>
#include <stdio.h>

#include "app/learn_rows.h"
#include "base/alloc.h"

static const double MOMENTS[] = {0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9};

static void print_alerts(const char *kind, double moment, const struct toc_learn_rows *rows,
                         const double *p, size_t row, size_t end) {
    struct toc_examples e = toc_learn_rows_examples(rows);
    while (row < end) {
        size_t next = toc_examples_alert_end(&e, row), first = row;
        double best = 0;
        for (; row < next; row++)
            best = fmax(best, p[row]);
        printf("%s,%g,%zu,%d,%.9g\n", kind, moment, first, rows->labels[first], best);
    }
}

static void judge(const struct toc_classifier *c, const struct toc_learn_rows *rows, size_t first,
                  double *p) {
    for (size_t r = first; r < rows->rows; r++)
        p[r] = toc_classifier_probability(c, rows->values + r * rows->columns);
}

static int at_moment(const struct toc_learn_rows *past, enum toc_classifier_type type, size_t cut,
                     double moment, double *p, struct toc_err *err) {
    struct toc_examples before = toc_learn_rows_examples(past);
    struct toc_classifier *c = NULL;
    before.x.rows = cut;
    int rc = toc_classifier_fit_as(&before, type, &c, err);
    if (rc == TOC_EINVAL)
        return 0; /* all of one class so far: nothing to tell */
    if (rc == 0)
        rc = toc_classifier_cross_validate(&before, type, p, err);
    if (rc == 0) {
        judge(c, past, cut, p);
        print_alerts("promised", moment, past, p, 0, cut);
        print_alerts("came", moment, past, p, cut, past->rows);
    }
    toc_classifier_free(&c);
    return rc;
}

static int tell(const struct toc_learn_rows *past, const struct toc_learn_rows *future, double *p,
                struct toc_err *err) {
    struct toc_examples e = toc_learn_rows_examples(past);
    struct toc_classifier *c;
    size_t alerts, cut = 0, seen = 0;
    int rc = toc_examples_check(&e, &alerts, err);
    if (rc < 0)
        return rc;
    enum toc_classifier_type type = toc_classifier_type_for(alerts);
    rc = toc_classifier_cross_validate(&e, type, p, err);
    if (rc == 0)
        print_alerts("all", 1, past, p, 0, past->rows);
    for (size_t i = 0; rc == 0 && i < TOC_ARRAY_LEN(MOMENTS); i++) {
        for (; seen < (size_t)(MOMENTS[i] * (double)alerts); seen++)
            cut = toc_examples_alert_end(&e, cut);
        rc = at_moment(past, type, cut, MOMENTS[i], p, err);
    }
    if (rc == 0)
        rc = toc_classifier_fit_as(&e, type, &c, err);
    if (rc < 0)
        return rc;
    judge(c, future, 0, p);
    print_alerts("future", 1, future, p, 0, future->rows);
    toc_classifier_free(&c);
    return 0;
}

int main(int argc, char **argv) {
    struct toc_learn_rows past = {0}, future = {0};
    struct toc_err err = {0};
    if (argc != 3)
        return fprintf(stderr, "usage: gate_material PAST.csv FUTURE.csv\n"), 2;
    int rc = toc_learn_rows_read(&past, argv[1], &err);
    if (rc == 0)
        rc = toc_learn_rows_read(&future, argv[2], &err);
    double *p = toc_try_calloc(TOC_MAX(past.rows, future.rows) + 1, sizeof *p);
    if (rc == 0)
        rc = p ? tell(&past, &future, p, &err) : TOC_ENOMEM;
    if (rc < 0)
        fprintf(stderr, "gate_material: %s\n", err.message);
    toc_free(p);
    toc_learn_rows_fini(&past);
    toc_learn_rows_fini(&future);
    return rc < 0;
}
