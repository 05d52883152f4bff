/* Tocsin's C SDK. See tocsin.h; the format is docs/design/run-protocol.md. Apache-2.0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tocsin.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    DEFAULT_BUFFER_BYTES = 4 << 20,
    BATCH_BYTES = 256 << 10,
    LINE_MAX_BYTES = 256 << 10, /* the receiver's limit */
    LABELS_MAX = 16,
    LAYER_STATISTICS_MAX = 24, /* with the 8 of the struct the 32 that the receiver takes */
    IO_TIMEOUT_MS = 5000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 5000,
    FINISH_WAIT_MS = 2000,
    SIGN_EVERY_MS = 3000,
    ANSWER_MAX_BYTES = 4096,
};

/* A quiet NaN with a payload of its own. */
static const uint64_t ABSENT_BITS = 0x7ff8746f63736e00ULL;

double tocsin_absent(void) {
    double v;
    memcpy(&v, &ABSENT_BITS, sizeof v);
    return v;
}

static bool is_absent(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits == ABSENT_BITS;
}

/* ---------------------------------------------------------------------------------------------
 * text */

struct text {
    char *p;
    size_t n, capacity;
    bool failed; /* no memory or too long: the line is dropped and counted */
};

static bool text_room(struct text *t, size_t more) {
    if (t->failed || t->n + more > LINE_MAX_BYTES) {
        t->failed = true;
        return false;
    }
    if (t->n + more <= t->capacity)
        return true;
    size_t capacity = (t->n + more) * 2;
    char *p = realloc(t->p, capacity);
    if (!p) {
        t->failed = true;
        return false;
    }
    t->p = p;
    t->capacity = capacity;
    return true;
}

static void put(struct text *t, const char *s, size_t n) {
    if (text_room(t, n)) {
        memcpy(t->p + t->n, s, n);
        t->n += n;
    }
}

static void put_cstr(struct text *t, const char *s) {
    put(t, s, strlen(s));
}

__attribute__((format(printf, 2, 3))) static void putf(struct text *t, const char *fmt, ...) {
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof small)
        put(t, small, (size_t)n);
    else
        t->failed = true;
}

/* JSON string; control characters are escaped, other bytes go as they are. */
static void put_string(struct text *t, const char *s) {
    put(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            char two[2] = {'\\', (char)c};
            put(t, two, 2);
        } else if (c < 0x20) {
            putf(t, "\\u%04x", c);
        } else {
            put(t, s, 1);
        }
    }
    put(t, "\"", 1);
}

static void put_number(struct text *t, double v) {
    if (isnan(v))
        put_cstr(t, "\"NaN\"");
    else if (isinf(v))
        put_cstr(t, v > 0 ? "\"+Inf\"" : "\"-Inf\"");
    else
        putf(t, "%.17g", v);
}

static void put_field(struct text *t, const char *name, double v) {
    if (is_absent(v))
        return;
    put(t, ",", 1);
    put_string(t, name);
    put(t, ":", 1);
    put_number(t, v);
}

/* ----------------------------------------------------------------------------------------------
 * run */

struct line {
    struct line *next;
    size_t n;
    char bytes[];
};

