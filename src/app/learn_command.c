#include "app/learn_command.h"

#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "app/options.h"

const char toc_learn_usage[] =
    "usage: tocsin learn status | report | alerts | withheld [--limit N]\n"
    "       tocsin learn preview SCOPE [--keep SHARE] [--without PERSON]\n"
    "       tocsin learn apply SCOPE [--shadow] [--keep SHARE] [--without PERSON]\n"
    "       tocsin learn rollback SCOPE [--to VERSION]\n"
    "       tocsin learn verdict ALERT true|false|expected\n"
    "       tocsin learn fit ROWS.csv --model FILE | score ROWS.csv --model FILE\n"
    "       tocsin learn validate ROWS.csv [--keep SHARE]\n"
    "\n"
    "Learns from verdicts which alerts of detectors are true: logistic regression from 50 "
    "labelled\n"
    "alerts, with boosted trees from 500. Verdicts on incidents become labels by themselves.\n"
    "Alerts of thresholds and hard kinds are never withheld.\n"
    "\n"
    "status    scopes (label team, else job, else default) with their verdicts and models\n"
    "report    false alarms rule by rule: share, what they have in common (-o json), poor rules\n"
    "withheld  alerts that were withheld, newest first; alerts: all that are remembered\n"
    "preview   what a model of the verdicts will do, with intervals; tried at earlier moments of\n"
    "          the last 90 days\n"
    "apply     trains it and puts it in force, if an effect is shown; --shadow: it judges and\n"
    "          counts only\n"
    "rollback  back to the version before (--to 3: to that one), or off\n"
    "verdict   on a remembered alert, such as one that was withheld\n"
    "\n"
    "fit, score and validate work on files without a daemon: rows as `tocsin detect FILE --stream\n"
    "--output features` writes them, with a column label (1 true alert, 0 false alarm). Rows with\n"
    "the same value of alert, one below the other, are looks at one alert; a column series (a\n"
    "number) says which alerts belong together. validate prints the preview as JSON.\n"
    "\n"
    "      --keep SHARE              of the true alerts that must still page (0.8 to 1, 0.98)\n"
    "      --without PERSON          leaves that person's verdicts out\n"
    "      --accept-contradiction    trains although recent verdicts contradict older ones\n"
    "      --model FILE              the model\n" TOC_CLIENT_OPTIONS_HELP "\n"
    "Exit code: 0 done, 1 refused or not enough labels, 2 bad usage or input.\n";

static int usage_error(const char *text) {
    fprintf(stderr, "tocsin learn: %s (see tocsin learn --help)\n", text);
    return TOC_EXIT_USAGE;
}

static int offline(struct toc_learn_request *r, const char *verb, const char *path) {
    r->offline.rows_path = path;
    if (strcmp(verb, "validate") == 0)
        return toc_learn_validate(&r->offline);
    if (!r->offline.model_path)
        return usage_error("--model is missing");
    return strcmp(verb, "fit") == 0 ? toc_learn_fit(&r->offline) : toc_learn_score(&r->offline);
}

static int run(struct toc_learn_request *r, int count, char **argv) {
    const char *verb = count > 0 ? argv[1] : "", *what = count > 1 ? argv[2] : NULL;
    if (strcmp(verb, "status") == 0 && count == 1)
        return toc_learn_status(r);
    if (strcmp(verb, "report") == 0 && count == 1)
        return toc_learn_report(r);
    if (strcmp(verb, "alerts") == 0 && count == 1)
        return toc_learn_alerts(r, false);
    if (strcmp(verb, "withheld") == 0 && count == 1)
        return toc_learn_alerts(r, true);
    if (strcmp(verb, "preview") == 0 && count == 2)
        return toc_learn_preview_command(r, what);
    if (strcmp(verb, "apply") == 0 && count == 2)
        return toc_learn_post(r, "scopes", what, "apply", NULL);
    if (strcmp(verb, "rollback") == 0 && count == 2)
        return toc_learn_post(r, "scopes", what, "rollback", NULL);
    if (strcmp(verb, "verdict") == 0 && count == 3)
        return toc_learn_post(r, "alerts", what, "verdict", argv[3]);
    bool is_offline =
        strcmp(verb, "fit") == 0 || strcmp(verb, "score") == 0 || strcmp(verb, "validate") == 0;
    if (is_offline && count == 2)
        return offline(r, verb, what);
    return usage_error(count == 0 ? "a verb is missing" : "unknown verb or wrong arguments");
}

int toc_learn_command(int argc, char **argv) {
    struct toc_learn_request r = {.offline = {.keep = 0.98}, .limit = 100};
    const struct toc_option options[] = {
        TOC_CLIENT_OPTIONS(&r.client),
        {"model", 0, TOC_OPTION_STRING, &r.offline.model_path},
        {"keep", 0, TOC_OPTION_DOUBLE, &r.offline.keep},
        {"shadow", 0, TOC_OPTION_FLAG, &r.is_shadow},
        {"accept-contradiction", 0, TOC_OPTION_FLAG, &r.accepts_contradiction},
        {"without", 0, TOC_OPTION_STRING, &r.without},
        {"to", 0, TOC_OPTION_INT, &r.version},
        {"limit", 0, TOC_OPTION_INT, &r.limit},
        {0},
    };
    int count, rc = toc_options_parse(argc, argv, options, toc_learn_usage, &count);
    if (rc != 0)
        return rc < 0 ? 0 : rc;
    rc = toc_client_output("learn", &r.client, &r.output);
    if (rc != 0)
        return rc;
    if (!(r.offline.keep >= 0.8 && r.offline.keep <= 1))
        return usage_error("--keep must lie in [0.8, 1]");
    return run(&r, count, argv);
}
