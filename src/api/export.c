/*
 * Stored samples as text, series by series while they are sent: JSON lines as VictoriaMetrics has
 * them, CSV with the columns asked for, OpenMetrics. A staleness marker is `null` in JSON lines and
 * left out elsewhere; a native histogram has no form in any of them: left out and counted.
 */
#include <math.h>
#include <stdlib.h>

#include "api/prom_match.h"
#include "base/alloc.h"
#include "base/map.h"
#include "base/num.h"
#include "base/vec.h"
#include "codec/csv.h"
#include "codec/exposition.h"
#include "model/sample.h"

enum { PIECE_BYTES = 64 << 10, POINTS_PER_LINE = 10000, COLUMNS_MAX = 64 };

enum export_format { EXPORT_JSONL, EXPORT_CSV, EXPORT_OPENMETRICS };

enum column_kind { COLUMN_LABEL, COLUMN_VALUE, COLUMN_TIME };
struct column {
    enum column_kind kind;
    struct toc_sv name; /* label, or the format of the time */
};

struct export_item {
    struct toc_sv metric; /* in the arena, one for all series of the name */
    uint32_t set, series;
};

struct export {
    struct toc_api *api;
    struct toc_query query;
    struct toc_prom_matches matches;
    struct toc_series_set *sets[TOC_PROM_MATCH_MAX];
    enum export_format format;
    struct column columns[COLUMNS_MAX];
    size_t column_count;
    struct toc_arena arena; /* names, texts of columns */
    struct toc_map names;   /* metric -> its struct toc_sv in the arena */
    struct toc_series_buffer buffer;
    size_t at;
    struct toc_sv family; /* the one begun last */
    TOC_VEC_FIELDS(struct export_item)
};

uint64_t toc_api_export_skipped(struct toc_api *api) {
    return atomic_load_explicit(&api->export_skipped, memory_order_relaxed);
}

/* --- texts --- */

