/* The names that a feed's reports give numbers under, each with what it means to the receiver. */
#ifndef TOC_COLLECT_REPORT_FIELD_PRIV_H
#define TOC_COLLECT_REPORT_FIELD_PRIV_H

#include "base/arena.h"
#include "base/map.h"
#include "collect/run_line_priv.h"
#include "collect/run_report.h"

struct toc_report_field {
    struct toc_sv name;
    struct toc_sv key;              /* the name in JSON, with quotes and colon */
    struct toc_run_meaning meaning; /* its value remembers `memo`; of a tag: nothing */
    struct toc_run_memo memo;
};

struct toc_report_fields {
    struct toc_arena arena;
    struct toc_map values, scalars; /* name → struct toc_report_field * */
};

void toc_report_fields_fini(struct toc_report_fields *f);
/* Those of one name are one. The caller bounds how many there are. */
struct toc_report_field *toc_report_field_value(struct toc_report_fields *f, struct toc_sv name);
struct toc_report_field *toc_report_field_scalar(struct toc_report_fields *f, struct toc_sv name);
/* A statistic of one layer: another one with each call. */
struct toc_report_field *toc_report_field_stat(struct toc_report_fields *f, struct toc_sv name);

/* The field of the protocol for a canonical name: without "train_". */
struct toc_sv toc_report_name_of(struct toc_sv canonical);

#endif
