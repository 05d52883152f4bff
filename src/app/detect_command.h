/* `tocsin detect FILE.csv`: Isolation Forest over the columns of a CSV file. Needs no daemon. */
#ifndef TOC_APP_DETECT_COMMAND_H
#define TOC_APP_DETECT_COMMAND_H

extern const char toc_detect_usage[];
/* Entry of the command table: 1 when anomalies were found, 0 when none, 2 for bad usage or input.
 */
int toc_detect_command(int argc, char **argv);

#endif