struct tocsin_run {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* a line came, a batch went, or it is time to stop */
    pthread_t thread;
    struct line *first, *last; /* not yet handed to the sender */
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

static int64_t now_ms(clockid_t clock) {
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void drop_oldest(struct tocsin_run *run) {
    struct line *l = run->first;
    run->first = l->next;
    if (!run->first)
        run->last = NULL;
    run->buffered_bytes -= l->n;
    run->dropped++;
    run->settled++;
    free(l);
}

/* With the mutex held. */
static void enqueue(struct tocsin_run *run, const struct text *t) {
    struct line *l = t->failed ? NULL : malloc(sizeof *l + t->n);
    if (!l) {
        run->dropped++;
        return;
    }
    l->next = NULL;
    l->n = t->n;
    memcpy(l->bytes, t->p, t->n);
    while (run->first && run->buffered_bytes + l->n > run->max_buffered_bytes)
        drop_oldest(run);
    if (run->last)
        run->last->next = l;
    else
        run->first = l;
    run->last = l;
    run->buffered_bytes += l->n;
    run->queued++;
    pthread_cond_broadcast(&run->changed);
}

static const char *state_text(enum tocsin_state s) {
    static const char *const names[] = {"running", "evaluation", "checkpoint",
                                        "paused",  "finished",   "failed"};
    return names[s <= TOCSIN_FAILED ? s : TOCSIN_RUNNING];
}

/* What every line begins with. seq is assigned here: the caller holds the mutex until the line is
 * queued, so lines of a session are queued in the order of their numbers. */
static void begin_line(struct tocsin_run *run, struct text *t) {
    int64_t ms = now_ms(CLOCK_REALTIME);
    run->line_at_ms = now_ms(CLOCK_MONOTONIC);
    putf(t, "{\"t\":%lld.%03d,", (long long)(ms / 1000), (int)(ms % 1000));
    if (run->file) {
        put_cstr(t, "\"run\":");
        put_string(t, run->run);
        put(t, ",", 1);
    }
    putf(t, "\"session\":\"%s\",\"seq\":%llu", run->session, (unsigned long long)++run->seq);
    if (run->rank)
        putf(t, ",\"rank\":%d", run->rank);
    if (run->dropped)
        putf(t, ",\"dropped\":%llu", (unsigned long long)run->dropped);
}

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void tocsin_collective_begin(struct tocsin_run *run) {
    if (!run)
        return;
    atomic_store(&run->entered_ns, now_ns());
    atomic_fetch_add(&run->collectives, 1);
}

void tocsin_collective_end(struct tocsin_run *run) {
    int64_t since_ns = run ? atomic_exchange(&run->entered_ns, 0) : 0;
    if (since_ns)
        atomic_fetch_add(&run->collective_ns, (uint64_t)(now_ns() - since_ns));
}

static void put_collectives(struct tocsin_run *run, struct text *t) {
    uint64_t entered = atomic_load(&run->collectives);
    if (entered)
        putf(t, ",\"collectives_total\":%llu", (unsigned long long)entered);
}

/* Of one step, on the average of those since the report before. */
static void put_collective_seconds(struct tocsin_run *run, struct text *t, int64_t step) {
    uint64_t ns = atomic_load(&run->collective_ns);
    int64_t steps = step - run->told_step;
    if (ns && run->told_step >= 0 && steps > 0)
        put_field(t, "collective_seconds",
                  (double)(ns - run->told_collective_ns) / 1e9 / (double)steps);
    run->told_collective_ns = ns;
    run->told_step = step;
}

/* Step and state once more, when nothing else was told for a while; with the mutex held. */
static void add_sign_of_life(struct tocsin_run *run) {
    struct text t = {0};
    begin_line(run, &t);
    if (run->last_step >= 0)
        putf(&t, ",\"step\":%lld", (long long)run->last_step);
    putf(&t, ",\"state\":\"%s\"", state_text(run->last_state));
    put_collectives(run, &t);
    put_cstr(&t, "}\n");
    enqueue(run, &t);
    free(t.p);
}

static void put_statistic(struct text *t, size_t start, const char *name, double v) {
    if (is_absent(v))
        return;
    if (t->n > start)
        put(t, ",", 1);
    put_string(t, name);
    put(t, ":", 1);
    put_number(t, v);
}

static void put_layer(struct text *t, const struct tocsin_layer *l) {
    const struct {
        const char *name;
        double value;
    } fields[] = {
        {"grad_norm", l->grad_norm},
        {"param_mean", l->param_mean},
        {"param_std", l->param_std},
        {"param_min", l->param_min},
        {"param_max", l->param_max},
        {"update_ratio", l->update_ratio},
        {"zero_grad_ratio", l->zero_grad_ratio},
        {"nonfinite_ratio", l->nonfinite_ratio},
    };
    put_string(t, l->name);
    put_cstr(t, ":{");
    size_t start = t->n;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        put_statistic(t, start, fields[i].name, fields[i].value);
    for (size_t i = 0; i < l->statistic_count && i < LAYER_STATISTICS_MAX; i++)
        put_statistic(t, start, l->statistics[i].name, l->statistics[i].value);
    put(t, "}", 1);
}

static void finish_line(struct tocsin_run *run, struct text *t) {
    put_cstr(t, "}\n");
    enqueue(run, t);
    pthread_mutex_unlock(&run->mutex);
    free(t->p);
}

struct tocsin_report tocsin_report_init(int64_t step) {
    double none = tocsin_absent();
    return (struct tocsin_report){.step = step,
                                  .loss = none,
                                  .grad_norm = none,
                                  .lr = none,
                                  .step_seconds = none,
                                  .tokens_per_second = none,
                                  .memory_bytes = none,
                                  .memory_limit_bytes = none};
}

struct tocsin_layer tocsin_layer_init(const char *name) {
    double none = tocsin_absent();
    return (struct tocsin_layer){name, none, none, none, none, none, none, none, none, NULL, 0};
}

void tocsin_report(struct tocsin_run *run, const struct tocsin_report *r) {
    if (!run || !r)
        return;
    struct text t = {0};
    pthread_mutex_lock(&run->mutex);
    begin_line(run, &t);
    putf(&t, ",\"step\":%lld,\"state\":\"%s\"", (long long)r->step, state_text(r->state));
    run->last_step = r->step;
    run->last_state = r->state;
    put_collectives(run, &t);
    put_collective_seconds(run, &t, r->step);
    put_field(&t, "loss", r->loss);
    put_field(&t, "grad_norm", r->grad_norm);
    put_field(&t, "lr", r->lr);
    put_field(&t, "step_seconds", r->step_seconds);
    put_field(&t, "tokens_per_second", r->tokens_per_second);
    put_field(&t, "memory_bytes", r->memory_bytes);
    put_field(&t, "memory_limit_bytes", r->memory_limit_bytes);
    for (size_t i = 0; i < r->metric_count; i++)
        put_field(&t, r->metrics[i].name, r->metrics[i].value);
    if (r->layers && r->layer_count) {
        put_cstr(&t, ",\"layers\":{");
        for (size_t i = 0; i < r->layer_count; i++) {
            if (i)
                put(&t, ",", 1);
            put_layer(&t, &r->layers[i]);
        }
        put(&t, "}", 1);
    }
    finish_line(run, &t);
}

static void say(struct tocsin_run *run, int64_t step, const char *event, const char *message,
                const char *state) {
    struct text t = {0};
    pthread_mutex_lock(&run->mutex);
    begin_line(run, &t);
    if (step >= 0)
        putf(&t, ",\"step\":%lld", (long long)step);
    put_cstr(&t, ",\"event\":");
    put_string(&t, event);
    if (message) {
        put_cstr(&t, ",\"message\":");
        put_string(&t, message);
    }
    if (state) {
        putf(&t, ",\"state\":\"%s\"", state);
        if (strcmp(state, "running") != 0)
            run->last_state = TOCSIN_FINISHED; /* nothing comes after it */
    }
    put_collectives(run, &t);
    if (run->labels_json && strcmp(event, "start") == 0)
        putf(&t, ",\"labels\":");
    if (run->labels_json && strcmp(event, "start") == 0)
        put_cstr(&t, run->labels_json);
    finish_line(run, &t);
}

static bool is_known_event(const char *event) {
    static const char *const known[] = {"start",   "end",   "checkpoint", "checkpoint_failed",
                                        "restart", "error", "exit"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(event, known[i]) == 0)
            return true;
    return false;
}

void tocsin_event(struct tocsin_run *run, int64_t step, const char *event, const char *message) {
    if (!run || !event)
        return;
    if (!is_known_event(event)) {
        pthread_mutex_lock(&run->mutex);
        run->dropped++;
        pthread_mutex_unlock(&run->mutex);
        return;
    }
    /* An error that the job survives: without the state it would count as the end of the run. */
    say(run, step, event, message, strcmp(event, "error") == 0 ? "running" : NULL);
}

uint64_t tocsin_dropped(const struct tocsin_run *run) {
    if (!run)
        return 0;
    pthread_mutex_lock((pthread_mutex_t *)&run->mutex);
    uint64_t n = run->dropped;
    pthread_mutex_unlock((pthread_mutex_t *)&run->mutex);
    return n;
}

/* -------------------------------------------------------------------------------------------
 * sender */

static bool wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, IO_TIMEOUT_MS);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

static void disconnect(struct tocsin_run *run) {
    if (run->fd >= 0)
        close(run->fd);
    run->fd = -1;
}

static bool try_address(struct tocsin_run *run, const struct addrinfo *a) {
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0 &&
        (errno != EINPROGRESS || !wait_for(fd, POLLOUT) ||
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)) {
        close(fd);
        return false;
    }
    run->fd = fd;
    return true;
}

