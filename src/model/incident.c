#include "model/incident.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

enum { TEXT_MAX_BYTES = 16 * 1024, ARENA_MAX_BYTES = 16 << 20 };

#define STATE_CASE(e, name, open) \
    case TOC_INCIDENT_##e:        \
        return name;
#define STATE_PARSE(e, name, open)      \
    if (toc_sv_eq(name_, TOC_SV(name))) \
        return TOC_INCIDENT_##e;
#define VERDICT_CASE(e, name) \
    case TOC_VERDICT_##e:     \
        return name;
#define VERDICT_PARSE(e, name)          \
    if (toc_sv_eq(name_, TOC_SV(name))) \
        return TOC_VERDICT_##e;
#define TIMELINE_CASE(e, name) \
    case TOC_TIMELINE_##e:     \
        return name;
#define TIMELINE_PARSE(e, name)         \
    if (toc_sv_eq(name_, TOC_SV(name))) \
        return TOC_TIMELINE_##e;
/* One text/parse pair per table of names. */
#define DEFINE_NAMES(function, type, count, table, case_row, parse_row) \
    const char *function##_text(type v) {                               \
        switch (v) { table(case_row) case count : break; }              \
        TOC_UNREACHABLE();                                              \
    }                                                                   \
    type function##_parse(struct toc_sv name_) {                        \
        table(parse_row) return count;                                  \
    }

DEFINE_NAMES(toc_incident_state, enum toc_incident_state, TOC_INCIDENT_STATE_COUNT,
             TOC_INCIDENT_STATE_TABLE, STATE_CASE, STATE_PARSE)
DEFINE_NAMES(toc_verdict, enum toc_verdict, TOC_VERDICT_COUNT, TOC_VERDICT_TABLE, VERDICT_CASE,
             VERDICT_PARSE)
DEFINE_NAMES(toc_timeline, enum toc_timeline_type, TOC_TIMELINE_COUNT, TOC_TIMELINE_TABLE,
             TIMELINE_CASE, TIMELINE_PARSE)

bool toc_incident_state_is_open(enum toc_incident_state s) {
    static const bool is_open[] = {
#define X(e, name, open) open,
        TOC_INCIDENT_STATE_TABLE(X)
#undef X
    };
    TOC_ASSERT(s < TOC_INCIDENT_STATE_COUNT);
    return is_open[s];
}

void toc_incident_init(struct toc_incident *i) {
    memset(i, 0, sizeof *i);
    toc_arena_init(&i->arena, ARENA_MAX_BYTES);
}

void toc_incident_fini(struct toc_incident *i) {
    toc_arena_fini(&i->arena);
    TOC_VEC_FINI(&i->alerts);
    memset(i, 0, sizeof *i);
}

/* Cuts at a character's first byte. */
static struct toc_sv cut_text(struct toc_sv s) {
    if (s.n <= TEXT_MAX_BYTES)
        return s;
    size_t n = TEXT_MAX_BYTES;
    while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return toc_sv_make(s.p, n);
}

struct toc_sv toc_incident_text(struct toc_incident *i, struct toc_sv s) {
    return s.n ? toc_arena_dup_sv(&i->arena, cut_text(s)) : TOC_SV_NULL;
}

void toc_incident_set_subject(struct toc_incident *i, struct toc_labels subject) {
    i->subject = toc_labels_dup_arena(subject, &i->arena);
}

void toc_incident_set_evidence(struct toc_incident *i, const struct toc_incident_evidence *items,
                               size_t count) {
    count = TOC_MIN(count, (size_t)TOC_INCIDENT_EVIDENCE_MAX);
    struct toc_incident_evidence *copy =
        TOC_ARENA_NEW_ARRAY(&i->arena, struct toc_incident_evidence, count);
    i->evidence = copy;
    i->evidence_count = copy ? count : 0;
    for (size_t n = 0; n < i->evidence_count; n++) {
        copy[n] = items[n];
        copy[n].shown.title = toc_incident_text(i, items[n].shown.title);
        copy[n].shown.expr = toc_incident_text(i, items[n].shown.expr);
        copy[n].shown.unit = toc_incident_text(i, items[n].shown.unit);
        copy[n].chart_url = toc_incident_text(i, items[n].chart_url);
    }
}

void toc_incident_set_causes(struct toc_incident *i, const struct toc_cause *items, size_t count) {
    count = TOC_MIN(count, (size_t)TOC_INCIDENT_CAUSES_MAX);
    struct toc_cause *copy = TOC_ARENA_NEW_ARRAY(&i->arena, struct toc_cause, count);
    i->causes = copy;
    i->cause_count = copy ? count : 0;
    for (size_t n = 0; n < i->cause_count; n++)
        copy[n] = (struct toc_cause){
            .text = toc_incident_text(i, items[n].text),
            .confidence = items[n].confidence,
            .evidence = toc_incident_text(i, items[n].evidence),
        };
}

struct toc_cascade *toc_incident_add_cascade(struct toc_incident *i, const struct toc_cascade *c) {
    if (!i->cascades)
        i->cascades = TOC_ARENA_NEW_ARRAY(&i->arena, struct toc_cascade, TOC_INCIDENT_CASCADES_MAX);
    if (!i->cascades || i->cascade_count == TOC_INCIDENT_CASCADES_MAX)
        return NULL;
    struct toc_cascade *copy = &i->cascades[i->cascade_count++];
    *copy = *c;
    copy->title = toc_incident_text(i, c->title);
    copy->rule = toc_incident_text(i, c->rule);
    copy->subject = toc_labels_dup_arena(c->subject, &i->arena);
    return copy;
}

static void copy_alerts(const struct toc_incident *i, struct toc_incident *out) {
    TOC_VEC_RESERVE(&out->alerts, i->alerts.count);
    if (i->alerts.count)
        memcpy(out->alerts.items, i->alerts.items, i->alerts.count * sizeof *i->alerts.items);
    out->alerts.count = i->alerts.count;
}

void toc_incident_copy(const struct toc_incident *i, struct toc_incident *out) {
    struct toc_incident copy = *i;
    toc_arena_init(&copy.arena, ARENA_MAX_BYTES);
    memset(&copy.alerts, 0, sizeof copy.alerts);
#define X(name) copy.name = toc_incident_text(&copy, i->name);
    TOC_INCIDENT_TEXT_TABLE(X)
#undef X
    toc_incident_set_subject(&copy, i->subject);
    toc_incident_set_evidence(&copy, i->evidence, i->evidence_count);
    toc_incident_set_causes(&copy, i->causes, i->cause_count);
    copy.cascades = NULL;
    copy.cascade_count = 0;
    for (size_t n = 0; n < i->cascade_count; n++)
        toc_incident_add_cascade(&copy, &i->cascades[n]);
    copy_alerts(i, &copy);
    *out = copy;
}

static double seconds_between(struct toc_ts from, struct toc_ts to) {
    if (!from.ms || !to.ms)
        return NAN;
    return to.ms > from.ms ? (double)(to.ms - from.ms) / 1000.0 : 0.0;
}

struct toc_incident_durations toc_incident_durations(const struct toc_incident *i) {
    return (struct toc_incident_durations){
        .detect_s = seconds_between(i->started_at, i->detected_at),
        .notify_s = seconds_between(i->detected_at, i->notified_at),
        .acknowledge_s = seconds_between(i->detected_at, i->acknowledged_at),
        .resolve_s = seconds_between(i->detected_at, i->resolved_at),
    };
}
