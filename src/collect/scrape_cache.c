#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/num.h"
#include "codec/exposition_proto.h"
#include "collect/scrape_cache_priv.h"

enum {
    SWEEP_SLACK = 1000,         /* dead series that may stay before a sweep */
    FUTURE_MS = 10 * 60 * 1000, /* samples further ahead are refused, as upstream does */
    METAS_MAX = 20000,
    SCRATCH_BYTES = 64 << 20,
    HISTOGRAM_BYTES = 64 << 20,
    NO_LIMIT_LABELS = 4096,
};

/* In the map of texts: metric_relabel_configs drop this series. */
static struct scrape_series dropped_mark;

struct scrape_meta {
    enum toc_metric_type type;
    char *help, *unit;
    bool is_changed;
};

/* One ingestion. */
struct ingest {
    struct scrape_cache *c;
    struct toc_sv line;              /* at hand, as the script was asked for it */
    const struct scrape_line *known; /* what it is; NULL: not the expected one */
    const struct scrape_input *in;
    struct scrape_counts *counts;
    struct toc_err *err;
    bool is_text;         /* of lines, which the script knows */
    bool has_gaps;        /* a sample was dropped for its time */
    struct toc_sv family; /* of the last TYPE line */
    enum toc_metric_type family_type;
    uint32_t context; /* digest of both, as in struct scrape_line */
    struct toc_labels_builder sample, merged;
};

/* ------------------------------------------------------------------------------------------------
 * series */

void toc_scrape_cache_init(struct scrape_cache *c, struct toc_labels target) {
    static const char *const names[] = {
#define X(name, text, extra) text,
        TOC_SCRAPE_REPORT_TABLE(X)
#undef X
    };
    *c = (struct scrape_cache){.target = toc_labels_dup(target)};
    toc_arena_init(&c->scratch, SCRATCH_BYTES);
    toc_arena_init(&c->histograms, HISTOGRAM_BYTES);
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    for (int i = 0; i < REPORT_COUNT; i++) {
        toc_labels_builder_reset(&b);
        toc_labels_builder_add_all(&b, c->target);
        toc_labels_builder_set(&b, TOC_METRIC_NAME, toc_sv_cstr(names[i]));
        c->reports[i] = toc_scrape_series_get(&c->series, toc_labels_builder_finish(&b));
        c->reports[i]->is_report = true;
    }
    toc_labels_builder_fini(&b);
}

void toc_scrape_cache_forget_texts(struct scrape_cache *c) {
    toc_scrape_script_forget(&c->script);
    toc_map_fini(&c->texts);
    c->texts = TOC_MAP_INIT;
}

void toc_scrape_cache_fini(struct scrape_cache *c) {
    toc_scrape_series_fini(&c->series);
    size_t at = 0;
    for (const struct toc_map_entry *e; (e = toc_map_next(&c->metas, &at));) {
        struct scrape_meta *m = e->value;
        toc_free(m->help);
        toc_free(m->unit);
        toc_free(m);
    }
    toc_map_fini(&c->texts);
    toc_map_fini(&c->metas);
    TOC_VEC_FINI(&c->points);
    TOC_VEC_FINI(&c->starts);
    toc_scrape_script_fini(&c->script);
    toc_labels_free(&c->target);
    toc_arena_fini(&c->scratch);
    toc_arena_fini(&c->histograms);
}

/* Frees series that are gone once they are many; texts that led to them are learned again. */
static void sweep(struct scrape_cache *c) {
    bool many_dead = c->series.count > c->alive_count + c->alive_count / 2 + SWEEP_SLACK;
    bool many_texts = c->texts.count > 2 * c->series.count + SWEEP_SLACK;
    if (!many_dead && !many_texts)
        return;
    toc_scrape_cache_forget_texts(c);
    toc_scrape_series_sweep(&c->series);
}

/* ------------------------------------------------------------------------------- from a line to
 * its labels */

static bool has_name(const struct toc_labels_builder *b, struct toc_sv name) {
    for (size_t i = 0; i < b->count; i++)
        if (toc_sv_eq(b->items[i].name, name))
            return true;
    return false;
}

