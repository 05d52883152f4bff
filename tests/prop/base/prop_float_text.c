/* The float printer against a naive one: its text reads back to the same bits, no shorter one does,
 * and of those as short none is closer. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/rng.h"
#include "sys/random.h"

static uint64_t g_seed;

static double from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* The fewest digits that read back: printf's correctly rounded ones, or, below a power of two where
 * the interval is lopsided, their neighbour. */
static void naive(double v, char out[64]) {
    for (int precision = 0; precision <= 16; precision++) {
        char text[64];
        snprintf(text, sizeof text, "%.*e", precision, fabs(v));
        char *e = strchr(text, 'e');
        int exponent = atoi(e + 1) - precision;
        uint64_t digits = 0;
        for (char *p = text; p < e; p++)
            if (*p != '.')
                digits = digits * 10 + (uint64_t)(*p - '0');
        for (int i = 0; i < 3; i++) {
            snprintf(out, 64, "%" PRIu64 "e%d", digits + (uint64_t)(int64_t)(i == 2 ? -1 : i),
                     exponent);
            if (strtod(out, NULL) == fabs(v))
                return;
        }
    }
}

/* Digits without point and sign, zeros at both ends cut. */
static void digits_of(const char *text, char out[400]) {
    size_t n = 0;
    for (const char *p = text; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9' && (n || *p != '0'))
            out[n++] = *p;
    while (n && out[n - 1] == '0')
        n--;
    out[n] = 0;
}

static void check(double v) {
    char text[TOC_F64_TEXT_MAX + 1], expected[64], have[400], want[400];
    if (!isfinite(v) || v == 0)
        return;
    naive(v, expected);
    digits_of(expected, want);
    for (int style = TOC_F64_PLAIN; style <= TOC_F64_G; style++) {
        text[toc_f64_text(v, (enum toc_f64_style)style, text)] = 0;
        digits_of(text, have);
        bool has_exponent = strchr(text, 'e') != NULL;
        double largest = style == TOC_F64_G ? 1e6 : 1e21;
        bool wants_exponent =
            style == TOC_F64_EXPONENT ||
            ((style == TOC_F64_GENERAL || style == TOC_F64_G) && fabs(v) < 1e-4) ||
            (style == TOC_F64_JSON && fabs(v) < 1e-6) ||
            (style != TOC_F64_PLAIN && fabs(v) >= largest);
        if (strtod(text, NULL) == v && strcmp(have, want) == 0 && has_exponent == wants_exponent)
            continue;
        fprintf(stderr, "--seed %" PRIu64 ": %a was written \"%s\", expected the digits of %s\n",
                g_seed, v, text, expected);
        exit(1);
    }
}

static double any(struct toc_rng *rng) {
    uint64_t bits = toc_rng_u64(rng);
    switch (toc_rng_u64(rng) % 5) {
    case 0: /* a decimal of a few digits */
        return (double)(int64_t)(bits % 2000000001) / pow(10, (double)(bits >> 60));
    case 1: /* next to a power of two */
        return from_bits((bits & 0x7ff0000000000000) + (uint64_t)((int64_t)(bits % 5) - 2));
    case 2: /* a whole number */
        return (double)(bits >> (bits % 64));
    case 3: /* subnormal */
        return from_bits(bits >> 12);
    default:
        return from_bits(bits);
    }
}

int main(int argc, char **argv) {
    uint64_t ops = 100000;
    toc_random_bytes(&g_seed, sizeof g_seed);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            g_seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 10);
    }
    printf("seed %" PRIu64 "\n", g_seed);
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    for (int e = 0; e < 2047; e++) /* every power of two and its neighbours */
        for (int d = -1; d <= 1; d++)
            check(from_bits(((uint64_t)e << 52) + (uint64_t)(int64_t)d));
    for (int e = -323; e <= 308; e++)
        check(pow(10, e));
    for (uint64_t i = 0; i < ops; i++)
        check(any(&rng));
    return 0;
}
