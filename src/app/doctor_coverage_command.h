/* `tocsin doctor coverage RUN`: which failure modes a running daemon watches in a run. */
#ifndef TOC_APP_DOCTOR_COVERAGE_COMMAND_H
#define TOC_APP_DOCTOR_COVERAGE_COMMAND_H

extern const char toc_doctor_coverage_usage[];
/* argv[0] is "coverage". */
int toc_doctor_coverage_command(int argc, char **argv);

#endif
