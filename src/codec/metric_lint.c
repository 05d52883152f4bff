#include "codec/metric_lint.h"

#include <ctype.h>

#include "base/alloc.h"
#include "base/map.h"

struct family {
    char *type; /* "" when nothing says it */
    bool has_help;
    bool is_judged;
};

struct lint {
    enum toc_exposition_format format;
    toc_on_metric_remark *fn;
    void *ctx;
    struct toc_map families; /* of struct family, by name */
};

static struct family *family_of(struct lint *l, struct toc_sv name) {
    struct family *f = toc_map_get(&l->families, name);
    if (!f) {
        f = TOC_NEW(struct family);
        toc_map_put(&l->families, name, f);
    }
    return f;
}

static int on_meta(void *ctx, const struct toc_exposition_meta *m) {
    struct family *f = family_of(ctx, m->metric);
    f->has_help |= m->help.n > 0;
    if (m->type.n) {
        toc_free(f->type);
        f->type = toc_sv_dup_cstr(m->type);
    }
    return 0;
}

static bool is_type(const struct family *f, const char *type) {
    return f->type && strcmp(f->type, type) == 0;
}

/* The family whose sample this is: by the suffixes that its type brings. */
static struct toc_sv family_name(struct lint *l, struct toc_sv metric) {
    static const struct {
        const char *suffix, *types[3];
    } parts[] = {{"_bucket", {"histogram", "gaugehistogram"}},
                 {"_sum", {"histogram", "summary"}},
                 {"_count", {"histogram", "summary"}},
                 {"_gsum", {"gaugehistogram"}},
                 {"_gcount", {"gaugehistogram"}},
                 {"_total", {"counter"}},
                 {"_info", {"info"}},
                 {"_created", {"counter", "histogram", "summary"}}};
    for (size_t i = 0; i < TOC_ARRAY_LEN(parts); i++) {
        struct toc_sv suffix = toc_sv_cstr(parts[i].suffix);
        if (!toc_sv_ends_with(metric, suffix))
            continue;
        struct toc_sv name = toc_sv_sub(metric, 0, metric.n - suffix.n);
        const struct family *f = toc_map_get(&l->families, name);
        for (size_t k = 0; f && k < 3 && parts[i].types[k]; k++)
            if (is_type(f, parts[i].types[k]))
                return name;
    }
    return metric;
}

static void judge_suffixes(struct lint *l, struct toc_sv name, const struct family *f) {
    bool is_total = toc_sv_ends_with(name, TOC_SV("_total"));
    bool is_text = l->format == TOC_EXPOSITION_TEXT; /* OpenMetrics adds and demands the suffix */
    if (is_type(f, "counter") && is_text && !is_total)
        l->fn(l->ctx, name, "a counter's name should end with \"_total\"");
    if (f->type && !is_type(f, "counter") && is_total)
        l->fn(l->ctx, name, "only a counter's name should end with \"_total\"");
    if (is_type(f, "histogram") || is_type(f, "gaugehistogram") || is_type(f, "summary"))
        return;
    if (toc_sv_ends_with(name, TOC_SV("_bucket")))
        l->fn(l->ctx, name, "only a histogram's name should end with \"_bucket\"");
    if (toc_sv_ends_with(name, TOC_SV("_count")) || toc_sv_ends_with(name, TOC_SV("_sum")))
        l->fn(l->ctx, name,
              "only a histogram's or summary's name should end with \"_count\" or \"_sum\"");
}

/* One word of a name, between underscores. */
static const char *remark_on_word(struct toc_sv word) {
    static const struct {
        const char *words[8], *remark;
    } rules[] = {
        {{"milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "weeks"},
         "use the base unit \"seconds\""},
        {{"ms", "us", "ns", "sec", "secs", "min", "mins", "hrs"},
         "write the base unit out: \"seconds\""},
        {{"kilobytes", "megabytes", "gigabytes", "kibibytes", "mebibytes", "gibibytes", "bits"},
         "use the base unit \"bytes\""},
        {{"kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib"},
         "write the base unit out: \"bytes\""},
        {{"percent", "percentage", "pct"}, "use a ratio of 0 to 1 (\"ratio\")"},
        {{"fahrenheit", "kelvin"}, "use the base unit \"celsius\""},
        {{"counter", "gauge", "histogram", "summary", "gaugehistogram", "stateset"},
         "a name should not contain the metric's type"},
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(rules); i++)
        for (size_t k = 0; k < TOC_ARRAY_LEN(rules[i].words) && rules[i].words[k]; k++)
            if (toc_sv_eq_cstr(word, rules[i].words[k]))
                return rules[i].remark;
    return NULL;
}

static void judge_words(struct lint *l, struct toc_sv name) {
    struct toc_sv rest = name, word;
    while (toc_sv_split(&rest, '_', &word)) {
        const char *remark = remark_on_word(word);
        if (remark)
            l->fn(l->ctx, name, remark);
    }
    for (size_t i = 1; i < name.n; i++)
        if (isupper((unsigned char)name.p[i]) && islower((unsigned char)name.p[i - 1])) {
            l->fn(l->ctx, name, "write names in snake_case, not in camelCase");
            return;
        }
}

static void judge_labels(struct lint *l, struct toc_sv name, const struct family *f,
                         const struct toc_exposition_sample *s) {
    for (size_t i = 0; i < s->label_count; i++) {
        struct toc_sv label = s->labels[i].name;
        if (toc_sv_eq_cstr(label, "le") && f->type && !is_type(f, "histogram") &&
            !is_type(f, "gaugehistogram"))
            l->fn(l->ctx, name, "only a histogram should have a label \"le\"");
        if (toc_sv_eq_cstr(label, "quantile") && f->type && !is_type(f, "summary"))
            l->fn(l->ctx, name, "only a summary should have a label \"quantile\"");
    }
}

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    struct lint *l = ctx;
    struct toc_sv name = family_name(l, s->metric);
    struct family *f = family_of(l, name);
    if (f->is_judged)
        return 0;
    f->is_judged = true;
    if (!f->has_help)
        l->fn(l->ctx, name, "no help text");
    if (!f->type)
        l->fn(l->ctx, name, "no type");
    judge_suffixes(l, name, f);
    judge_words(l, name);
    judge_labels(l, name, f, s);
    return 0;
}

int toc_metric_lint(enum toc_exposition_format format, struct toc_sv text, toc_on_metric_remark *fn,
                    void *ctx, struct toc_err *err) {
    struct lint l = {.format = format, .fn = fn, .ctx = ctx};
    const struct toc_exposition_handler handler = {.sample = on_sample, .meta = on_meta, .ctx = &l};
    int rc = toc_exposition_parse(format, text, NULL, &handler, err);
    size_t cursor = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&l.families, &cursor));) {
        struct family *f = e->value;
        toc_free(f->type);
        toc_free(f);
    }
    toc_map_fini(&l.families);
    return rc;
}
