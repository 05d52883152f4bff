/*
 * Which of the built-in rule packs are in force. A pack with metric prefixes sleeps until a series
 * with one of them was written; a person, or the section `packs` of the configuration, may switch
 * it on or off. What a person said holds over restarts and goes before the configuration. Thread
 * safe. docs/design/packs.md.
 */
#ifndef TOC_APP_PACKS_H
#define TOC_APP_PACKS_H

#include "base/error.h"
#include "base/time.h"
#include "codec/yaml.h"
#include "model/blob_store.h"
#include "model/pack.h"
#include "model/querier.h"
#include "rules/rules.h"

struct toc_packs; /* opaque */

struct toc_packs_options {
    struct toc_rules *rules; /* have the built-in files loaded */
    struct toc_querier *querier;
    struct toc_blob_store *blobs;
};

/* Reads what people said from the store. */
int toc_packs_new(const struct toc_packs_options *o, struct toc_packs **out,
                  struct toc_err *err) TOC_MUST_CHECK;
void toc_packs_free(struct toc_packs **p);

/* The section `packs`: name → auto, on or off; NULL: all auto. Errors carry line and column. */
int toc_packs_check(const struct toc_yaml *section, struct toc_err *err) TOC_MUST_CHECK;
/* Puts the section in force; after each toc_rules_set_files. A section that toc_packs_check
 * refuses changes nothing. */
void toc_packs_configure(struct toc_packs *p, const struct toc_yaml *section, struct toc_ts now);
/* Looks for metrics that wake sleeping packs; cheap enough for every few seconds. */
int toc_packs_look(struct toc_packs *p, struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;

/* What a person says; AUTO takes it back. Durable when it returns. TOC_ENOENT. */
int toc_packs_set(struct toc_packs *p, struct toc_sv name, enum toc_pack_mode mode,
                  struct toc_ts now, struct toc_err *err) TOC_MUST_CHECK;
/* In the order of names; views are borrowed for the call, and fn must not call back. */
void toc_packs_each(struct toc_packs *p, toc_on_pack *fn, void *ctx);

#endif
