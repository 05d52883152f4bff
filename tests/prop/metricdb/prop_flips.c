/*
 * One flipped bit at random places of a database's files: it starts, no value is wrong, one log
 * record or one chunk is the most that is lost, and what is lost is told by `tocsin db verify` and
 * by the running database: the file, and for a chunk the series and the time range.
 *
 * prop_metricdb_flips [--seed S] [--count PLACES] [--lives N]
 */
#include "args.h"
#include "base/attrs.h"
#include "ledger.h"

/* X(part of the path, what a flip may cost) */
enum cost { NOTHING, ONE_RECORD, ONE_CHUNK };
struct kind {
    const char *part;
    enum cost cost;
};
static const struct kind g_kinds[] = {
    {"/wal/", ONE_RECORD}, {"/chunks", ONE_CHUNK}, {"/index", NOTHING},
    {"/deleted", NOTHING}, {"/replaces", NOTHING}, {"/head/", NOTHING},
};
enum { KINDS = TOC_ARRAY_LEN(g_kinds), FILES_MAX = 64, STEPS = 150, TRIES = 20 };

struct files {
    char paths[FILES_MAX][128];
    uint64_t sizes[FILES_MAX], bytes;
    size_t count;
    const char *part;
};

/* What one flip did. */
struct report {
    size_t count;
    struct toc_metricdb_loss loss; /* the first */
};

struct life {
    struct ledger l;
    struct toc_vfs_sim *disk;
    uint64_t seed;
    struct toc_metricdb_verdict whole; /* before any flip */
    uint64_t places[KINDS], cost_something[KINDS], lost[KINDS];
    /* Of the flip at hand. */
    const struct kind *kind;
    const char *path;
    uint64_t bit;
};

static void fail(const struct life *x, const char *what, const struct ledger_audit *a) {
    fprintf(stderr, "seed %llu, %s bit %llu: %s", (unsigned long long)x->seed, x->path,
            (unsigned long long)x->bit, what);
    if (a)
        fprintf(stderr, " (code %d, %llu missing, %llu foreign, %llu revived)", a->code,
                (unsigned long long)a->missing, (unsigned long long)a->foreign,
                (unsigned long long)a->revived);
    fprintf(stderr, "\n");
    exit(LEDGER_FAILED);
}

static void must(const struct life *x, bool holds, const char *what) {
    if (!holds)
        fail(x, what, NULL);
}

/* --- files --- */

static void note_file(void *ctx, const char *path, uint64_t size) {
    struct files *f = ctx;
    if (!strstr(path, f->part) || strstr(path, "/snapshots/") || !size || f->count == FILES_MAX)
        return;
    snprintf(f->paths[f->count], sizeof f->paths[0], "%s", path);
    f->sizes[f->count++] = size;
    f->bytes += size;
}

static struct files files_of(struct life *x, const char *part) {
    struct files f = {.part = part};
    toc_vfs_sim_each_file(x->disk, note_file, &f);
    return f;
}

static bool has_all_kinds(struct life *x) {
    for (size_t i = 0; i < KINDS; i++)
        if (!files_of(x, g_kinds[i].part).count)
            return false;
    return true;
}

/* A life that ends with files of every kind. */
static void build(struct life *x) {
    bool is_done = false;
    for (int i = 0; i < TRIES && !is_done; i++, x->seed += i > 0) {
        x->disk = toc_vfs_sim_new(x->seed);
        ledger_init(&x->l, x->disk, x->seed, TOC_DURABILITY_GROUP);
        for (int k = 0; k < STEPS; k++)
            ledger_step(&x->l);
        for (int k = 0; k < STEPS && !has_all_kinds(x); k++)
            ledger_step(&x->l);
        toc_metricdb_close(&x->l.db);
        is_done = has_all_kinds(x);
        if (is_done)
            return;
        ledger_fini(&x->l);
        toc_vfs_sim_free(&x->disk);
    }
    fprintf(stderr, "no life has files of every kind\n");
    exit(LEDGER_FAILED);
}

/* --- one flip --- */

static void on_damage(void *ctx, const struct toc_metricdb_loss *loss, const char *what) {
    struct report *r = ctx;
    (void)what;
    if (!r->count++)
        r->loss = *loss;
}

static const char *relative(const struct life *x) {
    return x->path + strlen("/data/");
}

/* The place as verify sees it. A torn end is no damage: it may be an unfinished write. */
static struct report verify(struct life *x, struct toc_vfs_sim *disk) {
    struct report r = {0};
    struct toc_metricdb_verdict v;
    int rc = toc_metricdb_verify(toc_vfs_sim_vfs(disk), "/data", on_damage, &r, &v, NULL);
    must(x, rc == 0, "verify fails");
    must(x, v.wal_records + 1 >= x->whole.wal_records, "more than one record is lost");
    /* A checkpoint is named as a whole; files that none needs any more are not looked at. */
    if (!strcmp(x->kind->part, "/head/")) {
        must(x, !r.count || !strncmp(r.loss.path, "head/", 5), "verify names another file");
        return r;
    }
    must(x, r.count <= 1, "verify names more than one place");
    bool is_end = x->kind->cost == ONE_RECORD && v.wal_records < x->whole.wal_records;
    must(x, r.count == 1 || is_end, "verify does not see it");
    if (r.count)
        must(x, !strcmp(r.loss.path, relative(x)), "verify names another file");
    return r;
}

