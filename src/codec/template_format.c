/* Numbers for people, as Prometheus' template functions write them, and printf. */
#include <math.h>
#include <stdio.h>

#include "base/num.h"
#include "base/time.h"
#include "codec/template_priv.h"

int toc_template_to_number(struct toc_template_call *c, const struct toc_template_value *v,
                           double *out) {
    if (v->type == TOC_TEMPLATE_NUMBER) {
        *out = v->number;
        return 0;
    }
    if (v->type == TOC_TEMPLATE_STRING && toc_parse_f64(v->string, out) == 0)
        return 0;
    return toc_template_call_fail(c, TOC_ETYPE, "this function needs a number");
}

/* Go's %v: shortest digits, with an exponent below 1e-4 and from 1e6. */
void toc_template_format(double v, struct toc_buf *out) {
    double size = fabs(v);
    if (v == 0 || !isfinite(v) || (size >= 1e-4 && size < 1e6)) {
        toc_format_f64(v, out);
        return;
    }
    char text[40];
    for (int precision = 0; precision < 17; precision++) {
        double back;
        int n = snprintf(text, sizeof text, "%.*e", precision, v);
        if (toc_parse_f64(toc_sv_make(text, (size_t)n), &back) == 0 && back == v)
            break;
    }
    toc_buf_append_cstr(out, text);
}

/* %.4g with Go's spelling of the special values. */
static void append_4g(struct toc_buf *b, double v) {
    if (isfinite(v))
        toc_buf_printf(b, "%.4g", v);
    else
        toc_format_f64(v, b);
}

/* Scales below 1 by powers of 1000; returns the prefix. */
static const char *scale_small(double *v) {
    static const char *const prefixes[] = {"m", "u", "n", "p", "f", "a", "z", "y"};
    const char *prefix = "";
    for (size_t i = 0; i < TOC_ARRAY_LEN(prefixes) && fabs(*v) < 1; i++) {
        prefix = prefixes[i];
        *v *= 1000;
    }
    return prefix;
}

static const char *scale_large(double *v, double base, const char *const *prefixes, size_t count) {
    const char *prefix = "";
    for (size_t i = 0; i < count && fabs(*v) >= base; i++) {
        prefix = prefixes[i];
        *v /= base;
    }
    return prefix;
}

static int finish(struct toc_template_call *c, double v, const char *suffix) {
    struct toc_buf b = TOC_BUF_INIT;
    append_4g(&b, v);
    toc_buf_append_cstr(&b, suffix);
    return toc_template_return(c, &b);
}

int toc_template_humanize(struct toc_template_call *c) {
    static const char *const prefixes[] = {"k", "M", "G", "T", "P", "E", "Z", "Y"};
    double v;
    int rc = toc_template_to_number(c, &c->args[0], &v);
    if (rc)
        return rc;
    if (v == 0 || !isfinite(v))
        return finish(c, v, "");
    const char *prefix =
        fabs(v) >= 1 ? scale_large(&v, 1000, prefixes, TOC_ARRAY_LEN(prefixes)) : scale_small(&v);
    return finish(c, v, prefix);
}

int toc_template_humanize1024(struct toc_template_call *c) {
    static const char *const prefixes[] = {"ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"};
    double v;
    int rc = toc_template_to_number(c, &c->args[0], &v);
    if (rc)
        return rc;
    if (fabs(v) <= 1 || !isfinite(v))
        return finish(c, v, "");
    const char *prefix = scale_large(&v, 1024, prefixes, TOC_ARRAY_LEN(prefixes));
    return finish(c, v, prefix);
}

static void append_duration(struct toc_buf *b, double v) {
    const char *sign = v < 0 ? "-" : "";
    int64_t all = (int64_t)fmin(fabs(v), 9e15);
    long long days = all / 86400, hours = all / 3600 % 24, minutes = all / 60 % 60,
              seconds = all % 60;
    if (days)
        toc_buf_printf(b, "%s%lldd %lldh %lldm %llds", sign, days, hours, minutes, seconds);
    else if (hours)
        toc_buf_printf(b, "%s%lldh %lldm %llds", sign, hours, minutes, seconds);
    else if (minutes)
        toc_buf_printf(b, "%s%lldm %llds", sign, minutes, seconds);
    else
        toc_buf_printf(b, "%.4gs", v);
}