static bool connect_daemon(struct tocsin_run *run) {
    if (run->fd >= 0)
        return true;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(run->host, run->port, &hints, &list) != 0)
        return false;
    bool is_connected = false;
    for (struct addrinfo *a = list; a && !is_connected; a = a->ai_next)
        is_connected = try_address(run, a);
    freeaddrinfo(list);
    return is_connected;
}

static bool send_all(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent > 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(fd, POLLOUT))
                return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Reads one answer; its status, or 0 when the connection broke. Bodies are small and are read so
 * that the connection can be used again; one without a length closes it. */
static int read_answer(struct tocsin_run *run) {
    char answer[ANSWER_MAX_BYTES + 1];
    size_t n = 0;
    char *body = NULL;
    while (!body) {
        if (n == ANSWER_MAX_BYTES || !wait_for(run->fd, POLLIN))
            return 0;
        ssize_t got = recv(run->fd, answer + n, ANSWER_MAX_BYTES - n, 0);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return 0;
        n += got > 0 ? (size_t)got : 0;
        answer[n] = 0;
        body = strstr(answer, "\r\n\r\n");
    }
    int status = 0;
    if (sscanf(answer, "HTTP/1.%*d %d", &status) != 1)
        return 0;
    *body = 0;
    const char *length = strcasestr(answer, "\r\ncontent-length:");
    size_t have = n - (size_t)(body + 4 - answer);
    size_t want = length ? strtoul(length + 17, NULL, 10) : 0;
    bool is_empty = status == 204 || want == have;
    if (!is_empty || strcasestr(answer, "\r\nconnection: close"))
        disconnect(run); /* cheaper than draining a refusal */
    return status;
}

