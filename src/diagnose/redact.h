/*
 * Takes secrets and personal data out of lines before they are stored, shown or sent
 * (packs/redact.tsv). What is found becomes [REDACTED:id]. A table is immutable: any number of
 * threads.
 */
#ifndef TOC_DIAGNOSE_REDACT_H
#define TOC_DIAGNOSE_REDACT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/sv.h"

enum { TOC_REDACT_RULES_MAX = 64, TOC_REDACT_LINE_BYTES_MAX = 4096 };

struct toc_redactor; /* opaque */

/* Checks every sample; errors carry row and column. */
int toc_redactor_parse(struct toc_sv text, struct toc_redactor **out,
                       struct toc_err *err) TOC_MUST_CHECK;
/* The table of packs/redact.tsv. A test parses its text; here expressions are compiled when a line
 * needs them, and the samples are not tried. */
int toc_redactor_builtin(struct toc_redactor **out, struct toc_err *err) TOC_MUST_CHECK;
struct toc_sv toc_redactor_text(void);
void toc_redactor_free(struct toc_redactor **r);
size_t toc_redactor_count(const struct toc_redactor *r);

/* Appends the line without what must not be seen; returns how many pieces were taken out. Longer
 * lines are cut first. *in_block (NULL: none) carries a private key over its lines. */
size_t toc_redact(const struct toc_redactor *r, struct toc_sv line, bool *in_block,
                  struct toc_buf *out);
/* A short excerpt for people: redacted, blanks trimmed, control characters and broken UTF-8
 * replaced, at most max_bytes. */
size_t toc_redact_excerpt(const struct toc_redactor *r, struct toc_sv line, size_t max_bytes,
                          struct toc_buf *out);

#endif
