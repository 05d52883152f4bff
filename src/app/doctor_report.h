/*
 * What `tocsin doctor` says: one report from the same facts as text for the terminal, as JSON for
 * programs and as an HTML page for people who were not there.
 */
#ifndef TOC_APP_DOCTOR_REPORT_H
#define TOC_APP_DOCTOR_REPORT_H

#include "app/doctor_feed.h"

/* X(enum, word): per run. */
#define TOC_DOCTOR_VERDICT_TABLE(X)      \
    X(TOC_DOCTOR_HEALTHY, "healthy")     \
    X(TOC_DOCTOR_UNHEALTHY, "unhealthy") \
    X(TOC_DOCTOR_UNKNOWN, "unknown")

enum toc_doctor_verdict {
#define X(name, word) name,
    TOC_DOCTOR_VERDICT_TABLE(X)
#undef X
        TOC_DOCTOR_VERDICTS
};

struct toc_doctor_report {
    const char *path; /* as named by the user */
    const struct toc_replay *replay;
    const struct toc_doctor_scan *scan;
    struct toc_doctor_feed_counts counts;
    enum toc_severity min_severity;
    int64_t now_ms;
    bool is_coloured, is_long;
};

const char *toc_doctor_verdict_word(enum toc_doctor_verdict v);
/* out_why: for UNKNOWN a sentence, else "". */
enum toc_doctor_verdict toc_doctor_verdict_of(const struct toc_doctor_report *r,
                                              const struct toc_patient *p, const char **out_why);
/* Findings to be told, the worst first; the caller frees the array with toc_free. */
const struct toc_incident **toc_doctor_findings(const struct toc_doctor_report *r,
                                                const struct toc_patient *p, size_t *out_count);
/* 0 healthy, 1 findings, 2 could not judge: of everything together. */
int toc_doctor_exit_code(const struct toc_doctor_report *r);

void toc_doctor_report_text(const struct toc_doctor_report *r, struct toc_buf *out);
/* One run: its object; several: an array; none: an object with run null. */
void toc_doctor_report_json(const struct toc_doctor_report *r, struct toc_buf *out);
/* One complete page that needs nothing else. */
void toc_doctor_report_html(const struct toc_doctor_report *r, struct toc_buf *out);

#endif