static int post_once(struct tocsin_run *run, const char *body, size_t n) {
    if (!connect_daemon(run))
        return 0;
    char head[2048];
    int m = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: application/x-ndjson\r\n"
                     "Content-Length: %zu\r\n%s%s%s\r\n",
                     run->path_prefix, run->host, run->port, n,
                     run->token ? "Authorization: Bearer " : "", run->token ? run->token : "",
                     run->token ? "\r\n" : "");
    int status = 0;
    if (m > 0 && (size_t)m < sizeof head && send_all(run->fd, head, (size_t)m) &&
        send_all(run->fd, body, n))
        status = read_answer(run);
    if (status == 0)
        disconnect(run);
    return status;
}

enum outcome { SENT, REFUSED, NOT_NOW };

static enum outcome post(struct tocsin_run *run, const char *body, size_t n) {
    bool was_connected = run->fd >= 0;
    int status = post_once(run, body, n);
    /* The daemon may have closed an idle connection; repeating is safe, lines are numbered. */
    if (status == 0 && was_connected)
        status = post_once(run, body, n);
    if (status >= 200 && status < 300)
        return SENT;
    if (status == 0 || status == 408 || status == 429 || status >= 500)
        return NOT_NOW;
    return REFUSED;
}

static enum outcome append(struct tocsin_run *run, const char *body, size_t n) {
    if (run->fd < 0)
        run->fd = open(run->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (run->fd < 0)
        return NOT_NOW;
    /* One write for whole lines: a reader never sees half of one followed by another. */
    return write(run->fd, body, n) == (ssize_t)n ? SENT : REFUSED;
}

/* Moves lines into `batch`; with the mutex held. */
static uint64_t take_batch(struct tocsin_run *run, char *batch, size_t *n) {
    uint64_t count = 0;
    *n = 0;
    while (run->first && *n + run->first->n <= BATCH_BYTES) {
        struct line *l = run->first;
        memcpy(batch + *n, l->bytes, l->n);
        *n += l->n;
        run->buffered_bytes -= l->n;
        run->first = l->next;
        free(l);
        count++;
    }
    if (!run->first)
        run->last = NULL;
    return count;
}

static void wait_ms(struct tocsin_run *run, int64_t ms) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    int64_t ns = ts.tv_nsec + ms % 1000 * 1000000;
    ts.tv_sec += (time_t)(ms / 1000 + ns / 1000000000);
    ts.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&run->changed, &run->mutex, &ts);
}

