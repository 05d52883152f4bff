#include "collect/run_line_priv.h"

#include <math.h>
#include <stdio.h>

#include "base/num.h"

/* What the protocol knows by name. X(enum, name, is_alias) */
#define FIELDS(X)                      \
    X(FIELD_T, "t", false)             \
    X(FIELD_T, "timestamp", true)      \
    X(FIELD_T, "time", true)           \
    X(FIELD_T, "_timestamp", true)     \
    X(FIELD_RUN, "run", false)         \
    X(FIELD_SESSION, "session", false) \
    X(FIELD_SEQ, "seq", false)         \
    X(FIELD_STEP, "step", false)       \
    X(FIELD_STEP, "global_step", true) \
    X(FIELD_STEP, "iteration", true)   \
    X(FIELD_RANK, "rank", false)       \
    X(FIELD_STATE, "state", false)     \
    X(FIELD_EVENT, "event", false)     \
    X(FIELD_MESSAGE, "message", false) \
    X(FIELD_DROPPED, "dropped", false) \
    X(FIELD_PARTIAL, "partial", false) \
    X(FIELD_LR, "lr", false)           \
    X(FIELD_LR, "learning_rate", true)

enum field {
    FIELD_T,
    FIELD_RUN,
    FIELD_SESSION,
    FIELD_SEQ,
    FIELD_STEP,
    FIELD_RANK,
    FIELD_STATE,
    FIELD_EVENT,
    FIELD_MESSAGE,
    FIELD_DROPPED,
    FIELD_PARTIAL,
    FIELD_LR,
    FIELD_UNKNOWN
};

static const struct {
    enum field field;
    struct toc_sv name;
    bool is_alias;
} fields[] = {
#define X(field, name, is_alias) {field, {name, sizeof name - 1}, is_alias},
    FIELDS(X)
#undef X
};

/* X(field, metric, kind, latest) */
#define VALUES(X)                                                                                 \
    X("loss", "train_loss", TOC_RUN_VALUE_LOSS, TOC_RUN_LATEST_LOSS)                              \
    X("train_loss", "train_loss", TOC_RUN_VALUE_LOSS, TOC_RUN_LATEST_LOSS)                        \
    X("grad_norm", "train_grad_norm", TOC_RUN_VALUE_GRAD, TOC_RUN_LATEST_GRAD_NORM)               \
    X("lr", "train_learning_rate", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_RATE)                      \
    X("step_seconds", "train_step_seconds", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_STEP_SECONDS)     \
    X("tokens_per_second", "train_tokens_per_second", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_TOKENS) \
    X("memory_bytes", "train_memory_bytes", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_MEMORY)           \
    X("memory_limit_bytes", "train_memory_limit_bytes", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_NONE)

/* X(statistic, metric, kind, latest) */
#define STATS(X)                                                                            \
    X("grad_norm", "train_layer_grad_norm", TOC_RUN_VALUE_GRAD, TOC_RUN_LATEST_NONE)        \
    X("param_mean", "train_layer_param_mean", TOC_RUN_VALUE_PARAM, TOC_RUN_LATEST_NONE)     \
    X("param_std", "train_layer_param_std", TOC_RUN_VALUE_PARAM, TOC_RUN_LATEST_NONE)       \
    X("param_min", "train_layer_param_min", TOC_RUN_VALUE_PARAM, TOC_RUN_LATEST_NONE)       \
    X("param_max", "train_layer_param_max", TOC_RUN_VALUE_PARAM, TOC_RUN_LATEST_NONE)       \
    X("update_ratio", "train_update_ratio", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_NONE)       \
    X("zero_grad_ratio", "train_zero_grad_ratio", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_NONE) \
    X("nonfinite_ratio", "train_layer_nonfinite_ratio", TOC_RUN_VALUE_PLAIN, TOC_RUN_LATEST_NONE)

