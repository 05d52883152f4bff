/* What the sources of the C SDK share; not for programs that use it. Apache-2.0. */
#ifndef TOCSIN_PRIV_H
#define TOCSIN_PRIV_H

#include "tocsin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#pragma GCC visibility push(hidden)

/* ---- text (tocsin_text.c) */

struct tocsin_text {
    char *p;
    size_t n, capacity;
    bool failed; /* no memory or too long: the line is dropped and counted */
};

void tocsin_put(struct tocsin_text *t, const char *s, size_t n);
void tocsin_put_cstr(struct tocsin_text *t, const char *s);
void tocsin_putf(struct tocsin_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tocsin_put_string(struct tocsin_text *t, const char *s);
void tocsin_put_number(struct tocsin_text *t, double v);
/* `,"name":value`, or nothing when the value is absent. */
void tocsin_put_field(struct tocsin_text *t, const char *name, double v);
bool tocsin_is_absent(double v);

/* ---- a run; its lock is the mutex, where nothing else is said */

struct tocsin_line {
    struct tocsin_line *next;
    size_t n;
    char bytes[];
};

struct tocsin_run {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a line came, a batch went, or it is time to stop */
    pthread_t thread;
    struct tocsin_line *first, *last; /* not yet handed to the sender */
    size_t buffered_bytes, max_buffered_bytes;
    uint64_t dropped;
    uint64_t queued, settled; /* lines ever queued; lines sent or dropped */
    uint64_t seq;
    bool stopping;
    int64_t line_at_ms; /* newest line, monotonic; what a sign of life repeats of it */
    int64_t last_step;  /* -1: none yet */
    enum tocsin_state last_state;
    int64_t told_step; /* the report before: seconds in collectives are told per step */
    uint64_t told_collective_ns;
    /* of the job's threads, without the mutex */
    _Atomic uint64_t collectives, collective_ns;
    _Atomic int64_t entered_ns; /* 0: in none */
    /* constant after tocsin_init */
    char *host, *port, *path_prefix, *token, *file, *run;
    char session[17];
    char *labels_json;
    int rank;
    /* the sender's own */
    int fd;
};

/* ---- lines (tocsin_line.c) */

/* An event; step < 0: none. state NULL: as before. */
void tocsin_say(struct tocsin_run *run, int64_t step, const char *event, const char *message,
                const char *state);
void tocsin_add_sign_of_life(struct tocsin_run *run);

/* ---- queue and thread (tocsin_queue.c) */

int64_t tocsin_now_ms(clockid_t clock);
/* With the mutex held. */
void tocsin_enqueue(struct tocsin_run *run, const struct tocsin_text *t);
void *tocsin_send_lines(void *run);

/* ---- transport (tocsin_http.c), of the sending thread alone */

enum tocsin_outcome { TOCSIN_SENT, TOCSIN_REFUSED, TOCSIN_NOT_NOW };

enum tocsin_outcome tocsin_post(struct tocsin_run *run, const char *body, size_t n);
enum tocsin_outcome tocsin_append(struct tocsin_run *run, const char *body, size_t n);
void tocsin_disconnect(struct tocsin_run *run);

#pragma GCC visibility pop

#endif
