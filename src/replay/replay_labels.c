#include "replay/replay_labels.h"

#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/time.h"
#include "codec/csv.h"

static int read_time(struct toc_sv text, int line, const char *column, int64_t *out_ms,
                     struct toc_err *err) {
    struct toc_ts t;
    double seconds;
    if (toc_ts_parse_rfc3339(text, &t, NULL) == 0) {
        *out_ms = t.ms;
        return 0;
    }
    if (toc_parse_f64(text, &seconds) == 0 && fabs(seconds) < 1e12) {
        *out_ms = llround(seconds * 1000);
        return 0;
    }
    return toc_err_at(err, TOC_EPARSE, line, 0,
                      "%s \"%.*s\" is neither RFC 3339 nor seconds since the epoch", column,
                      TOC_SV_ARG(text));
}

struct columns {
    const struct toc_sv *names;
    size_t count, start, end, name;
};

static int read_header(struct toc_csv_reader *r, struct toc_arena *a, struct columns *out,
                       struct toc_err *err) {
    int rc = toc_csv_read(r, a, &out->names, &out->count, err);
    if (rc == TOC_EEND)
        return toc_errf(err, TOC_EPARSE, "the file is empty: the first line names the columns");
    out->start = out->end = out->name = SIZE_MAX;
    const struct {
        const char *name;
        size_t *at;
    } known[] = {{"start", &out->start}, {"end", &out->end}, {"name", &out->name}};
    for (size_t i = 0; rc == 0 && i < out->count; i++)
        for (size_t k = 0; k < TOC_ARRAY_LEN(known); k++) {
            if (!toc_sv_eq_cstr(out->names[i], known[k].name))
                continue;
            if (*known[k].at != SIZE_MAX)
                rc = toc_err_at(err, TOC_EPARSE, r->line, 0, "two columns are called %s",
                                known[k].name);
            *known[k].at = i;
        }
    if (rc == 0 && (out->start == SIZE_MAX || out->end == SIZE_MAX))
        rc = toc_err_at(err, TOC_EPARSE, r->line, 0,
                        "the first line must name the columns start and end");
    return rc;
}

int toc_known_incidents_add(struct toc_known_incidents *k, const struct toc_known_incident *i) {
    struct toc_known_incident copy = *i;
    if (k->count >= TOC_KNOWN_INCIDENTS_MAX)
        return TOC_ELIMIT;
    copy.name = toc_arena_dup_sv(&k->arena, i->name);
    copy.labels = toc_labels_dup_arena(i->labels, &k->arena);
    TOC_VEC_PUSH(k, copy);
    return k->arena.overflowed ? TOC_ELIMIT : 0;
}

static int read_row(const struct columns *c, const struct toc_sv *fields, int line,
                    struct toc_known_incidents *out, struct toc_err *err) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    struct toc_known_incident i = {.name = c->name == SIZE_MAX ? TOC_SV("") : fields[c->name]};
    int rc = read_time(fields[c->start], line, "start", &i.start_ms, err);
    if (rc == 0)
        rc = read_time(fields[c->end], line, "end", &i.end_ms, err);
    if (rc == 0 && i.end_ms < i.start_ms)
        rc = toc_err_at(err, TOC_EPARSE, line, 0, "it ends before it starts");
    for (size_t k = 0; rc == 0 && k < c->count; k++)
        if (k != c->start && k != c->end && k != c->name && fields[k].n)
            toc_labels_builder_set(&b, c->names[k], fields[k]);
    i.labels = toc_labels_builder_finish(&b);
    if (rc == 0 && (rc = toc_known_incidents_add(out, &i)) != 0)
        rc = toc_err_at(err, rc, line, 0, "more than %d incidents", TOC_KNOWN_INCIDENTS_MAX);
    toc_labels_builder_fini(&b);
    return rc;
}

static int by_start(const void *a, const void *b) {
    const struct toc_known_incident *x = a, *y = b;
    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    return (x->end_ms > y->end_ms) - (x->end_ms < y->end_ms);
}

void toc_known_incidents_sort(struct toc_known_incidents *k) {
    if (k->count)
        qsort(k->items, k->count, sizeof *k->items, by_start);
}

int toc_known_incidents_parse(struct toc_sv csv, struct toc_known_incidents *out,
                              struct toc_err *err) {
    struct toc_csv_reader r;
    struct toc_arena arena = TOC_ARENA_INIT;
    struct columns c;
    const struct toc_sv *fields;
    size_t count;
    *out = (struct toc_known_incidents){0};
    toc_csv_reader_init(&r, csv);
    int rc = read_header(&r, &arena, &c, err);
    while (rc == 0 && (rc = toc_csv_read(&r, &arena, &fields, &count, err)) == 0) {
        if (count != c.count)
            rc = toc_err_at(err, TOC_EPARSE, r.line, 0, "%zu fields where the first line has %zu",
                            count, c.count);
        else
            rc = read_row(&c, fields, r.line, out, err);
    }
    toc_arena_fini(&arena);
    toc_known_incidents_sort(out);
    return rc == TOC_EEND ? 0 : rc;
}

void toc_known_incidents_fini(struct toc_known_incidents *k) {
    TOC_VEC_FINI(k);
    toc_arena_fini(&k->arena);
}