struct known {
    struct toc_sv name, metric;
    enum toc_run_value_kind kind;
    enum toc_run_latest_kind latest;
};
#define KNOWN(name, metric, kind, latest) \
    {{name, sizeof name - 1}, {metric, sizeof metric - 1}, kind, latest},
static const struct known known_values[] = {VALUES(KNOWN)};
static const struct known known_stats[] = {STATS(KNOWN)};
static const struct known *const learning_rate = &known_values[3];

/* Series that only the receiver writes: a field of that name must not mix with them. */
static const char *const reserved[] = {
    "train_step",
    "train_last_step_timestamp_seconds",
    "train_run_state",
    "train_run_tells_state",
    "train_run_info",
    "train_reports_dropped_total",
    "train_nonfinite_total",
    "train_restarts_total",
    "train_last_checkpoint_timestamp_seconds",
    "train_checkpoint_step",
    "train_loss",
    "train_grad_norm",
    "train_learning_rate",
    "train_step_seconds",
    "train_tokens_per_second",
    "train_memory_bytes",
    "train_memory_limit_bytes",
};

int toc_run_fail(const struct toc_run_decoder *d, int number, const char *fmt, ...) {
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return toc_err_at(d->err, TOC_EPARSE, number, 0, "line %d: %s", number, text);
}