static const char *series_of(struct ledger *l, int k) {
    static struct toc_buf text;
    toc_buf_reset(&text);
    toc_labels_format(ledger_labels(k), &text);
    (void)l;
    return toc_buf_cstr(&text);
}

/* All that is missing lies in the chunk that the report names. */
static void check_chunk(struct life *x, const struct toc_metricdb_loss *loss) {
    for (int k = 0; k < LEDGER_SERIES; k++)
        for (size_t i = 0; i < x->l.series[k].count; i++) {
            const struct ledger_slot *slot = &x->l.series[k].items[i];
            if (slot->state != LEDGER_STORED || slot->was_found)
                continue;
            must(x, !strcmp(series_of(&x->l, k), loss->series), "another series lost a sample");
            must(x, slot->t_ms >= loss->min_ms && slot->t_ms <= loss->max_ms,
                 "a sample outside of the time range named is lost");
        }
}

static void check_running(struct life *x, struct toc_vfs_sim *disk, const struct report *r) {
    struct toc_metricdb_stats s;
    x->l.options.vfs = toc_vfs_sim_vfs(disk);
    must(x, ledger_open(&x->l) == 0, "it does not start");
    struct ledger_audit a = ledger_audit(&x->l);
    toc_metricdb_stats(x->l.db, &s);
    uint64_t lost = a.missing + a.revived;
    bool may_revive = x->kind->cost == ONE_RECORD; /* a deletion is a record */
    if (a.code || a.foreign || (a.revived && !may_revive) || (lost && x->kind->cost == NOTHING))
        fail(x, "wrong answers", &a);
    if (lost && !s.corruptions && !s.torn_tails)
        fail(x, "lost in silence", &a);
    if (lost && r->count)
        must(x, s.loss_count && strstr(relative(x), s.losses[0].path) == relative(x),
             "the running database names another file");
    if (lost && x->kind->cost == ONE_CHUNK) {
        check_chunk(x, &r->loss);
        check_chunk(x, &s.losses[0]);
    }
    must(x, ledger_write(&x->l) == 0, "no write afterwards");
    x->cost_something[x->kind - g_kinds] += lost > 0;
    x->lost[x->kind - g_kinds] += lost;
}

static void flip(struct life *x, struct toc_rng *rng, const struct kind *kind,
                 const struct files *f) {
    uint64_t bit = toc_rng_below(rng, f->bytes * 8);
    size_t i = 0;
    for (; bit >= f->sizes[i] * 8; i++)
        bit -= f->sizes[i] * 8;
    x->kind = kind;
    x->path = f->paths[i];
    x->bit = bit;
    struct toc_vfs_sim *disk = toc_vfs_sim_clone(x->disk, x->seed);
    must(x, toc_vfs_sim_flip_bit(disk, x->path, bit) == 0, "no such place");
    struct report r = verify(x, disk);
    struct ledger before = x->l;
    struct ledger_series kept[LEDGER_SERIES];
    ledger_copy_series(kept, x->l.series);
    check_running(x, disk, &r);
    toc_metricdb_close(&x->l.db);
    ledger_free_series(x->l.series);
    x->l = before;
    memcpy(x->l.series, kept, sizeof kept);
    x->places[kind - g_kinds]++;
    toc_vfs_sim_free(&disk);
}

static void run(struct life *x, uint64_t count) {
    struct toc_rng rng;
    build(x);
    toc_rng_seed(&rng, x->seed);
    int rc = toc_metricdb_verify(toc_vfs_sim_vfs(x->disk), "/data", NULL, NULL, &x->whole, NULL);
    x->path = "";
    must(x, rc == 0 && x->whole.damaged == 0, "a whole database is called damaged");
    for (size_t i = 0; i < KINDS; i++) {
        struct files f = files_of(x, g_kinds[i].part);
        for (uint64_t n = 0; n < count; n++)
            flip(x, &rng, &g_kinds[i], &f);
    }
    ledger_fini(&x->l);
    toc_vfs_sim_free(&x->disk);
}

int main(int argc, char **argv) {
    uint64_t seed = args_number(argc, argv, "--seed", 1);
    uint64_t count = args_number(argc, argv, "--count", 40);
    uint64_t lives = args_number(argc, argv, "--lives", 1);
    static struct life x;
    printf("seed %llu, %llu lives, %llu places in each kind of file\n", (unsigned long long)seed,
           (unsigned long long)lives, (unsigned long long)count);
    fflush(stdout);
    for (uint64_t i = 0; i < lives; i++) {
        x.seed = seed + i * 1000;
        run(&x, count);
    }
    for (size_t i = 0; i < KINDS; i++)
        printf("%s: %llu bits flipped, %llu cost something, %llu samples in all, each at most %s\n",
               g_kinds[i].part, (unsigned long long)x.places[i],
               (unsigned long long)x.cost_something[i], (unsigned long long)x.lost[i],
               g_kinds[i].cost == ONE_RECORD  ? "a record"
               : g_kinds[i].cost == ONE_CHUNK ? "a chunk"
                                              : "nothing");
    return 0;
}