int toc_template_humanize_duration(struct toc_template_call *c) {
    double v;
    int rc = toc_template_to_number(c, &c->args[0], &v);
    if (rc)
        return rc;
    if (!isfinite(v))
        return finish(c, v, "");
    if (v == 0)
        return finish(c, v, "s");
    struct toc_buf b = TOC_BUF_INIT;
    if (fabs(v) >= 1) {
        append_duration(&b, v);
        return toc_template_return(c, &b);
    }
    const char *prefix = scale_small(&v);
    append_4g(&b, v);
    toc_buf_printf(&b, "%ss", prefix);
    return toc_template_return(c, &b);
}

int toc_template_humanize_percentage(struct toc_template_call *c) {
    double v;
    int rc = toc_template_to_number(c, &c->args[0], &v);
    return rc ? rc : finish(c, v * 100, "%");
}

/* Go's default text of a UTC time, fractions without trailing zeros. */
int toc_template_humanize_timestamp(struct toc_template_call *c) {
    double v;
    int rc = toc_template_to_number(c, &c->args[0], &v);
    if (rc)
        return rc;
    if (!isfinite(v) || fabs(v) > 1e12)
        return finish(c, v, "");
    struct toc_civil t = toc_ts_civil((struct toc_ts){llround(v * 1000)});
    struct toc_buf b = TOC_BUF_INIT;
    toc_buf_printf(&b, "%04lld-%02d-%02d %02d:%02d:%02d", (long long)t.year, t.month, t.day, t.hour,
                   t.minute, t.second);
    if (t.millisecond) {
        char fraction[8];
        int n = snprintf(fraction, sizeof fraction, ".%03d", t.millisecond);
        while (fraction[n - 1] == '0')
            n--;
        toc_buf_append(&b, fraction, (size_t)n);
    }
    toc_buf_append_cstr(&b, " +0000 UTC");
    return toc_template_return(c, &b);
}

/* One conversion of a format: flags, width and precision checked, rebuilt for the C library. */
struct conversion {
    char flags[8];
    size_t flag_count;
    int width, precision; /* -1: not given */
    char verb;
};

static bool read_small_number(struct toc_sv f, size_t *at, int *out) {
    int v = 0;
    for (; *at < f.n && f.p[*at] >= '0' && f.p[*at] <= '9'; ++*at)
        if ((v = v * 10 + (f.p[*at] - '0')) > 200)
            return false;
    *out = v;
    return true;
}

/* *at stands behind the '%'; false when the conversion is malformed. */
static bool read_conversion(struct toc_sv f, size_t *at, struct conversion *out) {
    *out = (struct conversion){.width = -1, .precision = -1};
    for (; *at < f.n && strchr("-+ #0", f.p[*at]) && f.p[*at]; ++*at) {
        if (out->flag_count == sizeof out->flags - 1)
            return false;
        out->flags[out->flag_count++] = f.p[*at];
    }
    if (*at < f.n && f.p[*at] >= '0' && f.p[*at] <= '9' && !read_small_number(f, at, &out->width))
        return false;
    if (*at < f.n && f.p[*at] == '.') {
        ++*at;
        if (!read_small_number(f, at, &out->precision))
            return false;
    }
    if (*at >= f.n)
        return false;
    out->verb = f.p[(*at)++];
    return true;
}

static void append_padded(struct toc_buf *b, const struct conversion *k, struct toc_sv s) {
    size_t width = k->width > 0 ? (size_t)k->width : 0;
    bool is_left = memchr(k->flags, '-', k->flag_count) != NULL;
    size_t pad = width > s.n ? width - s.n : 0;
    for (size_t i = 0; i < pad && !is_left; i++)
        toc_buf_append_char(b, ' ');
    toc_buf_append_sv(b, s);
    for (size_t i = 0; i < pad && is_left; i++)
        toc_buf_append_char(b, ' ');
}

static void append_text(struct toc_buf *b, const struct conversion *k,
                        const struct toc_template_value *v) {
    struct toc_buf text = {.limit_bytes = b->limit_bytes};
    if (k->verb == 'q')
        toc_buf_append_char(&text, '"');
    toc_template_print(v, &text);
    if (k->verb == 'q')
        toc_buf_append_char(&text, '"');
    struct toc_sv s = toc_buf_sv(&text);
    if (k->precision >= 0 && k->verb == 's')
        s = toc_sv_sub(s, 0, (size_t)k->precision);
    if (toc_buf_error(&text))
        b->error = toc_buf_error(&text);
    append_padded(b, k, s);
    toc_buf_fini(&text);
}

