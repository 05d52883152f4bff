/* Configured sources of targets: the `…_sd_configs` of a scrape config, except files. */
#ifndef TOC_COLLECT_DISCOVERY_CONFIG_H
#define TOC_COLLECT_DISCOVERY_CONFIG_H

#include "collect/config_part.h"
#include "collect/http_settings.h"

/* X(enum, mechanism as upstream's metrics name it, key of a scrape config); each row has a
 * toc_discovery_MECHANISM. */
#define TOC_DISCOVERY_TABLE(X)                                     \
    X(TOC_DISCOVERY_HTTP, http, http_sd_configs)                   \
    X(TOC_DISCOVERY_DNS, dns, dns_sd_configs)                      \
    X(TOC_DISCOVERY_KUBERNETES, kubernetes, kubernetes_sd_configs) \
    X(TOC_DISCOVERY_SLURM, slurm, slurm_sd_configs)

enum toc_discovery_mechanism {
#define X(name, text, key) name,
    TOC_DISCOVERY_TABLE(X)
#undef X
        TOC_DISCOVERY_MECHANISM_COUNT
};

enum { TOC_DISCOVERY_SOURCES_MAX = 256 /* of all jobs together; each has a thread */ };

struct toc_discovery_kind; /* of discovery_priv.h: what a mechanism is made of */

struct toc_discovery_config {
    const struct toc_discovery_kind *kind;
    const void *settings; /* of the kind */
    struct toc_sv where;  /* for people: the URL, the names asked for */
    uint64_t digest;      /* sources with the same one are the same source */
};

/* Reads all `…_sd_configs` that some mechanism knows. Everything lives in the reader's arena. */
int toc_discovery_configs_read(const struct toc_yaml *scrape_config,
                               const struct toc_config_reader *r,
                               const struct toc_discovery_config **out,
                               size_t *out_count) TOC_MUST_CHECK;
/* Is this key of a scrape config one of them? */
bool toc_discovery_is_key(struct toc_sv key);
/* As YAML, with the defaults in force; secrets read `<secret>`. */
void toc_discovery_configs_format(const struct toc_discovery_config *configs, size_t count,
                                  struct toc_buf *out);
/* How its server is asked; NULL when the mechanism asks none over HTTP. */
const struct toc_http_settings *toc_discovery_config_http(const struct toc_discovery_config *c);

#endif
