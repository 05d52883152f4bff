#include "app/learn_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/options.h"

const char toc_learn_usage[] =
    "usage: tocsin learn fit ROWS.csv --model FILE\n"
    "       tocsin learn score ROWS.csv --model FILE\n"
    "       tocsin learn validate ROWS.csv [--keep SHARE]\n"
    "\n"
    "Learns from verdicts which alerts of detectors are true: logistic regression from 50 "
    "labelled\n"
    "alerts, boosted trees from 500.\n"
    "\n"
    "ROWS.csv holds features of alerts, as `tocsin detect FILE --stream --output features` writes\n"
    "them, with a column label (1 true alert, 0 false alarm). Rows with the same value of alert,\n"
    "one below the other, are looks at one alert.\n"
    "\n"
    "fit       trains on all rows and writes the model\n"
    "score     prints the probability of a true alert for each row\n"
    "validate  what a model of these labels would do, by cross-validation in blocks of time\n"
    "\n"
    "      --model FILE   the model\n"
    "      --keep SHARE   share of the true alerts that must still page (default 0.98)\n"
    "\n"
    "Exit code: 0 done, 1 not enough labels, 2 bad usage or input.\n";

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin learn: %s (see tocsin learn --help)\n", text);
    return TOC_EXIT_USAGE;
}

int toc_learn_command(int argc, char **argv) {
    struct toc_learn_offline offline = {.keep = 0.98};
    const struct toc_option options[] = {
        {"model", 0, TOC_OPTION_STRING, &offline.model_path},
        {"keep", 0, TOC_OPTION_DOUBLE, &offline.keep},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_learn_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    if (count != 2)
        return usage_error("give a verb and a file");
    if (!(offline.keep >= 0.8 && offline.keep <= 1))
        return usage_error("--keep must lie in [0.8, 1]");
    offline.rows_path = argv[2];
    if (strcmp(argv[1], "validate") == 0)
        return toc_learn_validate(&offline);
    if (!offline.model_path)
        return usage_error("--model is missing");
    if (strcmp(argv[1], "fit") == 0)
        return toc_learn_fit(&offline);
    if (strcmp(argv[1], "score") == 0)
        return toc_learn_score(&offline);
    return usage_error("expected fit, score or validate");
}
