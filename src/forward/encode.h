/* From items of a queue to the bytes of a message: remote write 1.0 and 2.0
 * (prometheus.io/docs/specs/prw), before compression. */
#ifndef TOC_FORWARD_ENCODE_H
#define TOC_FORWARD_ENCODE_H

#include "base/arena.h"
#include "base/buf.h"
#include "forward/config.h"
#include "forward/metadata.h"
#include "forward/queue.h"

/* A message is closed at this size even when it may hold more samples; receivers refuse large ones
 * (this program's and Prometheus': 32 MiB). */
enum { TOC_FORWARD_MESSAGE_BYTES = 8 << 20 };

struct toc_forward_symbol {
    uint64_t hash;
    uint32_t index; /* 0: free; the first symbol is the empty text */
};

/* Work space, reused. Zeroed at first. */
struct toc_forward_encoder {
    uint64_t message;       /* number of the one that is built */
    TOC_VEC(uint32_t) next; /* the next item of the same series */
    TOC_VEC(struct toc_forward_series *) series;
    TOC_VEC(struct toc_sv) symbols;
    struct toc_forward_symbol *slots;
    size_t slot_count;
    struct toc_buf body;
    struct toc_arena arena; /* of one histogram */
};
void toc_forward_encoder_fini(struct toc_forward_encoder *e);

struct toc_forward_encode_options {
    enum toc_forward_message message;
    size_t max_items;
    int64_t oldest_ms;                           /* items before it are left out */
    const struct toc_forward_metadata *metadata; /* for message 2; may be NULL */
};
struct toc_forward_encoded {
    size_t items;                                          /* from the front of the shard */
    size_t floats, histograms, exemplars, too_old, broken; /* what became of them */
    int64_t newest_ms;
};
/* The message of the first items of a shard, appended to `out`. */
void toc_forward_encode(struct toc_forward_encoder *e, const struct toc_forward_queue *q,
                        size_t shard, const struct toc_forward_encode_options *o,
                        struct toc_buf *out, struct toc_forward_encoded *out_counts);
/* A message 1.0 with types and help texts only. */
void toc_forward_encode_metadata(const struct toc_metric_metadata *rows, size_t count,
                                 struct toc_buf *out);

#endif