/* "1" → "1.0", "1000000" → "1e+06", as OpenMetrics writes bounds; other text stays. */
static struct toc_sv normal_bound(struct toc_sv text, struct toc_arena *a) {
    double v;
    char out[64];
    if (toc_parse_f64(text, &v) < 0 || isnan(v))
        return text;
    if (isinf(v))
        return v > 0 ? TOC_SV("+Inf") : TOC_SV("-Inf");
    double size = fabs(v);
    if (size == 0 || (size >= 1e-4 && size < 1e6)) {
        struct toc_buf digits = TOC_BUF_INIT;
        toc_format_f64(v, &digits);
        if (toc_sv_find_char(toc_buf_sv(&digits), '.') == SIZE_MAX)
            toc_buf_append_cstr(&digits, ".0");
        struct toc_sv copy = toc_arena_dup_sv(a, toc_buf_sv(&digits));
        toc_buf_fini(&digits);
        return copy;
    }
    for (int precision = 0; precision < 18; precision++) {
        snprintf(out, sizeof out, "%.*e", precision, v);
        if (strtod(out, NULL) == v)
            break;
    }
    return toc_arena_dup_sv(a, toc_sv_cstr(out));
}

static bool is_bound(const struct ingest *g, const struct toc_exposition_sample *s,
                     struct toc_sv label) {
    if (!toc_sv_starts_with(s->metric, g->family))
        return false;
    return (g->family_type == TOC_METRIC_HISTOGRAM && toc_sv_eq(label, TOC_SV("le"))) ||
           (g->family_type == TOC_METRIC_SUMMARY && toc_sv_eq(label, TOC_SV("quantile")));
}

/* Labels that clash with the target's become exported_…. */
static void rename_clashes(struct ingest *g) {
    struct toc_labels target = g->c->target;
    for (size_t i = 0; i < target.count; i++) {
        struct toc_sv old = toc_labels_builder_get(&g->sample, target.items[i].name);
        if (!old.n)
            continue;
        struct toc_sv name = target.items[i].name;
        do {
            struct toc_buf text = TOC_BUF_INIT;
            toc_buf_printf(&text, "exported_%.*s", TOC_SV_ARG(name));
            name = toc_arena_dup_sv(&g->c->scratch, toc_buf_sv(&text));
            toc_buf_fini(&text);
        } while (name.n && toc_labels_builder_get(&g->merged, name).n);
        toc_labels_builder_set(&g->merged, name, old);
    }
}

/* The labels of a sample after the target's labels and metric_relabel_configs; false when they are
 * dropped. */
static bool build_labels(struct ingest *g, const struct toc_exposition_sample *s,
                         struct toc_labels *out) {
    struct toc_arena *a = &g->c->scratch;
    struct toc_labels target = g->c->target;
    toc_labels_builder_reset(&g->sample);
    toc_labels_builder_reset(&g->merged);
    toc_labels_builder_set(&g->sample, TOC_METRIC_NAME, s->metric);
    for (size_t i = 0; i < s->label_count; i++) {
        const struct toc_exposition_label *l = &s->labels[i];
        toc_labels_builder_set(&g->sample, l->name,
                               is_bound(g, s, l->name) ? normal_bound(l->value, a) : l->value);
    }
    for (size_t i = 0; i < g->sample.count; i++)
        toc_labels_builder_set(&g->merged, g->sample.items[i].name, g->sample.items[i].value);
    for (size_t i = 0; i < target.count; i++)
        if (!g->in->config->honor_labels || !has_name(&g->sample, target.items[i].name))
            toc_labels_builder_set(&g->merged, target.items[i].name, target.items[i].value);
    if (!g->in->config->honor_labels)
        rename_clashes(g);
    if (!toc_relabel_apply(&g->in->config->metric_relabel, &g->merged, a))
        return false;
    *out = toc_labels_builder_finish(&g->merged);
    return out->count > 0;
}

