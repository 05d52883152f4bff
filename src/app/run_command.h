/* `tocsin run` */
#ifndef TOC_APP_RUN_COMMAND_H
#define TOC_APP_RUN_COMMAND_H

extern const char toc_run_usage[];
int toc_run_command(int argc, char **argv);

#endif
