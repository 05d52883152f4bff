/* The review summary of an incident in Markdown: the same incident gives the same text. */
#ifndef TOC_INCIDENT_SUMMARY_H
#define TOC_INCIDENT_SUMMARY_H

#include "base/buf.h"
#include "base/error.h"
#include "incident/manager.h"

/* Appends the summary. TOC_ENOENT, or the store's error. */
int toc_incident_summary(struct toc_incident_manager *m, struct toc_sv id, struct toc_buf *out,
                         struct toc_err *err) TOC_MUST_CHECK;

#endif
