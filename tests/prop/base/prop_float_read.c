/* Numbers from text against the C library's strtod, which glibc rounds correctly: any decimal form,
 * and JSON's against its grammar. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../metricdb/args.h"
#include "base/num.h"
#include "base/rng.h"

static uint64_t g_seed;

static double from_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool is_same(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void fail(const char *text, double have) {
    fprintf(stderr, "--seed %" PRIu64 ": \"%s\" was read as %a, strtod says %a\n", g_seed, text,
            have, strtod(text, NULL));
    exit(1);
}

/* RFC 8259, 6. */
static size_t json_length(const char *p) {
    const char *at = p + (*p == '-');
    if (*at == '0')
        at++;
    else if (*at >= '1' && *at <= '9')
        at += strspn(at, "0123456789");
    else
        return 0;
    if (*at == '.') {
        size_t n = strspn(at + 1, "0123456789");
        if (!n)
            return 0;
        at += 1 + n;
    }
    size_t sign = (*at | 0x20) == 'e' ? 1 + (at[1] == '-' || at[1] == '+') : 0;
    size_t digits = sign ? strspn(at + sign, "0123456789") : 0;
    return (size_t)(at - p) + (digits ? sign + digits : 0);
}

static void check(const char *text) {
    double v = 0;
    char *end;
    double wanted = strtod(text, &end);
    if (toc_parse_f64(toc_sv_cstr(text), &v) == 0 && !is_same(v, wanted))
        fail(text, v);
    size_t n = toc_read_json_number(toc_sv_cstr(text), &v);
    bool is_integer = n && !memchr(text, '.', n) && !memchr(text, 'e', n) && !memchr(text, 'E', n);
    char number[64];
    snprintf(number, sizeof number, "%.*s", (int)n, text);
    if (n && (n != json_length(text) ||
              !is_same(v, is_integer ? strtod(number, NULL) + 0.0 : strtod(number, NULL))))
        fail(text, v);
}

/* Decimal texts of all lengths, many of them next to the middle between two doubles. */
static void make(struct toc_rng *rng, char out[64]) {
    uint64_t bits = toc_rng_u64(rng);
    double v = from_bits(bits);
    switch (toc_rng_below(rng, 7)) {
    case 0:
        snprintf(out, 64, "%.*e", (int)toc_rng_below(rng, 20), v);
        break;
    case 1:
        snprintf(out, 64, "%.17g", (double)(int64_t)(bits % 2000000001) / 1000);
        break;
    case 2:
        snprintf(out, 64, "%.*f", (int)toc_rng_below(rng, 20), (double)(int32_t)bits / 3e5);
        break;
    case 3: { /* halfway */
        uint64_t m = (bits >> 11 | (uint64_t)1 << 52) & (((uint64_t)1 << 53) - 1);
        int shift = (int)toc_rng_below(rng, 10);
        snprintf(out, 64, "%" PRIu64 "%s", (2 * m + 1) << shift, toc_rng_below(rng, 2) ? ".0" : "");
        break;
    }
    case 4:
        snprintf(out, 64, "%s%" PRIu64, toc_rng_below(rng, 2) ? "-" : "",
                 bits >> toc_rng_below(rng, 64));
        break;
    case 5:
        snprintf(out, 64, "%" PRIu64 "e%d", bits >> toc_rng_below(rng, 64),
                 (int)toc_rng_below(rng, 700) - 350);
        break;
    default: { /* nearly a number */
        static const char signs[] = "0123456789.eE+-00";
        size_t n = 1 + toc_rng_below(rng, 24);
        for (size_t i = 0; i < n; i++)
            out[i] = signs[toc_rng_below(rng, sizeof signs - 1)];
        out[n] = 0;
    }
    }
}

int main(int argc, char **argv) {
    g_seed = args_number(argc, argv, "--seed", 1);
    uint64_t ops = args_number(argc, argv, "--ops", 300000);
    static const char *const odd[] = {"18446744073709551616",
                                      "0.18446744073709551616",
                                      "-0",
                                      "-0.0",
                                      "0e5",
                                      "1e",
                                      "1.",
                                      ".5",
                                      "01",
                                      "9007199254740993",
                                      "1e400",
                                      "1e-400",
                                      "5e-324",
                                      "2.2250738585072011e-308"};
    struct toc_rng rng;
    toc_rng_seed(&rng, g_seed);
    for (size_t i = 0; i < TOC_ARRAY_LEN(odd); i++)
        check(odd[i]);
    for (uint64_t i = 0; i < ops; i++) {
        char text[64];
        make(&rng, text);
        check(text);
    }
    return 0;
}