/* Waits out a back-off although lines keep coming; with the mutex held. */
static void back_off(struct tocsin_run *run, int64_t ms) {
    int64_t end = now_ms(CLOCK_MONOTONIC) + ms;
    while (!run->stopping && now_ms(CLOCK_MONOTONIC) < end)
        wait_ms(run, end - now_ms(CLOCK_MONOTONIC));
}

/* Until a line comes; a run that is silent for long says that it lives. */
static void wait_for_line(struct tocsin_run *run) {
    int64_t left_ms = run->line_at_ms + SIGN_EVERY_MS - now_ms(CLOCK_MONOTONIC);
    if (run->last_state > TOCSIN_PAUSED)
        pthread_cond_wait(&run->changed, &run->mutex); /* it has ended */
    else if (left_ms > 0)
        wait_ms(run, left_ms);
    else
        add_sign_of_life(run);
}

static void *send_lines(void *arg) {
    struct tocsin_run *run = arg;
    char *batch = malloc(BATCH_BYTES);
    size_t n = 0;
    uint64_t count = 0; /* lines in the batch that has not arrived yet */
    int64_t backoff_ms = BACKOFF_FIRST_MS;
    pthread_mutex_lock(&run->mutex);
    while (batch) {
        if (count == 0)
            count = take_batch(run, batch, &n);
        if (count == 0 && run->stopping)
            break;
        if (count == 0) {
            wait_for_line(run);
            continue;
        }
        pthread_mutex_unlock(&run->mutex);
        enum outcome outcome = run->file ? append(run, batch, n) : post(run, batch, n);
        pthread_mutex_lock(&run->mutex);
        if (outcome == NOT_NOW && run->stopping)
            break;
        if (outcome == NOT_NOW) {
            back_off(run, backoff_ms);
            backoff_ms = backoff_ms * 2 < BACKOFF_MAX_MS ? backoff_ms * 2 : BACKOFF_MAX_MS;
            continue;
        }
        run->dropped += outcome == REFUSED ? count : 0;
        run->settled += count;
        count = 0;
        backoff_ms = BACKOFF_FIRST_MS;
        pthread_cond_broadcast(&run->changed);
    }
    pthread_mutex_unlock(&run->mutex);
    free(batch);
    disconnect(run);
    return NULL;
}

int tocsin_flush(struct tocsin_run *run, int timeout_ms) {
    if (!run)
        return 0;
    int64_t end = now_ms(CLOCK_MONOTONIC) + timeout_ms;
    pthread_mutex_lock(&run->mutex);
    uint64_t want = run->queued;
    while (run->settled < want && now_ms(CLOCK_MONOTONIC) < end)
        wait_ms(run, end - now_ms(CLOCK_MONOTONIC));
    int rc = run->settled < want ? -1 : 0;
    pthread_mutex_unlock(&run->mutex);
    return rc;
}

/* ------------------------------------------------------------------------------------ start and
 * end */

static const char *option_or_env(const char *option, const char *name, const char *fallback) {
    if (option)
        return option;
    const char *env = getenv(name);
    return env && *env ? env : fallback;
}

