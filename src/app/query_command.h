/* `tocsin query …` */
#ifndef TOC_APP_QUERY_COMMAND_H
#define TOC_APP_QUERY_COMMAND_H

extern const char toc_query_usage[];
int toc_query_command(int argc, char **argv);

#endif
