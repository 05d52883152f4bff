/* Shared by the files that read alertmanager.yml. */
#ifndef TOC_ALERT_CONFIG_PRIV_H
#define TOC_ALERT_CONFIG_PRIV_H

#include "alert/config.h"

/* Refuses keys that are not in the space-separated list, with upstream's text and `type_name`. */
int toc_alert_check_fields(const struct toc_yaml *mapping, const char *fields, const char *common,
                           const char *type_name, struct toc_err *err) TOC_MUST_CHECK;
/* A list of texts; absent gives none. */
int toc_alert_read_strings(const struct toc_yaml *list, struct toc_arena *a, struct toc_sv **out,
                           size_t *out_count, struct toc_err *err) TOC_MUST_CHECK;
/* The old mappings `match: {l: v}` (=) and `match_re:` (=~). */
int toc_alert_read_old_matchers(const struct toc_yaml *mapping, enum toc_match_op op,
                                struct toc_matcher_list *out, struct toc_err *err) TOC_MUST_CHECK;
/* The list `matchers:` of matcher texts. */
int toc_alert_read_matchers(const struct toc_yaml *list, struct toc_matcher_list *out,
                            struct toc_err *err) TOC_MUST_CHECK;
int toc_alert_read_route(struct toc_alert_config *c, const struct toc_yaml *node,
                         struct toc_err *err) TOC_MUST_CHECK;
void toc_alert_route_fini(struct toc_alert_route *r);
int toc_alert_read_global(struct toc_alert_config *c, const struct toc_yaml *node,
                          struct toc_err *err) TOC_MUST_CHECK;
int toc_alert_read_receivers(struct toc_alert_config *c, const struct toc_yaml *list,
                             struct toc_err *err) TOC_MUST_CHECK;

#endif
