/* Reading of parts that several sections of scraping have in common. */
#ifndef TOC_COLLECT_CONFIG_PART_H
#define TOC_COLLECT_CONFIG_PART_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/yaml.h"

struct toc_config_reader {
    struct toc_arena *arena; /* what is read lives here */
    const char *base_dir;    /* relative paths start here; NULL: the working directory */
    struct toc_err *err;
};

/* TOC_ETYPE with the node's place unless it has this type; `what` says what was expected. */
int toc_config_expect(const struct toc_yaml *n, enum toc_yaml_type type, const char *what,
                      struct toc_err *err) TOC_MUST_CHECK;
int toc_config_no_memory(struct toc_err *err);
/* A list of texts; absent: none. */
int toc_config_strings(const struct toc_yaml *n, struct toc_arena *a, const struct toc_sv **out,
                       size_t *out_count, struct toc_err *err) TOC_MUST_CHECK;
/* A path as written, or below the folder of the configuration file. */
struct toc_sv toc_config_path(const struct toc_config_reader *r, struct toc_sv path);
/* A number that tells this text from any other; texts and structure count, positions do not. */
uint64_t toc_config_digest(const struct toc_yaml *n, uint64_t seed);

#endif
