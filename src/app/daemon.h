/* The daemon: all parts, wired. Starts, runs until told to stop, and stops in order. */
#ifndef TOC_APP_DAEMON_H
#define TOC_APP_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct toc_daemon;

struct toc_daemon_options {
    const char *config_path; /* NULL: defaults */
    const char *data_dir;    /* NULL: as configured */
    const char *listen;      /* NULL: as configured */
    bool insecure;           /* allow a public address without TLS */
};

/* Opens the data directory, starts every part and listens. On failure everything is closed again
 * and err holds one sentence. */
int toc_daemon_start(const struct toc_daemon_options *o, struct toc_daemon **out,
                     struct toc_err *err) TOC_MUST_CHECK;
void toc_daemon_stop(struct toc_daemon **d);
/* Reads the configuration again; a bad one changes nothing and becomes a problem that status shows.
 */
int toc_daemon_reload(struct toc_daemon *d, struct toc_err *err) TOC_MUST_CHECK;

/* "http://127.0.0.1:9797" */
const char *toc_daemon_url(const struct toc_daemon *d);
/* File with the admin token. */
const char *toc_daemon_token_path(const struct toc_daemon *d);
bool toc_daemon_made_token(const struct toc_daemon *d);

#endif
