/* Tocsin's C SDK: how a run begins and ends. See tocsin.h. Apache-2.0. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "tocsin_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEFAULT_BUFFER_BYTES = 4 << 20, LABELS_MAX = 16, FINISH_WAIT_MS = 2000 };

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
    struct tocsin_text t = {0};
    size_t prefix = strlen(path);
    while (prefix && path[prefix - 1] == '/')
        prefix--;
    tocsin_put(&t, path, prefix);
    tocsin_put_cstr(&t, "/api/tocsin/v1/ingest/run?format=jsonl&run=");
    for (const char *p = run->run; *p; p++)
        if (strchr("-_.~", *p) || (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
            (*p >= 'a' && *p <= 'z'))
            tocsin_put(&t, p, 1);
        else
            tocsin_putf(&t, "%%%02X", (unsigned char)*p);
    tocsin_put(&t, "", 1);
    run->path_prefix = t.p;
    return run->host && run->port && !t.failed && *run->host;
}

static char *labels_json(const struct tocsin_label *labels, size_t count) {
    struct tocsin_text t = {0};
    tocsin_put(&t, "{", 1);
    for (size_t i = 0; i < count && i < LABELS_MAX; i++) {
        if (i)
            tocsin_put(&t, ",", 1);
        tocsin_put_string(&t, labels[i].name);
        tocsin_put(&t, ":", 1);
        tocsin_put_string(&t, labels[i].value);
    }
    tocsin_put(&t, "}", 2);
    if (t.failed) {
        free(t.p);
        return NULL;
    }
    return t.p;
}

static void free_run(struct tocsin_run *run) {
    while (run->first) {
        struct tocsin_line *l = run->first;
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
        id = (uint64_t)tocsin_now_ms(CLOCK_REALTIME) << 20 ^ (uint64_t)getpid();
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
    run->line_at_ms = tocsin_now_ms(CLOCK_MONOTONIC);
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
        pthread_create(&run->thread, NULL, tocsin_send_lines, run) != 0) {
        free_run(run);
        return NULL;
    }
    tocsin_say(run, -1, "start", NULL, NULL);
    return run;
}

void tocsin_finish(struct tocsin_run *run, enum tocsin_state state, const char *message) {
    if (!run)
        return;
    bool is_failed = state == TOCSIN_FAILED;
    tocsin_say(run, -1, is_failed ? "error" : "end", message, is_failed ? "failed" : "finished");
    tocsin_flush(run, FINISH_WAIT_MS);
    pthread_mutex_lock(&run->mutex);
    run->stopping = true;
    pthread_cond_broadcast(&run->changed);
    pthread_mutex_unlock(&run->mutex);
    pthread_join(run->thread, NULL);
    free_run(run);
}
