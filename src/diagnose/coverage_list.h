/* The coverage of a run, kept: which failure modes the doctor watches, and for which it lacks what.
 */
#ifndef TOC_DIAGNOSE_COVERAGE_LIST_H
#define TOC_DIAGNOSE_COVERAGE_LIST_H

#include "base/vec.h"
#include "codec/json_writer.h"
#include "diagnose/doctor.h"

struct toc_coverage_item {
    enum toc_kind kind;
    bool is_watched;
    char *missing; /* owned: series that would be needed, "a or b, c"; "" when watched */
};

struct toc_coverage_list {
    TOC_VEC_FIELDS(struct toc_coverage_item)
    size_t watched;
};

/* Fills *out, in the order of toc_doctor_coverage; TOC_ENOENT (and nothing to free) when the run is
 * not known. */
int toc_coverage_collect(struct toc_doctor *d, struct toc_sv run,
                         struct toc_coverage_list *out) TOC_MUST_CHECK;
void toc_coverage_fini(struct toc_coverage_list *list);
/* {"modes": 22, "watched": [kind…], "blind": [{"kind", "title", "missing"}…]} */
void toc_coverage_json(const struct toc_coverage_list *list, struct toc_json_writer *w);

#endif
