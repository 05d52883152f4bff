/*
 * Writes incidents, notifications and audit rows until it is killed. After each change that was
 * acknowledged it prints one line; tests/fault/kill9_statedb.py kills it and compares the lines
 * with the database.
 *
 *   statedb_writer DIR SEED          write
 *   statedb_writer DIR check         print what is stored, in the same lines
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "incident/manager.h"
#include "statedb/audit.h"
#include "statedb/incidents.h"
#include "statedb/outbox.h"
#include "sys/clock.h"

struct run {
    struct toc_statedb *db;
    struct toc_incidents store;
    struct toc_incident_manager *m;
    struct toc_rng rng;
    uint64_t seed;
};

static int fail(const char *what, const struct toc_err *err) {
    fprintf(stderr, "statedb_writer: %s: %s\n", what, err->message);
    return 1;
}

static int open_all(struct run *r, const char *dir, struct toc_err *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/state.db", dir);
    struct toc_statedb_options o = {
        .vfs = toc_vfs_system(), .path = path, .clock = toc_clock_system()};
    int rc = toc_statedb_open(&o, &r->db, err);
    if (rc)
        return rc;
    toc_incidents_init(&r->store, r->db);
    struct toc_incident_options mo = {.store = &r->store.base};
    return toc_incident_manager_new(&mo, toc_clock_now(o.clock), &r->m, err);
}

static void close_all(struct run *r) {
    toc_incident_manager_free(&r->m);
    toc_statedb_close(&r->db);
}

/* The line is written at once: only what was acknowledged is printed. */
static void say(const char *line) {
    fputs(line, stdout);
    fputc('\n', stdout);
    fflush(stdout);
}

struct last {
    char id[TOC_INCIDENT_ID_MAX];
};

static void remember(void *ctx, enum toc_incident_event event, const struct toc_incident *i) {
    struct last *last = ctx;
    if (event == TOC_INCIDENT_EVENT_TRIGGERED)
        memcpy(last->id, i->id, sizeof last->id);
}

static void open_incident(struct run *r, uint64_t n) {
    char subject[64];
    snprintf(subject, sizeof subject, "run-%llu-%llu", (unsigned long long)r->seed,
             (unsigned long long)n);
    struct toc_label labels[] = {{TOC_SV("alertname"), TOC_SV("R")},
                                 {TOC_SV("run"), toc_sv_cstr(subject)}};
    struct toc_ts now = toc_clock_now(toc_clock_system());
    struct toc_alert a = {.labels = {labels, 2}, .starts_at = now, .value = NAN};
    toc_incident_intake_alert(r->m, &a, TOC_INTAKE_FIRING, now);
}

static int comment(struct run *r, const char *id, uint64_t n, struct toc_err *err) {
    char text[64], line[160];
    snprintf(text, sizeof text, "c-%llu-%llu", (unsigned long long)r->seed, (unsigned long long)n);
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_COMMENT,
                                    .actor = TOC_SV("writer"),
                                    .comment = toc_sv_cstr(text)};
    int rc =
        toc_incident_act(r->m, toc_sv_cstr(id), &a, toc_clock_now(toc_clock_system()), NULL, err);
    snprintf(line, sizeof line, "comment %s %s", id, text);
    if (rc == 0)
        say(line);
    return rc;
}

static int acknowledge(struct run *r, const char *id, struct toc_err *err) {
    char line[64];
    struct toc_incident_action a = {.type = TOC_INCIDENT_ACTION_ACKNOWLEDGE,
                                    .actor = TOC_SV("writer")};
    int rc =
        toc_incident_act(r->m, toc_sv_cstr(id), &a, toc_clock_now(toc_clock_system()), NULL, err);
    snprintf(line, sizeof line, "acknowledged %s", id);
    if (rc == 0)
        say(line);
    return rc;
}

