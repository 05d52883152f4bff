/*
 * The rules of OpenMetrics 1.0 that need more than one line: a family's metadata stands before its
 * samples, its samples stand together, its groups (label sets without le, quantile or state) stand
 * together with rising timestamps, and names, labels and values fit the type. Built on the parser's
 * events.
 */
#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/exposition.h"

enum { EXEMPLAR_RUNES_MAX = 128 };

enum family_type { UNKNOWN, COUNTER, GAUGE, HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY, INFO, STATESET };

/* Suffixes of the samples of each type, NULL-terminated. */
static const struct {
    const char *text;
    const char *suffixes[5];
} types[] = {
    [UNKNOWN] = {"unknown", {"", NULL}},
    [COUNTER] = {"counter", {"_total", "_created", NULL}},
    [GAUGE] = {"gauge", {"", NULL}},
    [HISTOGRAM] = {"histogram", {"_bucket", "_count", "_sum", "_created", NULL}},
    [GAUGE_HISTOGRAM] = {"gaugehistogram", {"_bucket", "_gcount", "_gsum", NULL}},
    [SUMMARY] = {"summary", {"", "_count", "_sum", "_created", NULL}},
    [INFO] = {"info", {"_info", NULL}},
    [STATESET] = {"stateset", {"", NULL}},
};

/* One histogram at one time. */
struct histogram {
    bool is_open, has_bucket, has_negative_bucket, has_sum, has_gsum, has_negative_gsum, has_count;
    double last_le, last_value, count;
};

struct check {
    struct toc_err *err;
    struct toc_map seen_names;  /* every name a finished family may produce */
    struct toc_map seen_groups; /* of this family */
    struct toc_buf name;        /* of this family; empty before the first */
    enum family_type type;
    bool has_type, has_help, has_unit, has_samples;
    struct toc_buf unit;
    struct toc_buf group; /* label text of the current group */
    bool in_group, group_has_timestamp;
    int64_t group_timestamp_ms;
    struct histogram histogram;
    int line;
};

static int refuse(const struct check *k, const char *what) {
    return toc_err_at(k->err, TOC_EPARSE, k->line, 1, "%s", what);
}

static bool ends_with_unit(const struct check *k) {
    struct toc_sv name = toc_buf_sv(&k->name), unit = toc_buf_sv(&k->unit);
    return toc_sv_ends_with(name, unit) && name.n > unit.n && name.p[name.n - unit.n - 1] == '_';
}

static int close_histogram(struct check *k) {
    struct histogram h = k->histogram;
    k->histogram = (struct histogram){0};
    if (!h.is_open)
        return 0;
    if (!h.has_bucket || !isinf(h.last_le))
        return refuse(k, "a histogram without its +Inf bucket");
    if (h.has_count && h.count != h.last_value)
        return refuse(k, "the count of a histogram differs from its +Inf bucket");
    if ((h.has_sum || h.has_gsum) && !h.has_count)
        return refuse(k, "a histogram with a sum but without a count");
    if (!(h.has_sum || h.has_gsum) && h.has_count)
        return refuse(k, "a histogram with a count but without a sum");
    if (h.has_negative_bucket && h.has_sum)
        return refuse(k, "a histogram with negative buckets must not have a sum");
    if (!h.has_negative_bucket && h.has_negative_gsum)
        return refuse(k, "a negative sum without a negative bucket");
    return 0;
}

/* Remembers name + suffix; a second family that may produce it clashes. */
static int claim_name(struct check *k, const char *suffix) {
    struct toc_buf full = TOC_BUF_INIT;
    toc_buf_append_sv(&full, toc_buf_sv(&k->name));
    toc_buf_append_cstr(&full, suffix);
    bool is_taken = toc_map_has(&k->seen_names, toc_buf_sv(&full));
    toc_map_put(&k->seen_names, toc_buf_sv(&full), k);
    toc_buf_fini(&full);
    return is_taken ? refuse(k, "this family's name clashes with an earlier one") : 0;
}

static int close_family(struct check *k) {
    if (!k->name.n)
        return 0;
    int rc = close_histogram(k);
    if (!rc)
        rc = claim_name(k, "");
    for (const char *const *s = types[k->type].suffixes; *s && !rc; s++)
        if (**s)
            rc = claim_name(k, *s);
    if (!rc && k->unit.n && !ends_with_unit(k))
        rc = refuse(k, "the family's name must end with its unit");
    if (!rc && k->unit.n && (k->type == INFO || k->type == STATESET))
        rc = refuse(k, "info and stateset have no unit");
    return rc;
}

static int open_family(struct check *k, struct toc_sv name) {
    int rc = close_family(k);
    toc_buf_reset(&k->name);
    toc_buf_append_sv(&k->name, name);
    toc_buf_reset(&k->unit);
    toc_map_fini(&k->seen_groups);
    k->type = UNKNOWN;
    k->has_type = k->has_help = k->has_unit = k->has_samples = k->in_group = false;
    return rc;
}

static int once(const struct check *k, bool *flag) {
    if (*flag)
        return refuse(k, "this metadata is given twice");
    *flag = true;
    return 0;
}

