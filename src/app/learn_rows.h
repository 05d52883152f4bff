/* CSV rows of labelled alerts (as `tocsin detect --stream --output features` writes them, with a
 * column `label` added) for the offline verbs of `tocsin learn`. */
#ifndef TOC_APP_LEARN_ROWS_H
#define TOC_APP_LEARN_ROWS_H

#include "app/detect_input.h"
#include "detect/classifier.h"

struct toc_learn_rows {
    struct toc_detect_input in;
    double *values; /* rows x features */
    size_t rows, columns;
    uint8_t *labels;  /* 0 where there is no column `label` */
    uint32_t *groups; /* number of the alert, from the column `alert`; else of the row */
    double *weights;  /* column `weight`, else 1 */
    uint32_t *series; /* its first row, by the column `series`; else the number of the alert */
    size_t score;     /* feature `peak`; SIZE_MAX: there is none */
    bool has_labels;
};

/* Columns `alert`, `label`, `weight`, `series`, `first_row`, `row`, `last_row` and the time are no
 * features. An empty cell is a missing value. TOC_EPARSE with line and column. Fini it in any case.
 */
int toc_learn_rows_read(struct toc_learn_rows *r, const char *path,
                        struct toc_err *err) TOC_MUST_CHECK;
void toc_learn_rows_fini(struct toc_learn_rows *r);
struct toc_examples toc_learn_rows_examples(const struct toc_learn_rows *r);

#endif
