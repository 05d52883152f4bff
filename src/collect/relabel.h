/*
 * Relabelling as Prometheus defines it (model/relabel): a list of rules that rewrites a label set
 * or drops it. Rules are immutable once read: any number of threads may apply them.
 */
#ifndef TOC_COLLECT_RELABEL_H
#define TOC_COLLECT_RELABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "codec/yaml.h"
#include "model/labels.h"

/* X(enum, name in YAML) */
#define TOC_RELABEL_TABLE(X)              \
    X(TOC_RELABEL_REPLACE, "replace")     \
    X(TOC_RELABEL_KEEP, "keep")           \
    X(TOC_RELABEL_DROP, "drop")           \
    X(TOC_RELABEL_KEEPEQUAL, "keepequal") \
    X(TOC_RELABEL_DROPEQUAL, "dropequal") \
    X(TOC_RELABEL_HASHMOD, "hashmod")     \
    X(TOC_RELABEL_LABELMAP, "labelmap")   \
    X(TOC_RELABEL_LABELDROP, "labeldrop") \
    X(TOC_RELABEL_LABELKEEP, "labelkeep") \
    X(TOC_RELABEL_LOWERCASE, "lowercase") \
    X(TOC_RELABEL_UPPERCASE, "uppercase")

enum toc_relabel_action {
#define X(name, text) name,
    TOC_RELABEL_TABLE(X)
#undef X
        TOC_RELABEL_ACTION_COUNT
};

struct toc_regex;

struct toc_relabel_rule {
    enum toc_relabel_action action;
    const struct toc_sv *source_labels;
    size_t source_count;
    struct toc_sv separator, target_label, replacement;
    struct toc_sv regex_text; /* as written; "(.*)" by default */
    uint64_t modulus;
    struct toc_regex *regex; /* owned; NULL for the default (.*) */
};

const char *toc_relabel_action_text(enum toc_relabel_action a);

struct toc_relabel {
    struct toc_relabel_rule *rules; /* in the arena of the document */
    size_t count;
};

/* Reads a list of rules; strings are borrowed from the document, the rules live in `a`. Errors
 * carry line and column and upstream's wording. Release with toc_relabel_fini also after an error.
 */
int toc_relabel_read(const struct toc_yaml *list, struct toc_arena *a, struct toc_relabel *out,
                     struct toc_err *err) TOC_MUST_CHECK;
void toc_relabel_fini(struct toc_relabel *r);

/* Applies all rules in order to the pairs in `b`; new strings are made in `a`. False: the set is
 * dropped. A set for which `a` has no room is dropped, too (a->overflowed tells). */
bool toc_relabel_apply(const struct toc_relabel *r, struct toc_labels_builder *b,
                       struct toc_arena *a);

#endif
