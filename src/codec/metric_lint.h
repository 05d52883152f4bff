/*
 * Remarks on the names and metadata of metrics in exposition text: what the Prometheus project's
 * naming guide advises (prometheus.io/docs/practices/naming). Nothing here makes a text unreadable.
 */
#ifndef TOC_CODEC_METRIC_LINT_H
#define TOC_CODEC_METRIC_LINT_H

#include "codec/exposition.h"

/* Views are borrowed for the call. */
typedef void toc_on_metric_remark(void *ctx, struct toc_sv metric, const char *remark);

/* Calls fn once for each remark on a family, in the order of the text. TOC_EPARSE with the line
 * when the text cannot be read; remarks on what came before were made then. */
int toc_metric_lint(enum toc_exposition_format format, struct toc_sv text, toc_on_metric_remark *fn,
                    void *ctx, struct toc_err *err) TOC_MUST_CHECK;

#endif