/* http://HOST[:PORT][/PREFIX], IPv6 in brackets. */
static bool split_url(struct tocsin_run *run, const char *url) {
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *host = url + sizeof scheme - 1;
    const char *path = host + strcspn(host, "/");
    const char *host_end = path, *port = NULL;
    if (*host == '[') {
        const char *close = memchr(host, ']', (size_t)(path - host));
        if (!close)
            return false;
        if (close[1] == ':')
            port = close + 2;
        host++;
        host_end = close;
    } else {
        const char *colon = memchr(host, ':', (size_t)(path - host));
        if (colon) {
            port = colon + 1;
            host_end = colon;
        }
    }
    run->host = strndup(host, (size_t)(host_end - host));
    run->port = port ? strndup(port, (size_t)(path - port)) : strdup("9797");
    struct text t = {0};
    size_t prefix = strlen(path);
    while (prefix && path[prefix - 1] == '/')
        prefix--;
    put(&t, path, prefix);
    put_cstr(&t, "/api/tocsin/v1/ingest/run?format=jsonl&run=");
    for (const char *p = run->run; *p; p++)
        if (strchr("-_.~", *p) || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
            (*p >= 'a' && *p <= 'z'))
            put(&t, p, 1);
        else
            putf(&t, "%%%02X", (unsigned char)*p);
    put(&t, "", 1);
    run->path_prefix = t.p;
    return run->host && run->port && !t.failed && *run->host;
}

static char *labels_json(const struct tocsin_label *labels, size_t count) {
    struct text t = {0};
    put(&t, "{", 1);
    for (size_t i = 0; i < count && i < LABELS_MAX; i++) {
        if (i)
            put(&t, ",", 1);
        put_string(&t, labels[i].name);
        put(&t, ":", 1);
        put_string(&t, labels[i].value);
    }
    put(&t, "}", 2);
    if (t.failed) {
        free(t.p);
        return NULL;
    }
    return t.p;
}

static void free_run(struct tocsin_run *run) {
    while (run->first) {
        struct line *l = run->first;
        run->first = l->next;
        free(l);
    }
    free(run->host);
    free(run->port);
    free(run->path_prefix);
    free(run->token);
    free(run->file);
    free(run->run);
    free(run->labels_json);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->mutex);
    free(run);
}

static void make_session(struct tocsin_run *run) {
    uint64_t id = 0;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &id, sizeof id) != (ssize_t)sizeof id)
        id = (uint64_t)now_ms(CLOCK_REALTIME) << 20 ^ (uint64_t)getpid();
    if (fd >= 0)
        close(fd);
    snprintf(run->session, sizeof run->session, "%016llx", (unsigned long long)id);
}

static bool configure(struct tocsin_run *run, const struct tocsin_options *o) {
    char fallback[32];
    snprintf(fallback, sizeof fallback, "run-%ld", (long)getpid());
    run->run = strdup(option_or_env(o->run, "TOCSIN_RUN", fallback));
    const char *token = option_or_env(o->token, "TOCSIN_TOKEN", NULL);
    run->token = token ? strdup(token) : NULL;
    run->file = o->file ? strdup(o->file) : NULL;
    run->rank = o->rank;
    run->max_buffered_bytes = o->max_buffered_bytes ? o->max_buffered_bytes : DEFAULT_BUFFER_BYTES;
    if (o->label_count)
        run->labels_json = labels_json(o->labels, o->label_count);
    make_session(run);
    run->last_step = run->told_step = -1;
    run->line_at_ms = now_ms(CLOCK_MONOTONIC);
    return run->run && (run->file || split_url(run, option_or_env(o->url, "TOCSIN_URL",
                                                                  "http://127.0.0.1:9797")));
}

struct tocsin_run *tocsin_init(const struct tocsin_options *options) {
    static const struct tocsin_options defaults;
    struct tocsin_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->fd = -1;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&run->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&run->mutex, NULL);
    if (!configure(run, options ? options : &defaults) ||
        pthread_create(&run->thread, NULL, send_lines, run) != 0) {
        free_run(run);
        return NULL;
    }
    say(run, -1, "start", NULL, NULL);
    return run;
}

void tocsin_finish(struct tocsin_run *run, enum tocsin_state state, const char *message) {
    if (!run)
        return;
    bool is_failed = state == TOCSIN_FAILED;
    say(run, -1, is_failed ? "error" : "end", message, is_failed ? "failed" : "finished");
    tocsin_flush(run, FINISH_WAIT_MS);
    pthread_mutex_lock(&run->mutex);
    run->stopping = true;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->mutex);
    pthread_join(run->thread, NULL);
    free_run(run);
}
