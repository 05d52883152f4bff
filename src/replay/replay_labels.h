/* Incidents that people know of, to measure alerts against. */
#ifndef TOC_REPLAY_REPLAY_LABELS_H
#define TOC_REPLAY_REPLAY_LABELS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/vec.h"
#include "model/labels.h"

struct toc_known_incident {
    int64_t start_ms, end_ms; /* inclusive */
    struct toc_sv name;
    struct toc_labels labels; /* an alert that has one of these with another value is not of it */
};

enum { TOC_KNOWN_INCIDENTS_MAX = 100000 };

struct toc_known_incidents {
    TOC_VEC_FIELDS(struct toc_known_incident)
    struct toc_arena arena;
};

/*
 * CSV whose first line names the columns: start and end (RFC 3339 or seconds since the epoch), name
 * (optional); any other column is a label, empty: not given. Unordered rows are sorted by start.
 * TOC_EPARSE with line, TOC_ELIMIT.
 */
int toc_known_incidents_parse(struct toc_sv csv, struct toc_known_incidents *out,
                              struct toc_err *err) TOC_MUST_CHECK;
void toc_known_incidents_fini(struct toc_known_incidents *k);
/* Copies it; the end is not before the start. TOC_ELIMIT. */
int toc_known_incidents_add(struct toc_known_incidents *k,
                            const struct toc_known_incident *i) TOC_MUST_CHECK;
void toc_known_incidents_sort(struct toc_known_incidents *k);

#endif