/* %d and %x, and infinities and NaN under any verb. */
static void append_integer(struct toc_buf *b, const struct conversion *k, double v) {
    struct toc_buf digits = TOC_BUF_INIT, text = TOC_BUF_INIT;
    bool is_negative = isfinite(v) && v <= -1;
    if (k->verb == 'x' && isfinite(v))
        toc_buf_printf(&digits, "%llx", (unsigned long long)fabs(v));
    else
        toc_format_f64(isfinite(v) ? trunc(fabs(v)) : v, &digits);
    if (is_negative)
        toc_buf_append_char(&text, '-');
    bool wants_zeros = memchr(k->flags, '0', k->flag_count) && isfinite(v);
    for (size_t n = text.n + digits.n; wants_zeros && k->width > 0 && n < (size_t)k->width; n++)
        toc_buf_append_char(&text, '0');
    toc_buf_append_sv(&text, toc_buf_sv(&digits));
    append_padded(b, k, toc_buf_sv(&text));
    toc_buf_fini(&digits);
    toc_buf_fini(&text);
}

static void append_number(struct toc_buf *b, const struct conversion *k, double v) {
    char spec[16], text[512];
    int precision = k->precision;
    if (k->verb == 'd' || k->verb == 'x' || !isfinite(v)) {
        append_integer(b, k, v);
        return;
    }
    if (k->verb == 'g' && precision < 0) {
        struct toc_buf shortest = TOC_BUF_INIT;
        toc_template_format(v, &shortest);
        append_padded(b, k, toc_buf_sv(&shortest));
        toc_buf_fini(&shortest);
        return;
    }
    snprintf(spec, sizeof spec, "%%%.*s*.*%c", (int)k->flag_count, k->flags, k->verb);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n =
        snprintf(text, sizeof text, spec, TOC_MAX(k->width, 0), precision < 0 ? 6 : precision, v);
#pragma GCC diagnostic pop
    toc_buf_append(b, text, n > 0 ? TOC_MIN((size_t)n, sizeof text - 1) : 0);
}

static int append_conversion(struct toc_template_call *c, const struct conversion *k,
                             const struct toc_template_value *v, struct toc_buf *b) {
    double number;
    if (strchr("svqt", k->verb)) {
        append_text(b, k, v);
        return 0;
    }
    if (!strchr("dxfFgeE", k->verb))
        return toc_template_call_fail(c, TOC_EINVAL, "printf: unknown conversion");
    int rc = toc_template_to_number(c, v, &number);
    if (!rc && k->verb == 'x' && !(fabs(number) < 9.2e18))
        rc = toc_template_call_fail(c, TOC_EINVAL, "printf: number out of range for %x");
    if (!rc)
        append_number(b, k, number);
    return rc;
}

static int format_all(struct toc_template_call *c, struct toc_sv f, struct toc_buf *b) {
    size_t next_arg = 1;
    int rc = 0;
    for (size_t at = 0; at < f.n && !rc;) {
        struct conversion k;
        if (f.p[at] != '%') {
            toc_buf_append_char(b, f.p[at++]);
            continue;
        }
        at++;
        if (!read_conversion(f, &at, &k) || !k.verb)
            return toc_template_call_fail(c, TOC_EINVAL, "printf: malformed conversion");
        if (k.verb == '%')
            toc_buf_append_char(b, '%');
        else if (next_arg >= c->count)
            rc = toc_template_call_fail(c, TOC_EINVAL, "printf: fewer arguments than conversions");
        else
            rc = append_conversion(c, &k, &c->args[next_arg++], b);
    }
    if (!rc && next_arg < c->count)
        rc = toc_template_call_fail(c, TOC_EINVAL, "printf: more arguments than conversions");
    return rc;
}

int toc_template_printf(struct toc_template_call *c) {
    if (c->args[0].type != TOC_TEMPLATE_STRING)
        return toc_template_call_fail(c, TOC_ETYPE, "printf: the format must be a string");
    struct toc_buf b = {.limit_bytes = c->max_bytes};
    int rc = format_all(c, c->args[0].string, &b);
    if (!rc)
        return toc_template_return(c, &b);
    toc_buf_fini(&b);
    return rc;
}
