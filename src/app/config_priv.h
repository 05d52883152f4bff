/* Sections of tocsin.yml that are read in files of their own. */
#ifndef TOC_APP_CONFIG_PRIV_H
#define TOC_APP_CONFIG_PRIV_H

#include "app/config.h"

/* `query` and `features`; either node may be NULL. */
int toc_config_query_read(const struct toc_yaml *query, const struct toc_yaml *features,
                          struct toc_config *c, struct toc_err *err) TOC_MUST_CHECK;

#endif
