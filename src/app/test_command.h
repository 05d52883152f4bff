/* `tocsin test promql|rules`. */
#ifndef TOC_APP_TEST_COMMAND_H
#define TOC_APP_TEST_COMMAND_H

extern const char toc_test_usage[];
int toc_test_command(int argc, char **argv);

#endif
