/* A back-test by a running daemon: POST /api/tocsin/v1/backtests. */
#ifndef TOC_APP_BACKTEST_REMOTE_H
#define TOC_APP_BACKTEST_REMOTE_H

#include "app/client.h"

struct toc_backtest_question {
    const char *rules, *compare; /* files; compare NULL: none */
    const char *from, *to;       /* as given; to NULL: now */
    const char *labels;          /* a CSV file, or "incidents"; NULL: none */
    const char *zone;
    int64_t interval_ms;
};

/* Prints the daemon's JSON. An exit code. */
int toc_backtest_ask(const struct toc_client_options *client,
                     const struct toc_backtest_question *q);

#endif
