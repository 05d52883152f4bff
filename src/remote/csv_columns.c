#include "remote/csv_columns.h"

#include "base/num.h"

static int parse_time_format(struct toc_sv s, enum toc_csv_time *out) {
    static const char *const names[] = {
        [TOC_CSV_UNIX_S] = "unix_s",   [TOC_CSV_UNIX_MS] = "unix_ms", [TOC_CSV_UNIX_US] = "unix_us",
        [TOC_CSV_UNIX_NS] = "unix_ns", [TOC_CSV_RFC3339] = "rfc3339",
    };
    for (int i = 0; i <= TOC_CSV_RFC3339; i++)
        if (toc_sv_eq_cstr(s, names[i])) {
            *out = (enum toc_csv_time)i;
            return 0;
        }
    return TOC_EINVAL;
}

static int parse_type(struct toc_sv type, struct toc_csv_column *out, struct toc_err *err) {
    if (toc_sv_eq_cstr(type, "metric"))
        out->type = TOC_CSV_METRIC;
    else if (toc_sv_eq_cstr(type, "label"))
        out->type = TOC_CSV_LABEL;
    else if (toc_sv_eq_cstr(type, "time"))
        out->type = TOC_CSV_TIME;
    else
        return toc_errf(err, TOC_EINVAL,
                        "format: the type of a column is metric, label or time, not \"%.*s\"",
                        TOC_SV_ARG(type));
    return 0;
}

static int parse_column(struct toc_sv text, struct toc_csv_column *out, struct toc_err *err) {
    struct toc_sv rest = text, position = TOC_SV_NULL, type = TOC_SV_NULL;
    uint64_t n = 0;
    bool is_whole = toc_sv_split(&rest, ':', &position) && toc_sv_split(&rest, ':', &type);
    if (!is_whole || !rest.n)
        return toc_errf(err, TOC_EINVAL,
                        "format: a column is POSITION:TYPE:NAME, such as 2:metric:temperature, not "
                        "\"%.*s\"",
                        TOC_SV_ARG(text));
    if (toc_parse_u64(position, &n) || n < 1 || n > TOC_CSV_POSITION_MAX)
        return toc_errf(err, TOC_EINVAL,
                        "format: the position of a column is a number from 1 to %d, not \"%.*s\"",
                        TOC_CSV_POSITION_MAX, TOC_SV_ARG(position));
    *out = (struct toc_csv_column){.position = (size_t)n - 1, .name = rest};
    int rc = parse_type(type, out, err);
    if (rc)
        return rc;
    if (out->type == TOC_CSV_TIME && parse_time_format(rest, &out->time))
        return toc_errf(err, TOC_EINVAL,
                        "format: a time is unix_s, unix_ms, unix_us, unix_ns or rfc3339, not "
                        "\"%.*s\"",
                        TOC_SV_ARG(rest));
    return 0;
}

static int check_last(const struct toc_csv_columns *c, struct toc_err *err) {
    const struct toc_csv_column *last = &c->items[c->count - 1];
    for (size_t i = 0; i + 1 < c->count; i++) {
        const struct toc_csv_column *x = &c->items[i];
        bool is_twice =
            x->type == last->type && (x->type == TOC_CSV_TIME || toc_sv_eq(x->name, last->name));
        if (is_twice)
            return toc_errf(err, TOC_EINVAL, "format: \"%.*s\" is there twice",
                            TOC_SV_ARG(last->name));
    }
    return 0;
}

int toc_csv_columns_parse(struct toc_sv text, struct toc_csv_columns *out, struct toc_err *err) {
    struct toc_sv rest = text, part;
    *out = (struct toc_csv_columns){.count = 0};
    while (toc_sv_split(&rest, ',', &part)) {
        if (out->count == TOC_CSV_COLUMNS_MAX)
            return toc_errf(err, TOC_EINVAL, "format: more than %d columns", TOC_CSV_COLUMNS_MAX);
        int rc = parse_column(toc_sv_trim(part), &out->items[out->count], err);
        if (rc)
            return rc;
        out->metric_count += out->items[out->count++].type == TOC_CSV_METRIC;
        rc = check_last(out, err);
        if (rc)
            return rc;
    }
    return out->metric_count ? 0
                             : toc_errf(err, TOC_EINVAL,
                                        "format: no column is a metric; such as "
                                        "format=1:time:unix_s,2:metric:temperature");
}
