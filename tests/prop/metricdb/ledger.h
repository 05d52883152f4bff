/*
 * What a writer outside of the database knows: which samples were acknowledged, which were sent
 * without an answer, which were deleted. The value of a sample follows from its series and time,
 * so whatever the database shows is right, missing, or made up.
 */
#ifndef TOC_TESTS_METRICDB_LEDGER_H
#define TOC_TESTS_METRICDB_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/vec.h"
#include "metricdb/metricdb.h"
#include "sys/vfs_sim.h"

/* What a program ends with when the database is wrong; an assertion of its own ends with SIGABRT.
 */
enum { LEDGER_SERIES = 24, LEDGER_FAILED = 3 };

enum ledger_state {
    LEDGER_GONE,   /* deleted, and that was acknowledged */
    LEDGER_MAYBE,  /* sent, or deleted, without an acknowledgement */
    LEDGER_STORED, /* acknowledged */
};
struct ledger_slot {
    int64_t t_ms;
    enum ledger_state state;
    bool is_soft;    /* acknowledged by `os`, not flushed since */
    bool was_found;  /* by the last audit */
    uint64_t change; /* number of the write or deletion that changed it last */
};
struct ledger_series {
    TOC_VEC_FIELDS(struct ledger_slot) /* sorted by time */
};

struct ledger {
    struct toc_rng rng;
    struct toc_metricdb *db; /* NULL while closed */
    struct toc_metricdb_options options;
    struct toc_clock_virtual clock;
    struct ledger_series series[LEDGER_SERIES];
    uint64_t changes; /* writes and deletions so far */
    uint64_t acknowledged, operations;
    /* The last snapshot that was acknowledged, with what it must hold. "" when there is none. */
    char snapshot[TOC_SNAPSHOT_NAME_MAX];
    struct ledger_series snapshot_series[LEDGER_SERIES];
    bool are_faults_on; /* an operation may fail */
};

#define LEDGER_START_MS INT64_C(1760000400000) /* two-hour boundary */

void ledger_init(struct ledger *l, struct toc_vfs_sim *disk, uint64_t seed,
                 enum toc_durability durability);
void ledger_fini(struct ledger *l);
/* Opens the database; the code. */
int ledger_open(struct ledger *l);
/* One random operation: writes of every kind, deletions, housekeeping, snapshots, reads, time. */
void ledger_step(struct ledger *l);
/* A batch in order for every series; the code. */
int ledger_write(struct ledger *l);

/* What the database shows, beside what it may and must show. */
struct ledger_audit {
    uint64_t found;
    uint64_t missing; /* acknowledged, not there */
    uint64_t foreign; /* never sent */
    uint64_t revived; /* deleted, there */
    int code;         /* of the select */
};
struct ledger_audit ledger_audit(struct ledger *l);
/* The same for the snapshot, which is opened beside. */
struct ledger_audit ledger_audit_snapshot(struct ledger *l);
/* After a power loss and an audit: what is there is durable, what is not will not come back. */
void ledger_settle(struct ledger *l);
/* Before the audit that follows a power loss: what was acknowledged softly may be gone. */
void ledger_lose_soft(struct ledger *l);

/* The labels of series k. */
struct toc_labels ledger_labels(int k);
void ledger_copy_series(struct ledger_series *to, const struct ledger_series *from);
void ledger_free_series(struct ledger_series *series);

#endif
