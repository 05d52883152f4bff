/* `tocsin learn …`: what verdicts teach. */
#ifndef TOC_APP_LEARN_COMMAND_H
#define TOC_APP_LEARN_COMMAND_H

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

#endif
