#include "collect/nccl_ras.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "sys/log.h"
#include "sys/socket.h"
#include "sys/thread.h"

enum {
    REPORT_MAX_BYTES = 32 << 20,
    LINE_MAX_BYTES = 1024,
    SLICE_MS = 100,
    GRACE_S = 6,
    ARENA_MAX_BYTES = 256 << 20,
    CONNECT_MS = 2000
};

/* ------------------------------------------------------------------------------- one question */

struct talk {
    int fd;
    struct toc_mono until;
    struct toc_event *stop;
    struct toc_buf in; /* what came and was not taken yet */
    struct toc_err *err;
    const struct toc_nccl_ras_address *address;
};

static int64_t left_ms(const struct talk *t) {
    return (t->until.ns - toc_clock_mono(toc_clock_system()).ns) / 1000000;
}

static int fail(struct talk *t, int rc, const char *what) {
    return toc_errf(t->err, rc, "NCCL RAS at %s:%u: %s", t->address->host, t->address->port, what);
}

/* More bytes. 0; TOC_EEND when the server has closed. */
static int receive(struct talk *t) {
    char bytes[16384];
    for (;;) {
        int64_t left = left_ms(t);
        bool is_ready = false;
        if (left <= 0)
            return fail(t, TOC_ETIMEDOUT, "no whole answer in time");
        if (t->stop && toc_event_is_set(t->stop))
            return fail(t, TOC_ETIMEDOUT, "the daemon stops");
        toc_socket_wait(&t->fd, 1, left < SLICE_MS ? left : SLICE_MS, &is_ready);
        int64_t n = is_ready ? toc_socket_read(t->fd, bytes, sizeof bytes) : TOC_EAGAIN;
        if (n == TOC_EAGAIN)
            continue;
        if (n < 0)
            return fail(t, (int)n, toc_strerror((int)n));
        if (n == 0)
            return TOC_EEND;
        if (t->in.n + (size_t)n > REPORT_MAX_BYTES)
            return fail(t, TOC_ELIMIT, "the report is larger than 32 MiB");
        toc_buf_append(&t->in, bytes, (size_t)n);
        return 0;
    }
}

/* One line of an answer, without its ending; views into t->in until the next call. */
static int read_line(struct talk *t, char out[LINE_MAX_BYTES]) {
    for (;;) {
        const char *end = t->in.n ? memchr(t->in.p, '\n', t->in.n) : NULL;
        if (end) {
            size_t n = (size_t)(end - (const char *)t->in.p);
            toc_sv_copy(toc_sv_trim(toc_sv_make(t->in.p, TOC_MIN(n, (size_t)LINE_MAX_BYTES - 1))),
                        out, LINE_MAX_BYTES);
            size_t taken = n + 1, len = strlen(out);
            if (len && out[len - 1] == '\r')
                out[len - 1] = '\0';
            memmove(t->in.p, t->in.p + taken, t->in.n - taken);
            t->in.n -= taken;
            return 0;
        }
        if (t->in.n >= LINE_MAX_BYTES)
            return fail(t, TOC_EPROTOCOL, "an answer without end of line: not a RAS service");
        int rc = receive(t);
        if (rc)
            return rc == TOC_EEND ? fail(t, TOC_EPROTOCOL, "it hung up before it answered") : rc;
    }
}

static int say(struct talk *t, const char *command) {
    int rc = toc_socket_write(t->fd, toc_sv_cstr(command), left_ms(t));
    return rc < 0 ? fail(t, rc, toc_strerror(rc)) : 0;
}

/* A command and its answer of one line. */
static int ask(struct talk *t, const char *command, char answer[LINE_MAX_BYTES]) {
    int rc = say(t, command);
    return rc ? rc : read_line(t, answer);
}

static int converse(struct talk *t, int64_t timeout_s, bool *out_is_json) {
    char answer[LINE_MAX_BYTES], command[40];
    int rc = ask(t, "CLIENT PROTOCOL 2\n", answer);
    if (rc == 0 && strncmp(answer, "SERVER PROTOCOL", 15) != 0)
        rc = fail(t, TOC_EPROTOCOL, "it does not speak the protocol of a RAS service");
    snprintf(command, sizeof command, "TIMEOUT %lld\n", (long long)timeout_s);
    if (rc == 0)
        rc = ask(t, command, answer);
    if (rc == 0)
        rc = ask(t, "SET FORMAT json\n", answer); /* older servers know no formats: text */
    *out_is_json = rc == 0 && strcmp(answer, "OK") == 0;
    if (rc == 0)
        rc = say(t, "VERBOSE STATUS\n");
    while (rc == 0)
        rc = receive(t);
    return rc == TOC_EEND ? 0 : rc;
}

