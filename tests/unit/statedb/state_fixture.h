/* A state database in a folder of its own under a virtual clock, and a disk that can be made to
 * fail. */
#ifndef TOC_TESTS_STATE_FIXTURE_H
#define TOC_TESTS_STATE_FIXTURE_H

#include "statedb/statedb.h"
#include "sys/clock.h"

struct state_fixture {
    char folder[64];
    char path[96];
    struct toc_clock_virtual clock;
    struct toc_statedb *db;
};

/* Makes the folder and opens the database; fails the test otherwise. */
void state_fixture_setup(struct state_fixture *f);
int state_fixture_open(struct state_fixture *f, struct toc_err *err);
/* Closes and opens again, as a restart does. */
void state_fixture_reopen(struct state_fixture *f);
/* Closes and removes everything. */
void state_fixture_teardown(struct state_fixture *f);

enum disk_fault { DISK_FINE, DISK_FULL, DISK_WRITE_ERROR, DISK_SYNC_ERROR };
/* Puts a layer under SQLite that fails writes or syncs on demand; for databases opened afterwards.
 */
void state_disk_install(void);
void state_disk_set(enum disk_fault fault);

#endif
