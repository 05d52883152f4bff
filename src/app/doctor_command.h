/* `tocsin doctor`: diagnoses training jobs from their files. */
#ifndef TOC_APP_DOCTOR_COMMAND_H
#define TOC_APP_DOCTOR_COMMAND_H

int toc_doctor_command(int argc, char **argv);
extern const char toc_doctor_usage[];

#endif
