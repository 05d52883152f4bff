#include "detect/training.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "detect/loss_curve.h"
#include "detect/pace_curve.h"

enum { CLOSE_ROWS = 3 };
static const double GAP_INTERVALS = 10; /* a longer gap counts as so many rows */

/* ---- names ---- */

/* Names are those of the AI signal contract (packs/aliases.tsv) and of the logs that trainers
 * write; letters and digits only. */
static const struct {
    const char *end;
    enum toc_training_role role;
} g_ends[] = {
    {"loss", TOC_TRAINING_LOSS},
    {"lossvalue", TOC_TRAINING_LOSS},
    {"lossvalidation", TOC_TRAINING_LOSS},
    {"perplexity", TOC_TRAINING_LOSS},
    {"ppl", TOC_TRAINING_LOSS},
    {"steptime", TOC_TRAINING_STEP_TIME},
    {"steptimems", TOC_TRAINING_STEP_TIME},
    {"stepms", TOC_TRAINING_STEP_TIME},
    {"stepseconds", TOC_TRAINING_STEP_TIME},
    {"stepduration", TOC_TRAINING_STEP_TIME},
    {"stepdurationseconds", TOC_TRAINING_STEP_TIME},
    {"itertime", TOC_TRAINING_STEP_TIME},
    {"iterationtime", TOC_TRAINING_STEP_TIME},
    {"batchtime", TOC_TRAINING_STEP_TIME},
    {"timeperstep", TOC_TRAINING_STEP_TIME},
    {"secondsperstep", TOC_TRAINING_STEP_TIME},
    {"tokenspersecond", TOC_TRAINING_THROUGHPUT},
    {"tokenspersec", TOC_TRAINING_THROUGHPUT},
    {"samplespersecond", TOC_TRAINING_THROUGHPUT},
    {"samplespersec", TOC_TRAINING_THROUGHPUT},
    {"stepspersecond", TOC_TRAINING_THROUGHPUT},
    {"stepspersec", TOC_TRAINING_THROUGHPUT},
    {"tokensperstep", TOC_TRAINING_WORK},
    {"samplesperstep", TOC_TRAINING_WORK},
    {"batchsize", TOC_TRAINING_WORK},
    {"batchtokens", TOC_TRAINING_WORK},
    {"sequencelength", TOC_TRAINING_WORK},
    {"seqlen", TOC_TRAINING_WORK},
    {"step", TOC_TRAINING_COUNTER},
    {"iter", TOC_TRAINING_COUNTER},
    {"iteration", TOC_TRAINING_COUNTER},
    {"epoch", TOC_TRAINING_COUNTER},
};

/* What may stand before such an end; another word makes it something else: "packet_loss". */
static const char *const g_words[] = {
    "train",    "training", "trainer",  "val",     "valid", "validation", "eval",         "test",
    "lm",       "batch",    "epoch",    "global",  "total", "mean",       "avg",          "average",
    "running",  "smooth",   "smoothed", "raw",     "nll",   "ce",         "crossentropy", "mlm",
    "mtp",      "sft",      "dpo",      "policy",  "value", "critic",     "kl",           "aux",
    "reported", "micro",    "macro",    "current",
};

/* Letters in lower case and digits behind the last '/'; returns the length, 0 when too long. */
static size_t plain_name(struct toc_sv name, char *out, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool is_upper = c >= 'A' && c <= 'Z', is_lower = c >= 'a' && c <= 'z';
        if (c == '/')
            n = 0;
        else if (n == size)
            return 0;
        else if (is_upper || is_lower || (c >= '0' && c <= '9'))
            out[n++] = (char)(is_upper ? c + 'a' - 'A' : c);
    }
    return n;
}

/* Known words and nothing else. The longest that fits is cut off the end each time. */
static bool is_of_words(struct toc_sv text) {
    while (text.n > 0) {
        size_t longest = 0;
        for (size_t i = 0; i < TOC_ARRAY_LEN(g_words); i++)
            if (toc_sv_ends_with(text, toc_sv_cstr(g_words[i])))
                longest = TOC_MAX(longest, strlen(g_words[i]));
        if (longest == 0)
            return false;
        text.n -= longest;
    }
    return true;
}

enum toc_training_role toc_training_role_of(struct toc_sv column) {
    char space[64];
    struct toc_sv name = toc_sv_make(space, plain_name(column, space, sizeof space));
    for (size_t i = 0; i < TOC_ARRAY_LEN(g_ends); i++) {
        struct toc_sv end = toc_sv_cstr(g_ends[i].end);
        if (toc_sv_ends_with(name, end) && is_of_words(toc_sv_make(name.p, name.n - end.n)))
            return g_ends[i].role;
    }
    return TOC_TRAINING_OTHER;
}

bool toc_training_roles(const struct toc_sv *columns, size_t count, enum toc_training_role *out) {
    bool is_training = false, is_judged = false;
    for (size_t i = 0; i < count; i++) {
        out[i] = toc_training_role_of(columns[i]);
        is_training = is_training || out[i] == TOC_TRAINING_LOSS ||
                      out[i] == TOC_TRAINING_STEP_TIME || out[i] == TOC_TRAINING_COUNTER;
    }
    for (size_t i = 0; i < count; i++) {
        if (out[i] == TOC_TRAINING_THROUGHPUT && !is_training)
            out[i] = TOC_TRAINING_OTHER;
        is_judged = is_judged || toc_training_is_judged(out[i]);
    }
    return is_judged;
}

