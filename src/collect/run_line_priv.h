/* One report of the run line protocol, decoded and checked, but not yet applied. Everything
 * lives in the arena or in the body. */
#ifndef TOC_COLLECT_RUN_LINE_PRIV_H
#define TOC_COLLECT_RUN_LINE_PRIV_H

#include "base/arena.h"
#include "base/error.h"
#include "model/labels.h"
#include "model/run.h"

enum {
    TOC_RUN_NAME_MAX_BYTES = 128,
    TOC_RUN_SESSION_MAX_BYTES = 32,
    TOC_RUN_FIELD_MAX_BYTES = 128,
    TOC_RUN_LABELS_MAX = 16,
    TOC_RUN_LABEL_VALUE_MAX_BYTES = 256,
    TOC_RUN_MESSAGE_MAX_BYTES = 1024,
    TOC_RUN_LAYERS_MAX = 1024,
    TOC_RUN_LINE_MAX_BYTES = 256 << 10,
    TOC_RUN_DEPTH_MAX = 4,
    TOC_RUN_VALUES_MAX = 256,   /* numbers of one line besides layers */
    TOC_RUN_STATS_MAX = 64,     /* statistics of one layer */
    TOC_RUN_SCALARS_MAX = 1024, /* numbers without a meaning of their own on one line */
};

enum toc_run_value_kind {
    TOC_RUN_VALUE_PLAIN,
    TOC_RUN_VALUE_LOSS,
    TOC_RUN_VALUE_GRAD,
    TOC_RUN_VALUE_PARAM
};

/* Values that are kept for people: X(enum, metric, member of struct toc_run_latest) */
#define TOC_RUN_LATEST_TABLE(X)                                            \
    X(TOC_RUN_LATEST_LOSS, "train_loss", loss)                             \
    X(TOC_RUN_LATEST_GRAD_NORM, "train_grad_norm", grad_norm)              \
    X(TOC_RUN_LATEST_STEP_SECONDS, "train_step_seconds", step_seconds)     \
    X(TOC_RUN_LATEST_TOKENS, "train_tokens_per_second", tokens_per_second) \
    X(TOC_RUN_LATEST_MEMORY, "train_memory_bytes", memory_bytes)           \
    X(TOC_RUN_LATEST_RATE, "train_learning_rate", learning_rate)

enum toc_run_latest_kind {
    TOC_RUN_LATEST_NONE,
#define X(name, metric, member) name,
    TOC_RUN_LATEST_TABLE(X)
#undef X
};

/* The series that a value of the same field went to last: lines say the same things again and again
 * (run_apply.c). Zeros: none yet. */
struct toc_run_memo {
    uint64_t run; /* number of the run */
    int64_t rank;
    struct toc_run_series *series;
};

struct toc_run_value {
    struct toc_sv metric; /* full name of the series */
    double value;
    enum toc_run_value_kind kind;
    enum toc_run_latest_kind latest;
    bool is_unknown;           /* counts against the limit of unknown fields */
    struct toc_run_memo *memo; /* NULL: not remembered */
};

struct toc_run_layer {
    struct toc_sv name;
    struct toc_run_value *stats;
    size_t count;
};

/* A number known by a name of its writer's choosing. */
struct toc_run_scalar {
    struct toc_sv tag;
    double value;
    struct toc_run_memo *memo; /* NULL: not remembered */
};

struct toc_run_line {
    int number; /* in the body, 1-based */
    struct toc_sv run, session, message;
    bool has_t, has_seq, has_step, has_rank, has_state, has_event, has_dropped, has_loss;
    int64_t t_ms, seq, step, rank, dropped;
    enum toc_run_state state;
    enum toc_run_event_kind event;
    struct toc_run_value *values;
    size_t value_count;
    struct toc_run_layer *layers;
    size_t layer_count;
    struct toc_label *labels; /* NULL: none so far */
    size_t label_count;
    struct toc_run_scalar *scalars;
    size_t scalar_count;
    bool is_partial; /* speaks about a part of the step: a missing loss means nothing */
    size_t ignored_fields;
    uint32_t named; /* fields given by their own name, bit per row of the field table */
};

struct toc_run_shapes; /* run_shape_priv.h */

/* Context of a decode: where lines go and where reasons come from. */
struct toc_run_decoder {
    struct toc_arena *arena;
    struct toc_err *err;
    bool is_file;                  /* lines may name their run */
    struct toc_sv run;             /* of the body, for the check of a line's own `run` */
    struct toc_run_shapes *shapes; /* of JSON lines seen before; NULL: none are remembered */
};

