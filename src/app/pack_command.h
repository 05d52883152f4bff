/* `tocsin pack`: the built-in rule packs. */
#ifndef TOC_APP_PACK_COMMAND_H
#define TOC_APP_PACK_COMMAND_H

extern const char toc_pack_usage[];
int toc_pack_command(int argc, char **argv);

#endif
