/* `tocsin learn …`: what verdicts teach. */
#ifndef TOC_APP_LEARN_COMMAND_H
#define TOC_APP_LEARN_COMMAND_H

#include "app/client.h"

extern const char toc_learn_usage[];
int toc_learn_command(int argc, char **argv);

/* learn_offline.c: fit, score and validate on CSV files; exit codes. */
struct toc_learn_offline {
    const char *rows_path, *model_path;
    double keep; /* share of true alerts that must still page */
};
int toc_learn_fit(const struct toc_learn_offline *o);
int toc_learn_score(const struct toc_learn_offline *o);
int toc_learn_validate(const struct toc_learn_offline *o);

/* learn_remote.c: against a daemon; exit codes. */
struct toc_learn_request {
    struct toc_client_options client;
    enum toc_output output;
    struct toc_learn_offline offline;
    bool is_shadow, accepts_contradiction;
    int64_t version, limit;
    const char *without;
};
int toc_learn_status(const struct toc_learn_request *r);
/* False alarms rule by rule. */
int toc_learn_report(const struct toc_learn_request *r);
int toc_learn_alerts(const struct toc_learn_request *r, bool only_withheld);
int toc_learn_preview_command(const struct toc_learn_request *r, const char *scope);
/* POST learn/FOLDER/NAME/ACTION. */
int toc_learn_post(const struct toc_learn_request *r, const char *folder, const char *name,
                   const char *action, const char *verdict);

#endif
