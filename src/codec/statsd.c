#include "codec/statsd.h"

#include <math.h>

#include "base/num.h"

static const char *const g_types[] = {
    [TOC_STATSD_COUNTER] = "c",   [TOC_STATSD_GAUGE] = "g",        [TOC_STATSD_TIMER] = "ms",
    [TOC_STATSD_HISTOGRAM] = "h", [TOC_STATSD_DISTRIBUTION] = "d", [TOC_STATSD_SET] = "s",
};

const char *toc_statsd_type_text(enum toc_statsd_type t) {
    return t < TOC_STATSD_TYPE_COUNT ? g_types[t] : "?";
}

const char *toc_statsd_fault_text(enum toc_statsd_fault f) {
    static const char *const texts[] = {
#define X(name, text) text,
        TOC_STATSD_FAULT_TABLE(X)
#undef X
    };
    return f < TOC_STATSD_FAULT_COUNT ? texts[f] : "unknown";
}

static bool parse_type(struct toc_sv s, enum toc_statsd_type *out) {
    for (int i = 0; i < TOC_STATSD_TYPE_COUNT; i++)
        if (toc_sv_eq_cstr(s, g_types[i])) {
            *out = (enum toc_statsd_type)i;
            return true;
        }
    return false;
}

static enum toc_statsd_fault parse_tags(struct toc_sv rest, struct toc_statsd_line *out) {
    struct toc_sv part;
    while (rest.n && toc_sv_split(&rest, ',', &part)) {
        size_t colon = toc_sv_find_char(part, ':');
        struct toc_statsd_tag tag = {toc_sv_sub(part, 0, colon), TOC_SV("true")};
        if (colon != SIZE_MAX)
            tag.value = toc_sv_sub(part, colon + 1, SIZE_MAX);
        if (!part.n) /* a comma too many, as some clients send */
            continue;
        if (!tag.name.n || !toc_sv_is_utf8(part))
            return TOC_STATSD_BAD_TAG;
        if (out->tag_count == TOC_STATSD_TAGS_MAX)
            return TOC_STATSD_TAG_LIMIT;
        out->tags[out->tag_count++] = tag;
    }
    return TOC_STATSD_GOOD;
}

static enum toc_statsd_fault parse_section(struct toc_sv s, struct toc_statsd_line *out) {
    struct toc_sv body = toc_sv_sub(s, 1, SIZE_MAX);
    if (!s.n)
        return TOC_STATSD_MALFORMED;
    switch (s.p[0]) {
    case '@':
        if (toc_parse_f64(body, &out->rate) || !(out->rate > 0 && out->rate <= 1))
            return TOC_STATSD_BAD_RATE;
        return TOC_STATSD_GOOD;
    case '#':
        return parse_tags(body, out);
    case 'c': /* the container */
    case 'e': /* external data */
    case 'T': /* a time of the sender */
        return TOC_STATSD_GOOD;
    default:
        return TOC_STATSD_MALFORMED;
    }
}

bool toc_statsd_value(struct toc_sv *rest, enum toc_statsd_type type,
                      struct toc_statsd_value *out) {
    *out = (struct toc_statsd_value){0};
    if (!rest->p || !toc_sv_split(rest, ':', &out->text))
        return false;
    out->is_change =
        type == TOC_STATSD_GAUGE && out->text.n && (out->text.p[0] == '+' || out->text.p[0] == '-');
    if (type != TOC_STATSD_SET && (!out->text.n || toc_parse_f64(out->text, &out->number)))
        out->number = NAN;
    return true;
}

/* Finite numbers; texts of sets that are not empty. */
static bool are_good(const struct toc_statsd_line *line) {
    struct toc_sv rest = line->values;
    struct toc_statsd_value v;
    while (toc_statsd_value(&rest, line->type, &v)) {
        bool is_good = line->type == TOC_STATSD_SET ? v.text.n > 0 : isfinite(v.number);
        if (!is_good)
            return false;
    }
    return true;
}

enum toc_statsd_fault toc_statsd_parse(struct toc_sv line, struct toc_statsd_line *out) {
    struct toc_sv rest = line, part, type;
    size_t colon = toc_sv_find_char(line, ':');
    bool is_other =
        toc_sv_starts_with(line, TOC_SV("_e{")) || toc_sv_starts_with(line, TOC_SV("_sc|"));
    out->tag_count = 0;
    out->rate = 1;
    if (is_other)
        return TOC_STATSD_NO_METRIC;
    if (colon == SIZE_MAX || colon == 0 || !toc_sv_is_utf8(toc_sv_sub(line, 0, colon)))
        return TOC_STATSD_MALFORMED;
    out->name = toc_sv_sub(line, 0, colon);
    rest = toc_sv_sub(line, colon + 1, SIZE_MAX);
    if (toc_sv_find_char(out->name, '|') != SIZE_MAX || !toc_sv_split(&rest, '|', &out->values) ||
        !out->values.n || !rest.p)
        return TOC_STATSD_MALFORMED;
    (void)toc_sv_split(&rest, '|', &type);
    if (!parse_type(type, &out->type))
        return TOC_STATSD_UNKNOWN_TYPE;
    while (rest.p && toc_sv_split(&rest, '|', &part)) {
        enum toc_statsd_fault f = parse_section(part, out);
        if (f)
            return f;
    }
    return are_good(out) ? TOC_STATSD_GOOD : TOC_STATSD_BAD_VALUE;
}

void toc_statsd_write(const struct toc_statsd_line *line, struct toc_buf *out) {
    toc_buf_append_sv(out, line->name);
    toc_buf_append_char(out, ':');
    toc_buf_append_sv(out, line->values);
    toc_buf_printf(out, "|%s", toc_statsd_type_text(line->type));
    if (line->rate != 1) {
        toc_buf_append_cstr(out, "|@");
        toc_format_f64(line->rate, out);
    }
    for (size_t i = 0; i < line->tag_count; i++) {
        toc_buf_append_cstr(out, i ? "," : "|#");
        toc_buf_append_sv(out, line->tags[i].name);
        toc_buf_append_char(out, ':');
        toc_buf_append_sv(out, line->tags[i].value);
    }
}
