/* `tocsin rules report`: what people's verdicts say about rules. */
#ifndef TOC_APP_RULES_COMMAND_H
#define TOC_APP_RULES_COMMAND_H

extern const char toc_rules_usage[];
int toc_rules_command(int argc, char **argv);

#endif
