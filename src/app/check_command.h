/* `tocsin check config|rules`. */
#ifndef TOC_APP_CHECK_COMMAND_H
#define TOC_APP_CHECK_COMMAND_H

extern const char toc_check_usage[];
int toc_check_command(int argc, char **argv);

#endif
