/* `tocsin test promql|rules`. */
#ifndef TOC_APP_TEST_COMMAND_H
#define TOC_APP_TEST_COMMAND_H

extern const char toc_test_usage[];
int toc_test_command(int argc, char **argv);

/* `default`, `all` and names of --enable-feature, separated by commas, as TOC_PROMQL_… bits.
 * TOC_EXIT_USAGE after a message. */
int toc_features_parse(const char *command, const char *list, unsigned *out);

#endif
