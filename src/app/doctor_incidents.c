#include "app/doctor_incidents.h"

#include <stdio.h>

#include "base/alloc.h"

static struct toc_incident *find(const struct toc_doctor_incidents *s, struct toc_sv id) {
    for (size_t i = 0; i < s->items.count; i++)
        if (toc_sv_eq_cstr(id, s->items.items[i]->id))
            return s->items.items[i];
    return NULL;
}

static int save(struct toc_incident_store *store, struct toc_incident *i,
                const struct toc_timeline_entry *entries, size_t count, struct toc_err *err) {
    struct toc_doctor_incidents *s = TOC_CONTAINER_OF(store, struct toc_doctor_incidents, store);
    (void)entries;
    (void)count;
    struct toc_incident *kept = i->id[0] ? find(s, toc_sv_cstr(i->id)) : NULL;
    if (!kept && s->items.count >= TOC_DOCTOR_INCIDENTS_MAX)
        return toc_errf(err, TOC_ELIMIT, "more than %d incidents", TOC_DOCTOR_INCIDENTS_MAX);
    if (!i->id[0])
        snprintf(i->id, sizeof i->id, "F-%04zu", s->items.count + 1);
    for (size_t n = 0; n < i->alerts.count; n++)
        i->alerts.items[n].is_changed = false;
    if (kept) {
        toc_incident_fini(kept);
    } else {
        kept = TOC_NEW(struct toc_incident);
        TOC_VEC_PUSH(&s->items, kept);
    }
    toc_incident_copy(i, kept);
    return 0;
}

static int load(struct toc_incident_store *store, struct toc_sv id, struct toc_incident *out,
                struct toc_err *err) {
    struct toc_doctor_incidents *s = TOC_CONTAINER_OF(store, struct toc_doctor_incidents, store);
    const struct toc_incident *kept = find(s, id);
    if (!kept)
        return toc_errf(err, TOC_ENOENT, "no incident %.*s", TOC_SV_ARG(id));
    toc_incident_copy(kept, out);
    return 0;
}

/* A judgement starts with nothing open. */
static int load_live(struct toc_incident_store *store, struct toc_ts since, toc_on_incident *fn,
                     void *ctx, struct toc_err *err) {
    (void)store;
    (void)since;
    (void)fn;
    (void)ctx;
    (void)err;
    return 0;
}

/* What only people ask for is not there: nobody acts on an incident of the past. */
void toc_doctor_incidents_init(struct toc_doctor_incidents *s) {
    *s = (struct toc_doctor_incidents){
        .store = {.save = save, .load = load, .load_live = load_live}};
}

void toc_doctor_incidents_fini(struct toc_doctor_incidents *s) {
    for (size_t i = 0; i < s->items.count; i++) {
        toc_incident_fini(s->items.items[i]);
        toc_free(s->items.items[i]);
    }
    TOC_VEC_FINI(&s->items);
}
