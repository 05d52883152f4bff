/* `tocsin incident …` */
#ifndef TOC_APP_INCIDENT_COMMAND_H
#define TOC_APP_INCIDENT_COMMAND_H

extern const char toc_incident_usage[];
int toc_incident_command(int argc, char **argv);

#endif
