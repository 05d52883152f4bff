/* `tocsin threshold suggest`: a threshold from history and a budget of alerts, with its back-test.
 */
#ifndef TOC_APP_THRESHOLD_COMMAND_H
#define TOC_APP_THRESHOLD_COMMAND_H

extern const char toc_threshold_usage[];
int toc_threshold_command(int argc, char **argv);

#endif