static int on_meta(void *ctx, const struct toc_exposition_meta *m) {
    struct check *k = ctx;
    int rc = 0;
    k->line = m->line;
    if (!toc_sv_eq(m->metric, toc_buf_sv(&k->name)))
        rc = open_family(k, m->metric);
    else if (k->has_samples)
        rc = refuse(k, "metadata behind the samples of its family");
    if (rc)
        return rc;
    if (m->type.n) {
        for (int t = UNKNOWN; t <= STATESET; t++)
            if (toc_sv_eq_cstr(m->type, types[t].text))
                k->type = (enum family_type)t;
        return once(k, &k->has_type);
    }
    if (m->unit.p) {
        toc_buf_append_sv(&k->unit, m->unit);
        return once(k, &k->has_unit);
    }
    return once(k, &k->has_help);
}

/* The suffix of a sample of this family, NULL when the sample belongs to another. */
static const char *suffix_of(const struct check *k, struct toc_sv metric) {
    struct toc_sv name = toc_buf_sv(&k->name);
    if (!name.n || !toc_sv_starts_with(metric, name))
        return NULL;
    struct toc_sv rest = toc_sv_sub(metric, name.n, metric.n);
    for (const char *const *s = types[k->type].suffixes; *s; s++)
        if (toc_sv_eq_cstr(rest, *s))
            return *s;
    return NULL;
}

static struct toc_sv label_value(const struct toc_exposition_sample *s, struct toc_sv name) {
    for (size_t i = 0; i < s->label_count; i++)
        if (toc_sv_eq(s->labels[i].name, name))
            return s->labels[i].value;
    return TOC_SV_NULL;
}

static int check_labels(const struct check *k, const struct toc_exposition_sample *s,
                        const char *suffix) {
    double v;
    if (k->type == STATESET && !label_value(s, toc_buf_sv(&k->name)).p)
        return refuse(k, "a stateset sample needs a label with the family's name");
    if (strcmp(suffix, "_bucket") == 0) {
        struct toc_sv le = label_value(s, TOC_SV("le"));
        if (!le.p || toc_parse_f64(le, &v) || isnan(v) ||
            (isinf(v) && v > 0 && !toc_sv_eq(le, TOC_SV("+Inf"))))
            return refuse(k, "a bucket needs a label le with a number or +Inf");
    }
    if (k->type == SUMMARY && !*suffix) {
        struct toc_sv q = label_value(s, TOC_SV("quantile"));
        if (!q.p || toc_parse_f64(q, &v) || !(v >= 0 && v <= 1))
            return refuse(k, "a summary's quantile must be a label between 0 and 1");
    }
    return 0;
}

static bool is_one_of(const char *suffix, const char *const *list) {
    for (; *list; list++)
        if (strcmp(suffix, *list) == 0)
            return true;
    return false;
}

static int check_value(const struct check *k, double v, const char *suffix) {
    static const char *const never_nan[] = {"_total",  "_sum",  "_count", "_bucket",
                                            "_gcount", "_gsum", NULL};
    static const char *const never_negative[] = {"_total",  "_sum",    "_count",
                                                 "_bucket", "_gcount", NULL};
    static const char *const whole[] = {"_count", "_bucket", "_gcount", NULL};
    if (k->type == STATESET && v != 0 && v != 1)
        return refuse(k, "a stateset value must be 0 or 1");
    if (k->type == INFO && v != 1)
        return refuse(k, "an info value must be 1");
    if (k->type == SUMMARY && !*suffix && v < 0)
        return refuse(k, "a quantile value must not be negative");
    if (is_one_of(suffix, never_nan) && isnan(v))
        return refuse(k, "this value must not be NaN");
    if (is_one_of(suffix, never_negative) && v < 0)
        return refuse(k, "this value must not be negative");
    if (is_one_of(suffix, whole) && v != trunc(v))
        return refuse(k, "a count must be whole");
    return 0;
}

