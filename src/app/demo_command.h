/* `tocsin demo`, and the child processes it starts. */
#ifndef TOC_APP_DEMO_COMMAND_H
#define TOC_APP_DEMO_COMMAND_H

extern const char toc_demo_usage[];
int toc_demo_command(int argc, char **argv);
int toc_demo_train_command(int argc, char **argv);
int toc_demo_serve_command(int argc, char **argv);

#endif