static int check_limits(const struct ingest *g, struct toc_labels l, int line) {
    const struct toc_scrape_limits *m = &g->in->config->limits;
    struct toc_sv name = toc_labels_get(l, TOC_METRIC_NAME);
    if (!name.n)
        return toc_err_at(g->err, TOC_EINVAL, line, 1, "missing metric name (__name__ label)");
    if (m->label_limit && l.count > (size_t)m->label_limit)
        return toc_err_at(
            g->err, TOC_ELIMIT, line, 1,
            "label_limit exceeded (metric: \"%.*s\", number of labels: %zu, limit: %lld)",
            TOC_SV_ARG(toc_sv_sub(name, 0, 50)), l.count, (long long)m->label_limit);
    for (size_t i = 0; i < l.count; i++) {
        const struct toc_label *x = &l.items[i];
        if (m->label_name_length_limit && x->name.n > (size_t)m->label_name_length_limit)
            return toc_err_at(
                g->err, TOC_ELIMIT, line, 1,
                "label_name_length_limit exceeded (label: \"%.*s\", length: %zu, limit: %lld)",
                TOC_SV_ARG(toc_sv_sub(x->name, 0, 50)), x->name.n,
                (long long)m->label_name_length_limit);
        if (m->label_value_length_limit && x->value.n > (size_t)m->label_value_length_limit)
            return toc_err_at(
                g->err, TOC_ELIMIT, line, 1,
                "label_value_length_limit exceeded (label: \"%.*s\", length: %zu, limit: %lld)",
                TOC_SV_ARG(toc_sv_sub(x->name, 0, 50)), x->value.n,
                (long long)m->label_value_length_limit);
    }
    return 0;
}

/* What is remembered of a sample's text: its series or the mark. NULL: nothing. */
static struct scrape_series *remembered(const struct ingest *g,
                                        const struct toc_exposition_sample *s) {
    if (s->is_known)
        return g->known->series;
    return g->is_text ? toc_scrape_script_find(&g->c->script, s->series_text, g->context)
                      : toc_map_get(&g->c->texts, s->series_text);
}

/* Looks a line up, or learns it. *out is the mark when the series is dropped. */
static int find_by_text(struct ingest *g, const struct toc_exposition_sample *s,
                        struct scrape_series **out) {
    struct scrape_cache *c = g->c;
    *out = remembered(g, s);
    if (*out)
        return 0;
    struct toc_labels l;
    toc_arena_reset(&c->scratch);
    *out = &dropped_mark;
    if (build_labels(g, s, &l)) {
        int rc = check_limits(g, l, s->line);
        if (rc)
            return rc;
        *out = toc_scrape_series_get(&c->series, l);
    } else if (c->scratch.overflowed) {
        return toc_err_at(g->err, TOC_ELIMIT, s->line, 1,
                          "the labels of this sample need too much memory");
    }
    if (!g->is_text)
        toc_map_put(&c->texts, s->series_text, *out);
    return 0;
}

/* -----------------------------------------------------------------------------------------------
 * ingestion */

void toc_scrape_cache_forget_points(struct scrape_cache *c) {
    TOC_VEC_FINI(&c->points);
    TOC_VEC_FINI(&c->starts);
    toc_arena_fini(&c->scratch);
    toc_arena_fini(&c->histograms);
}

static void push_point(struct scrape_cache *c, struct scrape_series *s, int64_t t_ms,
                       double value) {
    struct scrape_point p = {s, t_ms, value, NULL};
    TOC_VEC_PUSH(&c->points, p);
}

/* A line as it comes: is it the one that the last answer had in this place? */
static size_t known_part(void *ctx, struct toc_sv line) {
    struct ingest *g = ctx;
    g->line = line;
    g->known = toc_scrape_script_expect(&g->c->script, line, g->context);
    if (!g->known)
        return 0;
    if (g->known->is_comment && g->known->family.n) {
        g->family = toc_sv_sub(line, g->known->family.at, g->known->family.n);
        g->family_type = (enum toc_metric_type)g->known->family_type;
        g->context = g->known->context;
    }
    return g->known->n;
}

static int over_limit(const struct ingest *g) {
    return toc_errf(g->err, TOC_ELIMIT, "sample limit exceeded: more than %lld samples",
                    (long long)g->in->config->limits.sample_limit);
}