/* 1–128 bytes of UTF-8 without control characters? */
bool toc_run_name_is_valid(struct toc_sv name);
/* One JSON object. TOC_EPARSE with line number, reason and remedy. */
int toc_run_line_json(const struct toc_run_decoder *d, struct toc_sv text, int number,
                      struct toc_run_line *out) TOC_MUST_CHECK;
/* A CSV header: column meanings in the arena. */
struct toc_run_columns;
int toc_run_columns_parse(const struct toc_run_decoder *d, const struct toc_sv *names, size_t count,
                          int number, struct toc_run_columns **out) TOC_MUST_CHECK;
int toc_run_line_csv(const struct toc_run_decoder *d, const struct toc_run_columns *columns,
                     const struct toc_sv *cells, size_t count, int number,
                     struct toc_run_line *out) TOC_MUST_CHECK;
/* The row at the start of `text`, in one pass: bytes up to the next one. 0 for a row with quotes,
 * layers or a mistake, which a CSV reader and toc_run_line_csv have to look at. */
size_t toc_run_line_plain_csv(const struct toc_run_decoder *d,
                              const struct toc_run_columns *columns, struct toc_sv text, int number,
                              struct toc_run_line *out);

/* A field's value before its meaning is known. */
struct toc_run_raw {
    enum { TOC_RUN_RAW_NUMBER, TOC_RUN_RAW_TEXT, TOC_RUN_RAW_BOOL, TOC_RUN_RAW_OTHER } type;
    bool boolean;
    double number;
    struct toc_sv text;
    bool is_csv; /* text may hold a number */
};

/* What a field's name means, found once for the lines of one form. */
struct toc_run_meaning {
    int row; /* of the table of named fields, -1: a value */
    bool is_known, is_reserved;
    bool takes_number;          /* of that table, and a number of any column */
    bool is_only;               /* no other field of the lines has its series */
    struct toc_run_value value; /* without the number; metric "" when the name cannot be one */
};

/* Shared by both forms (run_field.c). */
/* The metric's name of an unknown field is made in the arena. */
struct toc_run_meaning toc_run_meaning_of(struct toc_arena *a, struct toc_sv name);
/* The series of a field: that of its value, of a learning rate under any name its own; "" for what
 * has none. */
struct toc_sv toc_run_meaning_metric(const struct toc_run_meaning *m);
/* Sets a field other than layers and labels. */
int toc_run_set_meant(const struct toc_run_decoder *d, struct toc_run_line *line,
                      struct toc_sv name, const struct toc_run_meaning *meaning,
                      const struct toc_run_raw *raw) TOC_MUST_CHECK;
/* A statistic without its number; metric "" when there is no room for the name. */
struct toc_run_value toc_run_stat_of(struct toc_arena *a, struct toc_sv stat);
int toc_run_fail(const struct toc_run_decoder *d, int number, const char *fmt, ...)
    TOC_PRINTF(3, 4);
/* Sets a field other than layers and labels. */
int toc_run_set_field(const struct toc_run_decoder *d, struct toc_run_line *line,
                      struct toc_sv name, const struct toc_run_raw *raw) TOC_MUST_CHECK;
int toc_run_add_label(const struct toc_run_decoder *d, struct toc_run_line *line,
                      struct toc_sv name, struct toc_sv value) TOC_MUST_CHECK;
/* A new layer with room for `stats` statistics; NULL with d->err set when there is no room or
 * the name is bad. */
struct toc_run_layer *toc_run_add_layer(const struct toc_run_decoder *d, struct toc_run_line *line,
                                        struct toc_sv name, size_t stats);
int toc_run_add_stat(const struct toc_run_decoder *d, struct toc_run_line *line,
                     struct toc_run_layer *layer, struct toc_sv stat,
                     const struct toc_run_raw *raw) TOC_MUST_CHECK;
int toc_run_add_scalar(const struct toc_run_decoder *d, struct toc_run_line *line,
                       struct toc_sv tag, const struct toc_run_raw *raw) TOC_MUST_CHECK;
/* Allocates the arrays of a line. TOC_ENOMEM. */
int toc_run_line_init(const struct toc_run_decoder *d, int number, size_t values, size_t layers,
                      struct toc_run_line *out) TOC_MUST_CHECK;

#endif
