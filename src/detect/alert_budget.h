/*
 * When an alert opens and closes, and how high the bar is so that a stated budget of alerts is
 * kept.
 *
 * The bar for a surprise (-log10 of the share of rows that are as strange) starts where the budget
 * alone puts it: log10 of the rows per alert allowed. It then follows the series: peaks of
 * stretches above 1 are counted in bins of a quarter; the level that was passed as often as the
 * budget allows is read from the counts, or, while the series is younger than that, from an
 * exponential tail over the upper quarter of the peaks whose scale is the median excess
 * (declustered peaks over threshold, Davison and Smith 1990). The bar moves towards that level as
 * time goes on, with the weight n / (n + 3) for n alerts allowed so far. What the peaks foretell
 * and what happened differ in the long run; so the alerts themselves are counted, too, and half of
 * log10((r + 12) / (n + 12)) for r alerts of n allowed comes on top, at most 0.5 either way: a
 * dozen alerts more or less are chance.
 *
 * An alert opens when k of the last m rows passed the bar and stays open until three rows in a row
 * are half a unit below it.
 */
#ifndef TOC_DETECT_ALERT_BUDGET_H
#define TOC_DETECT_ALERT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { TOC_BUDGET_BINS = 64 };

struct toc_budget_options {
    double budget_seconds; /* one alert per so many; > 0 */
    double fixed_bar;      /* > 0: this bar, no budget */
    uint32_t k, m;         /* 1 <= k <= m <= 32 */
};

struct toc_budget_state {
    uint16_t peaks[TOC_BUDGET_BINS]; /* first: most rows do not touch them */
    uint32_t peak_count, rows, quiet_rows,
        below_rows;               /* rows since the last high, since the last alert */
    uint32_t passed;              /* the last 32 rows, newest in the lowest bit */
    float stretch_peak;           /* of the stretch above 1 that is open */
    float law, offset;            /* where the budget puts the bar; the bar's distance from there */
    double seconds;               /* observed; a gap counts as ten rows at most */
    uint32_t alerts, since_alert; /* begun so far; rows since one was open */
    float spent;                  /* the bar's part for those: higher after too many */
    bool is_open;
};

/* Where the bar is after the last row. */
double toc_budget_bar(const struct toc_budget_state *s, const struct toc_budget_options *o);
/* The next row; whether an alert is open at it. seconds since the row before, >= 0; interval: their
 * usual number. */
bool toc_budget_step(struct toc_budget_state *s, const struct toc_budget_options *o,
                     double surprise, double seconds, double interval);

void toc_budget_encode(const struct toc_budget_state *s, struct toc_buf *out);
int toc_budget_decode(struct toc_budget_state *s, struct toc_reader *r) TOC_MUST_CHECK;

#endif