static bool is_text_clean(struct toc_sv s, size_t max) {
    if (s.n == 0 || s.n > max || !toc_sv_is_utf8(s))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

bool toc_run_name_is_valid(struct toc_sv name) {
    return is_text_clean(name, TOC_RUN_NAME_MAX_BYTES);
}

/* A number, or text that says what JSON numbers cannot. In CSV every number is text. */
static bool raw_value(const struct toc_run_raw *raw, double *out) {
    if (raw->type == TOC_RUN_RAW_NUMBER) {
        *out = raw->number;
        return true;
    }
    struct toc_sv text = raw->text;
    if (raw->is_csv && text.n && text.p[0] != '-' && toc_read_json_number(text, out) == text.n)
        return true; /* as most cells are */
    if (raw->type != TOC_RUN_RAW_TEXT || toc_parse_f64(toc_sv_trim(raw->text), out))
        return false;
    return raw->is_csv || !isfinite(*out);
}

static int need_integer(const struct toc_run_decoder *d, int number, const char *name,
                        const struct toc_run_raw *raw, int64_t least, int64_t *out) {
    double v;
    if (!raw_value(raw, &v) || !(v >= (double)least) || !(v <= 9007199254740992.0) ||
        v != (double)(int64_t)v)
        return toc_run_fail(d, number, "\"%s\" must be an integer from %lld on", name,
                            (long long)least);
    *out = (int64_t)v;
    return 0;
}

static int need_text(const struct toc_run_decoder *d, int number, const char *name,
                     const struct toc_run_raw *raw, size_t max, struct toc_sv *out) {
    if (raw->type != TOC_RUN_RAW_TEXT)
        return toc_run_fail(d, number, "\"%s\" must be a string", name);
    if (!is_text_clean(raw->text, max))
        return toc_run_fail(d, number,
                            "\"%s\" must be 1 to %zu bytes of UTF-8 without control characters",
                            name, max);
    *out = raw->text;
    return 0;
}

static int set_time(const struct toc_run_decoder *d, struct toc_run_line *line,
                    const struct toc_run_raw *raw) {
    double v;
    if (!raw_value(raw, &v) || !(v > 0) || !(v < 1e14))
        return toc_run_fail(d, line->number,
                            "\"t\" must be seconds since 1970 as a number, such as "
                            "1700000000.123");
    line->t_ms = (int64_t)floor(v * 1000 + 0.5);
    line->has_t = true;
    return 0;
}

static int set_run(const struct toc_run_decoder *d, struct toc_run_line *line,
                   const struct toc_run_raw *raw) {
    int rc = need_text(d, line->number, "run", raw, TOC_RUN_NAME_MAX_BYTES, &line->run);
    if (rc || d->is_file || toc_sv_eq(line->run, d->run))
        return rc;
    return toc_run_fail(d, line->number,
                        "\"run\" is %.*s but the request is for %.*s: send it to its own run or "
                        "leave the field out",
                        TOC_SV_ARG(line->run), TOC_SV_ARG(d->run));
}

static int set_state(const struct toc_run_decoder *d, struct toc_run_line *line,
                     const struct toc_run_raw *raw) {
    for (int i = 0; raw->type == TOC_RUN_RAW_TEXT && i < TOC_RUN_STATE_COUNT; i++)
        if (toc_sv_eq_cstr(raw->text, toc_run_state_text((enum toc_run_state)i))) {
            line->state = (enum toc_run_state)i;
            line->has_state = true;
            return 0;
        }
    return toc_run_fail(d, line->number,
                        "\"state\" must be running, evaluation, checkpoint, paused, "
                        "finished or failed");
}

static int set_event(const struct toc_run_decoder *d, struct toc_run_line *line,
                     const struct toc_run_raw *raw) {
    for (int i = 0; raw->type == TOC_RUN_RAW_TEXT && i < TOC_RUN_EVENT_LAYERS; i++)
        if (toc_sv_eq_cstr(raw->text, toc_run_event_text((enum toc_run_event_kind)i))) {
            line->event = (enum toc_run_event_kind)i;
            line->has_event = true;
            return 0;
        }
    return toc_run_fail(d, line->number,
                        "\"event\" must be start, end, checkpoint, restart or error");
}

/* Text for people: line breaks and tabs are welcome, other control characters are not. */
static int set_message(const struct toc_run_decoder *d, struct toc_run_line *line,
                       const struct toc_run_raw *raw) {
    if (raw->type != TOC_RUN_RAW_TEXT || raw->text.n > TOC_RUN_MESSAGE_MAX_BYTES ||
        !toc_sv_is_utf8(raw->text))
        return toc_run_fail(d, line->number, "\"message\" must be UTF-8 text of at most %d bytes",
                            TOC_RUN_MESSAGE_MAX_BYTES);
    line->message = raw->text;
    return 0;
}

static int set_partial(const struct toc_run_decoder *d, struct toc_run_line *line,
                       const struct toc_run_raw *raw) {
    if (raw->type != TOC_RUN_RAW_BOOL)
        return toc_run_fail(d, line->number, "\"partial\" must be true or false");
    line->is_partial = raw->boolean;
    return 0;
}

static int push_value(const struct toc_run_decoder *d, struct toc_run_line *line,
                      const struct toc_run_value *value, bool is_only) {
    for (size_t i = 0; !is_only && i < line->value_count; i++)
        if (toc_sv_eq(line->values[i].metric, value->metric))
            return 0; /* two fields of one series: the first stays */
    if (line->value_count == TOC_RUN_VALUES_MAX)
        return toc_run_fail(d, line->number, "more than %d numbers on one line",
                            TOC_RUN_VALUES_MAX);
    line->values[line->value_count++] = *value;
    line->has_loss |= value->kind == TOC_RUN_VALUE_LOSS;
    return 0;
}

/* prefix + name with every byte outside [a-zA-Z0-9_] made '_'; a name that has the prefix keeps
 * it. */
static struct toc_sv metric_name(struct toc_arena *a, const char *prefix, struct toc_sv name) {
    size_t n = toc_sv_starts_with(name, toc_sv_cstr(prefix)) ? 0 : strlen(prefix);
    char *p = toc_arena_alloc(a, n + name.n + 1);
    if (!p)
        return TOC_SV_NULL;
    memcpy(p, prefix, n);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_legal = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        p[n + i] = is_legal ? c : '_';
    }
    return toc_sv_make(p, n + name.n);
}

static bool is_reserved(struct toc_sv metric) {
    for (size_t i = 0; i < TOC_ARRAY_LEN(reserved); i++)
        if (toc_sv_eq_cstr(metric, reserved[i]))
            return true;
    return false;
}

