/*
 * Runs a fuzz target without libFuzzer: every file of the corpus folders given, then `--runs N`
 * seeded mutations of them (default 2000), so that each oracle is exercised by every test run.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES_MAX = 4096, INPUT_MAX = 1 << 16 };

static struct {
    uint8_t *p;
    size_t n;
} g_files[FILES_MAX];
static size_t g_file_count;

static void load_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || g_file_count == FILES_MAX) {
        if (f)
            fclose(f);
        return;
    }
    uint8_t *p = malloc(INPUT_MAX);
    size_t n = fread(p, 1, INPUT_MAX, f);
    fclose(f);
    g_files[g_file_count].p = p;
    g_files[g_file_count++].n = n;
}

static void load_dir(const char *dir) {
    DIR *d = opendir(dir);
    if (!d) {
        fprintf(stderr, "no corpus at %s: mutations start from nothing\n", dir);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        char path[4096];
        if (e->d_name[0] != '.' &&
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name) < (int)sizeof path)
            load_file(path);
    }
    closedir(d);
}

/* A copy in an exact-size heap block, so that a sanitizer sees one byte too far. */
static void run_once(const uint8_t *p, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    if (n)
        memcpy(copy, p, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static size_t mutate(struct toc_rng *rng, uint8_t *p, size_t n) {
    unsigned edits = 1 + (unsigned)toc_rng_below(rng, 4);
    while (edits--) {
        size_t at = n ? (size_t)toc_rng_below(rng, n) : 0;
        switch (toc_rng_below(rng, 4)) {
        case 0: /* flip */
            if (n)
                p[at] ^= (uint8_t)(1u << toc_rng_below(rng, 8));
            break;
        case 1: /* replace */
            if (n)
                p[at] = (uint8_t)toc_rng_below(rng, 256);
            break;
        case 2: /* insert */
            if (n < INPUT_MAX) {
                memmove(p + at + 1, p + at, n - at);
                p[at] = (uint8_t)toc_rng_below(rng, 256);
                n++;
            }
            break;
        default: /* cut a piece */
            if (n) {
                size_t cut = 1 + (size_t)toc_rng_below(rng, n - at);
                memmove(p + at, p + at + cut, n - at - cut);
                n -= cut;
            }
        }
    }
    return n;
}

int main(int argc, char **argv) {
    uint64_t seed = 1;
    unsigned long runs = 2000;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc)
            runs = strtoul(argv[++i], NULL, 10);
        else
            load_dir(argv[i]);
    }
    printf("seed %llu, %zu corpus files, %lu mutations\n", (unsigned long long)seed, g_file_count,
           runs);
    for (size_t i = 0; i < g_file_count; i++)
        run_once(g_files[i].p, g_files[i].n);
    struct toc_rng rng;
    toc_rng_seed(&rng, seed);
    uint8_t *work = malloc(INPUT_MAX + 8);
    for (unsigned long i = 0; i < runs; i++) {
        size_t n = 0;
        if (g_file_count) {
            size_t pick = (size_t)toc_rng_below(&rng, g_file_count);
            n = g_files[pick].n;
            memcpy(work, g_files[pick].p, n);
        }
        run_once(work, mutate(&rng, work, n));
    }
    free(work);
    for (size_t i = 0; i < g_file_count; i++)
        free(g_files[i].p);
    return 0;
}