static void put_json_value(double v, struct toc_buf *out) {
    if (toc_is_stale_nan(v))
        toc_buf_append_cstr(out, "null");
    else if (isnan(v))
        toc_buf_append_cstr(out, "\"NaN\"");
    else if (isinf(v))
        toc_buf_append_cstr(out, v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    else
        toc_format_f64_json(v, out);
}

static bool is_histogram(const struct toc_series_view *v, size_t i) {
    return v->histograms && v->histograms[i];
}

/* The next points of one line: [from, result). */
static size_t put_json_line(const struct toc_series_view *v, size_t from, struct toc_buf *out) {
    struct toc_json_writer w;
    size_t to = from, n = 0;
    toc_json_writer_init(&w, out);
    toc_buf_append_cstr(out, "{\"metric\":");
    toc_json_labels(&w, v->labels);
    toc_buf_append_cstr(out, ",\"values\":[");
    for (; to < v->count && n < POINTS_PER_LINE; to++) {
        if (is_histogram(v, to))
            continue;
        if (n++)
            toc_buf_append_char(out, ',');
        put_json_value(v->values[to], out);
    }
    toc_buf_append_cstr(out, "],\"timestamps\":[");
    for (size_t i = from, k = 0; i < to; i++) {
        if (!is_histogram(v, i))
            toc_buf_printf(out, "%s%lld", k++ ? "," : "", (long long)v->t_ms[i]);
    }
    toc_buf_append_cstr(out, "]}\n");
    return to;
}

static void put_seconds(int64_t t_ms, struct toc_buf *out) {
    uint64_t magnitude = t_ms < 0 ? 0 - (uint64_t)t_ms : (uint64_t)t_ms;
    toc_buf_printf(out, "%s%llu.%03u", t_ms < 0 ? "-" : "", (unsigned long long)(magnitude / 1000),
                   (unsigned)(magnitude % 1000));
}

static void put_time(int64_t t_ms, struct toc_sv format, struct toc_buf *out) {
    if (toc_sv_eq_cstr(format, "unix_s"))
        toc_buf_printf(out, "%lld", (long long)(t_ms / 1000 - (t_ms % 1000 < 0)));
    else if (toc_sv_eq_cstr(format, "unix_ns"))
        toc_buf_printf(out, "%lld000000", (long long)t_ms);
    else if (toc_sv_eq_cstr(format, "rfc3339"))
        toc_ts_format_rfc3339((struct toc_ts){t_ms}, out);
    else
        toc_buf_printf(out, "%lld", (long long)t_ms);
}

static void put_record(const struct export *x, const struct toc_series_view *v, size_t i,
                       struct toc_buf *out) {
    for (size_t k = 0; k < x->column_count; k++) {
        const struct column *c = &x->columns[k];
        if (k)
            toc_buf_append_char(out, ',');
        if (c->kind == COLUMN_LABEL)
            toc_csv_write_field(out, toc_labels_get(v->labels, c->name));
        else if (c->kind == COLUMN_VALUE)
            toc_format_f64(v->values[i], out);
        else
            put_time(v->t_ms[i], c->name, out);
    }
    toc_buf_append_char(out, '\n');
}

static void put_name(struct toc_sv name, bool is_classic, struct toc_buf *out) {
    if (is_classic)
        toc_buf_append_sv(out, name);
    else
        toc_exposition_put_quoted(name, out);
}

static void put_series(struct toc_labels l, struct toc_sv metric, struct toc_buf *out) {
    bool is_classic = toc_metric_name_is_classic(metric);
    char before = '{';
    if (is_classic) {
        toc_buf_append_sv(out, metric);
    } else {
        toc_buf_append_char(out, '{');
        toc_exposition_put_quoted(metric, out);
        before = ',';
    }
    for (size_t i = 0; i < l.count; i++) {
        if (toc_sv_eq(l.items[i].name, TOC_METRIC_NAME))
            continue;
        toc_buf_append_char(out, before);
        put_name(l.items[i].name, toc_label_name_is_classic(l.items[i].name), out);
        toc_buf_append_char(out, '=');
        toc_exposition_put_quoted(l.items[i].value, out);
        before = ',';
    }
    if (before == ',')
        toc_buf_append_char(out, '}');
}

static void put_openmetrics(struct export *x, const struct toc_series_view *v, struct toc_sv metric,
                            struct toc_buf *out) {
    struct toc_buf series = TOC_BUF_INIT;
    if (!toc_sv_eq(metric, x->family)) {
        toc_buf_append_cstr(out, "# TYPE ");
        put_name(metric, toc_metric_name_is_classic(metric), out);
        toc_buf_append_cstr(out, " unknown\n");
        x->family = metric;
    }
    put_series(v->labels, metric, &series);
    for (size_t i = 0; i < v->count; i++) {
        if (is_histogram(v, i) || toc_is_stale_nan(v->values[i]))
            continue;
        toc_buf_append_sv(out, toc_buf_sv(&series));
        toc_buf_append_char(out, ' ');
        toc_format_f64(v->values[i], out);
        toc_buf_append_char(out, ' ');
        put_seconds(v->t_ms[i], out);
        toc_buf_append_char(out, '\n');
    }
    toc_buf_fini(&series);
}

static void put_view(struct export *x, const struct toc_series_view *v, struct toc_sv metric,
                     struct toc_buf *out) {
    uint64_t histograms = 0;
    for (size_t i = 0; v->histograms && i < v->count; i++)
        histograms += is_histogram(v, i);
    atomic_fetch_add_explicit(&x->api->export_skipped, histograms, memory_order_relaxed);
    if (histograms == v->count)
        return;
    if (x->format == EXPORT_OPENMETRICS)
        put_openmetrics(x, v, metric, out);
    for (size_t i = 0; x->format == EXPORT_JSONL && i < v->count;)
        i = put_json_line(v, i, out);
    for (size_t i = 0; x->format == EXPORT_CSV && i < v->count; i++)
        if (!is_histogram(v, i) && !toc_is_stale_nan(v->values[i]))
            put_record(x, v, i, out);
}

/* --- streaming --- */

static int fill(void *ctx, struct toc_buf *out) {
    struct export *x = ctx;
    for (; x->at < x->count && out->n < PIECE_BYTES; x->at++) {
        const struct export_item *item = &x->items[x->at];
        const struct toc_select *s = &x->matches.selects[item->set];
        struct toc_series_set *set = x->sets[item->set];
        struct toc_label items[TOC_SERIES_LABELS_MAX];
        struct toc_series_view v;
        int rc = set->read(set, item->series, s->min_ms, s->max_ms, &x->buffer, &v, NULL);
        if (rc)
            return rc < 0 ? rc : TOC_EIO;
        v.labels = set->labels(set, item->series, items);
        x->query.samples += v.count;
        if (v.count)
            put_view(x, &v, item->metric, out);
    }
    if (toc_buf_error(out))
        return toc_buf_error(out);
    if (x->at < x->count)
        return 1;
    if (x->format == EXPORT_OPENMETRICS)
        toc_buf_append_cstr(out, "# EOF\n");
    return 0;
}

static void close_export(void *ctx) {
    struct export *x = ctx;
    for (size_t i = 0; i < x->matches.count; i++)
        if (x->sets[i])
            x->sets[i]->close(&x->sets[i]);
    if (x->query.gate)
        toc_query_end(&x->query);
    toc_prom_matches_fini(&x->matches);
    toc_series_buffer_fini(&x->buffer);
    toc_map_fini(&x->names);
    toc_arena_fini(&x->arena);
    TOC_VEC_FINI(x);
    toc_free(x);
}

/* --- what to send --- */

static struct toc_sv intern(struct export *x, struct toc_sv name) {
    struct toc_sv *kept = toc_map_get(&x->names, name);
    if (!kept) {
        kept = TOC_ARENA_NEW(&x->arena, struct toc_sv);
        if (!kept)
            return TOC_SV_NULL;
        *kept = toc_arena_dup_sv(&x->arena, name);
        toc_map_put(&x->names, name, kept);
    }
    return *kept;
}

static bool is_in_earlier(const struct export *x, size_t set, struct toc_labels l) {
    for (size_t i = 0; i < set; i++)
        if (toc_matchers_match(x->matches.selects[i].matchers, x->matches.selects[i].matcher_count,
                               l))
            return true;
    return false;
}

/* Families stay together: by name, then as the set has them, by labels. */
static int by_metric(const void *a, const void *b) {
    const struct export_item *x = a, *y = b;
    int order = x->metric.p == y->metric.p ? 0 : toc_sv_cmp(x->metric, y->metric);
    if (order)
        return order;
    if (x->set != y->set)
        return x->set < y->set ? -1 : 1;
    return x->series < y->series ? -1 : x->series > y->series;
}

static int open_sets(struct export *x, struct toc_err *err) {
    struct toc_label items[TOC_SERIES_LABELS_MAX];
    for (size_t i = 0; i < x->matches.count; i++) {
        struct toc_select *s = &x->matches.selects[i];
        s->sorted = true;
        int rc = toc_querier_open(x->api->parts.querier, s, &x->sets[i], err);
        if (rc)
            return rc;
        for (size_t k = 0; k < x->sets[i]->count; k++) {
            struct toc_labels l = x->sets[i]->labels(x->sets[i], k, items);
            if (is_in_earlier(x, i, l))
                continue;
            struct toc_sv metric = intern(x, toc_labels_get(l, TOC_METRIC_NAME));
            TOC_VEC_PUSH(x, ((struct export_item){metric, (uint32_t)i, (uint32_t)k}));
        }
    }
    if (x->count)
        qsort(x->items, x->count, sizeof *x->items, by_metric);
    return x->arena.overflowed ? toc_errf(err, TOC_ELIMIT, "too many names") : 0;
}

static void start(struct toc_api_call *c, struct export *x) {
    static const char *const types[] = {
        [EXPORT_JSONL] = "application/stream+json; charset=utf-8",
        [EXPORT_CSV] = "text/csv; charset=utf-8",
        [EXPORT_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    struct toc_err err = {0};
    int rc;
    x->query = (struct toc_query){.kind = "export", .text = TOC_SV("export")};
    if (toc_query_begin(c->api->queries, &x->query, 0) < 0) {
        x->query.gate = NULL;
        close_export(x);
        toc_api_problem(c, 503, "busy", "too many queries run: export again later");
        return;
    }
    rc = open_sets(x, &err);
    if (rc) {
        close_export(x);
        toc_api_fail(c, rc, &err);
        return;
    }
    c->res->content_type = types[x->format];
    c->res->producer = (struct toc_http_producer){fill, close_export, x};
}

/* `match[]` (required), `start`, `end`. NULL: answered already. */
static struct export *read_request(struct toc_api_call *c, enum export_format format) {
    struct export *x = TOC_NEW(struct export);
    x->api = c->api;
    x->format = format;
    if (!toc_prom_matches_read_range(c, true, &x->matches)) {
        toc_free(x);
        return NULL;
    }
    if (!x->matches.exprs[0]) {
        toc_prom_bad(c, "match[]", "say which series to export, such as match[]={__name__!=\"\"}");
        toc_free(x);
        return NULL;
    }
    for (size_t i = 0; i < x->matches.count; i++)
        x->matches.selects[i].labels_only = false;
    return x;
}

static bool is_time_format(struct toc_sv s) {
    return !s.n || toc_sv_eq_cstr(s, "unix_s") || toc_sv_eq_cstr(s, "unix_ms") ||
           toc_sv_eq_cstr(s, "unix_ns") || toc_sv_eq_cstr(s, "rfc3339");
}

/* `__name__,job,__value__,__timestamp__:unix_ms`: labels, value and time by VictoriaMetrics' names
 * for them. */
static bool read_columns(struct export *x, struct toc_sv format) {
    struct toc_sv rest = toc_arena_dup_sv(&x->arena, format), part;
    while (rest.n && toc_sv_split(&rest, ',', &part)) {
        struct toc_sv name, time = part;
        if (x->column_count == COLUMNS_MAX || !part.n)
            return false;
        (void)toc_sv_split(&time, ':', &name);
        struct column c = {COLUMN_LABEL, part};
        if (toc_sv_eq_cstr(part, "__value__"))
            c.kind = COLUMN_VALUE;
        else if (toc_sv_eq_cstr(name, "__timestamp__"))
            c = (struct column){COLUMN_TIME, time};
        if (c.kind == COLUMN_TIME && !is_time_format(c.name))
            return false;
        x->columns[x->column_count++] = c;
    }
    return x->column_count > 0;
}

void toc_api_export_jsonl(struct toc_api_call *c) {
    struct export *x = read_request(c, EXPORT_JSONL);
    if (x)
        start(c, x);
}

void toc_api_export_openmetrics(struct toc_api_call *c) {
    struct export *x = read_request(c, EXPORT_OPENMETRICS);
    if (x)
        start(c, x);
}

void toc_api_export_csv(struct toc_api_call *c) {
    struct export *x = read_request(c, EXPORT_CSV);
    if (!x)
        return;
    if (read_columns(x, toc_api_param(c, "format"))) {
        start(c, x);
        return;
    }
    close_export(x);
    toc_prom_bad(c, "format",
                 "name the columns: labels, __value__ and __timestamp__:unix_s (or unix_ms, "
                 "unix_ns, rfc3339), such as format=__name__,job,__timestamp__:unix_ms,__value__");
}