static int set_unknown(const struct toc_run_decoder *d, struct toc_run_line *line,
                       struct toc_sv name, const struct toc_run_meaning *m,
                       const struct toc_run_raw *raw) {
    struct toc_run_value v = m->value;
    if (!raw_value(raw, &v.value) || name.n == 0) {
        line->ignored_fields++;
        return 0;
    }
    if (name.n > TOC_RUN_FIELD_MAX_BYTES)
        return toc_run_fail(d, line->number, "a field name of %zu bytes: at most %d are allowed",
                            name.n, TOC_RUN_FIELD_MAX_BYTES);
    if (!v.metric.p)
        return toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
    if (m->is_reserved) {
        line->ignored_fields++;
        return 0;
    }
    return push_value(d, line, &v, m->is_only);
}

static struct toc_run_value value_of(const struct known *k) {
    return (struct toc_run_value){.metric = k->metric, .kind = k->kind, .latest = k->latest};
}

static int set_known_value(const struct toc_run_decoder *d, struct toc_run_line *line,
                           struct toc_sv name, const struct toc_run_meaning *m,
                           const struct toc_run_raw *raw) {
    struct toc_run_value v = m->value;
    if (!raw_value(raw, &v.value))
        return toc_run_fail(d, line->number,
                            "\"%.*s\" must be a number, or \"NaN\", \"+Inf\" or \"-Inf\"",
                            TOC_SV_ARG(name));
    return push_value(d, line, &v, m->is_only);
}

static const struct known *known_of(const struct known *table, size_t count, struct toc_sv name) {
    for (size_t i = 0; i < count; i++)
        if (toc_sv_eq(name, table[i].name))
            return &table[i];
    return NULL;
}

static int set_count(const struct toc_run_decoder *d, struct toc_run_line *line, const char *name,
                     const struct toc_run_raw *raw, int64_t least, int64_t *out, bool *out_has) {
    int rc = need_integer(d, line->number, name, raw, least, out);
    *out_has = rc == 0;
    return rc;
}

/* Under its own name it goes before what an alias said. */
static int set_lr(const struct toc_run_decoder *d, struct toc_run_line *line,
                  const struct toc_run_meaning *m, const struct toc_run_raw *raw) {
    for (size_t i = 0; !m->is_only && i < line->value_count; i++)
        if (toc_sv_eq(line->values[i].metric, learning_rate->metric)) {
            line->values[i] = line->values[--line->value_count];
            break;
        }
    return set_known_value(d, line, learning_rate->name, m, raw);
}

static int set_named(const struct toc_run_decoder *d, struct toc_run_line *line,
                     const struct toc_run_meaning *m, const struct toc_run_raw *raw) {
    switch (fields[m->row].field) {
    case FIELD_T:
        return set_time(d, line, raw);
    case FIELD_RUN:
        return set_run(d, line, raw);
    case FIELD_SESSION:
        return need_text(d, line->number, "session", raw, TOC_RUN_SESSION_MAX_BYTES,
                         &line->session);
    case FIELD_SEQ:
        return set_count(d, line, "seq", raw, 1, &line->seq, &line->has_seq);
    case FIELD_STEP:
        return set_count(d, line, "step", raw, 0, &line->step, &line->has_step);
    case FIELD_RANK:
        return set_count(d, line, "rank", raw, 0, &line->rank, &line->has_rank);
    case FIELD_DROPPED:
        return set_count(d, line, "dropped", raw, 0, &line->dropped, &line->has_dropped);
    case FIELD_STATE:
        return set_state(d, line, raw);
    case FIELD_EVENT:
        return set_event(d, line, raw);
    case FIELD_MESSAGE:
        return set_message(d, line, raw);
    case FIELD_PARTIAL:
        return set_partial(d, line, raw);
    case FIELD_LR:
        return set_lr(d, line, m, raw);
    default:
        return 0;
    }
}