int toc_nccl_ras_query(const struct toc_nccl_ras_address *a, int64_t timeout_s, int64_t deadline_ms,
                       struct toc_event *stop, struct toc_buf *out, bool *out_is_json,
                       struct toc_err *err) {
    struct toc_mono now = toc_clock_mono(toc_clock_system());
    struct talk t = {.fd = -1,
                     .until = {now.ns + deadline_ms * 1000000},
                     .stop = stop,
                     .err = err,
                     .address = a};
    int rc = toc_socket_connect(a->host, a->port, TOC_MIN(deadline_ms, (int64_t)CONNECT_MS), &t.fd);
    rc = rc < 0 ? fail(&t, rc, toc_strerror(rc)) : converse(&t, timeout_s, out_is_json);
    toc_socket_close(t.fd);
    if (rc == 0)
        toc_buf_append_sv(out, toc_buf_sv(&t.in));
    toc_buf_fini(&t.in);
    return rc;
}

/* --------------------------------------------------------------------------------- the thread */

struct toc_nccl_ras {
    struct toc_nccl_ras_options o;
    struct toc_sink *sink;
    struct toc_clock *clock;
    struct toc_event stopping;
    struct toc_thread thread;
    struct toc_arena arena;
    struct toc_nccl_ras_points points;
    bool was_up[TOC_NCCL_RAS_ADDRESSES_MAX], was_asked[TOC_NCCL_RAS_ADDRESSES_MAX];
};

static void add_up(struct toc_nccl_ras *r, struct toc_sv address, int64_t t_ms, bool is_up) {
    struct toc_labels_builder b = TOC_LABELS_BUILDER_INIT;
    toc_labels_builder_set(&b, TOC_METRIC_NAME, TOC_SV("nccl_ras_up"));
    toc_labels_builder_set(&b, TOC_SV("address"), address);
    struct toc_labels l = toc_labels_dup_arena(toc_labels_builder_finish(&b), &r->arena);
    toc_labels_builder_fini(&b);
    TOC_VEC_PUSH(&r->points, toc_float_point(l, t_ms, is_up));
}

/* A job that is not there is no news; that it went away or speaks nonsense is, once. */
static void complain(struct toc_nccl_ras *r, size_t i, bool is_up, const struct toc_err *err) {
    if (!is_up && (r->was_up[i] || !r->was_asked[i]))
        toc_log(TOC_LOG_WARN, "nccl_ras", "%s", err->message);
    r->was_up[i] = is_up;
    r->was_asked[i] = true;
}

static void ask_one(struct toc_nccl_ras *r, size_t i) {
    const struct toc_nccl_ras_address *a = &r->o.addresses[i];
    char address[96];
    bool is_json = false;
    uint64_t left_out = 0;
    struct toc_err err = {0};
    struct toc_buf report = TOC_BUF_INIT;
    struct toc_write_result result = {0};
    int64_t t_ms = toc_clock_now(r->clock).ms;
    snprintf(address, sizeof address, "%s:%u", a->host, a->port);
    r->points.count = 0;
    toc_arena_reset(&r->arena);
    int rc = toc_nccl_ras_query(a, r->o.timeout_s, (r->o.timeout_s + GRACE_S) * 1000, &r->stopping,
                                &report, &is_json, &err);
    if (rc == 0)
        rc = toc_nccl_ras_translate(toc_buf_sv(&report), is_json, toc_sv_cstr(address), t_ms,
                                    &r->arena, &r->points, &left_out, &err);
    if (left_out)
        toc_log(TOC_LOG_WARN, "nccl_ras", "%s: %llu ranks beyond 65536 were left out", address,
                (unsigned long long)left_out);
    add_up(r, toc_sv_cstr(address), t_ms, rc == 0);
    complain(r, i, rc == 0, &err);
    if (r->sink->write(r->sink, r->points.items, r->points.count, &result, &err) < 0)
        toc_log(TOC_LOG_WARN, "nccl_ras", "samples could not be stored: %s", err.message);
    toc_buf_fini(&report);
}

static void run(void *ctx) {
    struct toc_nccl_ras *r = ctx;
    do
        for (size_t i = 0; i < r->o.count && !toc_event_is_set(&r->stopping); i++)
            ask_one(r, i);
    while (!toc_event_wait_ms(&r->stopping, r->o.interval_ms));
}

int toc_nccl_ras_start(const struct toc_nccl_ras_options *o, struct toc_sink *sink,
                       struct toc_clock *clock, struct toc_nccl_ras **out, struct toc_err *err) {
    struct toc_nccl_ras *r = TOC_NEW(struct toc_nccl_ras);
    r->o = *o;
    r->sink = sink;
    r->clock = clock;
    toc_event_init(&r->stopping);
    toc_arena_init(&r->arena, ARENA_MAX_BYTES);
    int rc = toc_thread_start(&r->thread, "nccl-ras", run, r);
    *out = r;
    return rc < 0 ? toc_errf(err, rc, "a thread could not be started: %s", toc_strerror(rc)) : 0;
}

void toc_nccl_ras_stop(struct toc_nccl_ras **r) {
    if (!r || !*r)
        return;
    toc_event_set(&(*r)->stopping);
    toc_thread_join(&(*r)->thread);
    toc_event_fini(&(*r)->stopping);
    TOC_VEC_FINI(&(*r)->points);
    toc_arena_fini(&(*r)->arena);
    toc_free(*r);
    *r = NULL;
}
