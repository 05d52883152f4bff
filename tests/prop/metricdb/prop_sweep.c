/*
 * Every call of a scripted life of the database fails once, or from then on for ever, with every
 * code a disk, a quota or the kernel may answer. There is no crash and no leak; nothing is made up;
 * when the fault is over the database works again without a restart, and after a power loss on top
 * everything acknowledged is there. So does every fallible allocation, in a process of its own:
 * there an assertion may end it, as memory that the head cannot do without is not survived.
 *
 * prop_metricdb_sweep [--seed S] [--stride N]   every Nth call only
 * prop_metricdb_sweep [--seed S] --nth N [--errno E [--ever 1]]   one run; no errno: allocation N
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "args.h"
#include "base/alloc.h"
#include "base/attrs.h"
#include "ledger.h"

enum { STEPS = 60, HEAL_TRIES = 3 };

struct fault {
    const char *name;
    int code;
};
static const struct fault g_faults[] = {
    {"EIO", -EIO},       {"ENOSPC", -ENOSPC}, {"EDQUOT", -EDQUOT}, {"EROFS", -EROFS},
    {"EMFILE", -EMFILE}, {"ENOMEM", -ENOMEM}, {"EINTR", -EINTR},   {"a short write", TOC_SIM_SHORT},
};

struct run {
    uint64_t seed, nth;
    const char *name;
    int code; /* 0: the nth fallible allocation fails */
    bool is_for_ever;
    struct toc_vfs_sim *disk;
    struct ledger l;
};

static void fail(const struct run *r, const char *what, const struct ledger_audit *a) {
    fprintf(stderr,
            "seed %llu, %s at %llu (%s): %s (code %d, %llu missing, %llu foreign, %llu revived)\n",
            (unsigned long long)r->seed, r->name, (unsigned long long)r->nth,
            r->is_for_ever ? "for ever" : "once", what, a->code, (unsigned long long)a->missing,
            (unsigned long long)a->foreign, (unsigned long long)a->revived);
    exit(LEDGER_FAILED);
}

static void must_be_clean(const struct run *r, const char *what) {
    struct ledger_audit a = ledger_audit((struct ledger *)(uintptr_t)&r->l);
    if (a.code || a.missing || a.foreign || a.revived)
        fail(r, what, &a);
}

static void must_work(const struct run *r, int rc, const char *what) {
    struct ledger_audit a = {.code = rc};
    if (rc)
        fail(r, what, &a);
}

static void live(struct run *r) {
    r->l.are_faults_on = true;
    (void)ledger_open(&r->l);
    for (int i = 0; i < STEPS; i++)
        ledger_step(&r->l);
    r->l.are_faults_on = false;
}

/* Housekeeping tries again after a while. */
static int heal(struct run *r) {
    int rc = 0;
    if (!r->l.db)
        rc = ledger_open(&r->l);
    for (int i = 0; i < HEAL_TRIES && !rc; i++) {
        toc_clock_virtual_advance(&r->l.clock, 11000);
        rc = toc_metricdb_maintain(r->l.db, NULL);
    }
    return rc;
}

static void check(struct run *r) {
    struct toc_metricdb_stats s;
    must_work(r, heal(r), "it does not recover");
    toc_metricdb_stats(r->l.db, &s);
    if (!s.corruptions) /* what a start could not read is missing until the next, and told */
        must_be_clean(r, "after the fault");
    must_work(r, ledger_write(&r->l), "no write after the fault");
    must_work(r, toc_metricdb_flush(r->l.db, NULL), "no flush after the fault");
    toc_metricdb_close(&r->l.db);
    toc_vfs_sim_restart(r->disk);
    must_work(r, ledger_open(&r->l), "it does not open");
    must_be_clean(r, "after the next start");
    ledger_settle(&r->l);
    must_work(r, ledger_write(&r->l), "no write after the next start");
    must_work(r, heal(r), "no housekeeping after the next start");
    must_be_clean(r, "when it goes on");
}

/* Returns the calls that the script makes. */
static uint64_t run(struct run r) {
    r.disk = toc_vfs_sim_new(r.seed + r.nth);
    ledger_init(&r.l, r.disk, r.seed, (enum toc_durability)(r.seed % 3));
    if (r.code)
        toc_vfs_sim_fail(r.disk, TOC_SIM_ANY, r.nth, r.code, r.is_for_ever);
    else
        toc_alloc_fail_after(r.nth);
    live(&r);
    uint64_t calls = toc_vfs_sim_all_calls(r.disk);
    toc_vfs_sim_fail(r.disk, 0, 0, 0, false);
    toc_alloc_fail_after(0);
    check(&r);
    ledger_fini(&r.l);
    toc_vfs_sim_free(&r.disk);
    return calls;
}

static uint64_t sweep(struct run r, uint64_t calls, uint64_t stride) {
    uint64_t runs = 0;
    for (r.nth = 1; r.nth <= calls; r.nth += stride, runs++)
        (void)run(r);
    return runs;
}

/* How many of the runs an assertion ended. */
static uint64_t sweep_allocations(uint64_t seed, uint64_t count, uint64_t stride) {
    uint64_t ended = 0;
    for (uint64_t nth = 1; nth <= count; nth += stride) {
        int status = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            (void)run((struct run){.seed = seed, .nth = nth, .name = "an allocation"});
            _exit(0);
        }
        bool was_awaited = waitpid(child, &status, 0) == child;
        bool was_asserted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
        ended += was_asserted;
        if (!was_awaited || (status && !was_asserted)) {
            fprintf(stderr, "seed %llu, allocation %llu: status %d\n", (unsigned long long)seed,
                    (unsigned long long)nth, status);
            exit(LEDGER_FAILED);
        }
    }
    return ended;
}

int main(int argc, char **argv) {
    uint64_t seed = args_number(argc, argv, "--seed", 1);
    uint64_t stride = args_number(argc, argv, "--stride", 31), total = 0;
    uint64_t nth = args_number(argc, argv, "--nth", 0);
    if (nth) { /* for the debugger */
        (void)run((struct run){.seed = seed,
                               .nth = nth,
                               .name = "the call",
                               .code = -(int)args_number(argc, argv, "--errno", 0),
                               .is_for_ever = args_number(argc, argv, "--ever", 0) != 0});
        return 0;
    }
    uint64_t calls = run((struct run){.seed = seed, .name = "nothing", .code = -EIO});
    printf("seed %llu: a script of %d steps with %llu calls, every %lluth fails\n",
           (unsigned long long)seed, STEPS, (unsigned long long)calls, (unsigned long long)stride);
    fflush(stdout);
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_faults); i++)
        for (int ever = 0; ever < 2; ever++) {
            const struct fault *f = &g_faults[i];
            total += sweep(
                (struct run){.seed = seed, .name = f->name, .code = f->code, .is_for_ever = ever},
                calls, stride);
        }
    uint64_t ended = sweep_allocations(seed, calls, stride);
    printf("%llu runs with a failing call, %llu with a failing allocation (%llu ended by an "
           "assertion): nothing acknowledged was lost\n",
           (unsigned long long)total, (unsigned long long)((calls + stride - 1) / stride),
           (unsigned long long)ended);
    return 0;
}
