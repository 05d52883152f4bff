#include "app/doctor_report.h"

#include <stdlib.h>

#include "base/alloc.h"

/* With fewer reports the doctor's models have not begun to speak: the time between steps is known
 * from 20 of them on. */
enum { LEAST_REPORTS = 20 };

const char *toc_doctor_verdict_word(enum toc_doctor_verdict v) {
    static const char *const words[] = {
#define X(name, word) word,
        TOC_DOCTOR_VERDICT_TABLE(X)
#undef X
    };
    return words[v];
}

static bool is_told(const struct toc_doctor_report *r, const struct toc_incident *i) {
    return i->severity >= r->min_severity;
}

enum toc_doctor_verdict toc_doctor_verdict_of(const struct toc_doctor_report *r,
                                              const struct toc_patient *p, const char **out_why) {
    const struct toc_doctor_incidents *all = &p->incidents;
    *out_why = "";
    for (size_t i = 0; i < all->items.count; i++)
        if (is_told(r, all->items.items[i]))
            return TOC_DOCTOR_UNHEALTHY;
    if (!p->samples)
        *out_why = "there is no report in the time asked for";
    else if (!p->steps && !p->losses)
        *out_why = "the run reports neither steps nor a loss";
    else if (TOC_MAX(p->steps, p->losses) < LEAST_REPORTS)
        *out_why = "fewer than 20 reports: too few to know what is usual";
    return **out_why ? TOC_DOCTOR_UNKNOWN : TOC_DOCTOR_HEALTHY;
}

static int by_weight(const void *pa, const void *pb) {
    const struct toc_incident *a = *(const struct toc_incident *const *)pa;
    const struct toc_incident *b = *(const struct toc_incident *const *)pb;
    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    return (a->started_at.ms > b->started_at.ms) - (a->started_at.ms < b->started_at.ms);
}

const struct toc_incident **toc_doctor_findings(const struct toc_doctor_report *r,
                                                const struct toc_patient *p, size_t *out_count) {
    const struct toc_doctor_incidents *all = &p->incidents;
    const struct toc_incident **list =
        toc_xalloc(toc_vec_bytes(all->items.count + 1, sizeof *list));
    size_t n = 0;
    for (size_t i = 0; i < all->items.count; i++)
        if (is_told(r, all->items.items[i]))
            list[n++] = all->items.items[i];
    qsort(list, n, sizeof *list, by_weight);
    *out_count = n;
    return list;
}

/* A whole file that could not be read may hold what was looked for. */
static bool is_blind(const struct toc_doctor_report *r) {
    for (size_t i = 0; i < r->scan->unread.count; i++)
        if (r->scan->unread.items[i].is_whole)
            return true;
    return r->replay->runs_dropped_samples > 0;
}

int toc_doctor_exit_code(const struct toc_doctor_report *r) {
    enum { HEALTHY = 0, FINDINGS = 1, COULD_NOT_JUDGE = 2 };
    int code = r->replay->patients.count && !is_blind(r) ? HEALTHY : COULD_NOT_JUDGE;
    for (size_t i = 0; i < r->replay->patients.count; i++) {
        const char *why;
        enum toc_doctor_verdict v = toc_doctor_verdict_of(r, r->replay->patients.items[i], &why);
        if (v == TOC_DOCTOR_UNHEALTHY)
            return FINDINGS;
        if (v == TOC_DOCTOR_UNKNOWN)
            code = COULD_NOT_JUDGE;
    }
    return code;
}