/* A sample that is not dropped becomes the last of the points; *out_is_point tells. */
static int take_sample(struct ingest *g, const struct toc_exposition_sample *s,
                       bool *out_is_point) {
    struct scrape_cache *c = g->c;
    const struct toc_scrape_config *config = g->in->config;
    struct scrape_series *series;
    g->counts->scraped++;
    *out_is_point = false;
    int rc = find_by_text(g, s, &series);
    if (!rc && !s->is_known && g->is_text)
        toc_scrape_script_record(&c->script, s->series_text,
                                 &(struct scrape_line){.series = series, .context = g->context});
    if (rc || series == &dropped_mark)
        return rc;
    g->counts->post_relabel++;
    if (config->limits.sample_limit &&
        g->counts->post_relabel > (size_t)config->limits.sample_limit)
        return over_limit(g);
    bool has_own_time = s->has_timestamp && config->honor_timestamps;
    int64_t t_ms = has_own_time ? s->timestamp_ms : g->in->t_ms;
    if (t_ms > g->in->t_ms + FUTURE_MS) {
        c->dropped_future++;
        g->has_gaps = true;
        return 0;
    }
    if (series->is_report || series->cycle == c->cycle) {
        c->dropped_duplicate += !series->is_report;
        return 0;
    }
    series->cycle = c->cycle;
    series->is_tracked = !has_own_time || config->track_timestamps_staleness;
    double value = isnan(s->value) ? toc_f64_from_bits(TOC_NORMAL_NAN_BITS) : s->value;
    push_point(c, series, t_ms, value);
    *out_is_point = true;
    return 0;
}

static int on_sample(void *ctx, const struct toc_exposition_sample *s) {
    bool is_point;
    return take_sample(ctx, s, &is_point);
}

/* Of protobuf, when starts are wanted. */
static int on_started_sample(void *ctx, const struct toc_exposition_sample *s) {
    struct ingest *g = ctx;
    bool is_point;
    int rc = take_sample(g, s, &is_point);
    if (!rc && is_point && s->start_ms)
        toc_scrape_note_start(g->c, s->start_ms);
    return rc;
}

static struct toc_buckets buckets_of(struct toc_exposition_buckets b) {
    return (struct toc_buckets){b.index, b.count, b.size};
}

static int on_histogram(void *ctx, const struct toc_exposition_sample *s,
                        const struct toc_exposition_histogram *h) {
    struct ingest *g = ctx;
    bool is_point;
    int rc = take_sample(g, s, &is_point);
    if (rc || !is_point)
        return rc;
    const struct toc_histogram borrowed = {
        .schema = h->schema,
        .reset_hint = h->is_gauge ? TOC_RESET_GAUGE : TOC_RESET_UNKNOWN,
        .zero_threshold = h->zero_threshold,
        .zero_count = h->zero_count,
        .count = h->count,
        .sum = h->sum,
        .positive = buckets_of(h->positive),
        .negative = buckets_of(h->negative),
    };
    struct scrape_point *p = &g->c->points.items[g->c->points.count - 1];
    p->histogram = toc_histogram_dup(&borrowed, &g->c->histograms);
    if (s->start_ms && g->in->wants_starts)
        toc_scrape_note_start(g->c, s->start_ms);
    return p->histogram ? 0
                        : toc_errf(g->err, TOC_ELIMIT,
                                   "the native histograms of this answer need more than %d MiB",
                                   HISTOGRAM_BYTES >> 20);
}

static enum toc_metric_type parse_type(struct toc_sv text) {
    static const char *const names[] = {
#define X(name, word) word,
        TOC_METRIC_TYPE_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < TOC_ARRAY_LEN(names); i++)
        if (toc_sv_eq_cstr(text, names[i]))
            return (enum toc_metric_type)i;
    return TOC_METRIC_UNKNOWN;
}

static bool replace_text(char **field, struct toc_sv text) {
    if (*field && toc_sv_eq_cstr(text, *field))
        return false;
    toc_free(*field);
    *field = toc_sv_dup_cstr(text);
    return true;
}

