/* The smaller subcommands: alert, silence, token. */
#ifndef TOC_APP_VARIOUS_COMMANDS_H
#define TOC_APP_VARIOUS_COMMANDS_H

extern const char toc_alert_usage[], toc_silence_usage[], toc_token_usage[];
int toc_alert_command(int argc, char **argv);
int toc_silence_command(int argc, char **argv);
int toc_token_command(int argc, char **argv);

#endif