static bool takes_number(enum field field) {
    return field == FIELD_T || field == FIELD_SEQ || field == FIELD_STEP || field == FIELD_RANK ||
           field == FIELD_DROPPED;
}

struct toc_run_meaning toc_run_meaning_of(struct toc_arena *a, struct toc_sv name) {
    struct toc_run_meaning m = {.row = -1};
    for (size_t i = 0; m.row < 0 && i < TOC_ARRAY_LEN(fields); i++)
        m.row = toc_sv_eq(name, fields[i].name) ? (int)i : -1;
    const struct known *k = m.row < 0 ? known_of(known_values, TOC_ARRAY_LEN(known_values), name)
                            : fields[m.row].field == FIELD_LR ? learning_rate
                                                              : NULL;
    m.is_known = k != NULL;
    m.takes_number = m.row >= 0 && takes_number(fields[m.row].field);
    if (k)
        m.value = value_of(k);
    if (k || m.row >= 0 || !name.n || name.n > TOC_RUN_FIELD_MAX_BYTES)
        return m;
    m.value = (struct toc_run_value){.metric = metric_name(a, "train_", name), .is_unknown = true};
    m.is_reserved = is_reserved(m.value.metric);
    return m;
}

struct toc_sv toc_run_meaning_metric(const struct toc_run_meaning *m) {
    return m->is_reserved ? TOC_SV_NULL : m->value.metric;
}

int toc_run_set_meant(const struct toc_run_decoder *d, struct toc_run_line *line,
                      struct toc_sv name, const struct toc_run_meaning *m,
                      const struct toc_run_raw *raw) {
    if (m->row < 0)
        return m->is_known ? set_known_value(d, line, name, m, raw)
                           : set_unknown(d, line, name, m, raw);
    uint32_t bit = 1u << fields[m->row].field;
    if (fields[m->row].is_alias && (line->named & bit))
        return 0;
    line->named |= fields[m->row].is_alias ? 0 : bit;
    return set_named(d, line, m, raw);
}

int toc_run_set_field(const struct toc_run_decoder *d, struct toc_run_line *line,
                      struct toc_sv name, const struct toc_run_raw *raw) {
    struct toc_run_meaning m = toc_run_meaning_of(d->arena, name);
    return toc_run_set_meant(d, line, name, &m, raw);
}

int toc_run_add_label(const struct toc_run_decoder *d, struct toc_run_line *line,
                      struct toc_sv name, struct toc_sv value) {
    if (!is_text_clean(name, TOC_RUN_FIELD_MAX_BYTES) || !toc_label_name_is_classic(name) ||
        toc_sv_starts_with(name, TOC_SV("__")) || toc_sv_eq_cstr(name, "run") ||
        toc_sv_eq_cstr(name, "rank"))
        return toc_run_fail(d, line->number,
                            "label name \"%.*s\": letters, digits and _ only, not run, rank or "
                            "__…, at most %d bytes",
                            TOC_SV_ARG(toc_sv_sub(name, 0, 64)), TOC_RUN_FIELD_MAX_BYTES);
    if (value.n > TOC_RUN_LABEL_VALUE_MAX_BYTES || !toc_sv_is_utf8(value))
        return toc_run_fail(d, line->number,
                            "the value of label \"%.*s\" must be UTF-8 of at most %d bytes",
                            TOC_SV_ARG(name), TOC_RUN_LABEL_VALUE_MAX_BYTES);
    if (line->label_count == TOC_RUN_LABELS_MAX)
        return toc_run_fail(d, line->number, "more than %d labels", TOC_RUN_LABELS_MAX);
    if (!line->labels)
        line->labels = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_label, TOC_RUN_LABELS_MAX);
    if (!line->labels)
        return toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
    line->labels[line->label_count++] = (struct toc_label){name, value};
    return 0;
}

