/* `tocsin doctor log FILE…`: what failed, from logs. Needs no daemon. */
#ifndef TOC_APP_DOCTOR_LOG_COMMAND_H
#define TOC_APP_DOCTOR_LOG_COMMAND_H

extern const char toc_doctor_log_usage[];
/* argv[0] is "log". 1 when a failure was found, 0 when none, 2 for bad usage or input. */
int toc_doctor_log_command(int argc, char **argv);

#endif