static size_t count_runes(struct toc_sv s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

static int check_exemplar(const struct check *k, const struct toc_exposition_exemplar *e,
                          const char *suffix) {
    bool is_bucket = strcmp(suffix, "_bucket") == 0, is_total = strcmp(suffix, "_total") == 0;
    size_t runes = 0;
    if (!is_bucket && !is_total)
        return refuse(k, "only buckets and counters have exemplars");
    for (size_t i = 0; i < e->label_count; i++)
        runes += count_runes(e->labels[i].name) + count_runes(e->labels[i].value);
    return runes > EXEMPLAR_RUNES_MAX ? refuse(k, "the labels of an exemplar exceed 128 characters")
                                      : 0;
}

static int compare_labels(const void *a, const void *b) {
    const struct toc_exposition_label *x = a, *y = b;
    return toc_sv_cmp(x->name, y->name);
}

/* The label that tells apart the samples inside a group. */
static bool is_inner_label(const struct check *k, struct toc_sv name, const char *suffix) {
    if (k->type == STATESET)
        return toc_sv_eq(name, toc_buf_sv(&k->name));
    if (strcmp(suffix, "_bucket") == 0)
        return toc_sv_eq(name, TOC_SV("le"));
    return k->type == SUMMARY && !*suffix && toc_sv_eq(name, TOC_SV("quantile"));
}

static void append_group_key(const struct check *k, const struct toc_exposition_sample *s,
                             const char *suffix, struct toc_buf *out) {
    TOC_VEC(struct toc_exposition_label) sorted = {0};
    for (size_t i = 0; i < s->label_count; i++)
        if (!is_inner_label(k, s->labels[i].name, suffix) && k->type != INFO)
            TOC_VEC_PUSH(&sorted, s->labels[i]);
    if (sorted.count)
        qsort(sorted.items, sorted.count, sizeof *sorted.items, compare_labels);
    toc_buf_append_char(out, '{');
    for (size_t i = 0; i < sorted.count; i++) {
        toc_buf_append_varint(out, sorted.items[i].name.n);
        toc_buf_append_sv(out, sorted.items[i].name);
        toc_buf_append_varint(out, sorted.items[i].value.n);
        toc_buf_append_sv(out, sorted.items[i].value);
    }
    TOC_VEC_FINI(&sorted);
}

static int check_time_in_group(const struct check *k, const struct toc_exposition_sample *s) {
    if (s->has_timestamp != k->group_has_timestamp)
        return refuse(k, "samples with and without timestamp in one group");
    if (s->has_timestamp && s->timestamp_ms < k->group_timestamp_ms && k->type != INFO)
        return refuse(k, "timestamps go backwards within a group");
    return 0;
}

/* Sees group changes; a new group or a new time ends the histogram before it. */
static int enter_group(struct check *k, const struct toc_exposition_sample *s, const char *suffix) {
    struct toc_buf key = TOC_BUF_INIT;
    append_group_key(k, s, suffix, &key);
    bool is_same = k->in_group && toc_sv_eq(toc_buf_sv(&key), toc_buf_sv(&k->group));
    int rc = 0;
    if (is_same)
        rc = check_time_in_group(k, s);
    else if (toc_map_has(&k->seen_groups, toc_buf_sv(&key)))
        rc = refuse(k, "the samples of a group do not stand together");
    if (!rc && (!is_same || s->timestamp_ms != k->group_timestamp_ms))
        rc = close_histogram(k);
    toc_map_put(&k->seen_groups, toc_buf_sv(&key), k);
    toc_buf_fini(&k->group);
    k->group = key;
    k->in_group = true;
    k->group_has_timestamp = s->has_timestamp;
    k->group_timestamp_ms = s->timestamp_ms;
    return rc;
}

static int add_bucket(struct check *k, const struct toc_exposition_sample *s) {
    struct histogram *h = &k->histogram;
    double le;
    if (toc_parse_f64(label_value(s, TOC_SV("le")), &le))
        return refuse(k, "a bucket without le");
    if (h->has_bucket && le <= h->last_le)
        return refuse(k, "buckets out of order");
    if (s->value < h->last_value)
        return refuse(k, "bucket values must not fall");
    h->has_bucket = true;
    h->has_negative_bucket |= le < 0;
    h->last_le = le;
    h->last_value = s->value;
    return 0;
}

static int add_to_histogram(struct check *k, const struct toc_exposition_sample *s,
                            const char *suffix) {
    struct histogram *h = &k->histogram;
    if (k->type != HISTOGRAM && k->type != GAUGE_HISTOGRAM)
        return 0;
    h->is_open = true;
    if (strcmp(suffix, "_bucket") == 0)
        return add_bucket(k, s);
    if (strcmp(suffix, "_count") == 0 || strcmp(suffix, "_gcount") == 0) {
        h->has_count = true;
        h->count = s->value;
    }
    h->has_sum |= strcmp(suffix, "_sum") == 0;
    if (strcmp(suffix, "_gsum") == 0) {
        h->has_gsum = true;
        h->has_negative_gsum = s->value < 0;
    }
    return 0;
}

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    struct check *k = ctx;
    int rc = 0;
    k->line = s->line;
    const char *suffix = suffix_of(k, s->metric);
    if (!suffix) {
        rc = open_family(k, s->metric);
        suffix = "";
    }
    k->has_samples = true;
    if (!rc)
        rc = check_labels(k, s, suffix);
    if (!rc)
        rc = enter_group(k, s, suffix);
    if (!rc)
        rc = check_value(k, s->value, suffix);
    if (!rc && s->exemplar)
        rc = check_exemplar(k, s->exemplar, suffix);
    return rc ? rc : add_to_histogram(k, s, suffix);
}

int toc_openmetrics_check(struct toc_sv text, const struct toc_exposition_limits *limits,
                          struct toc_err *err) {
    struct check k = {.err = err};
    struct toc_exposition_handler h = {.sample = on_sample, .meta = on_meta, .ctx = &k};
    int rc = toc_exposition_parse(TOC_EXPOSITION_OPENMETRICS, text, limits, &h, err);
    if (!rc)
        rc = close_family(&k);
    toc_map_fini(&k.seen_names);
    toc_map_fini(&k.seen_groups);
    toc_buf_fini(&k.name);
    toc_buf_fini(&k.unit);
    toc_buf_fini(&k.group);
    return rc;
}