struct toc_run_layer *toc_run_add_layer(const struct toc_run_decoder *d, struct toc_run_line *line,
                                        struct toc_sv name, size_t stats) {
    if (!is_text_clean(name, TOC_RUN_FIELD_MAX_BYTES)) {
        toc_run_fail(d, line->number,
                     "a layer name must be 1 to %d bytes of UTF-8 without control characters",
                     TOC_RUN_FIELD_MAX_BYTES);
        return NULL;
    }
    if (line->layer_count == TOC_RUN_LAYERS_MAX) {
        toc_run_fail(d, line->number, "more than %d layers on one line", TOC_RUN_LAYERS_MAX);
        return NULL;
    }
    struct toc_run_layer *layer = &line->layers[line->layer_count];
    layer->name = name;
    layer->stats = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_value,
                                       TOC_MIN(stats, (size_t)TOC_RUN_STATS_MAX) + 1);
    if (!layer->stats) {
        toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
        return NULL;
    }
    line->layer_count++;
    return layer;
}

struct toc_run_value toc_run_stat_of(struct toc_arena *a, struct toc_sv stat) {
    const struct known *k = known_of(known_stats, TOC_ARRAY_LEN(known_stats), stat);
    return k ? value_of(k) : (struct toc_run_value){.metric = metric_name(a, "train_layer_", stat)};
}

int toc_run_add_stat(const struct toc_run_decoder *d, struct toc_run_line *line,
                     struct toc_run_layer *layer, struct toc_sv stat,
                     const struct toc_run_raw *raw) {
    double value;
    if (!raw_value(raw, &value) || stat.n == 0 || stat.n > TOC_RUN_FIELD_MAX_BYTES) {
        if (known_of(known_stats, TOC_ARRAY_LEN(known_stats), stat))
            return toc_run_fail(d, line->number, "layer %.*s: \"%.*s\" must be a number",
                                TOC_SV_ARG(layer->name), TOC_SV_ARG(stat));
        line->ignored_fields++;
        return 0;
    }
    if (layer->count == TOC_RUN_STATS_MAX)
        return toc_run_fail(d, line->number, "layer %.*s: more than %d statistics",
                            TOC_SV_ARG(layer->name), TOC_RUN_STATS_MAX);
    struct toc_run_value v = toc_run_stat_of(d->arena, stat);
    if (!v.metric.p)
        return toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", line->number);
    v.value = value;
    layer->stats[layer->count++] = v;
    return 0;
}

int toc_run_add_scalar(const struct toc_run_decoder *d, struct toc_run_line *line,
                       struct toc_sv tag, const struct toc_run_raw *raw) {
    struct toc_run_scalar s = {.tag = tag};
    if (!is_text_clean(tag, TOC_RUN_FIELD_MAX_BYTES))
        return toc_run_fail(d, line->number,
                            "a name in \"scalars\" must be 1 to %d bytes of UTF-8 without control "
                            "characters",
                            TOC_RUN_FIELD_MAX_BYTES);
    if (!raw_value(raw, &s.value)) {
        line->ignored_fields++;
        return 0;
    }
    if (line->scalar_count == TOC_RUN_SCALARS_MAX)
        return toc_run_fail(d, line->number, "more than %d numbers in \"scalars\"",
                            TOC_RUN_SCALARS_MAX);
    line->scalars[line->scalar_count++] = s;
    return 0;
}

int toc_run_line_init(const struct toc_run_decoder *d, int number, size_t values, size_t layers,
                      struct toc_run_line *out) {
    *out = (struct toc_run_line){.number = number};
    size_t value_room = TOC_MIN(values + 1, (size_t)TOC_RUN_VALUES_MAX);
    size_t layer_room = TOC_MIN(layers + 1, (size_t)TOC_RUN_LAYERS_MAX);
    out->values = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_value, value_room);
    out->layers = TOC_ARENA_NEW_ARRAY(d->arena, struct toc_run_layer, layer_room);
    return out->values && out->layers
               ? 0
               : toc_errf(d->err, TOC_ENOMEM, "line %d: out of memory", number);
}
