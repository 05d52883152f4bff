/*
 * Client side of the command line: finds the server and the token, sends one request, turns every
 * failure into a sentence and an exit code.
 */
#ifndef TOC_APP_CLIENT_H
#define TOC_APP_CLIENT_H

#include <stdbool.h>

#include "app/options.h"
#include "base/arena.h"
#include "base/buf.h"
#include "codec/json.h"

struct toc_client_options {
    const char *server;     /* --server, default http://127.0.0.1:9797 or $TOCSIN_SERVER */
    const char *token_file; /* --token-file; else $TOCSIN_TOKEN, else DATA/token */
    const char *data_dir;   /* --data, default ./tocsin-data */
    const char *output;     /* --output table|json|ndjson|csv, default table */
};

/* Rows for an option table: --server, --token-file, --data, --output/-o. */
#define TOC_CLIENT_OPTIONS(o)                                   \
    {"server", 's', TOC_OPTION_STRING, &(o)->server},           \
        {"token-file", 0, TOC_OPTION_STRING, &(o)->token_file}, \
        {"data", 0, TOC_OPTION_STRING, &(o)->data_dir}, {       \
        "output", 'o', TOC_OPTION_STRING, &(o)->output          \
    }

#define TOC_CLIENT_OPTIONS_HELP                                                           \
    "  --server URL        the daemon (default http://127.0.0.1:9797, $TOCSIN_SERVER)\n"  \
    "  --token-file FILE   file with the token (default $TOCSIN_TOKEN, then DIR/token)\n" \
    "  --data DIR          data directory of a local daemon (default ./tocsin-data)\n"    \
    "  -o, --output FORM   table, json, ndjson or csv (default table)\n"

enum toc_output { TOC_OUTPUT_TABLE, TOC_OUTPUT_JSON, TOC_OUTPUT_NDJSON, TOC_OUTPUT_CSV };
/* 0, or TOC_EXIT_USAGE after a message. */
int toc_client_output(const char *command, const struct toc_client_options *o,
                      enum toc_output *out);

struct toc_answer {
    struct toc_buf body;
    const struct toc_json *json; /* parsed body when it is JSON; lives in the arena */
    struct toc_arena arena;
    int status;
};
void toc_answer_fini(struct toc_answer *a);

/* One request: body NULL = none. 0, or an exit code (4, 5, 1) after one sentence on stderr. */
int toc_client_call(const struct toc_client_options *o, const char *method, const char *path,
                    const struct toc_buf *json_body, struct toc_answer *out);
/* Plain text by POST; 400 is no failure: it tells of the text. */
int toc_client_text(const struct toc_client_options *o, const char *path, struct toc_sv text,
                    struct toc_answer *out);
/* The same for a form body (application/x-www-form-urlencoded) or none. */
int toc_client_form(const struct toc_client_options *o, const char *path,
                    const struct toc_buf *form, struct toc_answer *out);

#endif
