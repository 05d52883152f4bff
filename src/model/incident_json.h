/* The INCIDENT object of the API as JSON, and the list part of it back from JSON for the store. */
#ifndef TOC_MODEL_INCIDENT_JSON_H
#define TOC_MODEL_INCIDENT_JSON_H

#include "base/error.h"
#include "base/sv.h"
#include "codec/json_writer.h"
#include "model/incident.h"

/* Writes the whole INCIDENT object. With entries != NULL it has a `timeline`. */
void toc_incident_write_json(struct toc_json_writer *w, const struct toc_incident *i,
                             const struct toc_timeline_entry *entries, size_t count);
/* {"subject","evidence","causes","cascades"}: what the store keeps in one column. */
void toc_incident_write_lists(const struct toc_incident *i, struct toc_buf *out);
/* TOC_ECORRUPT when it is not what toc_incident_write_lists writes. */
int toc_incident_read_lists(struct toc_sv json, struct toc_incident *i,
                            struct toc_err *err) TOC_MUST_CHECK;

#endif
