/* Shared by the files of the feed of event files. */
#ifndef TOC_COLLECT_TENSORBOARD_FEED_PRIV_H
#define TOC_COLLECT_TENSORBOARD_FEED_PRIV_H

#include "base/map.h"
#include "base/vec.h"
#include "collect/layer_stats_priv.h"
#include "collect/report_field_priv.h"
#include "collect/tensorboard_feed.h"

/* The last value of a tag. A restart makes a new generation: older steps mean nothing then. */
struct toc_tensorboard_last {
    int64_t step; /* INT64_MIN: none */
    int64_t t_ms;
    uint64_t generation;
};

struct toc_tensorboard_gathered;

/* Statistics of a layer. X(enum, name): of each of its parts, "%s" is "grad", "param" or
 * "activation"; the quantiles follow. */
#define TOC_TENSORBOARD_STAT_TABLE(X)  \
    X(TOC_TENSORBOARD_MEAN, "%s_mean") \
    X(TOC_TENSORBOARD_STD, "%s_std")   \
    X(TOC_TENSORBOARD_MIN, "%s_min")   \
    X(TOC_TENSORBOARD_MAX, "%s_max")   \
    X(TOC_TENSORBOARD_NORM, "%s_norm") \
    X(TOC_TENSORBOARD_ZERO, "zero_%s_ratio")

enum toc_tensorboard_stat {
#define X(name, text) name,
    TOC_TENSORBOARD_STAT_TABLE(X)
#undef X
#define X(member, name, q) TOC_TENSORBOARD_##member,
        TOC_LAYER_QUANTILE_TABLE(X)
#undef X
            TOC_TENSORBOARD_STATS
};

enum toc_tensorboard_part {
    TOC_TENSORBOARD_GRAD,
    TOC_TENSORBOARD_PARAM,
    TOC_TENSORBOARD_ACTIVATION,
    TOC_TENSORBOARD_PARTS
};

struct toc_tensorboard_layer {
    struct toc_sv name; /* owned */
    /* Made when first told; those of nonfinite_ratio and nonfinite_activation_ratio. */
    struct toc_report_field *stats[TOC_TENSORBOARD_PARTS][TOC_TENSORBOARD_STATS], *nonfinite[2];
    uint64_t report; /* in which it was met last */
    size_t last;     /* histogram of that report */
};

struct toc_tensorboard_tag {
    struct toc_sv name;                   /* owned */
    struct toc_report_field *field;       /* of the protocol, or the tag; NULL: of a histogram */
    struct toc_tensorboard_tag *follower; /* the tag that came after it last time; NULL: none yet */
    enum toc_tfevents_kind kind;
    size_t index;
    const struct toc_alias *alias; /* NULL: a scalar without a meaning */
    bool is_dropped;
    struct toc_tensorboard_layer *layer; /* of a histogram */
    struct toc_sv what;                  /* "grad", "param", "activation" */
    struct toc_tensorboard_last last;    /* in any stream */
    const struct toc_tensorboard_gathered *gathered_in;
    uint64_t gathered_number;
};

struct toc_tensorboard_scalar {
    struct toc_tensorboard_tag *tag;
    double value;
};

struct toc_tensorboard_histogram {
    struct toc_tensorboard_tag *tag;
    struct toc_layer_stats stats;
    bool is_first; /* of its layer, when it is given */
    size_t next;   /* of its layer; SIZE_MAX: none */
};

/* What a stream says about one step, until it is given. */
struct toc_tensorboard_gathered {
    bool is_open;
    uint64_t number; /* of the report */
    int64_t step, t_ms;
    uint64_t at; /* where its first record begins in the stream */
    struct {
        TOC_VEC_FIELDS(struct toc_tensorboard_scalar)
    } scalars;
    struct {
        TOC_VEC_FIELDS(struct toc_tensorboard_histogram)
    } histograms;
};

struct toc_tensorboard_stream {
    struct toc_tensorboard_feed *feed;
    struct toc_tensorboard_stream *next; /* of the feed */
    struct toc_tfevents *codec;
    struct toc_tfevents_visitor visitor;
    uint64_t at;      /* bytes done with */
    int64_t start_ms; /* when the file was begun */
    int64_t given_ms; /* time of the last report */
    struct {
        TOC_VEC_FIELDS(struct toc_tensorboard_last)
    } last; /* by the tag's index */
    struct toc_tensorboard_gathered gathered;
    struct toc_tensorboard_tag *latest; /* tag of the last value; NULL: none */
};

struct toc_tensorboard_feed {
    struct toc_tensorboard_feed_options o;
    struct toc_map tag_by_name, layer_by_name;
    struct {
        TOC_VEC_FIELDS(struct toc_tensorboard_tag *)
    } tags;
    struct {
        TOC_VEC_FIELDS(struct toc_tensorboard_layer *)
    } layers;
    size_t scalars; /* tags without a meaning */
    bool has_step;
    int64_t step; /* the largest given since the last restart */
    uint64_t generation, layer_report;
    struct toc_tensorboard_stream *streams;
    struct toc_report_fields fields;
    /* of the report at hand */
    struct {
        TOC_VEC_FIELDS(struct toc_report_value)
    } numbers;
    struct {
        TOC_VEC_FIELDS(struct toc_report_layer)
    } layers_told;
    size_t text_bytes; /* its length as a line, about */
    struct toc_tensorboard_feed_counters counters;
};

/* The tag, made when new; NULL over the limit or when it was of the other kind. */
struct toc_tensorboard_tag *toc_tensorboard_tag_get(struct toc_tensorboard_feed *f,
                                                    struct toc_sv name,
                                                    enum toc_tfevents_kind kind);

/* What must survive a restart (tensorboard_state.c). _stream_save returns where to read on.
 * Restoring sets r->error. */
void toc_tensorboard_feed_save(const struct toc_tensorboard_feed *f, struct toc_buf *out);
void toc_tensorboard_feed_restore(struct toc_tensorboard_feed *f, struct toc_reader *r);
uint64_t toc_tensorboard_stream_save(const struct toc_tensorboard_stream *s, struct toc_buf *out);
struct toc_tensorboard_stream *toc_tensorboard_stream_restore(struct toc_tensorboard_feed *f,
                                                              struct toc_reader *r, uint64_t at);

#endif
