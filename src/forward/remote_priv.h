/* Inside one receiver: what its thread owns, shared by remote.c (reading, keeping) and send.c. */
#ifndef TOC_FORWARD_REMOTE_PRIV_H
#define TOC_FORWARD_REMOTE_PRIV_H

#include <stdatomic.h>

#include "forward/answer.h"
#include "forward/encode.h"
#include "forward/lag.h"
#include "forward/remote.h"
#include "net/http_multi.h"
#include "sys/thread.h"

/* One request at a time, and what it needs. */
struct forward_sender {
    struct toc_forward_remote *remote;
    size_t shard;
    bool is_busy;
    enum toc_forward_message message;  /* of the request under way */
    struct toc_forward_encoded counts; /* of it */
    struct toc_forward_pace pace;
    int64_t filled_ms; /* when the front of the shard began to wait */
    int64_t start_ms;
    struct toc_buf packed, senders; /* senders: the header line of that name */
    struct toc_http_call call;
    struct toc_http_dress dress;
    struct toc_http_result result;
};

struct toc_forward_remote {
    struct toc_forward_remote_options o;
    const struct toc_forward_config *config;
    char *dir;
    struct toc_thread thread;
    atomic_bool stopping, is_cut; /* no new requests; those under way end at once */
    atomic_uint_fast64_t floor_number;
    atomic_int floor_reason;

    /* Of the thread. */
    struct toc_log_follower *follower;
    struct toc_forward_table table;
    struct toc_forward_queue queue;
    struct toc_forward_encoder encoder;
    struct toc_forward_metadata metadata;
    struct toc_forward_lag lag;
    struct toc_http_multi *multi;
    TOC_VEC(struct forward_sender *) senders; /* one per shard */
    struct forward_sender meta;               /* sends metadata of 1.0 */
    int64_t metadata_wait_ms;                 /* from this round to the next */
    size_t meta_at;                           /* rows sent of this round */
    enum toc_forward_message message;         /* in use now */
    struct toc_buf plain;
    uint64_t exemplar_cursor;
    bool is_below_floor, is_draining, was_full, has_failed, has_complained;
    int64_t next_read_ms, next_upkeep_ms, next_look_ms, next_metadata_ms, next_publish_ms;
    int64_t busy_ms;              /* of all shards since the last look */
    int64_t next_complaint_ms[2]; /* of delays, of losses */
    uint64_t read_bytes;          /* of the log, for the estimate */
    struct toc_forward_stats stats;

    struct toc_mutex mutex; /* TOC_LOCK_FORWARD_REMOTE */
    struct toc_forward_stats published;
};

static inline int64_t forward_now_ms(const struct toc_forward_remote *r) {
    return toc_clock_mono(r->o.clock).ns / 1000000;
}

/* send.c */
void forward_sender_init(struct forward_sender *s, struct toc_forward_remote *r, size_t shard);
void forward_sender_fini(struct forward_sender *s);
/* Begins the requests that are due. Returns how long nothing more is due. */
int64_t forward_send_due(struct toc_forward_remote *r, int64_t now_ms);
void forward_send_metadata(struct toc_forward_remote *r, int64_t now_ms);
/* Says what is wrong: once, then every minute while it stays so. is_loss: something was given up.
 */
void forward_note_problem(struct toc_forward_remote *r, const char *text, bool is_loss);

#endif
