/* Scalars as numbers, times and truth values, by YAML 1.1 as gopkg.in/yaml.v2 reads them into typed
 * fields. */
#include <math.h>

#include "base/num.h"
#include "base/time.h"
#include "codec/yaml.h"

static bool is_one_of(struct toc_sv s, const char *const *words) {
    for (; *words; words++)
        if (toc_sv_eq_cstr(s, *words))
            return true;
    return false;
}

bool toc_yaml_is_null(const struct toc_yaml *n) {
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return !n || (n->type == TOC_YAML_SCALAR && n->is_plain && is_one_of(n->scalar, words));
}

static int expected(const struct toc_yaml *n, const char *what, struct toc_err *err) {
    static const char *const kinds[] = {"a value", "a list", "a mapping"};
    if (n->type != TOC_YAML_SCALAR)
        return toc_err_at(err, TOC_ETYPE, n->line, n->column, "expected %s, found %s", what,
                          kinds[n->type]);
    return toc_err_at(err, TOC_ETYPE, n->line, n->column, "expected %s, found %s\"%.*s\"", what,
                      n->is_plain ? "" : "the text ", TOC_SV_ARG(toc_sv_sub(n->scalar, 0, 60)));
}

int toc_yaml_string(const struct toc_yaml *n, struct toc_sv *out, struct toc_err *err) {
    if (n->type != TOC_YAML_SCALAR)
        return expected(n, "text", err);
    *out = toc_yaml_is_null(n) ? TOC_SV("") : n->scalar;
    return 0;
}

int toc_yaml_bool(const struct toc_yaml *n, bool *out, struct toc_err *err) {
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                      "on",   "On",   "ON",   "y",   "Y",   NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO",
                                     "off",   "Off",   "OFF",   "n",  "N",  NULL};
    bool is_scalar = n->type == TOC_YAML_SCALAR && n->is_plain;
    bool is_yes = is_scalar && is_one_of(n->scalar, yes);
    if (!is_yes && !(is_scalar && is_one_of(n->scalar, no)))
        return expected(n, "true or false", err);
    *out = is_yes;
    return 0;
}

/* Copies a number without its underscores; false when it is too long. */
static bool strip_underscores(struct toc_sv s, char *out, size_t size, struct toc_sv *stripped) {
    size_t n = 0;
    if (s.n >= size)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            out[n++] = s.p[i];
    *stripped = toc_sv_make(out, n);
    return n > 0;
}

static bool parse_digits(struct toc_sv s, unsigned base, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned c = (unsigned char)s.p[i] | 0x20U;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
        if (digit >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *out = v;
    return s.n > 0;
}

/* 0x, 0o, 0b, a leading 0 for octal, or decimal. */
static bool parse_int(struct toc_sv s, int64_t *out) {
    bool is_negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = toc_sv_sub(s, 1, s.n);
    unsigned base = 10;
    size_t skip = 0;
    if (s.n > 1 && s.p[0] == '0') {
        char mark = (char)(s.p[1] | 0x20);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        skip = mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
    }
    uint64_t v;
    if (!parse_digits(toc_sv_sub(s, skip, s.n), base, &v) || v > (uint64_t)INT64_MAX + is_negative)
        return false;
    *out = is_negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool parse_double(struct toc_sv s, double *out) {
    bool is_negative = s.n && s.p[0] == '-';
    struct toc_sv word = s.n && (s.p[0] == '-' || s.p[0] == '+') ? toc_sv_sub(s, 1, s.n) : s;
    if (toc_sv_eq_nocase(word, TOC_SV(".inf"))) {
        *out = is_negative ? -INFINITY : INFINITY;
        return true;
    }
    if (toc_sv_eq_nocase(s, TOC_SV(".nan"))) {
        *out = NAN;
        return true;
    }
    /* Words such as "nan" and "infinity" are text in YAML. */
    return word.n && ((word.p[0] >= '0' && word.p[0] <= '9') || word.p[0] == '.') &&
           toc_parse_f64(s, out) == 0;
}

int toc_yaml_int(const struct toc_yaml *n, int64_t *out, struct toc_err *err) {
    char text[128];
    struct toc_sv s;
    double v;
    if (n->type != TOC_YAML_SCALAR || !n->is_plain ||
        !strip_underscores(n->scalar, text, sizeof text, &s))
        return expected(n, "a whole number", err);
    if (parse_int(s, out))
        return 0;
    if (!parse_double(s, &v) || v != trunc(v) || fabs(v) > 9e15)
        return expected(n, "a whole number", err);
    *out = (int64_t)v; /* 1e6 and 5.0 count as whole */
    return 0;
}

int toc_yaml_double(const struct toc_yaml *n, double *out, struct toc_err *err) {
    char text[512];
    struct toc_sv s;
    int64_t whole;
    if (n->type != TOC_YAML_SCALAR || !n->is_plain ||
        !strip_underscores(n->scalar, text, sizeof text, &s))
        return expected(n, "a number", err);
    bool has_base_prefix = s.n > 2 && memchr("xXoObB", s.p[1], 6);
    if (has_base_prefix && parse_int(s, &whole)) {
        *out = (double)whole;
        return 0;
    }
    return parse_double(s, out) ? 0 : expected(n, "a number", err);
}

int toc_yaml_duration(const struct toc_yaml *n, int64_t *out_ms, struct toc_err *err) {
    struct toc_err why = {0};
    if (n->type != TOC_YAML_SCALAR)
        return expected(n, "a duration such as 30s or 1h30m", err);
    if (toc_duration_parse(n->scalar, out_ms, &why))
        return toc_err_at(err, TOC_EPARSE, n->line, n->column, "%s", why.message);
    return 0;
}

/* Factor of a unit; all are powers of 1024, as Prometheus reads them. 0 when unknown. */
static double unit_factor(struct toc_sv unit) {
    static const char letters[] = "KMGTPE";
    if (!unit.n || toc_sv_eq_nocase(unit, TOC_SV("B")))
        return 1;
    const char *found = memchr(letters, unit.p[0] & ~0x20, sizeof letters - 1);
    struct toc_sv rest = toc_sv_sub(unit, 1, unit.n);
    if (!found || (rest.n && !toc_sv_eq_nocase(rest, TOC_SV("B")) &&
                   !toc_sv_eq_nocase(rest, TOC_SV("iB")) && !toc_sv_eq_nocase(rest, TOC_SV("i"))))
        return 0;
    return ldexp(1, 10 * (int)(found - letters + 1));
}

int toc_yaml_bytes(const struct toc_yaml *n, int64_t *out, struct toc_err *err) {
    static const char what[] = "a size such as 512, 64KiB or 8MiB";
    if (n->type != TOC_YAML_SCALAR)
        return expected(n, what, err);
    size_t digits = 0;
    while (digits < n->scalar.n && memchr("0123456789.", n->scalar.p[digits], 11))
        digits++;
    double v, factor = unit_factor(toc_sv_trim(toc_sv_sub(n->scalar, digits, n->scalar.n)));
    if (!digits || factor == 0 || toc_parse_f64(toc_sv_sub(n->scalar, 0, digits), &v))
        return expected(n, what, err);
    if (v * factor >= 9.2e18)
        return toc_err_at(err, TOC_ELIMIT, n->line, n->column, "this size is out of range");
    *out = (int64_t)(v * factor);
    return 0;
}
