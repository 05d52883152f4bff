#ifndef TOC_APP_JOB_COMMAND_H
#define TOC_APP_JOB_COMMAND_H

/* `tocsin run [--name NAME] [--server URL] -- CMD…`: runs a training job, passes signals on, and
 * tells its run how it ended. `dashes`: place of "--" in argv. The job's exit status, 128 + signal
 * when one killed it; 126 or 127 when it cannot be run. */
int toc_job_command(int argc, char **argv, int dashes);

#endif
