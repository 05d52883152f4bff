/*
 * Runs one cheap detector over numbers from standard input, for bench/quality/cheap_detectors.py:
 *     cheap_detectors change RATIO      value …               → "INDEX BEFORE AFTER" per change
 *     cheap_detectors peers COLUMNS     rows of values        → per column the slots it was named
 * in cheap_detectors bits              time_ms value …       → one line of 0 and 1
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/anomaly_bit.h"
#include "detect/change_point.h"
#include "detect/peers.h"

enum { MEMBERS_MAX = 1024 };

/* The next number; "nan" is one. */
static int next(double *out) {
    return scanf("%lf", out) == 1;
}

static int run_change(double ratio) {
    struct toc_change_point s = {0};
    const struct toc_change_options o = {.least_ratio = ratio};
    double v;
    for (long i = 0; next(&v); i++) {
        struct toc_level_change c = toc_change_point_step(&s, &o, v);
        if (c.is_change)
            printf("%ld %.9g %.9g\n", i, c.before, c.after);
    }
    return 0;
}

static int run_peers(size_t columns) {
    static struct toc_peer memory[MEMBERS_MAX], *members[MEMBERS_MAX];
    static struct toc_peer_result results[MEMBERS_MAX];
    static double values[MEMBERS_MAX], scratch[MEMBERS_MAX];
    static long named[MEMBERS_MAX];
    const struct toc_peers_options o = {0};
    if (columns == 0 || columns > MEMBERS_MAX)
        return 2;
    for (size_t i = 0; i < columns; i++)
        members[i] = &memory[i];
    for (;;) {
        size_t got = 0;
        while (got < columns && next(&values[got]))
            got++;
        if (got < columns)
            break;
        toc_peers_step(&o, members, values, columns, results, scratch);
        for (size_t i = 0; i < columns; i++)
            named[i] += results[i].is_above;
    }
    for (size_t i = 0; i < columns; i++)
        printf("%ld\n", named[i]);
    return 0;
}

static int run_bits(void) {
    struct toc_anomaly_bit s = {0};
    double t_ms, v;
    while (next(&t_ms) && next(&v))
        putchar(toc_anomaly_bit_step(&s, (int64_t)t_ms, v) && s.is_anomaly ? '1' : '0');
    putchar('\n');
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "change") == 0)
        return run_change(atof(argv[2]));
    if (argc == 3 && strcmp(argv[1], "peers") == 0)
        return run_peers((size_t)atol(argv[2]));
    if (argc == 2 && strcmp(argv[1], "bits") == 0)
        return run_bits();
    fputs("usage: cheap_detectors change RATIO | peers COLUMNS | bits\n", stderr);
    return 2;
}
