/* `tocsin backtest`: what rules would have done to stored history. */
#ifndef TOC_APP_BACKTEST_COMMAND_H
#define TOC_APP_BACKTEST_COMMAND_H

extern const char toc_backtest_usage[];
int toc_backtest_command(int argc, char **argv);

#endif
