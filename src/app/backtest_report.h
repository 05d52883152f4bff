/* A back-test for the terminal. */
#ifndef TOC_APP_BACKTEST_REPORT_H
#define TOC_APP_BACKTEST_REPORT_H

#include "replay/replay_json.h"

/* Totals side by side, then the rules that did something. */
void toc_backtest_print(const struct toc_replay_side *sides, size_t count,
                        const struct toc_replay_difference *difference);
/* The same as one JSON object on standard output. */
void toc_backtest_print_json(const struct toc_replay_side *sides, size_t count,
                             const struct toc_replay_difference *difference);

#endif