static void record_comment(struct ingest *g, const struct toc_exposition_meta *m) {
    struct scrape_line line = {
        .is_comment = true, .family_type = (unsigned)g->family_type & 63, .context = g->context};
    /* A name with escapes is no part of its line: such a comment is read every time. */
    bool is_part = m->metric.p >= g->line.p && m->metric.p < g->line.p + g->line.n;
    if (m->type.n && !is_part)
        return;
    if (m->type.n) {
        line.family.at = (uint32_t)(m->metric.p - g->line.p);
        line.family.n = (uint32_t)m->metric.n;
    }
    toc_scrape_script_record(&g->c->script, g->line, &line);
}

static int on_meta(void *ctx, const struct toc_exposition_meta *m) {
    struct ingest *g = ctx;
    if (m->type.n) {
        g->family = m->metric;
        g->family_type = parse_type(m->type);
        g->context = (uint32_t)toc_hash64(g->family.p, g->family.n, (uint64_t)g->family_type);
    }
    if (g->is_text)
        record_comment(g, m);
    struct scrape_meta *meta = toc_map_get(&g->c->metas, m->metric);
    if (!meta) {
        if (g->c->metas.count >= METAS_MAX)
            return 0;
        meta = TOC_NEW(struct scrape_meta);
        toc_map_put(&g->c->metas, m->metric, meta);
    }
    if (m->type.n && (meta->type != g->family_type || (!meta->help && !meta->unit))) {
        meta->type = g->family_type;
        meta->is_changed = true;
    }
    if (m->help.p)
        meta->is_changed |= replace_text(&meta->help, m->help);
    if (m->unit.p)
        meta->is_changed |= replace_text(&meta->unit, m->unit);
    g->c->has_changed_metas |= meta->is_changed;
    return 0;
}

enum toc_metric_type toc_scrape_cache_type(const struct scrape_cache *c, struct toc_sv metric) {
    const struct scrape_meta *m = toc_map_get(&c->metas, metric);
    return m ? m->type : TOC_METRIC_UNKNOWN;
}

void toc_scrape_cache_send_metadata(struct scrape_cache *c, struct toc_sink *sink) {
    size_t at = 0;
    if (!c->has_changed_metas)
        return;
    c->has_changed_metas = false;
    for (const struct toc_map_entry *e; (e = toc_map_next(&c->metas, &at));) {
        struct scrape_meta *m = e->value;
        if (m->is_changed && sink->metadata)
            sink->metadata(sink, e->key, m->type, toc_sv_cstr(m->help ? m->help : ""),
                           toc_sv_cstr(m->unit ? m->unit : ""));
        m->is_changed = false;
        /* Known as sent from now on, even when it has neither help nor unit. */
        if (!m->help)
            m->help = toc_xstrdup("");
    }
}

static void push_marker(struct scrape_cache *c, struct scrape_series *s, int64_t t_ms) {
    c->alive_count -= s->is_alive;
    s->is_alive = false;
    if (s->is_tracked)
        push_point(c, s, t_ms, toc_stale_nan());
}

void toc_scrape_cache_end_series(struct scrape_cache *c, int64_t t_ms) {
    c->points.count = c->starts.count = 0;
    for (size_t i = 0; i < c->series.count; i++)
        if (c->series.items[i]->is_alive && !c->series.items[i]->is_report)
            push_marker(c, c->series.items[i], t_ms);
}

/* The scrape was good: who is new, who has vanished? Nobody, when the lines were those of last
 * time, each gave a sample both times, and their series are still alive. */
static void settle(struct ingest *g, bool is_same_answer) {
    struct scrape_cache *c = g->c;
    bool has_gaps = g->has_gaps || c->had_gaps;
    c->had_gaps = g->has_gaps;
    if (is_same_answer && !has_gaps && c->points.count == c->alive_count)
        return;
    for (size_t i = 0; i < c->series.count; i++) {
        struct scrape_series *s = c->series.items[i];
        if (s->is_report)
            continue;
        if (s->cycle == c->cycle) {
            g->counts->added += !s->is_alive;
            c->alive_count += !s->is_alive;
            s->is_alive = true;
        } else if (s->is_alive) {
            push_marker(c, s, g->in->t_ms);
        }
    }
}

