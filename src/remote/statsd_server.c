#include "remote/statsd_server.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "sys/log.h"
#include "sys/socket.h"
#include "sys/thread.h"

enum {
    BUFFER_BYTES = 65536, /* no datagram is larger */
    PACKETS_PER_TURN = 1000,
    WAIT_MS = 200,
    SLOTS = TOC_STATSD_CONNECTIONS_MAX + 2, /* UDP, TCP listener, connections */
};

struct connection {
    struct toc_buf rest; /* of a line whose end has not come */
    bool is_skipping;    /* to the end of a line that is too long */
};

struct toc_statsd_server {
    struct toc_statsd *state;
    struct toc_clock *clock;
    int64_t flush_ms;
    int fds[SLOTS]; /* -1: none */
    struct connection connections[SLOTS];
    char *buffer;
    uint16_t udp_port, tcp_port;
    struct toc_thread thread;
    atomic_bool is_stopping;
    atomic_ullong accepted, refused;
};

/* --- packets and connections --- */

static void read_datagrams(struct toc_statsd_server *s) {
    for (int i = 0; i < PACKETS_PER_TURN; i++) {
        int64_t n = toc_socket_read(s->fds[0], s->buffer, BUFFER_BYTES);
        if (n < 0)
            return;
        toc_statsd_take(s->state, toc_sv_make(s->buffer, (size_t)n));
    }
}

static void accept_connection(struct toc_statsd_server *s) {
    int fd = toc_socket_accept(s->fds[1]);
    if (fd < 0)
        return;
    for (size_t i = 2; i < SLOTS; i++)
        if (s->fds[i] < 0) {
            s->fds[i] = fd;
            atomic_fetch_add_explicit(&s->accepted, 1, memory_order_relaxed);
            return;
        }
    toc_socket_close(fd);
    atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
}

static void close_connection(struct toc_statsd_server *s, size_t slot) {
    struct connection *c = &s->connections[slot];
    if (c->rest.n) /* the last line needs no line break */
        toc_statsd_take(s->state, toc_buf_sv(&c->rest));
    toc_buf_fini(&c->rest);
    *c = (struct connection){0};
    toc_socket_close(s->fds[slot]);
    s->fds[slot] = -1;
}

/* Whole lines go to the state; what follows the last line break waits. */
static void take_stream(struct toc_statsd_server *s, struct connection *c, struct toc_sv in) {
    size_t at;
    while ((at = toc_sv_find_char(in, '\n')) != SIZE_MAX) {
        struct toc_sv line = toc_sv_sub(in, 0, at);
        in = toc_sv_sub(in, at + 1, SIZE_MAX);
        if (!c->is_skipping && c->rest.n) {
            toc_buf_append_sv(&c->rest, line);
            line = toc_buf_sv(&c->rest);
        }
        if (!c->is_skipping)
            toc_statsd_take(s->state, line);
        c->is_skipping = false;
        toc_buf_reset(&c->rest);
    }
    if (c->is_skipping)
        return;
    toc_buf_append_sv(&c->rest, in);
    if (c->rest.n <= TOC_STATSD_LINE_MAX)
        return;
    toc_statsd_count_too_long(s->state);
    toc_buf_reset(&c->rest);
    c->is_skipping = true;
}

static void read_stream(struct toc_statsd_server *s, size_t slot) {
    int64_t n = toc_socket_read(s->fds[slot], s->buffer, BUFFER_BYTES);
    if (n > 0)
        take_stream(s, &s->connections[slot], toc_sv_make(s->buffer, (size_t)n));
    else if (n != TOC_EAGAIN)
        close_connection(s, slot);
}

static void read_ready(struct toc_statsd_server *s, const bool *ready) {
    if (ready[0])
        read_datagrams(s);
    if (ready[1])
        accept_connection(s);
    for (size_t i = 2; i < SLOTS; i++)
        if (s->fds[i] >= 0 && ready[i])
            read_stream(s, i);
}

/* --- thread --- */

static void flush(struct toc_statsd_server *s) {
    struct toc_err err = {0};
    if (toc_statsd_flush(s->state, &err))
        toc_log(TOC_LOG_WARN, "statsd", "a flush failed, the sums are kept: %s", err.message);
}

static void serve(void *ctx) {
    struct toc_statsd_server *s = ctx;
    int64_t due_ns = toc_clock_mono(s->clock).ns + s->flush_ms * 1000000;
    while (!atomic_load_explicit(&s->is_stopping, memory_order_acquire)) {
        bool ready[SLOTS] = {false};
        int64_t left_ms = (due_ns - toc_clock_mono(s->clock).ns) / 1000000 + 1;
        int64_t wait_ms = left_ms < WAIT_MS ? left_ms : WAIT_MS;
        toc_socket_wait(s->fds, SLOTS, wait_ms > 0 ? wait_ms : 0, ready);
        read_ready(s, ready);
        int64_t now_ns = toc_clock_mono(s->clock).ns;
        if (now_ns >= due_ns) {
            flush(s);
            due_ns = now_ns + s->flush_ms * 1000000;
        }
    }
    flush(s);
}

static int open_sockets(struct toc_statsd_server *s, const struct toc_statsd_options *o,
                        struct toc_err *err) {
    if (o->udp.is_on) {
        int fd = toc_socket_bind_datagrams(o->udp.host, o->udp.port, &s->udp_port, err);
        if (fd < 0)
            return fd;
        s->fds[0] = fd;
    }
    if (o->tcp.is_on) {
        int fd = toc_socket_listen(o->tcp.host, o->tcp.port, &s->tcp_port, err);
        if (fd < 0)
            return fd;
        s->fds[1] = fd;
    }
    return 0;
}

int toc_statsd_server_start(const struct toc_statsd_options *o, struct toc_sink *sink,
                            struct toc_clock *clock, struct toc_statsd_server **out,
                            struct toc_err *err) {
    struct toc_statsd_server *s = TOC_NEW(struct toc_statsd_server);
    for (size_t i = 0; i < SLOTS; i++)
        s->fds[i] = -1;
    s->state = toc_statsd_new(&o->limits, sink, clock);
    s->clock = clock;
    s->flush_ms = o->flush_ms;
    s->buffer = toc_xalloc(BUFFER_BYTES);
    int rc = open_sockets(s, o, err);
    if (!rc)
        rc = toc_thread_start(&s->thread, "statsd", serve, s);
    if (rc) {
        toc_statsd_server_stop(&s);
        toc_err_prefix(err, "statsd: ");
        return rc;
    }
    *out = s;
    return 0;
}

void toc_statsd_server_stop(struct toc_statsd_server **sp) {
    struct toc_statsd_server *s = *sp;
    if (!s)
        return;
    atomic_store_explicit(&s->is_stopping, true, memory_order_release);
    toc_thread_join(&s->thread);
    for (size_t i = 0; i < SLOTS; i++) {
        toc_socket_close(s->fds[i]);
        toc_buf_fini(&s->connections[i].rest);
    }
    toc_statsd_free(&s->state);
    toc_free(s->buffer);
    toc_free(s);
    *sp = NULL;
}

void toc_statsd_server_stats(struct toc_statsd_server *s, struct toc_statsd_server_stats *out) {
    *out = (struct toc_statsd_server_stats){
        .connections = atomic_load(&s->accepted),
        .refused_connections = atomic_load(&s->refused),
        .udp_port = s->udp_port,
        .tcp_port = s->tcp_port,
    };
    toc_statsd_stats(s->state, &out->state);
}
