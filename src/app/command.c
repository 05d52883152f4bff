#include "app/command.h"

#include <string.h>

#include "app/backtest_command.h"
#include "app/check_command.h"
#include "app/db_command.h"
#include "app/demo_command.h"
#include "app/detect_command.h"
#include "app/doctor_command.h"
#include "app/incident_command.h"
#include "app/learn_command.h"
#include "app/pack_command.h"
#include "app/query_command.h"
#include "app/rules_command.h"
#include "app/run_command.h"
#include "app/test_command.h"
#include "app/threshold_command.h"
#include "app/various_commands.h"

/* A command without a summary is for the program itself. */
static const struct toc_command g_commands[] = {
    {"run", toc_run_command, "the daemon: collect, store, watch, alert, serve the UI",
     toc_run_usage},
    {"demo", toc_demo_command,
     "the daemon beside a real small training run, with faults on request", toc_demo_usage},
    {"incident", toc_incident_command, "list, acknowledge, comment, judge and resolve incidents",
     toc_incident_usage},
    {"alert", toc_alert_command, "list alerts; send test messages", toc_alert_usage},
    {"silence", toc_silence_command, "add, list and end silences", toc_silence_usage},
    {"query", toc_query_command, "PromQL from the command line", toc_query_usage},
    {"doctor", toc_doctor_command,
     "diagnose training jobs from the files they wrote; failures from logs", toc_doctor_usage},
    {"detect", toc_detect_command, "find anomalies in the columns of a CSV file", toc_detect_usage},
    {"learn", toc_learn_command, "learn from verdicts which alerts of detectors are true",
     toc_learn_usage},
    {"pack", toc_pack_command, "built-in rule packs: list, show, switch, test", toc_pack_usage},
    {"check", toc_check_command, "check configuration, rules and exposition text", toc_check_usage},
    {"test", toc_test_command, "unit tests of rules; PromQL test files", toc_test_usage},
    {"backtest", toc_backtest_command, "what rules would have done to stored history",
     toc_backtest_usage},
    {"rules", toc_rules_command, "what verdicts say about rules", toc_rules_usage},
    {"threshold", toc_threshold_command, "thresholds from history and a budget of alerts",
     toc_threshold_usage},
    {"token", toc_token_command, "access tokens", toc_token_usage},
    {"db", toc_db_command, "verify, back up, import and export a data directory", toc_db_usage},
    {"demo-train", toc_demo_train_command, NULL, NULL},
    {"demo-serve", toc_demo_serve_command, NULL, NULL},
};

const struct toc_command *toc_commands(unsigned long *out_count) {
    *out_count = sizeof g_commands / sizeof g_commands[0];
    return g_commands;
}

const struct toc_command *toc_command_find(const char *name) {
    for (unsigned long i = 0; i < sizeof g_commands / sizeof g_commands[0]; i++)
        if (strcmp(name, g_commands[i].name) == 0)
            return &g_commands[i];
    return NULL;
}
