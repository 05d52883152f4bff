/*
 * Power losses at random calls of a random life of the database, on a disk that drops, reorders and
 * tears what was not synced and forgets names: everything acknowledged is there afterwards (with
 * durability `os`: everything flushed), nothing is made up, nothing deleted comes back, a finished
 * snapshot is whole, and the database goes on.
 *
 * prop_metricdb_power [--seed S] [--count LOSSES]
 */
#include "args.h"
#include "base/attrs.h"
#include "ledger.h"

enum { LOSSES_PER_LIFE = 12, STEPS_MAX = 300 };

struct totals {
    uint64_t losses, lives, acknowledged, found, snapshots, torn_tails, operations;
    uint64_t by_durability[3];
};

static void fail(const char *what, uint64_t seed, uint64_t loss, const struct ledger_audit *a) {
    fprintf(stderr,
            "seed %llu, loss %llu: %s (code %d, %llu missing, %llu foreign, %llu revived)\n",
            (unsigned long long)seed, (unsigned long long)loss, what, a->code,
            (unsigned long long)a->missing, (unsigned long long)a->foreign,
            (unsigned long long)a->revived);
    exit(LEDGER_FAILED);
}

static void must_be_clean(struct ledger_audit a, const char *what, uint64_t seed, uint64_t loss) {
    if (a.code || a.missing || a.foreign || a.revived)
        fail(what, seed, loss, &a);
}

/* Works until the power goes. */
static void live(struct ledger *l, struct toc_vfs_sim *disk, struct toc_rng *rng) {
    static const uint64_t reach[] = {5, 50, 400, 2000};
    uint64_t cut = 1 + toc_rng_below(rng, reach[toc_rng_below(rng, TOC_ARRAY_LEN(reach))]);
    toc_vfs_sim_cut_power_after(disk, cut);
    for (int i = 0; i < STEPS_MAX && !toc_vfs_sim_is_off(disk); i++) {
        l->are_faults_on = true; /* the power may go at any call */
        ledger_step(l);
    }
}

static void check_snapshot(struct ledger *l, struct totals *t, uint64_t seed, uint64_t loss) {
    if (!l->snapshot[0])
        return;
    must_be_clean(ledger_audit_snapshot(l), "the snapshot", seed, loss);
    t->snapshots++;
}

static void lose_power(struct ledger *l, struct toc_vfs_sim *disk, struct totals *t, uint64_t seed,
                       uint64_t loss) {
    struct toc_metricdb_stats s;
    toc_metricdb_close(&l->db);
    toc_vfs_sim_restart(disk);
    l->are_faults_on = false;
    ledger_lose_soft(l);
    struct ledger_audit a = {.code = ledger_open(l)};
    if (a.code)
        fail("it does not open", seed, loss, &a);
    toc_metricdb_stats(l->db, &s);
    a = ledger_audit(l);
    must_be_clean(a, "after the loss", seed, loss);
    /* With `os` a hole in what was not flushed is a loss, and told. */
    if (s.corruptions && l->options.durability != TOC_DURABILITY_OS)
        fail(s.losses[0].path, seed, loss, &a);
    ledger_settle(l);
    check_snapshot(l, t, seed, loss);
    a = (struct ledger_audit){.code = ledger_write(l)};
    if (a.code)
        fail("it does not go on", seed, loss, &a);
    must_be_clean(ledger_audit(l), "when it goes on", seed, loss);
    t->losses++;
    t->by_durability[l->options.durability]++;
    t->torn_tails += s.torn_tails;
    t->found += a.found;
}

static void run_life(uint64_t seed, uint64_t losses, struct totals *t) {
    struct toc_rng rng;
    struct ledger l;
    toc_rng_seed(&rng, seed);
    struct toc_vfs_sim *disk = toc_vfs_sim_new(seed);
    ledger_init(&l, disk, seed, (enum toc_durability)toc_rng_below(&rng, 3));
    for (uint64_t i = 0; i < losses; i++) {
        live(&l, disk, &rng);
        lose_power(&l, disk, t, seed, i);
    }
    t->lives++;
    t->acknowledged += l.acknowledged;
    t->operations += l.operations;
    ledger_fini(&l);
    toc_vfs_sim_free(&disk);
}

int main(int argc, char **argv) {
    uint64_t seed = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--count", 120);
    struct totals t = {0};
    printf("seed %llu, %llu power losses\n", (unsigned long long)seed, (unsigned long long)count);
    fflush(stdout);
    while (t.losses < count)
        run_life(seed++, TOC_MIN(count - t.losses, (uint64_t)LOSSES_PER_LIFE), &t);
    printf("%llu power losses (group %llu, sync %llu, os %llu) in %llu lives of %llu operations: "
           "%llu samples acknowledged, 0 lost; %llu torn ends, %llu snapshots compared\n",
           (unsigned long long)t.losses, (unsigned long long)t.by_durability[0],
           (unsigned long long)t.by_durability[1], (unsigned long long)t.by_durability[2],
           (unsigned long long)t.lives, (unsigned long long)t.operations,
           (unsigned long long)t.acknowledged, (unsigned long long)t.torn_tails,
           (unsigned long long)t.snapshots);
    return 0;
}