static int notify(struct run *r, const char *id, uint64_t n, struct toc_err *err) {
    char key[64], line[96];
    snprintf(key, sizeof key, "k-%llu-%llu", (unsigned long long)r->seed, (unsigned long long)n);
    struct toc_outbox_new item = {.idempotency_key = toc_sv_cstr(key),
                                  .receiver = TOC_SV("ops"),
                                  .channel = TOC_SV("webhook"),
                                  .incident_id = toc_sv_cstr(id),
                                  .order_key = toc_sv_cstr(id),
                                  .payload = TOC_SV("payload")};
    int64_t item_id;
    struct toc_ts now = toc_clock_now(toc_clock_system());
    int rc = toc_outbox_add(r->db, &item, now, &item_id, NULL, err);
    if (rc)
        return rc;
    snprintf(line, sizeof line, "outbox %s", key);
    say(line);
    struct toc_audit_entry e = {.at = now,
                                .actor = TOC_SV("writer"),
                                .route = TOC_SV("notify"),
                                .object = toc_sv_cstr(key),
                                .outcome = TOC_SV("ok")};
    rc = toc_audit_append(r->db, &e, err);
    snprintf(line, sizeof line, "audit %s", key);
    if (rc == 0)
        say(line);
    return rc;
}

static int write_for_ever(struct run *r, struct toc_err *err) {
    struct last last = {""};
    int rc = toc_incident_listen(r->m, remember, &last);
    for (uint64_t n = 0; rc == 0; n++) {
        open_incident(r, n);
        char line[64];
        snprintf(line, sizeof line, "incident %s", last.id);
        say(line);
        if (toc_rng_below(&r->rng, 2))
            rc = acknowledge(r, last.id, err);
        if (rc == 0)
            rc = comment(r, last.id, n, err);
        if (rc == 0)
            rc = notify(r, last.id, n, err);
    }
    return rc;
}

/* --- check --- */

static int print_entry(void *ctx, const struct toc_timeline_entry *e) {
    const struct toc_incident *i = ctx;
    if (e->type == TOC_TIMELINE_COMMENT)
        printf("comment %s %.*s\n", i->id, TOC_SV_ARG(e->text));
    return 0;
}

static int print_incident(void *ctx, const struct toc_incident *i) {
    struct run *r = ctx;
    printf("incident %s\n", i->id);
    if (i->acknowledged_at.ms)
        printf("acknowledged %s\n", i->id);
    struct toc_incident copy = *i;
    return r->store.base.timeline(&r->store.base, toc_sv_cstr(i->id), print_entry, &copy, NULL);
}

static int print_delivery(void *ctx, const struct toc_outbox_item *item,
                          const struct toc_outbox_attempt *attempts, size_t count) {
    (void)ctx, (void)attempts, (void)count;
    printf("outbox %.*s\n", TOC_SV_ARG(item->idempotency_key));
    return 0;
}

static int print_audit(void *ctx, const struct toc_audit_entry *e) {
    (void)ctx;
    printf("audit %.*s\n", TOC_SV_ARG(e->object));
    return 0;
}

static int check(struct run *r, struct toc_err *err) {
    struct toc_audit_head head;
    struct toc_outbox_filter all = {.limit = 10000};
    int rc = toc_statedb_verify(r->db, err);
    if (rc == 0)
        rc = toc_audit_verify(r->db, &head, err);
    if (rc == 0) /* all of them: everything stays open */
        rc = r->store.base.load_live(&r->store.base, (struct toc_ts){0}, print_incident, r, err);
    if (rc == 0)
        rc = toc_outbox_list(r->db, &all, print_delivery, r, err);
    if (rc == 0)
        rc = toc_audit_list(r->db, 1000000, print_audit, r, err);
    return rc;
}

int main(int argc, char **argv) {
    struct run r = {0};
    struct toc_err err = {0};
    if (argc != 3) {
        fputs("usage: statedb_writer DIR SEED|check\n", stderr);
        return 2;
    }
    if (open_all(&r, argv[1], &err) != 0)
        return fail("open", &err);
    int rc;
    if (strcmp(argv[2], "check") == 0) {
        rc = check(&r, &err);
    } else {
        r.seed = strtoull(argv[2], NULL, 10);
        toc_rng_seed(&r.rng, r.seed);
        rc = write_for_ever(&r, &err);
    }
    close_all(&r);
    return rc ? fail("work", &err) : 0;
}