bool toc_training_is_judged(enum toc_training_role role) {
    return role == TOC_TRAINING_LOSS || role == TOC_TRAINING_STEP_TIME ||
           role == TOC_TRAINING_THROUGHPUT;
}

/* ---- state ---- */

struct column {
    enum toc_training_role role;
    double last_work; /* NaN: none yet */
    union {
        struct toc_loss_curve loss;
        struct toc_pace_curve pace;
    };
};

struct toc_training {
    struct column *columns; /* owned */
    size_t count, judged;
    double budget_seconds, threshold;
    double last_seconds, elapsed;
    double rows;
    unsigned quiet_rows;
    bool is_open;
};

int toc_training_new(const struct toc_training_options *o, struct toc_training **out,
                     struct toc_err *err) {
    size_t judged = 0;
    *out = NULL;
    for (size_t i = 0; i < o->columns; i++)
        judged += toc_training_is_judged(o->roles[i]);
    if (judged == 0)
        return toc_errf(err, TOC_EINVAL, "no column is called like a loss or a step time");
    struct column *columns = toc_try_calloc(o->columns, sizeof *columns);
    if (!columns)
        return toc_errf(err, TOC_ENOMEM, "no memory for %zu columns", o->columns);
    for (size_t i = 0; i < o->columns; i++) {
        columns[i].role = o->roles[i];
        columns[i].last_work = NAN;
    }
    struct toc_training *t = TOC_NEW(struct toc_training);
    *t = (struct toc_training){.columns = columns,
                               .count = o->columns,
                               .judged = judged,
                               .budget_seconds = o->budget_seconds,
                               .threshold = o->threshold};
    *out = t;
    return 0;
}

void toc_training_free(struct toc_training **t) {
    if (!*t)
        return;
    toc_free((*t)->columns);
    toc_free(*t);
    *t = NULL;
}

/* ---- one row ---- */

/* Rows until the budget allows one alert; a gap in the record is no time without alerts. */
static double bar_of(struct toc_training *t, double seconds) {
    if (t->rows > 0) {
        double step = fmax(seconds - t->last_seconds, 0);
        double usual = t->rows > 1 ? t->elapsed / (t->rows - 1) : step;
        t->elapsed += usual > 0 ? fmin(step, GAP_INTERVALS * usual) : step;
    }
    t->last_seconds = seconds;
    t->rows++;
    double interval = t->rows > 1 ? t->elapsed / (t->rows - 1) : 0;
    if (t->threshold > 0)
        return t->threshold;
    return log10(fmax(t->budget_seconds / fmax(interval, 1e-9), 1));
}

static void follow_work(struct toc_training *t, const double *values) {
    bool is_new = false;
    for (size_t i = 0; i < t->count; i++) {
        struct column *c = &t->columns[i];
        if (c->role != TOC_TRAINING_WORK || !isfinite(values[i]))
            continue;
        is_new = is_new || (!isnan(c->last_work) && values[i] != c->last_work);
        c->last_work = values[i];
    }
    for (size_t i = 0; is_new && i < t->count; i++)
        if (t->columns[i].role == TOC_TRAINING_STEP_TIME)
            toc_pace_curve_new_work(&t->columns[i].pace);
}

static struct toc_curve_verdict judge(struct column *c, double value, double bar) {
    if (c->role == TOC_TRAINING_LOSS)
        return toc_loss_curve_step(&c->loss, value, bar);
    if (c->role == TOC_TRAINING_STEP_TIME)
        return toc_pace_curve_step(&c->pace, value, bar);
    struct toc_curve_verdict v = toc_pace_curve_step(&c->pace, 1 / value, bar);
    return (struct toc_curve_verdict){v.surprise, v.event,     v.is_certain,
                                      v.note,     1 / v.upper, 1 / v.lower};
}

static void take(struct toc_training_result *out, const struct toc_curve_verdict *v, size_t column,
                 double surprise, bool is_first) {
    if (is_first) {
        out->lower = v->lower;
        out->upper = v->upper;
    }
    if (v->note != TOC_CURVE_NOTHING)
        out->note = v->note;
    if (surprise > out->surprise) {
        out->surprise = surprise;
        out->event = v->event;
        out->column = column;
    }
}

static void decide(struct toc_training *t, struct toc_training_result *out, bool is_certain) {
    bool is_above = is_certain || out->surprise > out->bar;
    t->quiet_rows = is_above ? 0 : t->quiet_rows + 1;
    t->is_open = is_above || (t->is_open && t->quiet_rows < CLOSE_ROWS);
    out->is_alert = t->is_open;
    out->score = out->surprise / (out->surprise + 2);
}

struct toc_training_result toc_training_step(struct toc_training *t, double seconds,
                                             const double *values) {
    struct toc_training_result out = {.lower = NAN, .upper = NAN};
    bool is_certain = false, is_first = true;
    out.bar = bar_of(t, seconds);
    double share = log10((double)t->judged); /* the columns share the budget */
    follow_work(t, values);
    for (size_t i = 0; i < t->count; i++) {
        struct column *c = &t->columns[i];
        if (!toc_training_is_judged(c->role))
            continue;
        if (!isnan(values[i])) {
            struct toc_curve_verdict v = judge(c, values[i], out.bar + share);
            take(&out, &v, i, v.surprise - share, is_first);
            is_certain = is_certain || v.is_certain;
        }
        is_first = false;
    }
    decide(t, &out, is_certain);
    return out;
}