static struct toc_exposition_limits parser_limits(const struct toc_scrape_limits *m) {
    /* The parser's own limits only bound its memory; the configured ones are checked on the final
     * labels. */
    size_t value =
        m->label_value_length_limit ? (size_t)m->label_value_length_limit + 1 : (size_t)4 << 20;
    size_t name =
        m->label_name_length_limit ? (size_t)m->label_name_length_limit + 1 : (size_t)64 << 10;
    size_t labels = m->label_limit ? (size_t)m->label_limit + 1 : NO_LIMIT_LABELS;
    return (struct toc_exposition_limits){
        .max_labels = TOC_MIN(labels, (size_t)NO_LIMIT_LABELS),
        .max_label_name_bytes = name,
        .max_label_value_bytes = TOC_MAX(value, (size_t)4096),
        .max_line_bytes = (size_t)16 << 20,
    };
}

enum { FLOOD_LINE_BYTES = 16 };

static size_t count_sample_lines(struct toc_sv body) {
    size_t n = 0;
    struct toc_sv line;
    while (toc_sv_split(&body, '\n', &line))
        n += line.n && line.p[0] != '#';
    return n;
}

/* A large answer with more lines than samples are allowed is refused before it costs the memory of
 * its series; relabelling might drop some, then the samples are counted one by one. */
static int refuse_flood(struct ingest *g) {
    const struct toc_scrape_config *config = g->in->config;
    size_t most = (size_t)config->limits.sample_limit;
    if (!g->is_text || !most || config->metric_relabel.count ||
        g->in->body.n / FLOOD_LINE_BYTES <= most)
        return 0;
    size_t n = count_sample_lines(g->in->body);
    if (n <= most)
        return 0;
    g->counts->scraped = g->counts->post_relabel = n;
    return over_limit(g);
}

int toc_scrape_cache_ingest(struct scrape_cache *c, const struct scrape_input *in,
                            struct scrape_counts *out, struct toc_err *err) {
    *out = (struct scrape_counts){0};
    /* Between two scrapes no point refers to a series, so dead ones may go. */
    sweep(c);
    toc_scrape_cache_forget_points(c);
    c->cycle++;
    struct ingest g = {.c = c,
                       .in = in,
                       .counts = out,
                       .err = err,
                       .is_text = in->format != TOC_EXPOSITION_PROTOBUF};
    struct toc_exposition_limits limits = parser_limits(&in->config->limits);
    struct toc_exposition_handler handler = {
        .sample = on_sample, .meta = on_meta, .ctx = &g, .known = known_part};
    if (!g.is_text && in->config->native_histograms)
        handler.histogram = on_histogram;
    if (!g.is_text && in->wants_starts)
        handler.sample = on_started_sample;
    handler.wants_classic = in->config->classic_histograms;
    toc_scrape_script_begin(&c->script);
    TOC_VEC_RESERVE(&c->points, c->alive_count + REPORT_COUNT); /* mostly the same again */
    int rc = refuse_flood(&g);
    if (!rc)
        rc = g.is_text ? toc_exposition_parse(in->format, in->body, &limits, &handler, err)
                       : toc_exposition_proto_parse(in->body, &limits, &handler, err);
    bool is_same_answer = toc_scrape_script_end(&c->script, rc == 0) && g.is_text;
    if (rc == 0 && in->wants_starts && in->format == TOC_EXPOSITION_OPENMETRICS)
        toc_scrape_find_starts(c);
    if (rc == 0)
        settle(&g, is_same_answer);
    else
        toc_scrape_cache_end_series(c, in->t_ms);
    toc_labels_builder_fini(&g.sample);
    toc_labels_builder_fini(&g.merged);
    return rc;
}

void toc_scrape_cache_report(struct scrape_cache *c, enum scrape_report which, int64_t t_ms,
                             double value) {
    push_point(c, c->reports[which], t_ms, value);
}
